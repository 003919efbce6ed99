"""Limits the number of connections: from one address, and in total.

Every connection counts from its beginning to its end, whether it speaks HTTP, is a WebSocket or sends nothing. One
address (or IPv6 /64) may have at most `PER_ADDRESS`, unless it is a trusted proxy, which stands for many clients. The
total stays `RESERVE` below the process's limit on file descriptors, so that some are left for the files, Redis and SQL
connections that it opens itself, and for refusals. The descriptor limit is raised as far as the system allows when the
server starts (`bound_connections`).

The last `KEPT` of the total are kept for those who must get through a crowd: health checks, and users who present
credentials. A connection that gets one of them must say so in its first request, soon, and an address has `KEPT_EACH`
of them at most.

A connection over the limit is refused in JSON (503, `TOO_MANY_CONNECTIONS`) and closed at once.
"""

from __future__ import annotations

import ipaddress
import resource
from collections import Counter
from functools import lru_cache

from uvicorn.middleware.proxy_headers import _TrustedHosts  # pyright: ignore[reportPrivateUsage] - as uvicorn reads them

PER_ADDRESS = 2048
RESERVE = 256
KEPT = 128
KEPT_EACH = 8
KEPT_SECONDS = 2.0
"""Seconds within which the head of the first request must arrive on a connection that got one of the last places."""
_UNBOUNDED = 1 << 20


class Crowd:
    """The connections of one process."""

    def __init__(self, total: int, per_address: int = PER_ADDRESS, kept: int = KEPT) -> None:
        """Allow `total` connections at a time, of which `kept` are for who must get through."""
        self._total = total
        self._per_address = per_address
        self._common = total - min(kept, total // 8)
        self._kept: Counter[str] = Counter()
        self._counts: Counter[str] = Counter()
        self._all = 0

    def enter(self, address: str, *, proxy: bool) -> str | None:
        """Count a connection from `address`. Returns the name to pass to `leave`, or None when it is one too many."""
        name = "" if proxy else _network(address)
        if self._all >= self._total or (name and self._counts[name] >= self._per_address):
            return None
        self._all += 1
        self._counts[name] += 1
        return name

    @property
    def is_crowded(self) -> bool:
        """Whether the last connection that entered took one of the kept places."""
        return self._all > self._common

    def keep(self, address: str) -> bool:
        """Count a connection from `address`, which has entered, as one of the kept places; False if it has too many."""
        name = _network(address)
        if self._kept[name] >= KEPT_EACH:
            return False
        self._kept[name] += 1
        return True

    def give_back(self, address: str) -> None:
        """Give back the place of a connection that has ended."""
        name = _network(address)
        self._kept[name] -= 1
        if not self._kept[name]:
            del self._kept[name]

    def leave(self, name: str) -> None:
        """Stop counting a connection that has ended."""
        self._all -= 1
        self._counts[name] -= 1
        if not self._counts[name]:
            del self._counts[name]


@lru_cache(maxsize=8)
def trusted(proxies: str) -> _TrustedHosts:
    """The addresses of trusted `proxies`, as the settings name them."""
    return _TrustedHosts(proxies)


_crowd: list[Crowd] = []


def bound_connections(total: int = 0, per_address: int = PER_ADDRESS) -> Crowd:
    """Allow so many connections from now on; a `total` of 0 is as many as there can be descriptors, less `RESERVE`."""
    most = max(RESERVE, raise_descriptors() - RESERVE)
    _crowd[:] = [Crowd(min(total, most) if total else most, per_address)]
    return _crowd[0]


def crowd() -> Crowd:
    """Return the `Crowd` of this process."""
    return _crowd[0] if _crowd else bound_connections()


def raise_descriptors() -> int:
    """Raise the limit on file descriptors as far as possible, and return the new limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _UNBOUNDED if hard == resource.RLIM_INFINITY else hard
    if soft != resource.RLIM_INFINITY and soft < most:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        except (ValueError, OSError):  # macOS reports infinity but allows less
            return soft
    return most


def _network(address: str) -> str:
    """What counts as one address; empty for a peer without an address, as on a Unix socket."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(parsed, ipaddress.IPv4Address):
        return address
    return str(parsed.ipv4_mapped or ipaddress.ip_network((parsed, 64), strict=False).network_address)
