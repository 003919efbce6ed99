"""A group of followers that share one subscription: who gets which text when.

One task runs the source (`streamevents`) and hands each event, the same string, to every sink of its audience. A
follower that joins a group whose field gives the state first gets a state of its own, executed between two events, so
that no older one follows it; all who wait for one at that moment share it.

A follower that resumes after a cursor catches up in a group of those who resume there. As soon as that group has given
out an event that the main group has given out, too, its followers move over and miss nothing: the main group remembers
its last events for that.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from prometheus_client import Counter, Gauge, Histogram

from graph.endpoint.execution.answer import encode
from graph.endpoint.identity.caller import PUBLIC
from graph.endpoint.subscriptions.events import Events, Failed, Rendered

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Iterator

    from graph.endpoint.declare.live import Live
    from graph.endpoint.execution.engine import Engine, Ready
    from graph.endpoint.identity.caller import Caller
    from graph.endpoint.subscriptions.sink import Sink

GROUPS = Gauge(
    "graph_stream_groups",
    "Subscriptions executed; identical ones of a process count once.",
    multiprocess_mode="livesum",
)
FOLLOWERS = Gauge("graph_stream_followers", "Clients' subscriptions.", multiprocess_mode="livesum")
SENT = Counter("graph_stream_results_total", "Results handed to clients' connections.")
FANOUT = Histogram(
    "graph_stream_fanout_seconds",
    "Time to hand one result to all connections that follow it.",
    buckets=(0.0001, 0.001, 0.01, 0.1, 1.0),
)

_LOOKS = (0.01, 0.05, 0.2, 1.0)  # seconds
_REMEMBERED = 128  # events a main group keeps for followers that catch up

Key: TypeAlias = tuple[str, str | None, str, str, str | None]
"""Document, operation, variables without the cursor, whose answers, the cursor."""


class Home(Protocol):
    """What a group needs of `streams.Streams`."""

    engine: Engine[Any]

    def errors(self, error: Exception) -> str:
        """What a client is told of an error."""
        ...

    def forget(self, group: Group) -> None:
        """Strike the group."""
        ...

    def rehome(self, group: Group, followers: list[Follower]) -> None:
        """Place the followers in groups of their users."""
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

    def __init__(self, home: Home, key: Key, ready: Ready, promise: Live, base: Group | None = None) -> None:
        """Run `ready`; `base` is the main group that followers of this one move to."""
        self.key = key
        self.ready = ready
        self._home = home
        self._engine = home.engine
        self._promise = promise
        self._base = base
        self._followers: dict[Follower, None] = {}
        self._joining: dict[Follower, None] = {}
        self.approaching: dict[Group, None] = {}
        self._recent: deque[Rendered] = deque(maxlen=_REMEMBERED if promise.cursor else 1)
        self._started = False
        self._public = key[3] == PUBLIC
        self._events = Events(home.engine, ready, public=self._public)
        self._turn = asyncio.Lock()
        # A context of its own: nothing of whoever happened to come first.
        self._task = asyncio.create_task(self._run(), name="stream-group", context=contextvars.Context())
        self._welcoming: asyncio.Task[None] | None = None
        self._task.add_done_callback(lambda _: GROUPS.dec())
        GROUPS.inc()
        if base is not None:
            base.approaching[self] = None

    # --- followers ---

    def join(self, follower: Follower) -> None:
        """Take `follower` in, with a state of its own where the field gives one first."""
        self._add(follower, self._joining if self._started and self._promise.state_first else self._followers)
        if self._joining and self._welcoming is None:
            self._welcoming = asyncio.create_task(self._welcome(), context=contextvars.Context())

    def resume(self, follower: Follower, after: str) -> bool:
        """Take `follower` in after the cursor `after`, if that event is remembered."""
        missed = self._since(after)
        if missed is None or any(event.of(follower.caller) is None for event in missed):
            return False
        self._add(follower, self._followers)
        for event in missed:
            self._hand(event, (follower,))
        return True

    def _add(self, follower: Follower, where: dict[Follower, None]) -> None:
        follower.group = self
        where[follower] = None
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
        """End when nobody is left: no follower, and nobody on the way here."""
        if not (self._followers or self._joining or self.approaching):
            self.stop()

    def stop(self) -> asyncio.Task[None]:
        """End without a word; give the task that is ending."""
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
                    self._check(source.context)
                    async with self._turn:
                        self._started = True
                        event = await self._events.render(source.executor, item, _callers(self._followers))
                        self._recent.append(event)
                        self._hand(event, tuple(self._followers))
                    self._meet()
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

    def _check(self, context: Any) -> None:
        """Send signed-in followers away when the source of a group for everybody has read who asks."""
        if self._public and not self._events.by_viewer and getattr(context, "viewer_touched", False):
            self._events.by_viewer = True
            signed_in = [one for one in (*self._followers, *self._joining) if one.caller.signed_in]
            for follower in signed_in:
                self._take(follower)
            self._home.rehome(self, signed_in)
            self.stop_if_idle()

    def _end(self, errors: str) -> None:
        """Tell every follower that the source has ended, or broken."""
        self._forget()
        for follower in [*self._followers, *self._joining]:
            self._take(follower)
            follower.group = None
            if errors:
                follower.sink.error(errors)
            else:
                follower.sink.complete()

    # --- events ---

    def _hand(self, event: Rendered, followers: Iterable[Follower]) -> None:
        latest, cursor = self._promise.latest, event.cursor
        shared = event.texts.get(None)
        sent = 0
        with FANOUT.time():
            for follower in followers:
                text = shared if shared is not None else event.of(follower.caller)
                if text is not None and follower.group is self:
                    follower.sink.next(text, latest=latest, cursor=cursor)
                    sent += 1
        SENT.inc(sent)

    # --- those who come later ---

    async def _welcome(self) -> None:
        """Give the state to those who joined since the source started, all who wait in one execution."""
        try:
            while self._joining:
                async with self._turn:
                    waiting = tuple(self._joining)
                    event = await self._events.first(self._check, _callers(waiting))
                    for follower in waiting:
                        if follower in self._joining:
                            del self._joining[follower]
                            self._followers[follower] = None
                    self._hand(event, waiting)
        except Exception as error:  # noqa: BLE001 - as in _run
            errors = self._home.errors(error)
            for follower in tuple(self._joining):
                self._take(follower)
                follower.group = None
                follower.sink.error(errors)
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

    def _meet(self) -> None:
        """Move followers over that have caught up with the main group."""
        for group in tuple(self.approaching):
            group.merge()
        self.merge()

    def merge(self) -> None:
        """Move followers to the main group once it remembers the last event they got."""
        base = self._base
        if base is None or not self._recent or (last := self._recent[-1].cursor) is None:
            return
        for follower in tuple(self._followers):
            if base.resume(follower, last):
                del self._followers[follower]
                FOLLOWERS.dec()
        self.stop_if_idle()


def _callers(followers: Iterable[Follower]) -> Iterator[Caller]:
    """Who follows once this is read: followers come and go while an event is executed."""
    for follower in followers:
        yield follower.caller
