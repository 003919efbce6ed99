"""A Redis that answers but refuses does no more harm than one that is dead."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

import pytest

from graph.patterns import outage
from graph.patterns.broker import Broker, Topic
from graph.patterns.cache import Cache
from graph.patterns.client import RedisRefused, RedisUnavailable, command, open_client
from graph.patterns.client.connection import circuit, denials
from graph.patterns.client.connection.circuit import PATIENCE
from graph.patterns.limiter import Charge, Limit, Limiter
from graph.patterns.lock import Locks
from graph.patterns.ranking import Ranking
from graph.patterns.sessions import Sessions
from harness.refusing import WAYS, refusing
from harness.valkey import ValkeyServer
from harness.waiting import within
from tests.support.engines.inline import Inline

if TYPE_CHECKING:
    from collections.abc import Iterator

    from graph.patterns.client import Client, Command

_WRITES = Inline("return redis.call('SET', KEYS[1], 1, 'PX', 60000)")
_COUNTS = Inline("return redis.call('ZCARD', KEYS[1])")
_TELLS = Inline("return redis.call('PUBLISH', 'c', 'x')")


@pytest.fixture
def server() -> Iterator[ValkeyServer]:
    """A server that a test may spoil."""
    with ValkeyServer() as started:
        yield started


async def refused(client: Client, way: str) -> RedisRefused:
    """The refusal that the client has noticed."""
    one = command("GET", "x") if way == "MASTERDOWN" else command("SET", "x", 1, "PX", 60_000, retry=False)
    async with within("a refusal"):
        while True:
            (reply,) = await client.batch(one)
            if isinstance(reply, RedisRefused):
                return reply
            await asyncio.sleep(0.01)


async def taken(client: Client) -> None:
    """Wait until the server takes everything again."""
    async with within("the server to take everything"):
        while client.refusal:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("way", WAYS)
async def test_every_pattern_falls_back_as_if_redis_were_dead(server: ValkeyServer, way: str) -> None:
    """The cache loads, everything else raises `RedisUnavailable`; nothing waits for its deadline."""
    async with open_client(server.url) as client, Broker(client) as broker, Locks(client) as locks:
        cache, limiter, sessions = Cache(client), Limiter(client), Sessions(client)
        board = Ranking(client, "b")
        await board.create()
        topic = Topic("t")

        async def load() -> int:
            return 7

        with refusing(server, way):
            await refused(client, way)
            for _ in range(5):
                assert await cache.get("k", load, tags=["t"]) == 7
            attempts = {
                "limiter": limiter.charge(Charge(Limit("a", 5, 60), "{u}:log")),
                "sessions": sessions.create("u"),
                "broker": broker.publish(topic, 1),
                "ranking": board.submit("p", 1.0),
                "lock": locks.hold("l", wait=0).__aenter__(),
            }
            outcomes = dict(
                zip(attempts, await asyncio.gather(*attempts.values(), return_exceptions=True), strict=True)
            )
            if way == "OOM":  # publishing trims before it adds, and Redis lets a script end that has begun to write
                del outcomes["broker"]
            assert {name: one for name, one in outcomes.items() if not isinstance(one, RedisUnavailable)} == {}
            assert client.refusal


@pytest.mark.parametrize("way", [way for way in WAYS if way != "NOPERM"])
async def test_the_state_is_told_once_and_ends_by_itself(
    server: ValkeyServer, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    """One log line when it begins, one when it ends, however many are refused; nobody has to ask for the end."""
    with caplog.at_level(logging.INFO):
        async with open_client(server.url) as client:
            with refusing(server, way):
                for _ in range(20):
                    await refused(client, way)
                assert client.refusal.startswith(way)
            await taken(client)
            await client.execute("SET", "x", 1, "PX", 60_000, retry=False)
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 2, told
    assert way in told[0]
    assert told[1] == "Redis takes commands again"


@pytest.mark.parametrize("way", ["READONLY", "MASTERDOWN", "BUSY"])
async def test_what_blocks_the_server_fails_at_once_after_a_moment(server: ValkeyServer, way: str) -> None:
    """The first batch waits for about as long as the refusal may be over by itself; those after it do not wait."""
    async with open_client(server.url) as client:
        with refusing(server, way):
            began = time.monotonic()
            first = await refused(client, way)
            assert first.word == way
            assert time.monotonic() - began >= PATIENCE / 2
            future = client.batch(command("GET", "x"))
            assert future.done(), "nothing was sent"
        await taken(client)
        assert await client.execute("GET", "x") in (None, b"1")


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the probes rest, in seconds: what they ask for, and a moment in truth."""
    asked: list[float] = []
    sleep = asyncio.sleep

    class Asyncio:
        """The module, with a clock of its own."""

        def __getattr__(self, name: str) -> object:
            return getattr(asyncio, name)

        async def sleep(self, seconds: float) -> None:
            asked.append(seconds)
            await sleep(0.001)

    for module in (circuit, denials):
        monkeypatch.setattr(module, "asyncio", Asyncio())
    return asked


