from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from graph.patterns.client import OutcomeUnknown, RedisUnavailable, command, open_client
from graph.patterns.client.connection.link import BACKOFF_CAP, COMMAND_DEADLINE, Link, backoff
from harness.valkey import ValkeyServer
from harness.waiting import HANG, within
from tests.support.engines.inline import Inline
from tests.support.engines.proxy import Chaos, FaultProxy

if TYPE_CHECKING:
    from collections.abc import Callable

    from graph.patterns.client import Client

_ONCE = Inline("redis.call('RPUSH', KEYS[2], ARGV[1]) return redis.call('INCR', KEYS[1])")
_SAME = Inline("redis.call('SET', KEYS[1], ARGV[1]) return ARGV[1]", idempotent=True)


class Storm:
    """Workers that send operations with known right answers and count what became of them."""

    def __init__(self, client: Client, operations: int) -> None:
        self.client = client
        self.left = iter(range(operations))
        self.random = random.Random(1)
        self.outcomes: Counter[str] = Counter()
        self.wrong: list[object] = []

    async def run(self, workers: int) -> None:
        await asyncio.gather(*(self.work() for _ in range(workers)))

    async def work(self) -> None:
        for n in self.left:
            call = asyncio.create_task(self.operation(n))
            if n % 3 == 0:
                await asyncio.sleep(self.random.choice((0, 0, 0.0005, 0.002)))
                call.cancel()
            try:
                await call
                self.outcomes["done"] += 1
            except asyncio.CancelledError:
                self.outcomes["cancelled"] += 1
            except OutcomeUnknown:
                self.outcomes["unknown"] += 1
            except RedisUnavailable:
                self.outcomes["unavailable"] += 1
                await asyncio.sleep(0.002)

    async def operation(self, n: int) -> None:
        """A read, an INCR, scripts of both kinds: alone or in a batch; every reply tells whom it belongs to."""
        match n % 4:
            case 0:
                replies = [await self.client.execute("ECHO", f"word {n}", retry=True)]
                right: list[object] = [f"word {n}".encode()]
            case 1:
                replies = [await self.client.execute("INCR", f"once:{n}")]
                right = [1]
            case 2:
                replies = [await self.client.run(_ONCE, [f"once:{n}", "log"], [n])]
                right = [1]
            case _:
                replies = await self.client.batch(
                    command("ECHO", n, retry=True), _ONCE([f"once:{n}", "log"], [n]), _SAME([f"same:{n}"], [n])
                )
                right = [str(n).encode(), 1, str(n).encode()]
        for reply, expected in zip(replies, right, strict=True):
            if isinstance(reply, RedisUnavailable):
                raise reply
            if reply != expected:
                self.wrong.append((n, reply, expected))


async def test_a_storm_of_faults_gives_no_wrong_reply_and_runs_nothing_twice(
    valkey: ValkeyServer, client: Client, scaled: Callable[[int, int], int]
) -> None:
    """Callers cancelled, connections cut, replies delayed and truncated: right replies, no double run, no leak."""
    operations = scaled(100_000, 5_000)
    tasks = asyncio.all_tasks()
    with FaultProxy(valkey.socket) as proxy:
        async with open_client(proxy.url) as stormy:
            await stormy.execute("SCRIPT", "FLUSH", retry=False)
            storm = Storm(stormy, operations)
            proxy.unleash(Chaos(cut_request=0.01, cut_reply=0.01, truncate=0.01, delay=0.05, fragment=0.05, seed=7))
            await storm.run(workers=16)
            proxy.unleash(Chaos())
    assert asyncio.all_tasks() == tasks
    assert storm.wrong == []
    assert proxy.faults > operations / 500
    assert storm.outcomes["done"] > operations / 3, storm.outcomes
    assert storm.outcomes["cancelled"] > operations / 10
    assert storm.outcomes["unknown"] > 0
    counts = await client.mget([f"once:{n}" for n in range(operations)])
    assert set(counts) == {None, b"1"}
    log = await client.execute("LRANGE", "log", 0, -1)
    assert len(log) == len(set(log))


