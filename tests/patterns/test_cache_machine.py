"""Readers, writers and losses in every order that Hypothesis can think of, against a model of one line a rule."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from graph.patterns.cache import Cache
from graph.patterns.client import open_client

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from contextlib import AbstractAsyncContextManager

    from graph.patterns.client import Client
    from harness.valkey import ValkeyServer

KEYS = st.sampled_from("ab")
READERS = st.integers(0, 2)
WRITES = st.sampled_from([("a", ["a"]), ("a", ["both"]), ("b", ["b"]), ("b", ["both"]), ("ab", ["a", "b"])])
"""The keys that a write changes, and the tags that it holds: its keys' own, or the one that all keys have."""


class Machine(RuleBasedStateMachine):
    """The model: a read gives a version between the last acknowledged when it began and the last committed."""

    runner: asyncio.Runner
    clients: tuple[Client, Client]

    @initialize()
    def begin(self) -> None:
        """Start with an empty server, two versions and nobody at work."""
        self.committed = {"a": 0, "b": 0}
        self.acknowledged = {"a": 0, "b": 0}
        self.writers: list[tuple[str, AbstractAsyncContextManager[None]]] = []
        self.slow: list[tuple[asyncio.Event, asyncio.Task[Any], int, str]] = []
        first, second = self.clients
        self.caches = [
            Cache(one, l1_bytes=size, lease=0.25, beta=0) for one, size in ((first, 9999), (second, 9999), (second, 0))
        ]
        for cache in self.caches:  # a load that waits at its gate is not waited for
            cache._flights._patience = 0.0
        self.reads = 0
        self.lose(("FLUSHALL",))

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    async def _load(self, keys: Sequence[str]) -> dict[str, int]:
        return {key: self.committed[key] for key in keys}

    @rule(reader=READERS, keys=st.lists(KEYS, min_size=1, max_size=2))
    def read(self, reader: int, keys: list[str]) -> None:
        """Nothing older than acknowledged, nothing that was never written, whoever is at work."""
        self.reads += 1
        self._look(reader, keys)

    def _look(self, reader: int, keys: Sequence[str] = "ab") -> None:
        cache = self.caches[reader]
        found = self._run(cache.get_many(keys, self._load, tags=lambda key: [key, "both"]))
        for key in keys:
            assert self.acknowledged[key] <= found[key] <= self.committed[key]

    @precondition(lambda self: len(self.slow) < 3)
    @rule(reader=READERS, key=KEYS)
    def begin_slow_read(self, reader: int, key: str) -> None:
        """A read whose loader has seen the truth and takes its time."""
        gate = asyncio.Event()

        async def load() -> int:
            version = self.committed[key]
            await gate.wait()
            return version

        async def start() -> asyncio.Task[Any]:
            # A cache of its own: a reader that joins a slow load would stop the machine.
            cache = Cache(self.clients[reader % 2], l1_bytes=0, lease=0.25, beta=0)
            cache._flights._patience = 0.0
            task = asyncio.create_task(cache.get(key, load, tags=[key, "both"]))
            await asyncio.wait((task,), timeout=0.003)
            return task

        self.slow.append((gate, self._run(start()), self.acknowledged[key], key))

    @precondition(lambda self: self.slow)
    @rule(which=st.integers(0, 2))
    def end_slow_read(self, which: int) -> None:
        """It gives what was current at some time since it began, and stores it where nobody may find it."""
        gate, task, oldest, key = self.slow.pop(which % len(self.slow))

        async def finish() -> int:
            gate.set()
            return await task

        assert oldest <= self._run(finish()) <= self.committed[key]

    @precondition(lambda self: len(self.writers) < 3)
    @rule(writer=READERS, what=WRITES)
    def begin_write(self, writer: int, what: tuple[str, list[str]]) -> None:
        """A writer places its hold."""
        keys, tags = what
        bracket = self.caches[writer].invalidating(*tags)
        self._run(bracket.__aenter__())
        self.writers.append((keys, bracket))

    @precondition(lambda self: self.writers)
    @rule(which=st.integers(0, 2))
    def commit(self, which: int) -> None:
        """A writer commits; it may do so several times."""
        for key in self.writers[which % len(self.writers)][0]:
            self.committed[key] += 1

    @precondition(lambda self: self.writers)
    @rule(which=st.integers(0, 2), fails=st.booleans())
    def end_write(self, which: int, *, fails: bool) -> None:
        """A writer ends: what it had committed is acknowledged, unless it fails."""
        keys, bracket = self.writers.pop(which % len(self.writers))
        if fails:
            assert not self._run(bracket.__aexit__(ValueError, ValueError(), None))
            return
        self._run(bracket.__aexit__(None, None, None))
        for key in keys:
            if not any(key in others for others, _ in self.writers):  # else it is not known whose commit it was
                self.acknowledged[key] = self.committed[key]

    @rule(writer=READERS, what=WRITES, reader=READERS)
    def write(self, writer: int, what: tuple[str, list[str]], reader: int) -> None:
        """A whole write at once, of what a reader has just seen and looks at again."""
        keys, tags = what
        self._look(reader)

        async def write() -> None:
            async with self.caches[writer].invalidating(*tags):
                for key in keys:
                    self.committed[key] += 1

        self._run(write())
        for key in keys:
            self.acknowledged[key] = self.committed[key]
        self._look(reader)

    @precondition(lambda self: self.reads % 5 == 4)
    @rule(command=st.sampled_from([("FLUSHALL",), ("SCRIPT", "FLUSH"), ("DEL", "graph:tag:{a}", "graph:tag:{both}")]))
    def lose(self, command: tuple[str, ...]) -> None:
        """Redis forgets."""
        self._run(self.clients[0].execute(*command, retry=False))

    def teardown(self) -> None:
        """Let everybody finish."""

        async def finish() -> None:
            for gate, task, *_ in self.slow:
                gate.set()
                await task
            for _, bracket in self.writers:
                await bracket.__aexit__(None, None, None)
            for cache in self.caches:
                await cache.close()

        self._run(finish())


def test_no_order_of_events_serves_an_old_value(valkey: ValkeyServer, scaled: Callable[[int, int], int]) -> None:
    """However reads, slow loads, overlapping writes and losses interleave, the model's one line holds."""
    with asyncio.Runner() as runner:
        contexts = [open_client(valkey.url), open_client(valkey.url)]
        Machine.runner = runner

        async def enter() -> list[Client]:
            return [await context.__aenter__() for context in contexts]

        first, second = runner.run(enter())
        Machine.clients = first, second
        run_state_machine_as_test(
            Machine,
            settings=settings(
                max_examples=scaled(2_000, 25),
                stateful_step_count=40,
                deadline=None,
                database=None,
                suppress_health_check=[HealthCheck.too_slow],
            ),
        )
        for context in contexts:
            runner.run(context.__aexit__(None, None, None))
