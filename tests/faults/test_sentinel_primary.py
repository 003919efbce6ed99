"""Two servers that are both asked as the primary: what was acknowledged on the one that was deposed is not missed."""

from __future__ import annotations

import asyncio
import math
import random
import signal
from contextlib import AsyncExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

import psutil
import pytest

from graph.patterns.cache import Cache
from graph.patterns.client import Command, RedisUnavailable, command, durable_writer, open_client
from graph.patterns.client.connection import link as links
from graph.patterns.client.connection import primary as primaries
from graph.patterns.client.connection import sentinels as asking
from graph.patterns.client.connection.primary import Primary
from harness.valkey import SentinelSet, ValkeyServer
from harness.waiting import eventually, within

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence

    from graph.patterns.client.connection.link import Link
    from graph.patterns.client.connection.wire import Wire


@pytest.fixture(scope="module")
def sentinels() -> Iterator[SentinelSet]:
    """Three Sentinels with two servers, in whatever order the tests before have left them."""
    with SentinelSet(3) as running:
        yield running


async def test_a_write_on_a_deposed_primary_is_not_acknowledged(
    sentinels: SentinelSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client has not heard of the failover yet, and its server takes the write: it is told that it may be lost."""
    monkeypatch.setattr(links, "FOLLOW_INTERVAL", 3600.0)

    def write(value: str) -> Command:
        return command("SET", "k", value, "PX", 600_000, retry=False)

    async with open_client(sentinels.url) as client:
        assert await client.durable(write("before")) in (b"OK", "OK")
        assert client._lane is not None
        never_over(client._lane._router.link_for(None))
        _, new = await asyncio.to_thread(sentinels.fail_over)
        try:
            await client.durable(write("after"))
        except RedisUnavailable:
            return
        assert new.command("GET", "k") == b"after"


@pytest.mark.heavy
async def test_a_write_is_not_acknowledged_while_a_failover_is_under_way(sentinels: SentinelSet) -> None:
    """The replica may be primary already, without this write, before any Sentinel says so."""
    async with open_client(sentinels.url) as client:
        await client.durable(command("SET", "k", "before", "PX", 600_000, retry=False))
        with denied(sentinels, "replicaof", "slaveof"):
            old = sentinels.named()
            assert old is not None
            await asyncio.to_thread(eventually, lambda: sentinels.replacing(old))
            with suppress(RedisUnavailable):  # nobody said that it counts
                await client.durable(command("SET", "k", "during", "PX", 600_000, retry=False))
                assert not under_way(sentinels)
        await asyncio.to_thread(eventually, lambda: settled(sentinels))


@pytest.mark.heavy
async def test_a_write_is_not_acknowledged_while_one_sentinel_alone_knows_the_new_primary(
    sentinels: SentinelSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that replaced the primary tells the others later: until then they name the old one."""
    async with open_client(sentinels.url) as client:
        await client.durable(command("SET", "k", "before", "PX", 600_000, retry=False))
        with denied(sentinels, "publish", everywhere=True):
            old = sentinels.named()
            assert old is not None
            port = b"%d" % old.port
            await asyncio.to_thread(
                eventually, lambda: sentinels.replacing(old) and sentinels.state(sentinels.port)[b"port"] != port
            )
            with pytest.raises(RedisUnavailable):
                await client.durable(command("SET", "k", "after", "PX", 600_000, retry=False))
            # Nor while that one says nothing: the others agree, and are wrong.
            monkeypatch.setattr(asking, "PATIENCE", 3600.0)
            knowing = sentinels.of(sentinels.port)
            knowing.send_signal(signal.SIGSTOP)
            try:
                with pytest.raises(RedisUnavailable):
                    await client.durable(command("SET", "k", "on", "PX", 600_000, retry=False))
            finally:
                knowing.send_signal(signal.SIGCONT)
        await asyncio.to_thread(eventually, lambda: settled(sentinels))


async def test_a_process_that_stood_still_asks_again_before_it_takes_its_server_for_lost(
    sentinels: SentinelSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lease is over because it asked nobody, not because nobody answered: commands wait for the answer."""
    monkeypatch.setattr(links, "FOLLOW_INTERVAL", 3600.0)
    eventually(lambda: settled(sentinels))
    async with open_client(sentinels.url) as client:
        await client.execute("SET", "k", "v", "PX", 600_000)
        link = client._router.link_for(None)
        assert link._primary is not None
        link._primary.until = asyncio.get_running_loop().time()  # as after a pause of the whole process
        assert await client.execute("GET", "k") == b"v"
        link._primary.until = asyncio.get_running_loop().time()
        link._primary.silent = True
        with pytest.raises(RedisUnavailable):
            await client.execute("GET", "k")


@pytest.fixture
def patient_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a replica waited for however long it takes."""
    monkeypatch.setattr(durable_writer, "_REPLICATED", Command(("WAIT", 1, 120_000), None, retry=False))
    monkeypatch.setattr(durable_writer, "COMMAND_DEADLINE", 240.0)
    monkeypatch.setattr(durable_writer, "FRESH", 3600)


@pytest.mark.usefixtures("patient_wait", "undisputed")
async def test_a_write_waits_for_a_replica_that_is_behind(sentinels: SentinelSet) -> None:
    """Once it is acknowledged the replica has it."""
    eventually(lambda: settled(sentinels))
    named = sentinels.named()
    assert named is not None
    other = sentinels.primary if named is sentinels.replica else sentinels.replica
    async with open_client(sentinels.url) as client:
        await client.durable(command("SET", "k", "before", "PX", 600_000, retry=False))
        with stopped(other):
            writing = asyncio.create_task(client.durable(command("SET", "k", "after", "PX", 600_000, retry=False)))
            async with within("the write, or the wait for the replica"):
                while not writing.done() and b"blocked_clients:1" not in named.command("INFO", "clients"):
                    await asyncio.sleep(0.002)
            assert not writing.done()
        await writing
        assert other.command("GET", "k") == b"after"
    await asyncio.to_thread(eventually, lambda: settled(sentinels))


@pytest.mark.usefixtures("undisputed")
@pytest.mark.parametrize("heard", ["lately", "long ago"])
async def test_a_replica_that_does_not_answer_stops_no_write(
    sentinels: SentinelSet, heard: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What the primary alone can promise is promised; that is logged once, and not asked where it is known."""
    monkeypatch.setattr(durable_writer, "_REPLICATED", Command(("WAIT", 1, 1), None, retry=False))
    monkeypatch.setattr(durable_writer, "FRESH", 3600 if heard == "lately" else -1)
    monkeypatch.setattr(durable_writer, "LAX", 3600.0)
    eventually(lambda: settled(sentinels))
    named = sentinels.named()
    assert named is not None
    other = sentinels.primary if named is sentinels.replica else sentinels.replica
    async with open_client(sentinels.url) as client:
        named.command("CONFIG", "RESETSTAT")
        with stopped(other):
            for number in range(3):
                await client.durable(command("SET", "k", number, "PX", 600_000, retry=False))
        assert (b"cmdstat_wait:" in named.command("INFO", "commandstats")) == (heard == "lately")
    told = [record for record in caplog.records if "no replica" in record.getMessage()]
    assert len(told) == (heard == "lately")
    await asyncio.to_thread(eventually, lambda: settled(sentinels))


@contextmanager
def stopped(server: ValkeyServer) -> Generator[None]:
    """Have a server stand still."""
    server.pause()
    eventually(lambda: psutil.Process(server.pid).status() == psutil.STATUS_STOPPED)
    try:
        yield
    finally:
        server.resume()


@contextmanager
def denied(servers: SentinelSet, *commands: str, everywhere: bool = False) -> Generator[None]:
    """Have the servers, and the Sentinels if `everywhere`, refuse `commands`."""

    def rule(sign: str) -> None:
        told = ("ACL", "SETUSER", "default", *(f"{sign}{name}" for name in commands))
        for server in (servers.primary, servers.replica):
            server.command(*told)
        for port in servers.ports if everywhere else ():
            servers.tell(port, *told)

    eventually(lambda: servers.named() is not None)
    rule("-")
    try:
        yield
    finally:
        rule("+")


def settled(servers: SentinelSet) -> bool:
    """Whether all is as before a failover, for the next test."""
    named = servers.named()
    other = servers.primary if named is servers.replica else servers.replica
    return (
        named is not None
        and not under_way(servers)
        and b"master_link_status:up" in other.command("INFO", "replication")
    )


def under_way(servers: SentinelSet) -> bool:
    """Whether a Sentinel is about to replace the primary."""
    return b"failover_in_progress" in servers.state(servers.port)[b"flags"]


def never_over(link: Link) -> None:
    """Let the link use its server as long as that answers."""
    if link._primary is not None:
        link._primary.until = math.inf


class World:
    """A truth, and caches of several processes that read and write it."""

    def __init__(self) -> None:
        self.truth: dict[str, int] = {}
        self.acknowledged: dict[str, int] = {}
        self.wrong: list[str] = []
        self.stop = asyncio.Event()

    async def load(self, keys: Sequence[str]) -> Mapping[str, int]:
        return {key: self.truth.get(key, 0) for key in keys}

    async def read_on(self, cache: Cache) -> None:
        while not self.stop.is_set():
            key = str(random.randrange(8))
            oldest = self.acknowledged.get(key, 0)
            got = (await cache.get_many([key], self.load, tags=lambda key: [key]))[key]
            if got < oldest:
                self.wrong.append(f"{key}: {got} < {oldest}")
            await asyncio.sleep(random.uniform(0, 0.005))

    async def write_on(self, cache: Cache) -> None:
        while not self.stop.is_set():
            key = str(random.randrange(8))
            with suppress(RedisUnavailable):  # refused, or not acknowledged
                async with cache.invalidating(key):
                    self.truth[key] = version = self.truth.get(key, 0) + 1
                self.acknowledged[key] = max(version, self.acknowledged.get(key, 0))
            await asyncio.sleep(random.uniform(0, 0.05))


@pytest.mark.heavy
async def test_no_acknowledged_write_is_missed_while_the_primary_is_replaced(
    sentinels: SentinelSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Processes hear of a failover at different times, one only when its lease ends: nobody reads an old value."""
    moved = Primary.moved
    deaf: list[Primary | None] = []

    async def hears(self: Primary, wire: Wire) -> bool:
        there = await moved(self, wire)
        return there and self not in deaf

    monkeypatch.setattr(Primary, "moved", hears)
    world = World()
    async with AsyncExitStack() as stack:
        caches: list[Cache] = []
        for _ in range(3):
            client = await stack.enter_async_context(open_client(sentinels.url))
            caches.append(Cache(client, l1_bytes=1 << 20))
            stack.push_async_callback(caches[-1].close)
            deaf = [client._router.link_for(None)._primary]
        working = [asyncio.create_task(work(cache)) for cache in caches for work in (world.read_on, world.write_on)]
        for _ in range(6):
            await asyncio.to_thread(sentinels.fail_over)
            before = sum(world.acknowledged.values())
            async with within("acknowledged writes after the failover"):
                while sum(world.acknowledged.values()) < before + 100:
                    assert not any(task.done() for task in working)
                    await asyncio.sleep(0.05)
        world.stop.set()
        await asyncio.gather(*working)
    assert world.wrong == []


async def test_a_primary_that_no_majority_vouches_for_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut off from the Sentinels, a client cannot know who is primary: Redis is away for it until they answer."""
    monkeypatch.setattr(primaries, "LEASE", 1.5)
    with SentinelSet() as servers:
        async with open_client(servers.url) as client:
            await client.execute("SET", "k", "v", "PX", 600_000)
            servers.kill_sentinels()
            async with within("the lease to end"):
                with pytest.raises(RedisUnavailable):
                    while True:
                        await client.execute("GET", "k")
                        await asyncio.sleep(0.05)
            servers.start_sentinels()
            async with within("an answer"):
                while True:
                    try:
                        assert await client.execute("GET", "k") == b"v"
                    except RedisUnavailable:
                        await asyncio.sleep(0.05)
                        continue
                    break
