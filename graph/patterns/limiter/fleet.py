"""How many processes share the limits, and what all of them last saw of each budget: for the time when Redis is away.

Each process says every second that it is there, and tells the others what it saw of the budgets that it charged since.
So when Redis goes away, every process knows what was left of each of them, but for the charges of the last second, and
may grant its share of that.

Failure: while Redis is away the last count and the last news stand. A process that dies counts for `GONE` more.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import struct
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple, Self

from graph.patterns.client import Script, command
from graph.patterns.tasks import Tasks

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from graph.patterns.client import Client
    from graph.patterns.limiter.limiter import Verdict

GONE = 15.0
"""Seconds after its last word for which a process counts."""

EXPIRING_KEYS = {"{fleet}:processes": "who lives", "{fleet}:budgets": "what was left of each budget"}
"""Keys with a TTL, below the prefix, and what they hold."""

_BEAT = Script(__name__, "beat", idempotent=True)
_BUDGET = struct.Struct("<8sIIQ")  # digest of the key, units left, until all are free (ms), when seen (µs)
_TOLD = 2000  # budgets that a process tells of at a time, those with the least left first
_KEPT = 50_000  # budgets remembered


class Remainder(NamedTuple):
    """What was left of a budget at the server's time `at`, and until when that matters by this process' clock."""

    remaining: int
    until: float
    at: float


class Fleet:
    """One process of those that share the limits; open it with ``async with``."""

    def __init__(
        self,
        client: Client,
        *,
        prefix: str = "graph",
        interval: float = 1.0,
        window: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Speak and listen every `interval` seconds; budgets are free again after `window` seconds at most."""
        self._client = client
        self._keys = [f"{prefix}:{{fleet}}:processes", f"{prefix}:{{fleet}}:budgets"]
        self._interval = interval
        self._window = window
        self._clock = clock
        self._me = secrets.token_hex(8)
        self._fresh: dict[str, Remainder] = {}
        self._seen: OrderedDict[bytes, Remainder] = OrderedDict()
        self._last: bytes | str = "0-0"
        self._tasks = Tasks()
        self.size = 1
        """How many processes there are, this one included."""

    async def __aenter__(self) -> Self:
        await self.beat()
        self._tasks.spawn(self._go_on(), name="limiter-fleet")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._tasks.close()
        await self._client.batch(command("ZREM", self._keys[0], self._me, retry=True))

    def note(self, key: str, verdict: Verdict) -> None:
        """Remember a verdict on the budget `key` alone."""
        self._fresh[key] = Remainder(verdict.remaining, self._clock() + verdict.reset_after, verdict.at)

    def sight(self, key: str) -> Remainder | None:
        """What is known of the budget `key`; None where nobody has charged it within the window."""
        found = self._fresh.get(key) or self._seen.get(_digest(key))
        return found if found is not None and found.until > self._clock() else None

    async def beat(self) -> None:
        """Speak and listen once; what Redis did not hear is told next time."""
        now = self._clock()
        fresh, self._fresh = self._fresh, {}
        told = sorted(fresh.items(), key=lambda one: one[1].remaining)[:_TOLD]
        for key, sight in fresh.items():
            self._remember(_digest(key), sight)
        budgets = b"".join(
            _BUDGET.pack(
                _digest(key), max(0, one.remaining), max(0, round(1000 * (one.until - now))), round(1e6 * one.at)
            )
            for key, one in told
        )
        args = [self._me, round(GONE * 1000), budgets, self._last, round(self._window * 1000)]
        (reply,) = await self._client.batch(_BEAT(self._keys, args))
        if isinstance(reply, Exception):
            self._fresh = {**dict(told), **self._fresh}
            return
        self.size, server_now, self._last, news = reply
        for name, heard in news:
            age = (server_now - int(name.partition(b"-")[0])) / 1000
            for digest, remaining, left, at in _BUDGET.iter_unpack(heard):
                self._remember(digest, Remainder(remaining, self._clock() + left / 1000 - age, at / 1e6))

    def _remember(self, digest: bytes, sight: Remainder) -> None:
        known = self._seen.pop(digest, None)
        self._seen[digest] = sight if known is None or known.at <= sight.at else known
        if len(self._seen) > _KEPT:
            self._seen.popitem(last=False)

    async def _go_on(self) -> None:
        while True:
            await asyncio.sleep(self._interval)
            await self.beat()


def _digest(key: str) -> bytes:
    return hashlib.blake2b(key.encode(), digest_size=8).digest()
