"""A group of followers that share one subscription, and which text each of them gets.

One task runs the source (`event_stream`) and hands each event, the same string, to every sink of its audience. A
follower that joins a group whose field gives the state first gets a state of its own, executed between two events, so
that no older one follows it; all who wait for one at that moment share it.

A follower that resumes after a cursor catches up in a group of those who resume there. Whoever comes to it later is
first given all that it has given out since the cursor; if it no longer remembers all of that, the newcomer gets another
group. As soon as a group has given out an event that the main group has given out, too, its followers move over and
miss nothing: the main group remembers its last events for that.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
from collections import deque
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from graph.endpoint.errors import Refusal
from graph.endpoint.execution import encode
from graph.endpoint.identity import PUBLIC, viewer_touched
from graph.endpoint.subscriptions.event_stream import EventStream, Failed, Rendered
from graph.endpoint.subscriptions.metrics import FANOUT, FOLLOWERS, GROUPS, SENT
from graph.endpoint.subscriptions.once import shape_of
from graph.endpoint.subscriptions.resume import promise_of
from graph.patterns.tasks import forget_cancellation

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Iterator

    from graph.endpoint.declare import Live
    from graph.endpoint.execution import Engine, Ready
    from graph.endpoint.identity import Caller
    from graph.endpoint.subscriptions.once import Once
    from graph.endpoint.subscriptions.sink import Sink

_LOOKS = (0.01, 0.05, 0.2, 1.0)  # seconds
_REMEMBERED = 128  # events a group keeps for followers that come later

Key: TypeAlias = tuple[str, str | None, str, str, str | None]
"""Document, operation, variables without the cursor, whose answers, the cursor."""


class Home(Protocol):
    """What a group needs of `streams.Streams`."""

    engine: Engine[Any]
    once: Once

    def errors(self, error: Exception) -> str:
        """The errors that a client gets for `error`, as a JSON list."""
        ...

    def forget(self, group: Group) -> None:
        """Remove the group."""
        ...

    def rehome(self, group: Group, followers: list[Follower], after: str | None) -> None:
        """Place the followers in groups of their users, after the event that has the cursor `after`."""
        ...


class Follower:
    """One client's subscription."""

    __slots__ = ("caller", "group", "sink")

    def __init__(self, sink: Sink, caller: Caller) -> None:
        """Hand `caller`'s answers to `sink`."""
        self.sink = sink
        self.caller = caller
        self.group: Group | None = None

    def leave(self) -> None:
        """Leave the group; a second call does nothing."""
        group, self.group = self.group, None
        if group is not None:
            group.remove(self)


