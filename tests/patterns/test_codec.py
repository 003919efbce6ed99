"""Frames of cached values: what goes in comes out, and nothing else is ever taken for a value."""

from __future__ import annotations

import json
import os
import zlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graph.patterns.cache import JsonCodec
from graph.patterns.cache.codec import (
    COMPRESS_ABOVE,
    MAGIC,
    MAX_SIZE,
    STAMP_SIZE,
    Corrupt,
    Frame,
    pack,
    stamp_in,
    unpack,
)

if TYPE_CHECKING:
    from collections.abc import Callable

STAMP = bytes(range(STAMP_SIZE))
SMALL = Frame(STAMP, 1_700_000_000.5, 0.25, b'{"name":"M\xc3\xbcsli"}', ("product:1", "products"))

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
tags = st.lists(st.text(st.characters(blacklist_characters="\n", codec="utf-8"), min_size=1)).map(tuple)


@given(
    st.binary(min_size=STAMP_SIZE, max_size=STAMP_SIZE),
    st.floats(0, 1e12),
    st.binary(max_size=9000) | st.just(b"long " * COMPRESS_ABOVE),
    tags,
)
def test_a_frame_comes_back_as_it_was(stamp: bytes, expires: float, body: bytes, names: tuple[str, ...]) -> None:
    """Any stamp, expiry, body and tags survive packing, and the stamp can be read without unpacking."""
    frame = Frame(stamp, expires, 0.5, body, names)
    blob = pack(frame)
    assert unpack(blob) == frame
    assert stamp_in(blob) == stamp


def test_json_values_come_back_equal(scaled: Callable[[int, int], int]) -> None:
    """The default codec carries every JSON value."""

    @given(json_values)
    @settings(max_examples=scaled(100, 50))
    def check(value: object) -> None:
        codec = JsonCodec()
        assert codec.loads(codec.dumps(value)) == value

    check()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}, b"bytes", "\ud800"])
def test_what_is_not_json_is_refused(value: object) -> None:
    """A value that another JSON reader could not read is an error where it is written, not where it is read."""
    with pytest.raises((TypeError, ValueError)):
        JsonCodec().dumps(value)


def test_every_damaged_byte_is_noticed() -> None:
    """Changing any single byte of a frame, or cutting it anywhere, makes it corrupt."""
    blob = pack(SMALL)
    for i in range(len(blob)):
        with pytest.raises(Corrupt):
            unpack(blob[:i] + bytes((blob[i] ^ 0x41,)) + blob[i + 1 :])
        with pytest.raises(Corrupt):
            unpack(blob[:i])


@given(st.binary(max_size=200))
def test_foreign_bytes_are_corrupt(noise: bytes) -> None:
    """Bytes that somebody else wrote, with or without our first letters, never come out as a value."""
    for blob in (noise, MAGIC + noise):
        with pytest.raises(Corrupt):
            unpack(blob)


def test_large_bodies_are_deflated_where_it_helps() -> None:
    """A long repetitive body shrinks, a long random one is carried as it is, a short one is not touched."""
    long = json.dumps([{"id": i, "name": "a product"} for i in range(500)]).encode()
    assert len(pack(SMALL._replace(body=long))) < len(long) / 4
    assert unpack(pack(SMALL._replace(body=long))).body == long
    random = os.urandom(9000)
    assert random in pack(SMALL._replace(body=random))
    assert SMALL.body in pack(SMALL)


def test_a_bomb_is_corrupt() -> None:
    """A frame that would inflate beyond any value's size is refused before it is inflated."""
    frame = SMALL._replace(body=b"\0" * (MAX_SIZE + 1))
    with pytest.raises(Corrupt):
        unpack(pack(frame))


def test_a_truncated_deflated_body_is_corrupt() -> None:
    """A checksum that is right over a body that is not whole does not help it."""
    blob = pack(SMALL._replace(body=b"x" * 2 * COMPRESS_ABOVE, tags=()))
    cut = blob[:-3]
    checksum = zlib.crc32(cut[8:], zlib.crc32(cut[:4] + b"\0\0\0\0"))
    with pytest.raises(Corrupt):
        unpack(cut[:4] + checksum.to_bytes(4, "big") + cut[8:])
