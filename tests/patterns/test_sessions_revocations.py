"""Revocations: whatever is open for a session hears of its end, in every process and whatever was lost on the way."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from prometheus_client import REGISTRY

from graph.patterns.broker import Broker
from graph.patterns.client import RedisUnavailable, command, open_client
from graph.patterns.sessions import Revocations, Sessions
from harness.valkey import ValkeyCluster, ValkeyServer
from harness.waiting import until, within
from tests.support.engines.ageing import age_sessions
from tests.support.engines.proxy import FaultProxy

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    import pytest

    from graph.patterns.client import Client


class Process:
    """What one process of the product has open."""

    def __init__(self, client: Client, revocations: Revocations) -> None:
        self.client = client
        self.revocations = revocations
        self.sessions = Sessions(client, announce=revocations.announce)
        self.closed: list[str] = []
        self._changed = asyncio.Event()

    async def open(self, token: str, name: str) -> None:
        """Open a socket called `name` for the session of `token`."""
        session = await self.sessions.touch(token)
        assert session is not None

        def close() -> None:
            self.closed.append(name)
            self._changed.set()

        self.revocations.watch(session.id, str(self.sessions.session_key(token)), close)

    async def until_closed(self, *names: str) -> None:
        """Wait until exactly these are closed."""
        async with within(f"{names} to be closed"):
            while sorted(self.closed) != sorted(names):
                self._changed.clear()
                await self._changed.wait()


@asynccontextmanager
async def process(url: str, *, check_every: float = 3600.0) -> AsyncGenerator[Process]:
    """One process; unless told otherwise it hears only what is announced."""
    async with (
        open_client(url) as client,
        Broker(client, check_every=0.2) as broker,
        Revocations(client, broker, check_every=check_every) as revocations,
    ):
        yield Process(client, revocations)


async def test_every_process_hears_of_an_end(client: Client, valkey: ValkeyServer) -> None:
    """Ending all sessions in one process closes their sockets in every process, and nobody else's."""
    assert await client.execute("DBSIZE") == 0
    async with process(valkey.url) as here, process(valkey.url) as there:
        mine, other = [(await here.sessions.create(user))[0] for user in ("7", "8")]
        for one in (here, there):
            await one.open(mine, "first")
            await one.open(mine, "second")
            await one.open(other, "other")
        await here.sessions.revoke_all("7")
        for one in (here, there):
            await one.until_closed("first", "second")


async def test_only_the_named_session_is_closed(client: Client, valkey: ValkeyServer) -> None:
    """Ending one session leaves the sockets of the user's other sessions open; who stopped watching is left alone."""
    assert await client.execute("DBSIZE") == 0
    async with process(valkey.url) as one:
        (lost, session), (kept, _) = [await one.sessions.create("7") for _ in range(2)]
        stop = one.revocations.watch(session.id, str(one.sessions.session_key(lost)), lambda: one.closed.append("no"))
        await one.open(lost, "lost")
        await one.open(kept, "kept")
        stop()
        stop()
        await one.sessions.revoke("7", session.id)
        await one.until_closed("lost")


async def test_an_end_just_before_the_watch_is_heard(client: Client, valkey: ValkeyServer) -> None:
    """A session that ends between its check and its watch closes the socket all the same."""
    async with process(valkey.url) as one:
        silent = Sessions(client)
        token, session = await silent.create("7")
        await silent.revoke_all("7")
        closed = asyncio.Event()
        one.revocations.watch(session.id, str(silent.session_key(token)), closed.set)
        async with within("the socket to be closed"):
            await closed.wait()


async def test_an_end_that_nobody_announced_is_found(client: Client, valkey: ValkeyServer) -> None:
    """An expired session, or one whose announcement was lost, is found by the regular look."""
    async with process(valkey.url, check_every=0.05) as one:
        silent = Sessions(client)
        lost, expired = (await silent.create("7"))[0], (await silent.create("8"))[0]
        await one.open(lost, "lost")
        await one.open(expired, "expired")
        await silent.revoke_all("7")
        await one.until_closed("lost")
        await age_sessions(client, 86_400)
        await one.until_closed("lost", "expired")


