"""Tells every process which sessions have just ended, so that whatever is open on their behalf is closed.

`Revocations.announce` is what `Sessions` tells of the sessions it ends; `watch` calls back in whichever process
something is open for one of them. The news travels on a broker topic, normally within milliseconds. What the topic
cannot promise is looked up: a session is checked when its watch begins, after a gap in the topic, and every
`check_every` seconds. So an end is heard of even if its announcement was lost, and an expiry is heard of too.

Failure: an announcement that cannot be published is counted, not raised, because the session has ended
whether or not anybody is told. While Redis is away nothing is called back; a check that it does not answer is repeated
until it does.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from prometheus_client import Counter, Gauge

from graph.patterns.broker import Topic
from graph.patterns.client import RedisUnavailable, command
from graph.patterns.tasks import Tasks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from graph.patterns.broker import Broker, Event, Registration
    from graph.patterns.client import Client

TOPIC = Topic("sessions:revoked")
"""Its events are ``{"user": …, "sessions": [id, …]}``."""

_BATCH = 500
_PAUSE = 0.1  # seconds before a check that was not answered is repeated
_WATCHED = Gauge(
    "graph_sessions_watched", "Open connections that close when their session ends.", multiprocess_mode="livesum"
)
_CLOSED = Counter("graph_sessions_watch_ended_total", "Connections told that their session has ended.")
_UNTOLD = Counter("graph_sessions_announcements_failed_total", "Ends of sessions that could not be announced.")

logger = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class _Watch:
    session_id: str
    key: str
    on_ended: Callable[[], None]


class Revocations:
    """The watches of one process; open it with ``async with``, inside the broker's block."""

    def __init__(self, client: Client, broker: Broker, *, check_every: float = 30.0) -> None:
        """Look at all watched sessions every `check_every` seconds."""
        self._client = client
        self._broker = broker
        self._check_every = check_every
        self._watches: dict[str, list[_Watch]] = {}
        self._unchecked: list[_Watch] = []
        self._work = asyncio.Event()
        self._registration: Registration | None = None
        self._tasks = Tasks()

    async def __aenter__(self) -> Self:
        self._registration = self._broker.on(TOPIC, self._heard)
        self._tasks.spawn(self._check_new(), name="sessions-check-new")
        self._tasks.spawn(self._check_all(self._registration), name="sessions-check-all")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._registration is not None
        self._registration.remove()
        await self._tasks.close()

    async def announce(self, user_id: str, session_ids: Sequence[str]) -> None:
        """Tell every process that these sessions of the user have ended."""
        try:
            await self._broker.publish(TOPIC, {"user": user_id, "sessions": list(session_ids)})
        except RedisUnavailable:
            _UNTOLD.inc()

    def watch(self, session_id: str, key: str, on_ended: Callable[[], None]) -> Callable[[], None]:
        """Call `on_ended` once, on the event loop, when the session ends.

        `key` is its `Sessions.session_key`. The function returned stops watching.
        """
        watch = _Watch(session_id, key, on_ended)
        self._watches.setdefault(session_id, []).append(watch)
        self._recheck([watch])
        _WATCHED.inc()

        def stop() -> None:
            self._drop(watch)

        return stop

    def _drop(self, watch: _Watch) -> bool:
        others = self._watches.get(watch.session_id, [])
        if watch not in others:
            return False
        others.remove(watch)
        if not others:
            del self._watches[watch.session_id]
        _WATCHED.dec()
        return True

    # --- hearing ---

    def _heard(self, event: Event) -> None:
        if event.data is not None:
            for session_id in event.data["sessions"]:
                for watch in list(self._watches.get(session_id, ())):
                    self._end(watch)
        if event.gap or event.data is None:
            self._recheck([watch for watches in self._watches.values() for watch in watches])

    def _end(self, watch: _Watch) -> None:
        if not self._drop(watch):
            return
        _CLOSED.inc()
        try:
            watch.on_ended()
        except Exception:  # whatever a callback raises, the others are called
            logger.exception("closing what an ended session had open failed")

    # --- checking ---

    def _recheck(self, watches: Sequence[_Watch]) -> None:
        self._unchecked += watches
        self._work.set()

    async def _check_new(self) -> None:
        while True:
            await self._work.wait()
            batch, self._unchecked = self._unchecked[:_BATCH], self._unchecked[_BATCH:]
            if not self._unchecked:
                self._work.clear()
            replies = await self._client.batch(*(command("EXISTS", watch.key) for watch in batch))
            unanswered: list[_Watch] = []
            for watch, reply in zip(batch, replies, strict=True):
                if reply == 0:
                    self._end(watch)
                elif isinstance(reply, Exception) and watch in self._watches.get(watch.session_id, ()):
                    unanswered.append(watch)
            if unanswered:
                self._recheck(unanswered)
                await asyncio.sleep(_PAUSE)

    async def _check_all(self, registration: Registration) -> None:
        """Check all sessions once no announcement can be missed any more, then regularly."""
        await registration.ready()
        while True:
            self._recheck([watch for watches in self._watches.values() for watch in watches])
            await asyncio.sleep(self._check_every)
