from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import pytest
from prometheus_client import REGISTRY
from redis.exceptions import ResponseError

from graph.patterns.client import RedisOverloaded, RedisUnavailable, command, open_client
from graph.patterns.client.connection.wire import QUEUE_BOUND
from harness.valkey import ValkeyServer
from tests.support.engines.inline import Inline
from tests.support.engines.proxy import FaultProxy

if TYPE_CHECKING:
    from graph.patterns.client import Client


def spy_on_writes(client: Client) -> list[int]:
    """The sizes of all writes from now on to the socket of the current connection."""
    wire: Any = cast("Any", client)._router._wire
    real, sizes = wire._transport, list[int]()

    class Spy:
        def __getattr__(self, name: str) -> Any:
            return getattr(real, name)

        def write(self, data: bytes) -> None:
            sizes.append(len(data))
            real.write(data)

    wire._transport = Spy()
    return sizes


async def test_a_batch_gives_each_command_its_own_reply(client: Client) -> None:
    """A command that fails has its error in its place and does not disturb its neighbours."""
    stored, wrong, read = await client.batch(command("SET", "k", 1), command("LPUSH", "k", 1), command("GET", "k"))
    assert stored == b"OK"
    assert isinstance(wrong, ResponseError)
    assert read == b"1"
    assert await client.batch() == []


async def test_replies_name_the_server_process_that_answered(client: Client) -> None:
    """The run id of a batch is the one that the server reports of itself, and so is the client's."""
    info: Any = await client.execute("INFO", "server")
    replies = await client.batch(command("GET", "k"), command("LPUSH", "k"))
    assert replies.run_id == client.run_id
    assert b"run_id:" + client.run_id in info
    assert client.connected


async def test_mget_keeps_the_order_of_its_keys(client: Client) -> None:
    """Values come in the order of the keys, None for what is missing, and no keys cost no trip."""
    await client.batch(command("SET", "a", 1), command("SET", "b", 2))
    assert await client.mget(["b", "none", "a"]) == [b"2", None, b"1"]
    assert await client.mget([]) == []


async def test_one_write_and_one_read_a_batch(valkey: ValkeyServer) -> None:
    """At concurrency 1 each batch is exactly one chunk to the server and one back; concurrent callers share one."""
    with FaultProxy(valkey.socket) as proxy:
        async with open_client(proxy.url) as client:
            proxy.requests = proxy.replies = 0
            for _ in range(50):
                await client.batch(command("SET", "k", "v"), command("GET", "k"), command("TIME"))
            assert (proxy.requests, proxy.replies) == (50, 50)
            written = spy_on_writes(client)
            await asyncio.gather(*(client.execute("GET", "k") for _ in range(50)))
            assert len(written) == 1
            assert proxy.requests == 51


async def test_a_cancelled_caller_abandons_only_its_future(client: Client) -> None:
    """Replies still reach the right callers after neighbours were cancelled, before and after their write."""
    calls = [asyncio.create_task(client.execute("ECHO", f"word {n}", retry=True)) for n in range(90)]
    for n in range(0, 90, 3):
        calls[n].cancel()
    await asyncio.sleep(0)
    for n in range(1, 90, 3):
        calls[n].cancel()
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert [results[n] for n in range(2, 90, 3)] == [f"word {n}".encode() for n in range(2, 90, 3)]


async def test_flushing_the_scripts_under_load_fails_no_request(client: Client) -> None:
    """Every call of a script succeeds, and runs once, while SCRIPT FLUSH runs again and again."""
    count = Inline("return redis.call('INCR', KEYS[1])")
    double = Inline("return ARGV[1] * 2", idempotent=True)

    async def call(n: int) -> None:
        counted, told, doubled = await client.batch(
            count([f"count:{n}"]), command("ECHO", n, retry=True), double(["x"], [n])
        )
        assert (counted, told, doubled) == (1, str(n).encode(), 2 * n)

    async def flush() -> None:
        while True:
            await client.execute("SCRIPT", "FLUSH", retry=False)
            await asyncio.sleep(0)

    flusher = asyncio.create_task(flush())
    for start in range(0, 2000, 100):
        await asyncio.gather(*(call(n) for n in range(start, start + 100)))
    flusher.cancel()
    assert set(await client.mget([f"count:{n}" for n in range(2000)])) == {b"1"}


async def test_a_forgotten_script_is_sent_again_alone(valkey: ValkeyServer, client: Client) -> None:
    """After NOSCRIPT exactly SCRIPT LOAD and the failed command travel again, not their neighbours."""
    script = Inline("return 7")
    await client.run(script, ["k"])
    valkey.command("SCRIPT", "FLUSH")
    valkey.command("CONFIG", "RESETSTAT")
    assert await client.batch(command("INCR", "n"), script(["k"]), command("INCR", "n")) == [1, 7, 2]
    stats = valkey.command("INFO", "commandstats")
    calls = {line.split(b":")[0]: line.split(b"calls=")[1].split(b",")[0] for line in stats.splitlines()[1:]}
    assert calls[b"cmdstat_incr"] == b"2"
    assert calls[b"cmdstat_script|load"] == b"1"
    assert calls[b"cmdstat_evalsha"] == b"2"


async def test_too_many_waiting_bytes_are_a_clear_error() -> None:
    """While a server reads nothing batches wait; beyond the bound they are refused, a single caller waits for room."""
    with ValkeyServer() as server:
        async with open_client(server.url) as client:
            server.pause()
            blob = b"x" * (4 << 20)
            calls = [client.batch(command("SET", f"k{n}", blob)) for n in range(QUEUE_BOUND // len(blob) + 4)]
            await asyncio.sleep(0.05)
            calls += [client.batch(command("SET", f"k{n}", blob)) for n in range(12)]
            patient = asyncio.create_task(client.execute("INCR", "n"))
            (refused,) = await calls[-1]
            assert isinstance(refused, RedisOverloaded)
            assert isinstance(refused, RedisUnavailable)
            assert (REGISTRY.get_sample_value("graph_redis_queued_bytes") or 0) > QUEUE_BOUND / 2
            server.resume()
            replies = [(await call)[0] for call in calls]
            assert replies[0] == b"OK"
            assert replies.count(b"OK") * len(blob) >= QUEUE_BOUND
            assert await patient == 1
            assert REGISTRY.get_sample_value("graph_redis_queued_bytes") == 0


async def test_closing_leaves_no_task_and_no_caller_behind(valkey: ValkeyServer) -> None:
    """What is under way when the client closes gets an answer, and nothing keeps running."""
    before = asyncio.all_tasks()
    async with open_client(valkey.url) as client:
        await client.durable(command("SET", "a", 1))
        listener = client.listen(lambda _channel, _data: None, lambda _channels: None, lambda _channels: None)
        await listener.subscribe("channel")
        call = client.batch(command("BLPOP", "nothing", 0, retry=False))
        await asyncio.sleep(0)
    (reply,) = await call
    assert isinstance(reply, RedisUnavailable)
    assert asyncio.all_tasks() == before
    with pytest.raises(RedisUnavailable):
        await client.execute("GET", "k")