async def test_a_restart_of_the_server_loses_no_end() -> None:
    """What ended while a process could not hear it is found as soon as it hears again."""
    with ValkeyServer(aof=True) as server, FaultProxy(server.socket) as way:
        async with process(way.url) as one:
            (lost, session), (kept, _) = [await one.sessions.create("7") for _ in range(2)]
            await one.open(lost, "lost")
            await one.open(kept, "kept")
            await one.client.durable(one.sessions.touch_command(lost))  # pyright: ignore[reportArgumentType] - never None
            way.blocked.set()  # first: a connection that the proxy is just making would reach the new server
            server.kill()
            server.start()
            async with open_client(server.url) as other:
                silent = Sessions(other)
                assert await silent.revoke("7", session.id)
            assert one.closed == []
            way.blocked.clear()
            await one.until_closed("lost")


async def test_a_check_that_redis_does_not_answer_is_repeated(valkey: ValkeyServer, client: Client) -> None:
    """A socket that is opened while Redis is away is closed when Redis is back, if its session has ended meanwhile.

    Only commands fail: pub/sub, which reports a gap when it has reconnected, stays.
    """
    with FaultProxy(valkey.socket) as way:
        async with (
            open_client(way.url) as commands,
            Broker(client, check_every=0.2) as broker,
            Revocations(commands, broker, check_every=3600.0) as revocations,
        ):
            one, silent = Process(commands, revocations), Sessions(client)
            (lost, session), (kept, other) = [await silent.create("7") for _ in range(2)]
            way.blocked.set()
            way.cut()
            async with within("Redis to be away"):
                while not isinstance((await commands.batch(command("EXISTS", "any")))[0], RedisUnavailable):
                    await asyncio.sleep(0.01)
            for name, token, of in (("lost", lost, session), ("kept", kept, other)):
                key = str(silent.session_key(token))
                revocations.watch(of.id, key, partial(one.closed.append, name))
            await silent.revoke("7", session.id)
            for _ in range(3):
                assert isinstance((await commands.batch(command("EXISTS", "any")))[0], RedisUnavailable)
            assert one.closed == []
            way.blocked.clear()
            await until(lambda: bool(one.closed))
            assert one.closed == ["lost"]


async def test_a_failing_callback_harms_nobody(
    client: Client, valkey: ValkeyServer, caplog: pytest.LogCaptureFixture
) -> None:
    """A callback that raises is logged, and the others are called."""
    assert await client.execute("DBSIZE") == 0
    async with process(valkey.url) as one:
        token, session = await one.sessions.create("7")

        def fail() -> None:
            raise RuntimeError("on purpose")

        one.revocations.watch(session.id, str(one.sessions.session_key(token)), fail)
        await one.open(token, "good")
        await one.sessions.revoke_all("7")
        await one.until_closed("good")
        assert "on purpose" in caplog.text


async def test_an_end_is_an_end_even_if_nobody_can_be_told(client: Client, valkey: ValkeyServer) -> None:
    """When the announcement cannot be published the revocation still holds, and the failure is counted."""
    before = REGISTRY.get_sample_value("graph_sessions_announcements_failed_total") or 0.0
    async with open_client(valkey.url) as closed:
        pass
    sessions = Sessions(client, announce=Revocations(closed, Broker(closed)).announce)
    token, _ = await sessions.create("7")
    assert await sessions.revoke_all("7") == 1
    assert await sessions.touch(token) is None
    assert REGISTRY.get_sample_value("graph_sessions_announcements_failed_total") == before + 1


async def test_sessions_work_on_a_cluster() -> None:
    """On three nodes every user's sessions are begun, checked, listed, displaced, ended and heard of."""
    with ValkeyCluster() as cluster:
        async with process(cluster.url) as one:
            made = {str(user): [await one.sessions.create(str(user)) for _ in range(22)] for user in range(6)}
            for user, sessions in made.items():
                assert len(await one.sessions.list(user)) == 20
                token, session = sessions[-1]
                assert await one.sessions.touch(token) == session
                await one.open(token, user)
                assert await one.sessions.revoke(user, sessions[-2][1].id)
            await one.sessions.revoke_all("0")
            await one.sessions.revoke_all("1", keep=made["1"][-1][1].id)
            await one.until_closed("0")
            counts = [len(await one.sessions.list(user)) for user in made]
            assert counts == [0, 1, 19, 19, 19, 19]
