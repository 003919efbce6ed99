"""Servers that are set up unlike the embedded one: older, stricter, shared, lazier with the disk."""

from __future__ import annotations

import gc
import time
from typing import TYPE_CHECKING

import pytest

from graph.patterns.broker import Broker, Topic
from graph.patterns.cache import Cache
from graph.patterns.client import RedisUnavailable, Script, command, open_client
from graph.patterns.client.connection import dialer
from graph.patterns.client.connection.dialer import Dialer
from graph.patterns.client.connection.wire import Wire
from graph.patterns.client.durable_writer import TIMEOUT
from graph.patterns.limiter import Charge, Limit, Limiter
from graph.patterns.lock import Locks
from graph.patterns.sessions import Revocations, Sessions
from harness.valkey import ValkeyServer
from harness.waiting import until, within

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from graph.patterns.client.connection.sentinels import View


@pytest.fixture
def server() -> Iterator[ValkeyServer]:
    """A server that a test may set up in its own way."""
    with ValkeyServer(aof=True) as started:
        yield started


async def test_redis_before_7_is_refused_with_a_sentence() -> None:
    """Its greeting tells its version; every Valkey is new enough, whatever its number."""
    dialer, wire = Dialer("redis://127.0.0.1"), Wire()
    greeting = {b"mode": b"standalone", b"role": b"master", b"server": b"redis"}
    with pytest.raises(RedisUnavailable, match=r"Redis 6\.2\.14 is too old: 7\.0 or newer, or Valkey, is needed"):
        dialer._check(wire, {**greeting, b"version": b"6.2.14"})
    dialer._check(wire, {**greeting, b"version": b"7.0.15"})
    dialer._check(wire, {**greeting, b"version": b"1.0", b"server": b"valkey"})


async def test_a_user_without_a_password_is_the_one_that_the_url_names(server: ValkeyServer) -> None:
    """Not the default one."""
    server.command("ACL", "SETUSER", "shop", "on", "nopass", "~*", "&*", "+@all")
    async with open_client(server.tcp_url.replace("//", "//shop@")) as client:
        assert await client.execute("ACL", "WHOAMI", retry=True) in (b"shop", "shop")


async def test_scripts_run_where_they_cannot_be_loaded(server: ValkeyServer) -> None:
    """A server that denies SCRIPT is sent them by EVAL, alone and among other commands."""
    server.command("ACL", "SETUSER", "default", "-script")
    limit = Limit("l", 5, 60)
    async with open_client(server.url) as client:
        limiter = Limiter(client)
        for _ in range(2):
            server.command("ACL", "SETUSER", "default", "+script")
            server.command("SCRIPT", "FLUSH")
            server.command("ACL", "SETUSER", "default", "-script")
            assert (await limiter.charge(Charge(limit, "a"))).allowed
            replies = await client.batch(command("PING"), limiter.command(Charge(limit, "b")), command("PING"))
            assert replies[::2] == [b"PONG", b"PONG"]
            assert limiter.verdict(replies[1], Charge(limit, "b")).allowed
        assert (await limiter.charge(Charge(limit, "a"))).remaining == 2


async def test_databases_of_one_server_do_not_share_events(server: ValkeyServer) -> None:
    """A message on one database reaches no subscriber on another, and nobody is told of a gap."""
    topic = Topic("news")
    other = f"{server.url}?db=1"
    async with (
        open_client(server.url) as zero,
        open_client(other) as one,
        Broker(zero) as here,
        Broker(one) as there,
        here.subscribe(topic) as mine,
        there.subscribe(topic) as theirs,
    ):
        await there.publish(topic, "theirs")
        await here.publish(topic, "mine")
        async with within("an event of each database"):
            first, second = await anext(mine), await anext(theirs)
    assert (first.data, first.gap, second.data, second.gap) == ("mine", False, "theirs", False)


async def test_a_waiter_on_another_database_is_woken_by_its_own_lock_alone(
    server: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock of that name on database 0 is another lock."""
    heard: list[str] = []

    def hear(channel: str, _payload: bytes) -> None:
        heard.append(channel)

    async with (
        open_client(server.url) as zero,
        open_client(f"{server.url}?db=1") as one,
        Locks(zero) as here,
        Locks(one) as there,
    ):
        monkeypatch.setattr(there, "_on_release", hear)
        async with there.woken("door"):
            for locks in (here, there):
                async with locks.hold("door"):
                    pass
            await until(lambda: heard)
    assert heard == ["graph:lock:{door}:1"]


async def test_ending_a_session_works_where_publishing_is_denied(server: ValkeyServer) -> None:
    """The session ends, and that nobody could be told is counted, not raised."""
    async with open_client(server.url) as client, Broker(client) as broker, Revocations(client, broker) as revocations:
        sessions = Sessions(client, announce=revocations.announce)
        token, session = await sessions.create("u")
        server.command("ACL", "SETUSER", "default", "-publish")
        assert await sessions.revoke("u", session.id)
        assert await sessions.touch(token) is None


@pytest.mark.parametrize("lax", [("appendfsync", "no"), ("appendonly", "no")])
async def test_what_the_server_cannot_confirm_is_acknowledged_once_it_ran(
    server: ValkeyServer, lax: tuple[str, str]
) -> None:
    """Where nothing is synced there is nothing to wait for: the write succeeds, and the next ones do not wait."""
    server.command("CONFIG", "SET", *lax)
    async with open_client(server.url) as client:
        write = command("SET", "x", 1, "PX", 60_000, retry=False)
        assert await client.durable(write) in (b"OK", "OK")
        began = time.monotonic()
        for _ in range(3):
            assert await client.durable(write) in (b"OK", "OK")
        assert time.monotonic() - began < TIMEOUT


@pytest.fixture
def hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that tells its run id to nobody: neither in the greeting nor to a script."""
    server_id = dialer._server_id

    def told_nothing(_info: bytes, view: View | None) -> bytes:
        return server_id(b"", view)

    monkeypatch.setattr(dialer, "_server_id", told_nothing)
    for script in [one for one in gc.get_objects() if type(one) is Script]:
        if b"run_id:" in script.source:
            monkeypatch.setitem(script.__dict__, "source", script.source.replace(b"run_id:", b"nothing:"))
            monkeypatch.delitem(script.__dict__, "sha", raising=False)


@pytest.mark.usefixtures("hidden")
async def test_a_server_that_hides_its_run_id_is_used(server: ValkeyServer) -> None:
    """Values are cached for a connection alone, events arrive without a gap."""
    topic, loads = Topic("news"), 0

    async def load(keys: Sequence[str]) -> Mapping[str, int]:
        nonlocal loads
        loads += 1
        return dict.fromkeys(keys, loads)

    async with open_client(server.url) as client, open_client(server.url) as other, Broker(client) as broker:
        assert client.run_id != other.run_id
        cache = Cache(client, l1_bytes=0)
        for _ in range(3):
            assert await cache.get_many(["k"], load, tags=lambda key: [key]) == {"k": 1}
        await cache.close()
        async with broker.subscribe(topic) as mine:
            await broker.publish(topic, "first")
            await broker.publish(topic, "second")
            async with within("both events"):
                events = [await anext(mine), await anext(mine)]
        assert [(event.data, event.gap) for event in events] == [("first", False), ("second", False)]
