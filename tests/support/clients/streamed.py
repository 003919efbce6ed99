"""A response that comes in pieces, as its reader sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.waiting import within

if TYPE_CHECKING:
    import httpx


class Body:
    """What arrives of a response."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._chunks = response.aiter_raw()
        self.raw = b""

    async def until(self, needle: bytes) -> bytes:
        """Read on until `needle` has come."""
        async with within(repr(needle)):
            while needle not in self.raw:
                self.raw += await anext(self._chunks)
        return self.raw

    async def rest(self) -> bytes:
        """Read to the end."""
        async with within("the end of the response"):
            async for chunk in self._chunks:
                self.raw += chunk
        return self.raw
