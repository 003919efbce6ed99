"""Loads, writes and invalidations racing over processes, with writers killed halfway."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import random
import signal
from typing import TYPE_CHECKING, Any

import pytest

from graph.patterns.cache import Cache, metrics
from graph.patterns.client import open_client
from harness.waiting import HANG
from tests.support.models.counters import count
from tests.support.models.shared_truth import SharedTruth

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from multiprocessing.synchronize import Barrier
    from pathlib import Path

    from harness.valkey import ValkeyServer

PROCESSES, KEYS, HOT, AT_ONCE = 4, 60, 4, 12
HOLD = 0.15


def tags_of(key: str) -> list[str]:
    """A tag of its own, and one that it shares with others."""
    return [f"key:{key}", f"group:{int(key) % 20}"]


def _killed_writer(url: str, path: str, key: int, tag: str) -> None:
    """A process that dies after its commit and before its invalidation."""

    async def write() -> None:
        async with open_client(url) as client, Cache(client, hold=HOLD).invalidating(tag):
            SharedTruth(path, KEYS).commit(key)
            os.kill(os.getpid(), signal.SIGKILL)

    asyncio.run(write())


class _Racer:
    """One process: reads and writes at random, checking each read."""

    def __init__(self, url: str, path: str, seed: int) -> None:
        self.url, self.path = url, path
        self.rng = random.Random(seed)
        self.truth = SharedTruth(path, KEYS)
        self.wrong: list[str] = []
        self.reads = 0
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload([__name__])

    async def pause(self) -> None:
        await asyncio.sleep(self.rng.choice((0, 0, 0.0005, 0.002, 0.006)))

    async def load(self, keys: Sequence[str]) -> Mapping[str, Any]:
        await self.pause()
        found = {key: self.truth.committed(int(key)) for key in keys}
        await self.pause()
        return found

    async def read(self, cache: Cache, keys: list[str]) -> None:
        oldest = {key: self.truth.acknowledged(int(key)) for key in keys}
        if len(keys) == 1:

            async def load() -> Any:
                return (await self.load(keys))[keys[0]]

            values = {keys[0]: await cache.get(keys[0], load, tags=tags_of(keys[0]), ttl=self.rng.choice((0.05, 30)))}
        else:
            values = await cache.get_many(keys, self.load, tags=tags_of)
        self.reads += len(keys)
        self.wrong += [f"{key}: {values[key]} < {oldest[key]}" for key in keys if values[key] < oldest[key]]

    async def write(self, cache: Cache, key: str, *, killed: bool) -> None:
        tag = self.rng.choice(tags_of(key))
        if killed:
            writer = self.context.Process(target=_killed_writer, args=(self.url, self.path, int(key), tag))
            writer.start()
            while writer.is_alive():  # not joined in a thread: starting another one looks after this one too
                await asyncio.sleep(0.005)
            assert writer.exitcode == -signal.SIGKILL
            return
        async with cache.invalidating(tag):
            await self.pause()
            version = self.truth.commit(int(key))
            await self.pause()
        self.truth.acknowledge(int(key), version)
        await self.read(cache, [key])

    async def race(self, cache: Cache, *, killed: bool) -> None:
        """A load, a write and its invalidation, and reads around them, all at once."""
        # Half of the races meet on a few hot keys; a killed writer's hold would keep those from being cached at all.
        key = str(self.rng.randrange(HOT) if not killed and self.rng.random() < 0.5 else self.rng.randrange(HOT, KEYS))
        some = [key, *map(str, self.rng.sample(range(KEYS), 2))]
        await asyncio.gather(
            self.read(cache, [key]),
            self.read(cache, list(dict.fromkeys(some))),
            self.write(cache, key, killed=killed),
            self.read(cache, [key]),
        )
        await self.read(cache, [key])

    async def run(self, races: int, finish: Barrier) -> dict[str, Any]:
        async with open_client(self.url) as client, open_client(self.url) as second:
            caches = Cache(client, hold=HOLD), Cache(second, hold=HOLD, l1_bytes=0)
            todo = iter(range(races))

            async def racer(number: int) -> None:
                for race in todo:
                    await self.race(caches[number % 2], killed=race % 10 == 9)

            await asyncio.gather(*[racer(number) for number in range(AT_ONCE)])
            await asyncio.to_thread(finish.wait, HANG)
            await asyncio.sleep(HOLD * 1.5)
            for cache in caches:  # all is quiet: even what killed writers committed must show now
                for key in map(str, range(KEYS)):
                    value = await cache.get(key, lambda key=key: _one(self, key), tags=tags_of(key))
                    if value != self.truth.committed(int(key)):
                        self.wrong.append(f"{key}: {value} != {self.truth.committed(int(key))} in the end")
                await cache.close()
        return {
            "wrong": self.wrong,
            "reads": self.reads,
            "hits": count(metrics.HIT) + count(metrics.LOCAL),
            "loads": count(metrics.LOADS),
        }


async def _one(racer: _Racer, key: str) -> Any:
    return racer.truth.committed(int(key))


def _process(url: str, folder: str, number: int, races: int, finish: Barrier) -> None:
    racer = _Racer(url, f"{folder}/truth", number)
    result = asyncio.run(racer.run(races, finish))
    with open(f"{folder}/{number}.json", "w", encoding="utf-8") as file:  # noqa: PTH123 - plain paths cross processes
        json.dump(result, file)


@pytest.mark.heavy
async def test_no_read_is_older_than_an_acknowledged_write(valkey: ValkeyServer, tmp_path: Path) -> None:
    """10,000 races over four processes, a tenth with the writer killed after its commit: no read is out of date."""
    async with open_client(valkey.url) as client:
        await client.execute("FLUSHALL", retry=False)
    context = multiprocessing.get_context("spawn")
    finish = context.Barrier(PROCESSES)
    races = 10_000 // PROCESSES
    processes = [
        context.Process(target=_process, args=(valkey.url, str(tmp_path), number, races, finish))
        for number in range(PROCESSES)
    ]
    for process in processes:
        process.start()
    for process in processes:
        await asyncio.to_thread(process.join)
    results = [json.loads((tmp_path / f"{number}.json").read_text()) for number in range(PROCESSES)]
    assert [wrong for result in results for wrong in result["wrong"]] == []
    reads, hits, loads = (sum(result[name] for result in results) for name in ("reads", "hits", "loads"))
    assert reads > races * PROCESSES * 5
    assert hits > 0, "the cache was hardly used: the races prove nothing"
    assert loads > reads / 20, "there were hardly any loads: the races prove nothing"
