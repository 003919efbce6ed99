from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from graph.patterns.client import OutcomeUnknown, RedisUnavailable, command, open_client
from harness.refusing import refusing
from harness.valkey import ValkeyServer
from harness.waiting import HANG, within
from tests.support.engines.inline import Inline
from tests.support.engines.proxy import FaultProxy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from graph.patterns.client import Client, Listener


class Diary:
    """What a listener was told, in order."""

    def __init__(self) -> None:
        self.entries: asyncio.Queue[tuple[Any, ...]] = asyncio.Queue()

    def message(self, channel: str, data: bytes) -> None:
        self.entries.put_nowait((channel, data))

    def up(self, channels: Sequence[str]) -> None:
        self.entries.put_nowait(("up", *channels))

    def down(self, channels: Sequence[str]) -> None:
        self.entries.put_nowait(("down", *channels))

    def on(self, client: Client, **options: float) -> Listener:
        return client.listen(self.message, self.up, self.down, **options)

    async def next(self) -> tuple[Any, ...]:
        async with within("the next thing a listener is told"):
            return await self.entries.get()


async def test_messages_arrive_from_the_moment_subscribe_returns(client: Client) -> None:
    """Up comes before the first message; after unsubscribe nothing is delivered; a bad callback harms nobody."""
    diary = Diary()
    listener = diary.on(client)
    await asyncio.gather(*(listener.subscribe("a") for _ in range(3)), listener.subscribe("b"))
    assert listener.live == {"a", "b"}
    assert {await diary.next(), await diary.next()} == {("up", "a"), ("up", "b")}
    await client.execute("PUBLISH", "a", "1")
    assert await diary.next() == ("a", b"1")
    await listener.unsubscribe("a")
    await client.execute("PUBLISH", "a", "2")
    await client.execute("PUBLISH", "b", "3")
    assert await diary.next() == ("b", b"3")
    await listener.unsubscribe("b")
    await listener.subscribe("b")
    assert await diary.next() == ("up", "b")


async def test_a_subscription_that_is_given_up_is_not_called_live(client: Client) -> None:
    """Whoever waits for a subscription that is unsubscribed, or closed, meanwhile is told so."""
    diary = Diary()
    listener = diary.on(client)
    asking = asyncio.create_task(listener.subscribe("a"))
    await asyncio.sleep(0)
    await listener.unsubscribe("a")
    with pytest.raises(RedisUnavailable):
        await asking
    await listener.close()
    with pytest.raises(RedisUnavailable):
        await listener.subscribe("a")


