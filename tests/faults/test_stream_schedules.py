"""Shared subscriptions in schedules that chance makes: clients resume, leave and are moved while events are lost."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import pytest

from graph.endpoint.subscriptions import group
from graph.patterns.broker import Broker, Event, Position
from graph.patterns.broker.topic import TopicKeys
from graph.patterns.client import RedisUnavailable
from harness.waiting import until
from tests.support import schedules
from tests.support.apps.live import NEWS, LiveApp, Notes
from tests.support.chance import Chance, Delayed
from tests.support.models.deliveries import Sequel, Told

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from graph.patterns.client import Client
    from harness.valkey import ValkeyServer

PREFIX = "schedules"
QUERIES = (
    "subscription($after: String) { news(after: $after) { text gap } }",
    "subscription($after: String) { news(after: $after) { gap text mine } }",
    "subscription($after: String) { turning(after: $after) { text gap } }",
)
"""One for everybody, one whose events are executed for each user, one whose source comes to ask who reads it."""
MAY_END = ("UNAVAILABLE", "SLOW_CONSUMER")
"""What a subscription may be ended with."""


class Place(NamedTuple):
    """Where a client is: the last event that it was given, and the one before which it may miss some."""

    cursor: str
    last: int
    excused: int


class Heard(Notes):
    """Wakes whoever reads it, and counts what comes after it was left."""

    def __init__(self) -> None:
        super().__init__()
        self.woken = asyncio.Event()
        self.left = False
        self.late = 0

    def next(self, payload: str, cursor: str | None = None) -> None:
        self.late += self.left
        super().next(payload, cursor)
        self.woken.set()

    def error(self, errors: str, extensions: str = "") -> None:
        super().error(errors, extensions)
        self.woken.set()

    def complete(self) -> None:
        super().complete()
        self.woken.set()


class Published:
    """What is published, and the places that clients may come back to."""

    def __init__(self, apps: Sequence[LiveApp], chance: Chance) -> None:
        self.told = Told(NEWS)
        self.places: list[Place] = []
        self._apps = apps
        self._chance = chance

    async def publish(self) -> None:
        """Publish an event; at some of them a source asks who reads it."""
        number = self.told.begin()
        text = f"{number} turn" if self._chance.random.random() < 0.1 else str(number)
        with contextlib.suppress(RedisUnavailable):
            through = self._chance.random.choice(self._apps).broker
            self.told.certain[number] = await through.publish(NEWS, text)


class Visit:
    """One subscription of a client, from where it begins."""

    def __init__(self, begin: Place | None, user: str | None, told: Told) -> None:
        self.place = begin
        self.sink = Heard()
        self.faults: list[str] = []
        self._begin = begin
        self._user = user
        self._told = told
        self._read = 0
        self._sequel = Sequel(told, Position.parse(begin.cursor), begin.last, begin.excused) if begin else None

    def read(self, most: int) -> list[Place]:
        """Look at up to `most` results that have come; where each of them leads."""
        places: list[Place] = []
        for at in range(self._read, min(len(self.sink.payloads), self._read + most)):
            (answer,) = json.loads(self.sink.payloads[at])["data"].values()
            cursor = self.sink.cursors[at]
            assert cursor is not None
            self.place = self._take(cursor, answer["text"], gap=answer["gap"])
            places.append(self.place)
            if "mine" in answer and answer["mine"] != f"{self._user}: {answer['text']}":
                self.faults.append(f"{self._user} was given {answer['mine']}")
        self._read += len(places)
        if self._sequel is not None:
            self.faults += [f"after {self._begin}: {fault}" for fault in self._sequel.faults]
            self._sequel.faults.clear()
        return places

    def _take(self, cursor: str, text: str, *, gap: bool) -> Place:
        position, number = Position.parse(cursor), None if text == "None" else int(text.split(maxsplit=1)[0])
        if self._sequel is None:  # whatever came before the first event was not asked for
            last = -1 if number is None else number
            self._sequel = Sequel(self._told, position, last, self._told.count if number is None else number + 1)
        else:
            self._sequel.take(Event(position, b"" if number is None else b"%d" % number, gap=gap))
        return Place(cursor, self._sequel.last, self._sequel.excused)

    @property
    def unread(self) -> bool:
        return self._read < len(self.sink.payloads)

    def end(self) -> None:
        """Look at what it ended with: whoever reads too slowly is told where to go on."""
        if self.sink.ended is None:
            return
        if self.sink.ended == "complete" or self.sink.code not in MAY_END:
            self.faults.append(f"ended with {self.sink.ended}")
            return
        extensions: dict[str, Any] = json.loads(self.sink.ended)[0]["extensions"]
        if self.place is not None and not self.unread and "cursor" in extensions:
            self.place = self.place._replace(cursor=extensions["cursor"])


class Wanderer:
    """A client that subscribes, resumes and leaves; in the end it stays until it is told of something new."""

    def __init__(self, name: str, published: Published, apps: Sequence[LiveApp], chance: Chance) -> None:
        self._name = name
        self._published = published
        self._apps = apps
        self._chance = chance
        self._stays: int | None = None
        self._place: Place | None = None
        self.faults: list[str] = []
        self.taken = 0

    def stay(self) -> None:
        """Leave no more, and end with the first event that is published from now on."""
        self._stays = self._published.told.count

    async def wander(self) -> None:
        while not await self._visit():
            await self._chance.pause()
            await asyncio.sleep(0)

    async def _visit(self) -> bool:
        """Subscribe, and follow until that ends or the client leaves; whether it is told of all there is to tell."""
        chance = self._chance
        if self._place is None and self._published.places and chance.happens(0.7):
            self._place = chance.random.choice(self._published.places)
        user = chance.random.choice((None, "ada", "bob"))
        visit = Visit(self._place, user, self._published.told)
        app, query = chance.random.choice(self._apps), chance.random.choice(QUERIES)
        after = {} if self._place is None else {"after": self._place.cursor}
        await app.follow(query, visit.sink, user=user, address=self._name, **after)
        try:
            while not (self._stays is not None and visit.place is not None and visit.place.last >= self._stays):
                if not visit.unread:
                    if visit.sink.ended is not None:
                        return False
                    if self._stays is None and chance.happens(0.1):
                        return False
                    visit.sink.woken.clear()
                    await visit.sink.woken.wait()
                await chance.pause()
                places = visit.read(chance.random.choice((1, 2, 100)))
                self.taken += len(places)
                self._published.places += places
                if self._stays is None and chance.happens(0.05):
                    return False
            return True
        finally:
            if visit.sink.close is not None:
                visit.sink.close()
            visit.sink.left = True
            await chance.pause()
            visit.end()
            if visit.sink.late:
                visit.faults.append(f"{visit.sink.late} results after it had left")
            self.faults += visit.faults
            self._place = visit.place if chance.random.random() < 0.8 else None


async def lose(server: ValkeyServer, chance: Chance) -> None:
    """Something is lost at the server, or cut off from it."""
    keys = TopicKeys.of(PREFIX, NEWS)
    losses: list[tuple[str, ...]] = [
        ("FLUSHALL",),
        ("CLIENT", "KILL", "TYPE", "PUBSUB"),
        ("CLIENT", "KILL", "TYPE", "NORMAL", "SKIPME", "YES"),
        ("DEL", keys.history),
        ("DEL", keys.state),
    ]
    await asyncio.to_thread(server.command, *chance.random.choice(losses))


async def schedule(seed: int, server: ValkeyServer, clients: Sequence[Client]) -> tuple[list[str], int]:
    """One schedule: what was wrong in it, and how many events were taken."""
    chance = Chance(seed)
    await asyncio.to_thread(server.command, "FLUSHALL")
    delayed = [Delayed(client, chance) for client in clients]
    async with contextlib.AsyncExitStack() as stack:
        apps: list[LiveApp] = []
        for client, late in zip(clients, delayed, strict=True):
            queue = chance.random.choice((1, 3, 8))
            through = await stack.enter_async_context(
                Broker(cast("Any", late), prefix=PREFIX, queue=queue, check_every=0.01)
            )
            apps.append(LiveApp(client, through))
            stack.push_async_callback(apps[-1].streams.close)
        published = Published(apps, chance)
        wanderers = [Wanderer(str(n), published, apps, chance) for n in range(chance.random.randint(1, 8))]
        wandering = [asyncio.create_task(one.wander()) for one in wanderers]
        for _ in range(chance.random.randint(10, 60)):
            await published.publish()
            if chance.happens(0.06):
                await lose(server, chance)
            await chance.pause()
        found = await schedules.end(chance, wanderers, wandering, published.publish)
        await until(lambda: sum(app.streams.groups for app in apps) == 0)
        for one in delayed:
            one.stop()
    return found


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """A schedule has many pauses, pages and full rooms, and groups that no longer remember."""
    schedules.hasten(monkeypatch)
    monkeypatch.setattr(group, "_REMEMBERED", 4)


@pytest.mark.usefixtures("hasty")
async def test_no_schedule_has_a_silent_gap(scaled: Callable[[int, int], int]) -> None:
    """Whichever group gives it to a client, each event comes once and in order, or a gap is told."""
    await schedules.check(schedule, scaled(300, 8), processes=2)
