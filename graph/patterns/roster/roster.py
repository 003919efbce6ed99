"""The roster of the processes that use a prefix: each says every few seconds that it lives, and what it has to say.

A process that closes leaves at once, and one that dies is gone after `GONE` seconds, by the server's clock. Reading the
roster writes nothing.

Failure: while Redis is away nothing is said; the next turn says it again. A process that lives may be missing for that
long.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from typing import TYPE_CHECKING, Any, NamedTuple, Self, cast

from graph.patterns.client import Script, command
from graph.patterns.tasks import Tasks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from graph.patterns.client import Client

GONE = 15.0
"""Seconds after its last word for which a process is on the roster."""

EXPIRING_KEYS = {"{roster}:processes": "who lives, and what they say of themselves"}
"""Keys with a TTL, below the prefix, and what they hold."""

_ANSWER = Script(__name__, "answer", idempotent=True)


class RosterEntry(NamedTuple):
    """A process: its name on the roster, how many seconds ago it was heard of, and what it said of itself."""

    name: str
    age: float
    facts: Mapping[str, Any]


class Roster:
    """One process on the roster; open it with ``async with``."""

    def __init__(
        self, client: Client, facts: Callable[[], Mapping[str, Any]], *, prefix: str = "graph", interval: float = 3.0
    ) -> None:
        """Say every `interval` seconds what `facts` gives then, which JSON can hold."""
        self._client = client
        self._facts = facts
        self._key = _key(prefix)
        self._interval = interval
        self._me = secrets.token_hex(8)
        self._tasks = Tasks()

    async def __aenter__(self) -> Self:
        self._tasks.spawn(self._go_on(), name="roster")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._tasks.close()
        await self._client.batch(command("HDEL", self._key, self._me, retry=True))

    async def answer(self) -> None:
        """Say it once, now."""
        said = json.dumps(dict(self._facts()), separators=(",", ":"))
        await self._client.batch(_ANSWER([self._key], [self._me, said, round(1000 * GONE)]))

    async def _go_on(self) -> None:
        while True:
            await self.answer()
            await asyncio.sleep(self._interval)


async def on_roster(client: Client, *, prefix: str = "graph") -> list[RosterEntry] | None:
    """Who is on the roster, by name, as far as it can be read; None while Redis does not say."""
    clock, known = await client.batch(command("TIME", retry=True), command("HGETALL", _key(prefix)))
    if isinstance(clock, Exception) or isinstance(known, Exception):
        return None
    now = 1000 * int(clock[0]) + int(clock[1]) // 1000
    found: list[RosterEntry] = []
    for name, word in known.items():
        heard, _, said = word.partition(b" ")
        try:
            age, facts = (now - int(heard)) / 1000, json.loads(said)
        except ValueError:  # a process of another release says it in its own way
            continue
        if age <= GONE and isinstance(facts, dict):
            found.append(RosterEntry(name.decode(), max(0.0, age), cast("dict[str, Any]", facts)))
    return sorted(found)


def _key(prefix: str) -> str:
    return f"{prefix}:{{roster}}:processes"
