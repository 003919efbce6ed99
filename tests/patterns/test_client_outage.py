"""What is told of a Redis that cannot be reached, and which of its connections are believed again."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import pytest

from graph.patterns.client import Command, OutcomeUnknown, RedisRefused, RedisUnavailable, command, open_client
from graph.patterns.client.batch import Batch, Replies
from graph.patterns.client.connection import link
from harness.refusing import refusing
from harness.valkey import ValkeyCluster, ValkeyServer
from harness.waiting import until, within

if TYPE_CHECKING:
    from collections.abc import Iterator

    from graph.patterns.client import Client

_WRITE = command("SET", "k", 1, retry=False)


@pytest.fixture
def server() -> Iterator[ValkeyServer]:
    """A server that a test may spoil."""
    with ValkeyServer() as started:
        yield started


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The lines of the log."""
    return [record.getMessage() for record in caplog.records if record.name.startswith("graph.")]


async def failure(client: Client) -> RedisUnavailable:
    """What a command fails with that finds no connection."""
    await until(lambda: not client.connected)
    async with within("a command that fails at once"):
        while True:
            (reply,) = await client.batch(_WRITE)
            if type(reply) is RedisUnavailable and "away" in str(reply):
                return reply
            await asyncio.sleep(0.01)


async def test_an_outage_is_a_line_when_it_begins_and_one_when_it_ends(
    server: ValkeyServer, caplog: pytest.LogCaptureFixture
) -> None:
    """However often the client tries meanwhile; each failure says why."""
    async with open_client(server.tcp_url) as client:
        server.kill()
        assert "cannot connect to Redis" in str(await failure(client))
        await asyncio.sleep(0.5)
        server.start()
        await until(lambda: client.connected)
    began, ended = told(caplog)
    assert began.startswith("Redis is away: cannot connect to Redis: ")
    assert ended == "Redis is back"


async def test_a_node_of_a_cluster_is_told_by_its_name(caplog: pytest.LogCaptureFixture) -> None:
    """Which one is away, and that it is back."""
    with ValkeyCluster() as nodes:
        async with open_client(nodes.url) as client:
            node = nodes.nodes[1]
            node.kill()
            await until(lambda: not client.connected)
            await until(lambda: told(caplog))
            node.start()
            await until(lambda: client.connected)
    began, ended = told(caplog)
    assert began.startswith(f"Redis at 127.0.0.1:{node.port} is away: ")
    assert ended == f"Redis at 127.0.0.1:{node.port} is back"


async def test_a_password_that_was_changed_is_told_for_as_long_as_it_is_wrong(
    server: ValkeyServer, caplog: pytest.LogCaptureFixture
) -> None:
    """In the log, in each failure, and as what the server refuses."""
    server.command("ACL", "SETUSER", "shop", "on", ">old", "+@all", "~*", "&*")
    async with open_client(server.tcp_url.replace("//", "//shop:old@")) as client:
        server.command("ACL", "SETUSER", "shop", "resetpass", ">new")
        server.command("CLIENT", "KILL", "USER", "shop")
        assert "WRONGPASS" in str(await failure(client))
        assert "WRONGPASS" in client.refusal
        server.command("ACL", "SETUSER", "shop", ">old")
        await until(lambda: client.connected)
        assert client.refusal == ""
        assert await client.send(_WRITE) == b"OK"
    began, ended = told(caplog)
    assert "WRONGPASS" in began
    assert ended == "Redis is back"


async def test_a_connection_that_is_not_signed_in_any_more_is_replaced(server: ValkeyServer) -> None:
    """As when a token that stood for a password has expired; here RESET makes it so."""
    server.command("ACL", "SETUSER", "shop", "on", ">secret", "+@all", "~*", "&*")
    server.command("ACL", "SETUSER", "default", "off")
    async with open_client(server.tcp_url.replace("//", "//shop:secret@")) as client:
        await client.send(Command(("RESET",), None, retry=False))
        (reply,) = await client.batch(_WRITE)
        assert isinstance(reply, RedisRefused)
        async with within("another connection"):
            while isinstance((await client.batch(_WRITE))[0], RedisUnavailable):
                await asyncio.sleep(0.01)


async def test_a_server_that_holds_back_writes_alone_is_away(
    server: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes every new connection, and would let commands wait until their deadline on each of them."""
    monkeypatch.setattr(link, "COMMAND_DEADLINE", 1.0)
    async with open_client(server.url) as client:
        server.command("CLIENT", "PAUSE", 3_600_000, "WRITE")
        one = client._router.submit((_WRITE,), 1.0)  # pyright: ignore[reportPrivateUsage]
        assert isinstance((await one)[0], OutcomeUnknown)
        seen = connections(server)
        while connections(server) < seen + 3:
            assert not client.connected
            assert type((await client.batch(_WRITE))[0]) is RedisUnavailable
            await asyncio.sleep(0.05)
        server.command("CLIENT", "UNPAUSE")
        await until(lambda: client.connected)
        assert await client.send(_WRITE) == b"OK"


def connections(server: ValkeyServer) -> int:
    """How often the server was connected to but by this, which asks."""
    told = server.command("INFO", "commandstats")
    return int(told.partition(b"cmdstat_hello:calls=")[2].partition(b",")[0])


@pytest.mark.parametrize("way", ["BUSY", "READONLY"])
async def test_each_that_a_server_blocks_has_an_error_of_its_own(server: ValkeyServer, way: str) -> None:
    """One for all would keep the frames of everybody who raised it."""
    async with open_client(server.url) as client:
        with refusing(server, way):
            async with within("the refusal"):
                while not client.refusal:
                    await client.batch(_WRITE)
            failures: list[BaseException] = []
            for _ in range(3):
                with pytest.raises(RedisRefused) as raised:
                    await client.send(_WRITE)
                failures.append(raised.value)
    assert len(set(map(id, failures))) == 3
    assert [str(one) for one in failures] == [str(failures[0])] * 3


async def test_what_may_have_run_is_not_called_refused() -> None:
    """A command that is sent again after its reply was lost, and then refused, has perhaps been run the first time."""
    future: asyncio.Future[Replies] = asyncio.get_running_loop().create_future()
    batch = Batch((_WRITE,), 0.0, future)
    batch.maybe_ran = True
    batch.fail(RedisRefused("BUSY", "BUSY running a script"))
    assert type((await future)[0]) is OutcomeUnknown


async def test_reads_and_writes_tell_nothing_while_redis_is_there(
    server: ValkeyServer, caplog: pytest.LogCaptureFixture
) -> None:
    """A connection that is lost and replaced at once is no outage."""
    caplog.set_level(logging.INFO)
    async with open_client(server.url) as client:
        server.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        async with within("a connection"):
            while isinstance((await client.batch(_WRITE))[0], RedisUnavailable):
                await asyncio.sleep(0.01)
    assert told(caplog) == []