async def test_a_broken_callback_is_logged_and_harms_nobody(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    """An exception in a callback is logged; the next message still arrives."""
    diary = Diary()

    def picky(channel: str, data: bytes) -> None:
        if data == b"bad":
            raise ValueError(data)
        diary.message(channel, data)

    listener = client.listen(picky, diary.up, diary.down)
    await listener.subscribe("c")
    await client.batch(command("PUBLISH", "c", "bad"), command("PUBLISH", "c", "good"))
    assert [await diary.next(), await diary.next()] == [("up", "c"), ("c", b"good")]
    assert "callback" in caplog.text


async def test_a_lost_connection_is_told_and_mended(valkey: ValkeyServer, client: Client) -> None:
    """Down when the connection is lost, up when every channel is subscribed again, then messages as before."""
    diary = Diary()
    with FaultProxy(valkey.socket) as proxy:
        async with open_client(proxy.url) as cut_off:
            listener = diary.on(cut_off)
            await listener.subscribe("a")
            proxy.cut()
            assert [await diary.next() for _ in range(3)] == [("up", "a"), ("down", "a"), ("up", "a")]
            await client.execute("PUBLISH", "a", "again")
            assert await diary.next() == ("a", b"again")


async def test_a_frozen_server_is_noticed_by_the_missing_pong() -> None:
    """A server that is stopped, its socket open, is told as down within interval + deadline; by default within 10 s."""
    diary = Diary()
    with ValkeyServer() as server:
        async with open_client(server.url) as client:
            listener = diary.on(client, ping_interval=0.1, pong_deadline=0.4)
            await listener.subscribe("a")
            assert await diary.next() == ("up", "a")
            server.pause()
            assert await diary.next() == ("down", "a")
            server.resume()
            assert await diary.next() == ("up", "a")


async def test_a_subscription_asked_for_in_an_outage_comes_true_later() -> None:
    """The caller is told that it is not confirmed; the wish stands, and up tells when it has come true."""
    diary = Diary()
    with ValkeyServer() as server:
        async with open_client(server.url) as client:
            server.kill()
            listener = diary.on(client)
            asking = asyncio.create_task(listener.subscribe("late"))
            await asyncio.sleep(0)
            server.start()
            await asking
            assert await diary.next() == ("up", "late")


async def test_durable_writes_share_their_waits_and_survive_a_crash() -> None:
    """500 acknowledged writes are there after SIGKILL, and cost about one fsync interval, not 500."""
    with ValkeyServer(aof=True, options={"appendfsync": "everysec"}) as server:
        async with open_client(server.url) as client:
            replies = await asyncio.gather(*(client.durable(command("SET", f"k{n}", n)) for n in range(500)))
            stats = server.command("INFO", "commandstats")
            waits = int(stats.split(b"cmdstat_waitaof:calls=")[1].split(b",")[0])
            server.kill()
            server.start()
            assert replies == [b"OK"] * 500
            assert len(server.command("KEYS", "k*")) == 500
            assert waits <= 3


async def test_a_durable_script_that_was_forgotten_is_waited_for_all_the_same() -> None:
    """A script that ran only after NOSCRIPT, so behind the group's WAITAOF, is acknowledged after one of its own."""
    script = Inline("return redis.call('INCR', KEYS[1])")
    with ValkeyServer(aof=True, options={"appendfsync": "everysec"}) as server:
        async with open_client(server.url) as client:
            assert await client.durable(script(["n"])) == 1
            stats = server.command("INFO", "commandstats")
            assert b"cmdstat_waitaof:calls=2," in stats


async def test_a_server_without_aof_answers_durable_writes_at_once(client: Client) -> None:
    """Without AOF the reply itself is all that the server can say; errors are raised as ever."""
    assert await client.durable(command("INCR", "n")) == 1
    with pytest.raises(Exception, match="WRONGTYPE"):
        await client.durable(command("LPUSH", "n", 1))


async def test_a_connection_lost_before_the_fsync_leaves_a_doubt() -> None:
    """OutcomeUnknown is raised; over the next connection a write succeeds, and the server is asked what it syncs."""
    with ValkeyServer(aof=True, options={"appendfsync": "no"}) as server, FaultProxy(server.socket) as proxy:
        async with open_client(proxy.url) as client:
            call = asyncio.create_task(client.durable(command("SET", "k", 1)))
            while b"blocked_clients:1" not in server.command("INFO", "clients"):
                await asyncio.sleep(0.001)
            proxy.cut()
            with pytest.raises(OutcomeUnknown):
                await call
            await client.durable(command("SET", "k", 2))
            assert server.command("GET", "k") == b"2"


@pytest.mark.parametrize("way", ["MISCONF", "MASTERDOWN", "BUSY"])
async def test_a_server_that_refuses_ping_is_listened_to(way: str) -> None:
    """The connection stays: what refuses a PING still answers, and delivers what others publish."""
    diary = Diary()
    with ValkeyServer() as server:
        async with open_client(server.url) as client:
            listener = diary.on(client, ping_interval=0.02, pong_deadline=HANG)
            await listener.subscribe("a")
            assert await diary.next() == ("up", "a")
            (subscribed,) = listening(server)
            with refusing(server, way):
                await refused_pings(server, way)
            assert listening(server) == [subscribed]
            server.command("PUBLISH", "a", "1")
            assert await diary.next() == ("a", b"1")


def listening(server: ValkeyServer) -> list[bytes]:
    """The connections that listen, by their ids."""
    return [line.split()[0] for line in server.command("CLIENT", "LIST", "TYPE", "pubsub").splitlines()]


async def refused_pings(server: ValkeyServer, way: str) -> None:
    """Wait until some were refused; a busy server does not say, so that one is asked for a while."""
    async with within("some PINGs to be refused"):
        for _ in range(20):
            await asyncio.sleep(0.02)
        while way != "BUSY" and rejected(server) < 5:
            await asyncio.sleep(0.02)


def rejected(server: ValkeyServer) -> int:
    """How many PINGs the server has refused."""
    found: bytes = server.command("INFO", "commandstats")
    line = found.partition(b"cmdstat_ping:")[2].partition(b"\r")[0]
    return int(line.partition(b"rejected_calls=")[2].partition(b",")[0] or 0)