@pytest.mark.parametrize("way", WAYS)
async def test_the_end_is_noticed_by_the_next_probe_and_those_are_a_second_apart_at_most(
    server: ValkeyServer, way: str, pauses: list[float]
) -> None:
    """Nobody sends anything but the probes: what they learn first after the cause is gone ends the state."""
    async with open_client(server.url) as client:
        with refusing(server, way):
            await refused(client, way)
            async with within("many probes"):
                while len(pauses) < 20:
                    await asyncio.sleep(0.001)
            assert client.refusal, "it lasts as long as the cause does"
        async with within("the end of it"):
            while client.refusal:
                await asyncio.sleep(0.001)
    assert max(pauses) <= 1


@pytest.mark.parametrize(
    ("rules", "what"),
    [
        (("-publish",), command("PUBLISH", "c", "x")),
        (("resetchannels", "&other"), command("PUBLISH", "c", "x")),
        (("resetkeys", "~other"), command("SET", "k", 1, "PX", 60_000, retry=False)),
        (("-evalsha",), _WRITES(["k"])),
        (("-xgroup|create",), command("XGROUP", "CREATE", "k", "g", "0")),
        (("-set",), _WRITES(["k"])),
        (("-eval", "-set"), command("SET", "k", 1, "PX", 60_000, retry=False)),
    ],
    ids=lambda value: " ".join(value) if isinstance(value[0], str) else "",
)
async def test_a_denial_is_reported_for_as_long_as_it_lasts(
    server: ValkeyServer, rules: tuple[str, ...], what: Command, pauses: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    """Of a command, a subcommand, a key, a channel, a script or what a script does; asking does nothing else."""
    async with open_client(server.url) as client:
        server.command("ACL", "SETUSER", "default", *rules)
        with pytest.raises(RedisRefused):
            await client.send(what)
        assert client.refusal
        before = len(pauses)
        async with within("many questions"):
            while len(pauses) < before + 20:
                await asyncio.sleep(0.001)
        assert client.refusal
        server.command("ACL", "SETUSER", "default", "+@all", "~*", "&*")
        async with within("the end of it"):
            while client.refusal:
                await asyncio.sleep(0.001)
        assert server.command("DBSIZE") == 0, "nothing was written to find that out"
    told = [record.getMessage() for record in caplog.records if " again" in record.getMessage()]
    assert told


async def test_a_denial_that_nobody_can_ask_about_is_reported_for_a_while(
    server: ValkeyServer, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A script that was denied a channel: the server does not say which one."""
    monkeypatch.setattr(denials, "KEPT", 0.0)
    async with open_client(server.url) as client:
        server.command("ACL", "SETUSER", "default", "resetchannels")
        with pytest.raises(RedisRefused):
            await client.send(_TELLS([]))
        assert client.refusal
        async with within("the end of it"):
            while client.refusal:
                await asyncio.sleep(0.001)
        assert pauses


async def test_what_is_denied_to_the_user_stops_nothing_else(
    server: ValkeyServer, caplog: pytest.LogCaptureFixture
) -> None:
    """A denied command is told of, once; every other command goes on."""
    server.command("ACL", "SETUSER", "default", "-publish")
    with caplog.at_level(logging.INFO):
        async with open_client(server.url) as client:
            for _ in range(5):
                with pytest.raises(RedisRefused) as caught:
                    await client.execute("PUBLISH", "c", "x")
                assert caught.value.lasting
                await client.execute("SET", "x", 1, "PX", 60_000, retry=False)
            assert "PUBLISH" in client.refusal.upper()
    told = [record.getMessage() for record in caplog.records if "denies" in record.getMessage()]
    assert len(told) == 1
    assert told[0].startswith("Redis denies PUBLISH: NOPERM")


async def test_many_denials_are_a_few_lines(
    server: ValkeyServer, pauses: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    """However many commands are denied, and though each is refused again and again; one line says that it is over."""
    names = ("GET", "STRLEN", "TTL", "PTTL", "TYPE", "EXISTS", "HLEN", "LLEN", "SCARD", "ZCARD", "XLEN")
    async with open_client(server.url) as client:
        server.command("ACL", "SETUSER", "default", *(f"-{name.lower()}" for name in names))
        for name in names * 3:
            with pytest.raises(RedisRefused):
                await client.execute(name, "k")
        server.command("ACL", "SETUSER", "default", "+@all")
        async with within("the end of it"):
            while client.refusal:
                await asyncio.sleep(0.001)
        assert pauses
    told = [record.getMessage() for record in caplog.records if record.getMessage().startswith("Redis ")]
    assert sum("denies" in line for line in told) == 5
    assert told[-1] == "Redis allows every command again"
    assert len(told) == 6


async def test_a_server_that_refuses_now_and_then_is_a_few_lines(
    server: ValkeyServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is at the limit of its memory changes its mind all the time; the last state is told at the end."""
    monkeypatch.setattr(outage, "WINDOW", 1e6)
    async with open_client(server.url) as client:
        for _ in range(outage.LINES):
            with refusing(server, "OOM"):
                await refused(client, "OOM")
            await taken(client)
    told = [record.getMessage() for record in caplog.records if record.name.startswith("graph.")]
    assert len(told) == outage.LINES + 1, told
    assert told[-1].startswith("Redis takes commands again (the last of ")


async def test_a_key_that_holds_something_else_stops_nothing_else(
    server: ValkeyServer, caplog: pytest.LogCaptureFixture
) -> None:
    """It is refused to whoever needs it, as by a server that is away; the log names it, and it ends with it."""
    keys = ("{t}:tag", "{u}:log", "b")
    async with open_client(server.url) as client:
        for key in keys:
            server.command("RPUSH", key, "planted")
        for what in (command("GET", keys[0]), _COUNTS([keys[1]]), command("SETRANGE", keys[2], 0, "x")):
            for _ in range(3):
                with pytest.raises(RedisRefused) as caught:
                    await client.send(what)
                assert caught.value.lasting
        assert await client.execute("SET", "x", 1, "PX", 60_000, retry=False) == b"OK"
        assert client.connected
        assert "WRONGTYPE" in client.refusal
        for key in keys:
            server.command("DEL", key)
        await taken(client)
    told = [record.getMessage() for record in caplog.records if record.name.startswith("graph.")]
    assert len(told) == len(keys) + 1, told
    for line, key in zip(told, keys, strict=False):
        assert line.startswith("Redis denies ")
        assert f"of '{key}': WRONGTYPE" in line
    assert told[-1] == "Redis allows every command again"


async def test_a_probe_of_what_is_no_string_denies_nothing(
    server: ValkeyServer, caplog: pytest.LogCaptureFixture
) -> None:
    """That it cannot be written to as a string is the answer of a server that takes writes, and no news."""
    async with open_client(server.url) as client:
        server.command("RPUSH", "list", "x")
        with refusing(server, "OOM"), pytest.raises(RedisRefused, match="OOM"):
            await client.execute("RPUSH", "list", "y", retry=False)
        await taken(client)
        assert await client.execute("RPUSH", "list", "y", retry=False) == 2
    assert "denies" not in caplog.text


async def test_an_empty_topic_is_followed_on_a_server_without_room(server: ValkeyServer) -> None:
    """Its history can have no name yet: that there was one before the first event is told as a gap, to be sure."""
    topic = Topic("t")
    async with open_client(server.url) as client, Broker(client, check_every=3600) as broker:
        with refusing(server, "OOM"):
            await refused(client, "OOM")
            async with broker.subscribe(topic) as events:
                cursor = events.cursor
        await taken(client)
        await broker.publish(topic, 1)
        async with within("the event"), broker.subscribe(topic, after=cursor) as events:
            event = await anext(events)
    assert (event.data, event.gap) == (1, True)


async def test_every_pattern_falls_back_where_its_keys_hold_something_else(server: ValkeyServer) -> None:
    """The cache loads, everything else raises `RedisUnavailable`: whatever is planted, nothing takes it for a bug."""
    async with open_client(server.url) as client, Broker(client) as broker, Locks(client) as locks:
        cache, limiter, sessions = Cache(client), Limiter(client), Sessions(client)
        board, topic = Ranking(client, "b"), Topic("t")

        async def load() -> int:
            return 7

        async def use() -> dict[str, object]:
            attempts = {
                "cache": cache.get("k", load, tags=["t"]),
                "limiter": limiter.charge(Charge(Limit("a", 5, 60), "{u}:log")),
                "sessions": sessions.create("u"),
                "broker": broker.publish(topic, 1),
                "ranking": board.submit("p", 1.0),
                "lock": locks.hold("l", wait=0).__aenter__(),
            }
            got = await asyncio.gather(*attempts.values(), return_exceptions=True)
            return dict(zip(attempts, got, strict=True))

        await board.create()
        first = await use()
        assert [one for one in first.values() if isinstance(one, BaseException)] == []
        for key in server.command("KEYS", "*"):
            other = ("SET", key, "planted") if server.command("TYPE", key) != b"string" else ("RPUSH", key, "planted")
            server.command("DEL", key)
            server.command(*other)
        spoiled = await use()
        assert spoiled.pop("cache") == 7
        assert {name: one for name, one in spoiled.items() if not isinstance(one, RedisUnavailable)} == {}
