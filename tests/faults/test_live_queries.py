"""Live queries under random writes and faults: after each quiet moment all show what is, and nobody went back."""

from __future__ import annotations

import asyncio
import json
import random
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, Any

import pytest

from graph.endpoint.websocket import SocketLimits
from graph.patterns.client import RedisUnavailable, open_client
from harness.live_race import FAULTS, Race, disturb
from harness.patches import read
from harness.valkey import ValkeyServer
from harness.waiting import within
from tests.support.apps.answers import AnswersApp, KeyTokens
from tests.support.apps.live import Notes
from tests.support.models.truth import Truth

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KEYS = [f"k{number}" for number in range(24)]
USERS = [f"u{number}" for number in range(4)]
SOCKETS = SocketLimits(operations=1000)


class Truths(Truth):
    """Loads take a moment, as a database does: what was read first may come last."""

    async def load_many(self, keys: Any) -> dict[str, Any]:
        found = await super().load_many(keys)
        await asyncio.sleep(random.random() * 0.004)
        return found


class Screen(Notes):
    """A client that notes when it is shown something older than before."""

    def __init__(self, keys: list[str]) -> None:
        super().__init__()
        self.keys = keys
        self.shown: dict[str, int] = {}
        self.backwards: list[tuple[str, int, int]] = []

    def next(self, payload: str, cursor: str | None = None) -> None:
        super().next(payload, cursor)
        self.busy = random.random() < 0.2
        if "revision" in payload:
            self.payloads = self.payloads[-1:] if '"revision":1}' in payload else self.payloads
            data = read(self.payloads)
        else:
            self.payloads = [payload]
            data = json.loads(payload)["data"]
        things = data["things"] if "things" in data else [data.get("thing") or data["mine"]]
        now = {key: one["version"] for key, one in zip(self.keys, things, strict=True)}
        self.backwards += [(key, self.shown[key], seen) for key, seen in now.items() if seen < self.shown.get(key, 0)]
        self.shown = now


class Fleet:
    """Three processes on one Redis, their live queries, and the writers."""

    def __init__(self, server: ValkeyServer, truth: Truth) -> None:
        self.server = server
        self.truth = truth
        self.apps: list[AnswersApp] = []
        self.screens: list[Screen] = []

    async def follow(self, count: int) -> None:
        """Open `count` live queries of all kinds, some of them the same, spread over the processes."""
        for number in range(count):
            app = self.apps[number % len(self.apps)]
            throttle, user = random.choice((0, 5, 50)), None
            if number % 5 == 0:
                user = random.choice(USERS)
                query, screen = f"query @live(throttle: {throttle}) {{ mine {{ version }} }}", Screen([f"user:{user}"])
            elif number % 5 == 1:
                key = random.choice(KEYS)
                query = f'query @live(throttle: {throttle}) {{ thing(key: "{key}") {{ version }} }}'
                screen = Screen([key])
            else:
                keys = random.Random(number % 30).sample(KEYS, 8)
                how = f"throttle: {throttle}, patch: {json.dumps(number % 2 == 1)}"
                query = f"query @live({how}) {{ things(keys: {json.dumps(keys)}) {{ version }} }}"
                screen = Screen(keys)
            self.screens.append(screen)
            await app.follow(query, user, address=str(number), sink=screen)

    async def write(self) -> None:
        """Change one to three things from one process, or do not, where Redis cannot be told."""
        app = random.choice(self.apps)
        keys = random.sample([*KEYS, *(f"user:{user}" for user in USERS)], random.randint(1, 3))
        with suppress(RedisUnavailable):
            async with app.cache.invalidating(*keys):
                await asyncio.sleep(random.random() * 0.003)
                for key in keys:
                    self.truth.versions[key] += 1
                await asyncio.sleep(random.random() * 0.003)

    async def disturb(self, fault: str) -> None:
        """Let something go wrong with Redis, and end it."""
        await disturb(self.server, fault)
        if fault == "killed":
            await self.sign_in()

    async def sign_in(self) -> None:
        """Give every user a session."""
        for user in USERS:
            await asyncio.to_thread(self.server.command, "SET", KeyTokens.key(user), "1", "EX", 100_000)

    async def settled(self) -> None:
        """Wait until everybody shows what is; nobody was ever shown anything older than before."""
        for screen in self.screens:
            async with within(f"{screen.keys} at {[self.truth.versions[key] for key in screen.keys]}"):
                while screen.shown != {key: self.truth.versions[key] for key in screen.keys}:
                    await asyncio.sleep(0.01)
            assert screen.ended is None, screen.ended
            assert screen.backwards == []


async def test_everybody_shows_what_is_after_each_quiet_moment(scaled: Callable[[int, int], int]) -> None:
    """Random writes from three processes while pub/sub is cut, and Redis killed and paused."""
    truth = Truths()
    truth.versions.update(dict.fromkeys([*KEYS, *(f"user:{user}" for user in USERS)], 1))
    async with AsyncExitStack() as stack:
        server = stack.enter_context(ValkeyServer())
        fleet = Fleet(server, truth)
        for _ in range(3):
            client = await stack.enter_async_context(open_client(server.url))
            fleet.apps.append(AnswersApp(client, truth, sockets=SOCKETS))
            stack.push_async_callback(fleet.apps[-1].close)
        await fleet.sign_in()
        await fleet.follow(scaled(200, 30))
        await fleet.settled()
        for turn in range(scaled(40, 4)):
            disturbing = asyncio.create_task(fleet.disturb(FAULTS[turn % len(FAULTS)]))
            for _ in range(scaled(25, 4)):
                await asyncio.gather(*(fleet.write() for _ in range(10)))
            await disturbing
            await fleet.settled()


@pytest.mark.heavy
async def test_three_servers_show_what_is(tmp_path: Path) -> None:
    """Random writes through three server processes, 200 live queries; pub/sub cut, Redis killed and paused.

    After each quiet moment every client shows what a fresh query shows, no acknowledged write is lost, and nobody was
    ever shown anything older than before. `LIVE_WRITES=10000 python -m bench live` makes more of them.
    """
    async with Race(tmp_path) as race:
        await race.follow(200)
        await race.settled()
        for fault in FAULTS:
            await race.run(160, fault)
            await race.settled()
