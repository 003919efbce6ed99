"""Who may use the database next: callers take turns, and none has more than a few statements under way.

A queue in which whoever comes first is served first belongs to the caller who asks for most. Here each caller has a
queue of its own, and a place that becomes free goes to the caller whose turn it is (round robin, as in fair queueing:
Nagle, RFC 970). So whatever one caller has waiting, another waits for one statement to end, and not for all of them.

`on_behalf_of` says whose work a task does; the tasks that it begins inherit it, and with it the load of a cached value
that others wait for as well. Work of nobody's (jobs, the outbox, the command line) is a caller among others without a
bound of its own.

It fails with `TimeoutError` if no place is free within the time that it is given. Who is cancelled while waiting loses
nothing but its place.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

on_behalf_of: ContextVar[str | None] = ContextVar("graph_on_behalf_of", default=None)
"""The caller whose work this task does; None for the program's own."""


class FairQueue:
    """Places that callers take in turn."""

    def __init__(self, places: int, each: int) -> None:
        """Let `places` be in use at a time, `each` by one caller at most."""
        self._free = places
        self._each = each
        self._used: dict[str, int] = {}
        self._waiting: dict[str | None, deque[asyncio.Future[None]]] = {}
        self._next: dict[str | None, None] = {}  # callers who wait and may have more, in the order of their turns

    @asynccontextmanager
    async def place(self, timeout: float | None = None) -> AsyncGenerator[None]:  # noqa: ASYNC109 - as asyncio.wait_for
        """Have a place for the length of the block, after waiting `timeout` seconds for it at most."""
        caller = on_behalf_of.get()
        if self._free and caller not in self._waiting and self._may(caller):
            self._take(caller)
        else:
            await self._wait(caller, timeout)
        try:
            yield
        finally:
            self._leave(caller)

    def _may(self, caller: str | None) -> bool:
        return caller is None or self._used.get(caller, 0) < self._each

    def _take(self, caller: str | None) -> None:
        self._free -= 1
        if caller is not None:
            self._used[caller] = self._used.get(caller, 0) + 1

    def _leave(self, caller: str | None) -> None:
        self._free += 1
        if caller is not None:
            self._used[caller] -= 1
            if not self._used[caller]:
                del self._used[caller]
            if caller in self._waiting:
                self._next.setdefault(caller)
        self._serve()

    async def _wait(self, caller: str | None, timeout: float | None) -> None:  # noqa: ASYNC109 - the same
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(caller, deque()).append(turn)
        if self._may(caller):
            self._next.setdefault(caller)
        try:
            async with asyncio.timeout(timeout):
                await turn
        except BaseException:
            if turn.done() and not turn.cancelled():
                self._leave(caller)  # the turn came at the moment of giving up
            else:
                self._forget(caller, turn)
            raise

    def _forget(self, caller: str | None, turn: asyncio.Future[None]) -> None:
        queue = self._waiting.get(caller)
        if queue is not None and turn in queue:
            queue.remove(turn)
            if not queue:
                del self._waiting[caller]
                self._next.pop(caller, None)

    def _serve(self) -> None:
        while self._free and self._next:
            caller = next(iter(self._next))
            del self._next[caller]
            queue = self._waiting[caller]
            turn = queue.popleft()
            if not queue:
                del self._waiting[caller]
            if not turn.done():
                self._take(caller)
                turn.set_result(None)
            if queue and self._may(caller):
                self._next[caller] = None
