"""One live query of this process: who follows it, and the task that reads its answer again.

The answer is read when something it was made of has changed, when it expires, and when somebody joins; one reading at a
time, so that what a follower gets is never older than what it got before. A reading looks at the generations first:
where they are those of the answer sent last, nothing is executed and nothing is sent. Between two answers lies at
least the throttle; a change meanwhile is remembered, so that a burst ends with the last state. Whoever joins gets an
answer that was read after it came.

Failure: a reading that fails (SQL or Redis is away) is repeated, less and less often. Followers keep their last answer;
those that came meanwhile are told the error when their patience is over.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import time
from itertools import chain, islice
from typing import TYPE_CHECKING, Protocol

from graphql import FieldNode

from graph.endpoint.execution import encode
from graph.endpoint.live.metrics import CHANGED, CURRENT, FAILED, FOLLOWERS, QUERIES, SAME, SENT
from graph.endpoint.live.texts import Texts
from graph.endpoint.subscriptions import errors_json
from graph.patterns.fair_queue import act_for_all

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from graph.endpoint.document import Wish
    from graph.endpoint.live.follower import LiveFollower
    from graph.endpoint.live.reading import LiveQuestion, LiveReading
    from graph.patterns.cache import TagWatch

_PAUSES = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0)  # seconds before a reading that failed is repeated
_SHORTEST = 1.0  # seconds before an answer that has already expired is read again
_ON_BEHALF_OF = 16  # followers in whose queues a reading lines up
_FLOOR = 0.005  # least seconds between two readings, even if the throttle is smaller


class QueryHome(Protocol):
    """What a live query needs of `queries.LiveQueries`."""

    watch: TagWatch
    patience: float

    async def read(self, question: LiveQuestion) -> LiveReading:
        """Read the answer."""
        ...

    async def charge(self, followers: Sequence[LiveFollower]) -> None:
        """Charge a refresh to each of `followers`; end those that may not have it."""
        ...

    def errors(self, error: Exception) -> str:
        """The errors that a client gets for `error`, as a JSON list."""
        ...

    def forget(self, query: LiveQuery) -> None:
        """Remove the query."""
        ...

    def rehome(self, query: LiveQuery, followers: list[LiveFollower]) -> None:
        """Give each of `followers` a query of its session: the answer depends on who asks."""
        ...


class LiveQuery:
    """Runs until its last follower has left."""

    def __init__(self, home: QueryHome, name: object, question: LiveQuestion, wish: Wish, *, public: bool) -> None:
        """Read `question` as `wish` has it; `public` is one for everybody."""
        self.name = name
        self.public = public
        self._home = home
        self.question = question
        self._throttle = max(wish.throttle, _FLOOR)
        self._patch = wish.patch
        self._followers: dict[LiveFollower, None] = {}
        self._joining: dict[LiveFollower, None] = {}
        self._text: str | None = None
        self._stamp: bytes | None = None
        self._changed = False
        self._event = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._watched = home.watch.follow(self._on_change)
        # Its own context, with nothing from the follower that happened to come first.
        self.task = asyncio.create_task(self._run(), name="live-query", context=contextvars.Context())
        QUERIES.inc()
        self.task.add_done_callback(lambda _: QUERIES.dec())

    # --- followers ---

    def join(self, follower: LiveFollower) -> None:
        """Take `follower` in; it gets an answer that is read from now on."""
        follower.query = self
        follower.since = self._loop.time()
        self._joining[follower] = None
        self._event.set()
        FOLLOWERS.inc()

    def remove(self, follower: LiveFollower) -> None:
        """Let `follower` go, and end with the last."""
        if self._take(follower) and not (self._followers or self._joining):
            self.stop()

    def stop(self) -> asyncio.Task[None]:
        """End without a message; return the task that is ending."""
        for follower in [*self._followers, *self._joining]:
            self._take(follower)
        self._home.forget(self)
        self._watched.leave()
        self.task.cancel()
        return self.task

    def _take(self, follower: LiveFollower) -> bool:
        for where in (self._followers, self._joining):
            if follower in where:
                del where[follower]
                follower.query = None
                FOLLOWERS.dec()
                return True
        return False

    def dismiss(self, followers: Iterable[LiveFollower], errors: str) -> None:
        """End `followers` with `errors`."""
        for follower in list(followers):
            if self._take(follower):
                follower.sink.error(errors)
        if not (self._followers or self._joining):
            self.stop()

    # --- reading ---

    def _on_change(self) -> None:
        self._changed = True
        self._event.set()

    async def _run(self) -> None:
        try:
            await self._follow()
        except Exception as error:  # noqa: BLE001 - whatever breaks is masked, logged and told the followers
            self.dismiss([*self._followers, *self._joining], self._home.errors(error))

    async def _follow(self) -> None:
        failures = 0
        while True:
            began = self._loop.time()
            self._changed = False
            self._watched.arm()
            newcomers = list(self._joining)
            act_for_all(self._some_callers())
            reading = await self._home.read(self.question)
            if reading.failed:
                FAILED.inc()
                self._give_up(reading)
                await asyncio.sleep(_PAUSES[min(failures, len(_PAUSES) - 1)])
                failures += 1
                continue
            failures = 0
            if reading.touched and self.public and self._rehome():
                return
            if reading.untagged or not reading.executed:
                self.dismiss([*self._followers, *self._joining], self._refusal(reading))
                return
            await self._take_in(reading, newcomers)
            self._watched.made(reading.tags, reading.stamp)
            lasts = max(_SHORTEST, reading.expires - time.time())
            await self._wait(began + self._throttle, self._loop.time() + lasts)

    def _some_callers(self) -> set[str]:
        """Those for whom an answer is read: of very many the first will do."""
        some = islice(chain(self._followers, self._joining), _ON_BEHALF_OF)
        return {one.caller.identity for one in some if one.caller.identity}

    async def _wait(self, earliest: float, until: float) -> None:
        """Wait for a change, though not less than until `earliest`; for somebody who joins; at most until `until`."""
        while True:
            self._event.clear()
            due = earliest if self._changed else max(earliest, until)
            if self._joining or self._loop.time() >= due:
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(due):
                    await self._event.wait()

    def _rehome(self) -> bool:
        """Move signed-in followers to queries of their sessions; say whether none is left."""
        named = [one for one in (*self._followers, *self._joining) if one.caller.user is not None]
        for follower in named:
            self._take(follower)
        self._home.rehome(self, named)
        if self._followers or self._joining:
            return False
        self.stop()
        return True

    def _give_up(self, reading: LiveReading) -> None:
        """Tell those whose patience is over why there is no answer."""
        late = self._loop.time() - self._home.patience
        waited = [one for one in self._joining if one.since <= late]
        if waited:
            shown = reading.errors if not reading.away else ()
            errors = (
                encode(shown).decode() if shown else errors_json("UNAVAILABLE", "Live queries are away; try again.")
            )
            self.dismiss(waited, errors)

    def _refusal(self, reading: LiveReading) -> str:
        if not reading.executed:
            return encode(reading.errors).decode()
        selected = self.question.ready.operation.node.selection_set.selections
        names = ", ".join(f"'Query.{one.name.value}'" for one in selected if isinstance(one, FieldNode)) or "the query"
        return errors_json("CANNOT_BE_LIVE", f"What {names} shows has no tag, so nothing tells when it changes.")

    # --- sending ---

    async def _take_in(self, reading: LiveReading, newcomers: list[LiveFollower]) -> None:
        """Send the answer to those who have not got it."""
        texts = Texts(reading.text, self._text, patch=self._patch, data=reading.data)
        changed = reading.text != self._text
        current = not changed and reading.stamp is not None and reading.stamp == self._stamp
        (CHANGED if changed else CURRENT if current else SAME).inc()
        if changed and self._text is not None:
            await self._home.charge(list(self._followers))
        self._text, self._stamp = reading.text, reading.stamp
        sent = 0
        if changed:
            for follower in tuple(self._followers):
                if follower.query is self:
                    texts.send(follower)
                    sent += 1
        for follower in newcomers:
            if follower in self._joining:
                del self._joining[follower]
                self._followers[follower] = None
                texts.send(follower, first=True)
                sent += 1
        SENT.inc(sent)
