"""Encodes answers as the client accepts: gzip or zstd, for bodies of at least `SMALLEST` bytes.

Bodies that are sent repeatedly (kept answers, files) are compressed once: `Compressed` keeps the results by the name of
the body, within a bound of bytes. The same body always gives the same bytes.
"""

from __future__ import annotations

import asyncio
import gzip
from functools import lru_cache
from typing import TYPE_CHECKING

import zstandard

from graph.endpoint.document import Retention
from graph.patterns.cache import trimmed

if TYPE_CHECKING:
    from collections.abc import Callable

SMALLEST = 1024
"""Bytes from which compression is worthwhile: a smaller body fits into one packet anyway."""
LARGE = 1 << 17
"""Bytes from which compression runs in a thread: it takes a millisecond or more."""
_ZSTD_LEVEL = 3
_GZIP_LEVEL = 4
_LONGEST = 256  # characters of an Accept-Encoding that is looked at


def _zstd(body: bytes) -> bytes:
    return trimmed(zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compress(body))


def _gzip(body: bytes) -> bytes:
    return gzip.compress(body, _GZIP_LEVEL, mtime=0)


ENCODINGS: dict[str, Callable[[bytes], bytes]] = {"gzip": _gzip, "zstd": _zstd}
"""In order of preference: some clients claim to accept zstd but fail on it (@whatwg-node/fetch on Node 20)."""


def encoding_of(accepted: str | None, size: int) -> str | None:
    """What to encode a body of `size` bytes in, by the client's Accept-Encoding; None: it goes as it is."""
    return _chosen(accepted) if accepted and size >= SMALLEST and len(accepted) <= _LONGEST else None


@lru_cache(maxsize=256)
def _chosen(accepted: str) -> str | None:
    weights: dict[str, float] = {}
    for one in accepted.lower().split(","):
        name, _, parameters = one.partition(";")
        weights[name.strip()] = _quality(parameters)
    found = {name: weights.get(name, weights.get("*", 0.0)) for name in ENCODINGS}
    best = max(found, key=lambda name: found[name])
    return best if found[best] > 0 else None


def _quality(parameters: str) -> float:
    name, _, value = parameters.partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0


async def compressed(body: bytes, encoding: str) -> bytes:
    """`body` in `encoding`."""
    encode = ENCODINGS[encoding]
    return encode(body) if len(body) < LARGE else await asyncio.to_thread(encode, body)


class Compressed:
    """Compressed bodies, at most `most` bytes of them; the least used are dropped first."""

    def __init__(self, most: int = 16 << 20) -> None:
        """Keep at most `most` bytes."""
        self._kept: Retention[tuple[str, str], bytes] = Retention(most)

    def known(self, name: str, encoding: str) -> bytes | None:
        """The body called `name` in `encoding`, if it is kept."""
        return self._kept.get((name, encoding))

    async def give(self, name: str, encoding: str, body: bytes) -> bytes:
        """Return the body called `name` in `encoding`, compressing `body` if it is not kept."""
        found = self.known(name, encoding)
        if found is None:
            found = await compressed(body, encoding)
            self.keep(name, encoding, found)
        return found

    def now(self, name: str, encoding: str, body: bytes) -> bytes:
        """Do what `give` does, for a caller that cannot await."""
        found = self.known(name, encoding)
        if found is None:
            found = ENCODINGS[encoding](body)
            self.keep(name, encoding, found)
        return found

    def keep(self, name: str, encoding: str, made: bytes) -> None:
        """Keep what was `made` of the body called `name`."""
        self._kept.put((name, encoding), made, len(made) + 200)