class Group:
    """One shared subscription; it runs until its last follower has left or its source ends."""

    def __init__(self, home: Home, key: Key, ready: Ready, promise: Live) -> None:
        """Run `ready`."""
        self.key = key
        self.ready = ready
        self._home = home
        self._engine = home.engine
        self._promise = promise
        self._base: Group | None = None
        self._followers: dict[Follower, Sink] = {}
        self._joining: dict[Follower, Sink] = {}
        self.approaching: dict[Group, None] = {}
        self._recent: deque[Rendered] = deque(maxlen=_REMEMBERED if promise.cursor else 1)
        self._given = 0  # events since the start
        self._public = key[3] == PUBLIC
        shape = shape_of(ready, promise_of(self._engine, ready)[1]) if promise.once and self._public else None
        self._events = EventStream(home.engine, ready, public=self._public, once=home.once, shape=shape)
        self._turn = asyncio.Lock()
        # Its own context, with nothing from the follower that happened to come first.
        self._task = asyncio.create_task(self._run(), name="stream-group", context=contextvars.Context())
        self._welcoming: asyncio.Task[None] | None = None
        self._task.add_done_callback(lambda task: (GROUPS.dec(), forget_cancellation(task)))
        GROUPS.inc()

    # --- followers ---

    def join(self, follower: Follower) -> None:
        """Take `follower` in, with a state of its own where the field gives one first."""
        self._add(follower, self._joining if self._given and self._promise.state_first else self._followers)
        if self._joining and self._welcoming is None:
            self._welcoming = asyncio.create_task(self._welcome(), context=contextvars.Context())

    def resume(self, follower: Follower, after: str) -> bool:
        """Take `follower` in after the cursor `after`, if that event is remembered."""
        missed = self._since(after)
        return missed is not None and self._catch_up(follower, missed)

    def follow(self, follower: Follower, base: Group) -> bool:
        """Take `follower` in where this group began, if all that it gave out since is remembered.

        All here move to `base`, the main group, as soon as they can; the one before may have ended.
        """
        self._base = base
        base.approaching[self] = None
        return self._given == len(self._recent) and self._catch_up(follower, list(self._recent))

    def _catch_up(self, follower: Follower, missed: list[Rendered]) -> bool:
        """Take `follower` in after it was handed what it `missed`, unless some of that was executed for others only."""
        if any(event.of(follower.caller) is None for event in missed):
            return False
        self._add(follower, self._followers)
        for event in missed:
            if follower.group is self:
                self._hand(event, {follower: follower.sink})
        return True

    def _add(self, follower: Follower, where: dict[Follower, Sink]) -> None:
        follower.group = self
        where[follower] = follower.sink
        FOLLOWERS.inc()

    def remove(self, follower: Follower) -> None:
        """Let `follower` go, and end with the last."""
        if self._take(follower):
            self.stop_if_idle()

    def _take(self, follower: Follower) -> bool:
        for where in (self._followers, self._joining):
            if follower in where:
                del where[follower]
                FOLLOWERS.dec()
                return True
        return False

    def stop_if_idle(self) -> None:
        """End when there are no followers left and none about to join."""
        if not (self._followers or self._joining or self.approaching):
            self.stop()

    def stop(self) -> asyncio.Task[None]:
        """End without a message; return the task that is ending."""
        self._forget()
        for follower in [*self._followers, *self._joining]:
            self._take(follower)
            follower.group = None
        if self._welcoming is not None:
            self._welcoming.cancel()
        self._task.cancel()
        return self._task

    def _forget(self) -> None:
        self._home.forget(self)
        self._recent.clear()  # nobody moves here any more
        base, self._base = self._base, None
        if base is not None:
            base.approaching.pop(self, None)
            base.stop_if_idle()

    # --- the source ---

    async def _run(self) -> None:
        ending = ""
        try:
            async with self._events.open(self._check) as source, self._noticing(source.context):
                async for item in source.items:
                    self._check(source.context, waits=True)
                    async with self._turn:
                        event = await self._events.render(source.executor, item, partial(_callers, self._followers))
                        self._given += 1
                        self._recent.append(event)
                        self._hand(event, self._followers)
                    for group in (*self.approaching, self):
                        group.merge()
        except Failed as failure:
            ending = encode(self._engine.presenter.present(failure.errors)).decode()
        except Exception as error:  # noqa: BLE001 - whatever breaks is masked, logged and told the followers
            ending = self._home.errors(error)
        self._end(ending)

    @contextlib.asynccontextmanager
    async def _noticing(self, context: Any) -> AsyncGenerator[None]:
        """Look a few times whether the source has read who asks, for one that does so and then waits for its event."""

        async def look() -> None:
            for pause in _LOOKS:
                await asyncio.sleep(pause)
                self._check(context)

        looking = asyncio.create_task(look()) if self._public else None
        try:
            yield
        finally:
            if looking is not None:
                looking.cancel()

    def _check(self, context: Any, *, waits: bool = False) -> None:
        """Move signed-in followers out of a group for everybody once its source has read the caller.

        They go on after the last event that they got. If an event `waits` to be given to them and there is no cursor
        from which their own source could start, they are told to subscribe again.
        """
        if not self._public or self._events.by_viewer or not viewer_touched(context):
            return
        self._events.by_viewer = True
        named = [one for one in (*self._followers, *self._joining) if one.caller.scope != PUBLIC]
        for follower in named:
            self._take(follower)
        last = self._recent[-1].cursor if self._recent else None
        if not waits or last is not None or self._base is not None or self._promise.state_first:
            self._home.rehome(self, named, last)
        else:
            errors = self._home.errors(Refusal("UNAVAILABLE", "These events depend on who asks. Subscribe again."))
            self._dismiss(named, errors)
        self.stop_if_idle()

    def _end(self, errors: str) -> None:
        """Tell every follower that the source has ended, or broken."""
        self._forget()
        self._dismiss([*self._followers, *self._joining], errors)

    def _dismiss(self, followers: list[Follower], errors: str) -> None:
        for follower in followers:
            self._take(follower)
            follower.group = None
        for follower in followers:
            if errors:
                follower.sink.error(errors)
            else:
                follower.sink.complete()

    # --- events ---

    def _hand(self, event: Rendered, followers: dict[Follower, Sink]) -> None:
        """Hand `event` to those of `followers` that it was executed for."""
        began, cursor, shared = perf_counter(), event.cursor, event.texts.get(None)
        audience: dict[str, list[Sink]] = {} if shared is None else {shared: list(followers.values())}
        if shared is None:
            for follower, sink in followers.items():
                if (text := event.of(follower.caller)) is not None:
                    audience.setdefault(text, []).append(sink)
        # What each of thousands keeps in memory has left the processor's caches since the last event: a send costs as
        # much as the objects on its way, so that nothing else of a follower is looked at here.
        for text, sinks in audience.items():
            if self._promise.latest:
                for sink in sinks:
                    sink.latest(text, cursor)
            else:
                for sink in sinks:
                    sink.next(text, cursor)
            SENT.inc(len(sinks))
        FANOUT.observe(perf_counter() - began)

    # --- followers that join later ---

    async def _welcome(self) -> None:
        """Give the state to those who joined since the source started, all who wait in one execution."""
        try:
            while self._joining:
                async with self._turn:
                    waiting = tuple(self._joining)
                    event = await self._events.first(self._check, partial(_callers, waiting))
                    welcome = {one: self._joining.pop(one) for one in waiting if one in self._joining}
                    self._followers |= welcome
                    self._hand(event, welcome)
        except Exception as error:  # noqa: BLE001 - as in _run
            self._dismiss(list(self._joining), self._home.errors(error))
            self.stop_if_idle()
        finally:
            self._welcoming = None

    def _since(self, cursor: str) -> list[Rendered] | None:
        """The events after `cursor` that are remembered; None when it is not among them."""
        recent = list(self._recent)
        for place in range(len(recent) - 1, -1, -1):
            if recent[place].cursor == cursor:
                return recent[place + 1 :]
        return None

    def merge(self) -> None:
        """Move followers to the main group once it remembers the last event they got."""
        if (base := self._base) is None or not self._recent or (last := self._recent[-1].cursor) is None:
            return
        for follower in tuple(self._followers):
            if base.resume(follower, last):
                del self._followers[follower]
                FOLLOWERS.dec()
        self.stop_if_idle()


def _callers(followers: Iterable[Follower]) -> Iterator[Caller]:
    """Who follows when this is called: followers come and go while an event is executed."""
    return (follower.caller for follower in tuple(followers))