async def test_a_command_without_reply_is_repeated_only_if_it_may_be(valkey: ValkeyServer, client: Client) -> None:
    """Of a batch whose replies were lost, reads are sent again and the rest fails with OutcomeUnknown, each alone."""
    await client.execute("SET", "k", "v")
    with FaultProxy(valkey.socket) as proxy:
        async with open_client(proxy.url) as cut_off:
            proxy.hold.set()
            call = cut_off.batch(command("GET", "k"), command("INCR", "n"), command("GET", "n"), _SAME(["s"], ["x"]))
            while await client.execute("GET", "n") is None:
                await asyncio.sleep(0.001)
            proxy.cut()
            proxy.hold.clear()
            read, written, counted, same = await call
            assert (read, counted, same) == (b"v", b"1", b"x")
            assert type(written) is OutcomeUnknown
    assert await client.execute("GET", "n") == b"1"


async def test_answered_commands_of_a_broken_batch_keep_their_replies(valkey: ValkeyServer, client: Client) -> None:
    """A batch cut in the middle of its replies keeps the first ones and repeats nothing that was answered."""
    with FaultProxy(valkey.socket) as proxy:
        async with open_client(proxy.url) as cut_off:
            seen: Counter[str] = Counter()
            for seed in range(20):
                await client.execute("DEL", "n", retry=False)
                proxy.unleash(Chaos(truncate=1.0, seed=seed))
                call = cut_off.batch(*(command("INCR", "n") for _ in range(8)))
                while not (await client.execute("GET", "n") == b"8" or call.done()):
                    await asyncio.sleep(0.001)
                while proxy.faults <= seed:
                    await asyncio.sleep(0.001)
                proxy.unleash(Chaos())
                proxy.faults = seed + 1
                replies = await call
                answered = [reply for reply in replies if isinstance(reply, int)]
                assert answered == list(range(1, len(answered) + 1))
                assert all(type(reply) is OutcomeUnknown for reply in replies[len(answered) :])
                assert await client.execute("GET", "n") == b"8"
                seen["some" if answered else "none"] += 1
                while not cut_off.connected:
                    await asyncio.sleep(0.001)
            assert seen["some"] > 5


async def test_a_frozen_server_costs_no_caller_more_than_the_deadline() -> None:
    """With the server stopped a command fails after 5 s, a read as well; when it goes on, so does the client."""
    with ValkeyServer() as server:
        async with open_client(server.url) as client:
            await client.execute("SET", "k", "v")
            server.pause()
            start = time.monotonic()
            async with within("the deadline of two commands"):
                write, read = await asyncio.gather(
                    client.execute("INCR", "n"), client.execute("GET", "k"), return_exceptions=True
                )
            assert time.monotonic() - start >= COMMAND_DEADLINE * 0.98  # and the server was still stopped
            with pytest.raises(RedisUnavailable):  # it accepts connections and answers none: nobody waits for it again
                await client.execute("GET", "k")
            server.resume()
            assert type(write) is OutcomeUnknown
            assert isinstance(read, RedisUnavailable)
            await _back(client)


async def test_a_killed_server_fails_fast_and_is_back_at_once() -> None:
    """While the server is away commands fail without waiting; after its return they succeed."""
    with ValkeyServer(aof=True) as server:
        async with open_client(server.url) as client:
            await client.run(_SAME, ["k"], ["v"])
            first = client.run_id
            server.kill()
            with pytest.raises(RedisUnavailable):
                await client.execute("INCR", "n")
            while client.connected:
                await asyncio.sleep(0.001)
            turns = [0] * 200
            for number in range(200):
                call = client.batch(command("GET", "k"))
                while not call.done():
                    await asyncio.sleep(0)
                    turns[number] += 1
                assert isinstance((await call)[0], RedisUnavailable)
            assert sorted(turns)[100] < 100  # of the loop: it tries to connect, and waits for no second attempt
            server.start()
            await _back(client)
            server.command("CONFIG", "RESETSTAT")
            assert await client.run(_SAME, ["k"], ["w"]) == b"w"
            assert b"script|load" not in server.command("INFO", "commandstats")  # it was loaded on connecting
            assert client.run_id not in (b"", first)


