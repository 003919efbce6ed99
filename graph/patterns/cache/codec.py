"""The wire format of a cached value: JSON, compressed above a size, in a frame with a magic number and a checksum.

Beside the value the frame carries the stamp that decides whether it may be served (`Frame.stamp`).
Bytes that are not a whole frame of this format, foreign or damaged, raise `Corrupt` and are never taken for a value.
Nothing here can run code: pickle is not used.
"""

from __future__ import annotations

import json
import struct
import zlib
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

MAGIC = b"gC\x01"
"""Two letters and the version of the format; to a reader of another version the entry is foreign."""
STAMP_SIZE = 16
"""Bytes."""
COMPRESS_ABOVE = 16384
"""Bytes; below this size, deflating and inflating a product or a page costs more than sending it as it is."""
MAX_SIZE = 64 << 20
"""Bytes of an inflated value; a frame that claims more is corrupt."""

_HEAD = struct.Struct(f">3sBI{STAMP_SIZE}sddI")  # magic, flags, checksum, stamp, expires, delta, length of the tags
_STAMP = slice(8, 8 + STAMP_SIZE)
_DEFLATED = 1


class Corrupt(ValueError):
    """The bytes are not a whole frame of this format."""


class Frame(NamedTuple):
    """A cached value and what is known about it."""

    stamp: bytes
    """Digest of the generations under which it was loaded (`generations.stamp_of`)."""
    expires: float
    """When its time to live ends, Unix seconds."""
    delta: float
    """How long it took to load, seconds; early refresh depends on it."""
    body: bytes
    """The value itself, not compressed."""
    tags: tuple[str, ...] = ()
    """The tags behind the stamp, where the reader cannot know them in advance."""


def stamp_in(blob: bytes) -> bytes:
    """The stamp of a packed frame, unchecked: enough to reject an outdated entry before unpacking it."""
    return blob[_STAMP]


def pack(frame: Frame, *, compress_above: int = COMPRESS_ABOVE) -> bytes:
    """Write `frame` as bytes, its body deflated when that is longer than `compress_above` bytes and it helps."""
    flags, body = 0, frame.body
    if len(body) > compress_above and len(smaller := zlib.compress(body, 1)) < len(body):
        flags, body = _DEFLATED, smaller
    tags = "\n".join(frame.tags).encode()
    head = _HEAD.pack(MAGIC, flags, 0, frame.stamp, frame.expires, frame.delta, len(tags))
    checksum = zlib.crc32(body, zlib.crc32(tags, zlib.crc32(head)))
    return b"".join((head[:4], checksum.to_bytes(4, "big"), head[8:], tags, body))


def unpack(blob: bytes) -> Frame:
    """Read what `pack` wrote; anything else raises `Corrupt`."""
    if len(blob) < _HEAD.size or not blob.startswith(MAGIC):
        raise Corrupt("not an entry of this cache")
    _, flags, checksum, stamp, expires, delta, tags_size = _HEAD.unpack_from(blob)
    if zlib.crc32(blob[8:], zlib.crc32(blob[:4] + b"\0\0\0\0")) != checksum:
        raise Corrupt("the checksum does not match")
    start = _HEAD.size + tags_size
    tags = tuple(blob[_HEAD.size : start].decode().split("\n")) if tags_size else ()
    body = blob[start:]
    if flags & _DEFLATED:
        body = _inflate(body)
    return Frame(stamp, expires, delta, body, tags)


def _inflate(body: bytes) -> bytes:
    inflater = zlib.decompressobj()
    try:
        whole = inflater.decompress(body, MAX_SIZE)
    except zlib.error as error:
        raise Corrupt(str(error)) from error
    if not inflater.eof:
        raise Corrupt("truncated, or larger than any value may be")
    return whole


def dumps(value: Any) -> bytes:
    """JSON in UTF-8, without NaN or infinities; raises `TypeError` or `ValueError` for what is not JSON."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


class JsonCodec:
    """A pair of functions. Pass faster ones than the standard library's (such as orjson's) where available."""

    def __init__(self, dumps: Callable[[Any], bytes] = dumps, loads: Callable[[bytes], Any] = json.loads) -> None:
        """`dumps` raises `TypeError` or `ValueError` for what JSON cannot carry, `loads` `ValueError` for bad JSON."""
        self.dumps = dumps
        self.loads = loads
