"""A fair queue for a scarce resource: callers take turns, and each has only a few places at a time.

A first-come-first-served queue favours the caller who asks for most. Here each caller has its own queue, and a free
place goes to the caller whose turn it is (round robin, as in fair queueing: Nagle, RFC 970). So however much one caller
has waiting, another waits for one statement to end, and not for all of them.

`on_behalf_of` says which caller a task works for; the tasks that it starts inherit that. Work that several callers wait
for (the load of a cached value, an answer that is kept) is done on behalf of `Sharers`: it is queued for each of them,
including those that join later, and runs when the first of these turns comes. So a caller that shares a load does not
wait for the backlog of the caller that started it. The program's own work (jobs, the outbox, the command line) is one
more caller, without a limit of its own.

It fails with `TimeoutError` if no place is free in time. A caller that is cancelled while waiting only loses its place
in the queue.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, TypeAlias
from weakref import WeakSet

if TYPE_CHECKING:
    from collections.abc import Collection, Generator

Name: TypeAlias = str | None
"""A caller; None for the program itself."""


class Sharers:
    """The callers that wait for one piece of work."""

    __slots__ = ("__weakref__", "_lined_up", "awaits", "callers")

    def __init__(self) -> None:
        """Begin with the callers on whose behalf the current task works."""
        self.callers: dict[Name, None] = {}
        self.awaits: WeakSet[Sharers] | None = None  # made when it is needed, which is seldom
        self._lined_up: dict[_Wait, FairQueue] = {}
        self.join()

    def join(self) -> None:
        """Add the callers on whose behalf the current task works."""
        mine = on_behalf_of.get()
        if isinstance(mine, Sharers):
            if mine is not self:
                if mine.awaits is None:
                    mine.awaits = WeakSet()
                mine.awaits.add(self)
                for caller in tuple(mine.callers):
                    self.add(caller)
        else:
            self.add(mine)

    def add(self, caller: Name) -> None:
        """Add `caller` here, and to the work that this work waits for."""
        if caller in self.callers:
            return
        self.callers[caller] = None
        for turn, queue in tuple(self._lined_up.items()):
            queue.line_up(turn, (caller,))
        for other in tuple(self.awaits or ()):
            other.add(caller)

    def wait(self, turn: _Wait, queue: FairQueue) -> None:
        """Queue `turn` also for callers that join later, until `waited` is called."""
        self._lined_up[turn] = queue

    def waited(self, turn: _Wait) -> None:
        """Stop queueing `turn` for callers that join."""
        self._lined_up.pop(turn, None)

    def work(self) -> None:
        """Let the current task, and those that it starts, work on behalf of all callers."""
        on_behalf_of.set(self)

    @contextmanager
    def working(self) -> Generator[None]:
        """Do `work` during the block."""
        before = on_behalf_of.set(self)
        try:
            yield
        finally:
            on_behalf_of.reset(before)


on_behalf_of: ContextVar[Name | Sharers] = ContextVar("graph_on_behalf_of", default=None)
"""The caller for which this task works; None for the program itself."""


def act_for(caller: Name) -> None:
    """Let the current task work on behalf of `caller`, and of those who share its work already.

    What the program does itself (`caller` is None) for `Sharers` stays theirs.
    """
    now = on_behalf_of.get()
    if not (isinstance(now, Sharers) and (caller is None or caller in now.callers)):
        on_behalf_of.set(caller)


def act_for_all(callers: Collection[str]) -> None:
    """Let the current task work on behalf of `callers`, which share its work, and of nobody else."""
    if not callers:
        return
    first, *others = callers
    on_behalf_of.set(first)
    sharers = Sharers()
    for caller in others:
        sharers.add(caller)
    sharers.work()


class _Wait:
    """A task that waits for a place, in the queue of each caller that it works for."""

    __slots__ = ("callers", "granted", "until")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.callers: dict[Name, None] = {}
        self.granted: asyncio.Future[Name] = loop.create_future()
        self.until = 0.0
        """When it gives up, by the clock of its event loop."""


class _Place:
    """A place that is held during a block."""

    __slots__ = ("_holder", "_queue")

    def __init__(self, queue: FairQueue) -> None:
        self._queue = queue

    async def __aenter__(self) -> None:
        self._holder = await self._queue.enter()

    async def __aexit__(self, *_: object) -> None:
        self._queue.leave(self._holder)


class FairQueue:
    """Places that callers take in turn."""

    def __init__(self, places: int, each: int, patience: float | None = None) -> None:
        """Let `places` be in use at a time, at most `each` by one caller; who waits does so for `patience` seconds."""
        self._free = places
        self._each = each
        self._patience = patience
        self._timed: dict[_Wait, None] = {}  # those who wait, oldest first, if they do not wait for ever
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._used: dict[str, int] = {}
        self._waiting: dict[Name, dict[_Wait, None]] = {}
        self._next: dict[Name, None] = {}  # callers that are waiting and below their limit, in the order of their turns

    def place(self) -> _Place:
        """Hold a place during a block, which begins once there is one."""
        return _Place(self)

    async def enter(self) -> Name:
        """Take a place, waiting for one; the caller that has it then, to be given to `leave`."""
        who = on_behalf_of.get()
        callers = who.callers if isinstance(who, Sharers) else (who,)
        for caller in callers if self._free else ():
            if caller not in self._waiting and self._may(caller):
                self._take(caller)
                return caller
        return await self._wait(who, callers)

    def _may(self, caller: Name) -> bool:
        return caller is None or self._used.get(caller, 0) < self._each

    def _take(self, caller: Name) -> None:
        self._free -= 1
        if caller is not None:
            self._used[caller] = self._used.get(caller, 0) + 1

    def leave(self, caller: Name) -> None:
        """Give up a place that `enter` gave to `caller`."""
        self._free += 1
        if caller is not None:
            self._used[caller] -= 1
            if not self._used[caller]:
                del self._used[caller]
            if caller in self._waiting:
                self._next.setdefault(caller)
        self._serve()

    def line_up(self, turn: _Wait, callers: Collection[Name]) -> None:
        """Have `turn` wait in the queue of each of `callers`, too."""
        if turn.granted.done():
            return
        for caller in callers:
            turn.callers[caller] = None
            self._waiting.setdefault(caller, {})[turn] = None
            if self._may(caller):
                self._next.setdefault(caller)
        self._serve()

    async def _wait(self, who: Name | Sharers, callers: Collection[Name]) -> Name:
        loop = asyncio.get_running_loop()
        turn = _Wait(loop)
        granted = turn.granted
        self.line_up(turn, callers)
        if self._patience is not None:
            self._watch(turn, loop, self._patience)
        if isinstance(who, Sharers):
            who.wait(turn, self)
        try:
            return await granted
        except BaseException:
            if granted.done() and not granted.cancelled() and granted.exception() is None:
                self.leave(granted.result())  # a place was granted at the moment of giving up
            else:
                self._forget(turn)
            raise
        finally:
            self._timed.pop(turn, None)
            if isinstance(who, Sharers):
                who.waited(turn)
            del granted, turn  # what is raised leads to this frame, and they would lead to it again: a cycle

    def _watch(self, turn: _Wait, loop: asyncio.AbstractEventLoop, patience: float) -> None:
        """Let `turn` give up in time. All wait equally long: one timer is enough, for the oldest."""
        turn.until = loop.time() + patience
        self._timed[turn] = None
        if self._timer is None or self._loop is not loop:
            self._loop, self._timer = loop, loop.call_at(turn.until, self._look)

    def _look(self) -> None:
        """Let those give up who have waited for too long, and set the timer for the next one."""
        assert self._loop is not None
        self._timer = None
        now = self._loop.time()
        while self._timed:
            turn = next(iter(self._timed))
            if turn.until > now:
                self._timer = self._loop.call_at(turn.until, self._look)
                return
            del self._timed[turn]
            if not turn.granted.done():
                turn.granted.set_exception(TimeoutError())

    def _forget(self, turn: _Wait) -> None:
        for caller in turn.callers:
            queue = self._waiting.get(caller)
            if queue is None or turn not in queue:
                continue
            del queue[turn]
            if not queue:
                del self._waiting[caller]
                self._next.pop(caller, None)

    def _serve(self) -> None:
        while self._free and self._next:
            caller = next(iter(self._next))
            del self._next[caller]
            turn = next(iter(self._waiting[caller]))
            self._forget(turn)
            if not turn.granted.done():
                self._take(caller)
                turn.granted.set_result(caller)
            if caller in self._waiting and self._may(caller):
                self._next[caller] = None