async def test_commands_that_never_left_survive_the_lost_connection(valkey: ValkeyServer, client: Client) -> None:
    """What is asked for while the first reconnect is under way waits for it, writes included."""
    with FaultProxy(valkey.socket) as proxy:
        async with open_client(proxy.url) as cut_off:
            proxy.cut()
            while cut_off.connected:
                await asyncio.sleep(0)
            assert await cut_off.execute("INCR", "n") == 1
    assert await client.execute("GET", "n") == b"1"


async def test_what_waits_behind_a_full_socket_is_sent_after_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection lost while the socket was full: only what had left is in doubt, the rest runs, each once."""
    monkeypatch.setattr(Link.submit, "__defaults__", (HANG,))  # twelve megabytes may take a while
    blob = "x" * (1 << 20)
    with ValkeyServer() as server, FaultProxy(server.socket) as proxy:
        async with open_client(proxy.url) as client:
            server.pause()
            calls = [client.batch(command("RPUSH", "log", f"{n}{blob}")) for n in range(12)]
            await asyncio.sleep(0.1)
            proxy.cut()
            while client.connected:
                await asyncio.sleep(0.001)
            server.resume()
            replies = [(await call)[0] for call in calls]
            assert type(replies[0]) is OutcomeUnknown
            assert isinstance(replies[-1], int), replies[-1]
            entries = [entry[:2].rstrip(b"x") for entry in await client.execute("LRANGE", "log", 0, -1)]
            assert len(entries) == len(set(entries))
            assert {str(n).encode() for n, reply in enumerate(replies) if isinstance(reply, int)} <= set(entries)


async def test_a_loading_server_is_as_good_as_dead() -> None:
    """While it reads its data commands fail at once, after a first moment; that it is ready is noticed by itself."""
    slowly = {"key-load-delay": "10000", "loading-process-events-interval-bytes": "1024"}
    with ValkeyServer(aof=True, options=slowly) as server:
        async with open_client(server.url) as client:
            await client.batch(*(command("SET", f"k{n}", "v" * 100) for n in range(3000)))
            server.command("BGREWRITEAOF")
            while b"aof_rewrite_in_progress:1" in server.command("INFO", "persistence"):
                await asyncio.sleep(0.01)
            server.kill()
            starting = asyncio.create_task(asyncio.to_thread(server.start))
            async with within("a refusal"):
                while not client.refusal.startswith("LOADING"):
                    with pytest.raises(RedisUnavailable):
                        await client.execute("GET", "k1")
                    await asyncio.sleep(0.01)
            assert client.batch(command("GET", "k1")).done(), "nothing was sent"
            server.command("CONFIG", "SET", "key-load-delay", 0)
            await starting
            async with within("the end of it"):
                while client.refusal:
                    await asyncio.sleep(0.01)
            assert await client.execute("GET", "k1") == b"v" * 100


def test_no_pause_between_two_attempts_is_longer_than_two_seconds() -> None:
    """Full jitter up to a cap: whoever comes back is served within 2 s and a round trip."""
    assert BACKOFF_CAP == 2
    pauses = [backoff(attempt) for attempt in range(1000)]
    assert 0 <= min(pauses) <= max(pauses) <= BACKOFF_CAP
    assert max(pauses) > BACKOFF_CAP / 2


async def _back(client: Client) -> None:
    """Wait until the client serves again."""
    async with within("the client to serve again"):
        while True:
            try:
                await client.execute("SET", "back", 1)
            except RedisUnavailable:
                await asyncio.sleep(0.005)
            else:
                return
