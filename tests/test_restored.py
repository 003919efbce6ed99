"""A database and a Redis that do not belong together: restored, exchanged, or two of them under one prefix."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import AsyncExitStack
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from graph.catalog import NewProduct
from graph.engines import origin
from graph.engines.acl import acl_line
from graph.engines.database import Database
from graph.engines.origin import DatabaseOrigin
from graph.jobs import JobState
from graph.leaderboard.records import NewBoard
from graph.patterns.client import command as redis_command
from graph.patterns.keyspace import ForeignKeyspace, keyspace
from graph.services import Services, open_services
from graph.settings import DatabaseSettings, RedisSettings, Settings, sqlite_url
from harness.valkey import ValkeyServer
from harness.waiting import HANG, until, within
from tests.support.models.players import add_players
from tests.support.processes.fork_server import command

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from graph.patterns.client import Client
    from harness.postgres import Postgres

BOUND = "graph:{keyspace}:bound"
ELSEWHERE = "redis.call('SELECT', 1) return redis.call('GET', KEYS[1])"
"""Tells what a key holds in the keyspace beside."""
BACK = """
local bound = redis.call('GET', KEYS[1])
redis.call('SWAPDB', 0, 1)
if ARGV[1] == '1' then
  redis.call('SET', KEYS[1], bound)
end
"""
"""Exchanges two keyspaces, and binds what comes as a process does that was away while the other was there."""
OFTEN = 0.05
"""Seconds between two looks of a process, where a test needs them."""


class Backups:
    """Copies of a database that nobody uses at the moment."""

    def __init__(self, url: str, postgres: Postgres | None) -> None:
        self.url = url
        self._postgres = postgres
        self.made: list[str] = []

    async def make(self) -> str:
        """The URL of a copy as it is now."""
        url = make_url(self.url)
        source = url.database or ""
        copy = f"{source}_copy_{len(self.made)}"
        self.made.append(copy)
        if self._postgres is None:
            shutil.copyfile(source, copy)
        else:
            await self._postgres.execute(f"CREATE DATABASE {copy} TEMPLATE {source} STRATEGY FILE_COPY")
        return url.set(database=copy).render_as_string(hide_password=False)


@pytest.fixture
async def backups(request: pytest.FixtureRequest, database_url: str) -> AsyncIterator[Backups]:
    """Of the database of the test."""
    server: Postgres | None = None if database_url.startswith("sqlite") else request.getfixturevalue("postgres")
    kept = Backups(database_url, server)
    yield kept
    if server is not None:
        for name in kept.made:
            await server.drop(name)


@pytest.fixture
def other_url(sqlite_template: Path, tmp_path: Path) -> str:
    """A database that has nothing to do with the other."""
    shutil.copyfile(sqlite_template, tmp_path / "other.db")
    return sqlite_url(tmp_path / "other.db")


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes look often, and none is taken for dead."""
    monkeypatch.setattr(keyspace, "INTERVAL", OFTEN)
    monkeypatch.setattr(keyspace, "GONE", 10 * HANG)


def deployed(valkey: ValkeyServer | str, url: str, prefix: str = "graph") -> Settings:
    """The settings of a deployment."""
    redis = valkey if isinstance(valkey, str) else valkey.url
    return Settings(redis=RedisSettings(url=redis, prefix=prefix), database=DatabaseSettings(url=url))


async def price(services: Services, sku: str) -> Decimal:
    """As a reader sees it."""
    return (await services.catalog.products_by_sku([sku]))[sku].price


async def scores(services: Services) -> list[tuple[int, float]]:
    """The board as a reader sees it."""
    board = await services.leaderboards.board("b")
    assert board is not None
    found = await services.leaderboards.top(board, first=10)
    return [(placed.player, placed.entry.score) for placed in found.entries]


async def test_a_restored_database_is_all_that_readers_see(
    backups: Backups, valkey: ValkeyServer, client: Client
) -> None:
    """Prices, scores and sessions from after the backup are gone; a job that was accepted is not."""
    async with open_services(deployed(valkey, backups.url)) as services:
        await add_players(services.database, 2)
        product = await services.catalog.create(NewProduct("A", "Lamp", Decimal(1)))
        board = await services.leaderboards.create_board(NewBoard("b", "B"))
        await services.leaderboards.submit(board, 1, 10)
        assert await scores(services) == [(1, 10)]
        kept, _ = await services.sessions.create("1")
    backup = await backups.make()

    async with open_services(deployed(valkey, backups.url)) as services:
        assert await services.sessions.touch(kept) is not None
        await services.catalog.update(product.id, {"price": (Decimal(2), "USD")})
        await services.leaderboards.submit(board, 1, 20)
        await services.leaderboards.submit(board, 2, 30)
        assert (await price(services, "A"), await scores(services)) == (2, [(2, 30), (1, 20)])
        token, _ = await services.sessions.create("1")
        job = await services.jobs.enqueue("none", {})

    async with open_services(deployed(valkey, backup)) as services:
        assert (await price(services, "A"), await scores(services)) == (1, [(1, 10)])
        assert [await services.sessions.touch(one) for one in (kept, token)] == [None, None]
        queued = await services.jobs.get(job)
        assert queued is not None
        assert queued.state is JobState.QUEUED
        again, _ = await services.sessions.create("1")
    async with open_services(deployed(valkey, backup)) as services:
        assert await services.sessions.touch(again) is not None
    assert await client.execute("TTL", BOUND) == -1


async def test_events_of_a_restored_database_are_not_taken_for_those_that_were_lost(
    backups: Backups, valkey: ValkeyServer, client: Client
) -> None:
    """Their numbers are given out again, so the log has another name: who resumes learns of a gap."""
    assert client

    async def name(services: Services) -> str:
        return (await services.database.execute(text("SELECT nonce FROM product_event_log")))[0][0]

    async with open_services(deployed(valkey, backups.url)) as services:
        before = await name(services)
    backup = await backups.make()
    async with open_services(deployed(valkey, backups.url)) as services:
        assert await name(services) == before
    async with open_services(deployed(valkey, backup)) as services:
        assert await name(services) != before


@pytest.mark.heavy
@pytest.mark.usefixtures("often")
async def test_a_prefix_that_others_use_with_another_database_is_refused(
    database_url: str, other_url: str, valkey: ValkeyServer, client: Client, tmp_path: Path
) -> None:
    """The start says so in a sentence, and nothing is lost; when the others have gone, theirs goes and no more."""
    async with open_services(deployed(valkey, database_url)) as services:
        token, _ = await services.sessions.create("1")
        job = await services.jobs.enqueue("none", {})
        with pytest.raises(ForeignKeyspace, match="prefix 'graph'"):
            async with open_services(deployed(valkey, other_url)):
                pass
        told = await asyncio.to_thread(
            command, tmp_path, "user", "list", GRAPH_REDIS_URL=valkey.url, GRAPH_DATABASE_URL=other_url
        )
        assert (told.returncode, told.stdout) == (1, "")
        assert "another database" in told.stderr
        assert "Traceback" not in told.stderr
        async with open_services(deployed(valkey, other_url, prefix="graph2")) as apart:
            neighbour, _ = await apart.sessions.create("1")
        assert await services.sessions.touch(token) is not None

    for name in ("graph2:{x}", "graphs:{x}"):
        await client.execute("SET", name, "1", retry=False)
    async with open_services(deployed(valkey, other_url)) as services:
        assert await services.sessions.touch(token) is None
        assert await services.jobs.get(job) is None
    assert await client.mget(["graph2:{x}", "graphs:{x}"]) == [b"1", b"1"]
    async with open_services(deployed(valkey, other_url, prefix="graph2")) as apart:
        assert await apart.sessions.touch(neighbour) is not None


async def test_a_process_that_was_killed_keeps_nobody_out_for_long(
    database_url: str, other_url: str, valkey: ValkeyServer, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not speak again, so it is gone after a while."""
    assert client
    monkeypatch.setattr(keyspace, "GONE", 1.0)
    async with open_services(deployed(valkey, database_url)) as frozen:
        token, _ = await frozen.sessions.create("1")
        async with open_services(deployed(valkey, other_url)) as services:
            assert await services.sessions.touch(token) is None


async def test_of_several_that_start_at_once_one_drops_what_is_foreign(
    backups: Backups, valkey: ValkeyServer, client: Client
) -> None:
    """What each of them writes once it is open stays."""
    async with open_services(deployed(valkey, backups.url)) as services:
        token, _ = await services.sessions.create("1")
    backup = await backups.make()
    async with open_services(deployed(valkey, backups.url)):
        pass
    await client.batch(*(redis_command("SET", f"graph:cache:{{{number}}}", "1", retry=True) for number in range(3000)))

    async def start(stack: AsyncExitStack, number: int) -> None:
        services = await stack.enter_async_context(open_services(deployed(valkey, backup)))
        assert await services.sessions.touch(token) is None
        await client.execute("SET", f"graph:mark:{{{number}}}", "1", retry=False)

    async with AsyncExitStack() as stack:
        stacks = [await stack.enter_async_context(AsyncExitStack()) for _ in range(5)]
        async with within("five starts"):
            await asyncio.gather(*(start(one, number) for number, one in enumerate(stacks)))
        assert await client.mget([f"graph:mark:{{{number}}}" for number in range(5)]) == [b"1"] * 5
        assert await client.mget([f"graph:cache:{{{number}}}" for number in range(3000)]) == [None] * 3000


async def looked_twice(client: Client) -> None:
    """Wait until each of two processes has looked twice more: each look is a pulse."""
    first = await client.execute("GET", BOUND)
    async with within("two more looks of each"):
        for _ in range(4):
            while await client.execute("GET", BOUND) == first:
                await asyncio.sleep(OFTEN)
            first = await client.execute("GET", BOUND)


@pytest.mark.usefixtures("often")
async def test_a_database_restored_under_running_processes_is_noticed(
    database_url: str, valkey: ValkeyServer, client: Client
) -> None:
    """Each of them sees it by itself; they do not take one another for strangers."""
    assert client
    settings = deployed(valkey, database_url)
    async with open_services(settings) as one, open_services(settings) as other:
        token, _ = await one.sessions.create("1")
        async with one.database.transaction() as session:
            await session.execute(text("UPDATE keyspace SET pulse = 'earlier', before = 'still-earlier'"))
        async with within("the sessions to end"):
            while await other.sessions.touch(token) is not None:
                await asyncio.sleep(OFTEN)
        token, _ = await other.sessions.create("1")
        await looked_twice(client)
        assert await one.sessions.touch(token) is not None


@pytest.mark.usefixtures("often")
async def test_a_redis_that_was_emptied_or_lost_its_last_minutes_belongs_here(
    database_url: str, valkey: ValkeyServer, client: Client
) -> None:
    """Nothing is dropped then, nor after a process that died between the two halves of a pulse."""
    settings = deployed(valkey, database_url)
    async with open_services(settings) as services:
        early = await client.execute("GET", BOUND)
        await client.execute("FLUSHALL", retry=False)
        token, _ = await services.sessions.create("1")
        async with within("the state to be told again"):
            while await client.execute("GET", BOUND) in (None, early):
                await asyncio.sleep(OFTEN)
    async with Database(database_url) as database:

        async def unexpected() -> None:
            raise AssertionError("nothing was rewound")

        origin = DatabaseOrigin(database, on_rewound=unexpected)
        await origin.renew(await origin.read())
    async with open_services(settings) as services:
        assert await services.sessions.touch(token) is not None
    await client.execute("SET", BOUND, early, retry=False)
    async with open_services(settings) as services:
        assert await services.sessions.touch(token) is not None


@pytest.mark.parametrize("elsewhere", [False, True])
async def test_starts_while_redis_refuses_writes_make_the_database_forget_nothing(
    database_url: str, monkeypatch: pytest.MonkeyPatch, *, elsewhere: bool
) -> None:
    """They cannot bind what they read, in the Redis of others or in an empty one: nothing is dropped afterwards."""
    monkeypatch.setattr(keyspace, "INTERVAL", 20 * OFTEN)
    monkeypatch.setattr(keyspace, "GONE", 10 * HANG)
    monkeypatch.setattr(keyspace, "_RETRY", OFTEN / 5)
    monkeypatch.setattr(origin, "KEPT", 2)
    with ValkeyServer() as redis, ValkeyServer() as empty:
        async with open_services(deployed(redis, database_url)) as running:
            token, _ = await running.sessions.create("1")
            refusing = empty if elsewhere else redis
            refusing.command("CONFIG", "SET", "maxmemory", "1")
            async with open_services(deployed(refusing, database_url)):
                await until(lambda: refused(refusing) > 50)
                refusing.command("CONFIG", "SET", "maxmemory", "0")
                for _ in range(2):
                    first = redis.command("GET", BOUND)
                    await until(lambda first=first: redis.command("GET", BOUND) != first)
                assert await running.sessions.touch(token) is not None


def refused(server: ValkeyServer) -> int:
    """How often it had no room for a write."""
    told: bytes = server.command("INFO", "errorstats")
    return int(told.partition(b"errorstat_OOM:count=")[2].partition(b"\r")[0] or 0)


@pytest.mark.usefixtures("often")
@pytest.mark.parametrize("unnoticed", [False, True])
async def test_a_redis_that_holds_again_what_it_held_is_not_believed(
    database_url: str, valkey: ValkeyServer, client: Client, caplog: pytest.LogCaptureFixture, *, unnoticed: bool
) -> None:
    """Without a restart, as by SWAPDB there and back: no price and no session from before comes back for good.

    Nor where a process that noticed nothing has bound it to the present state before the others look.
    """
    settings = deployed(valkey, database_url)
    async with open_services(settings) as one, open_services(settings) as other:
        product = await one.catalog.create(NewProduct("A", "Lamp", Decimal(1)))
        assert [await price(each, "A") for each in (one, other)] == [1, 1]
        token, _ = await one.sessions.create("1")
        held = await client.execute("GET", BOUND)
        async with within("a pulse, so that the past is known as such"):
            while await client.execute("GET", BOUND) == held:
                await asyncio.sleep(OFTEN)
        await client.execute("SWAPDB", 0, 1, retry=False)
        held = await client.execute("EVAL", ELSEWHERE, 1, BOUND)  # looked at before, it had got another pulse meanwhile
        async with within("the new keys to be bound"):
            while await client.execute("GET", BOUND) in (None, held):
                await asyncio.sleep(OFTEN)
        await one.catalog.update(product.id, {"price": (Decimal(2), "USD")})
        assert [await price(each, "A") for each in (one, other)] == [2, 2]
        assert await other.sessions.touch(token) is None
        await client.execute("EVAL", BACK, 1, BOUND, int(unnoticed), retry=False)
        async with within("the present price, and no session of the past"):
            while [await price(each, "A") for each in (one, other)] != [2, 2] or await one.sessions.touch(token):
                await asyncio.sleep(OFTEN)
        again, _ = await other.sessions.create("1")
        await looked_twice(client)
        assert await one.sessions.touch(again) is not None
    told = [record.getMessage() for record in caplog.records if record.name == keyspace.__name__]
    assert len(told) == 1
    assert told[0].startswith("Redis holds again what it held some time ago")


async def test_processes_that_start_at_once_agree(database_url: str, valkey: ValkeyServer, client: Client) -> None:
    """On a new database and an empty Redis; each gives a pulse, and none takes another one for a stranger."""
    settings = deployed(valkey, database_url)
    async with AsyncExitStack() as stack:
        stacks = [await stack.enter_async_context(AsyncExitStack()) for _ in range(8)]
        async with within("eight starts"):
            await asyncio.gather(*(one.enter_async_context(open_services(settings)) for one in stacks))
        assert await client.execute("ZCARD", "graph:{keyspace}:processes") == 8
    assert await client.execute("ZCARD", "graph:{keyspace}:processes") == 0


async def test_a_start_does_not_need_the_comparison(
    other_url: str, valkey: ValkeyServer, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database without the table yet is compared as soon as it has one."""
    monkeypatch.setattr(keyspace, "_RETRY", OFTEN)
    async with Database(other_url) as database, database.transaction() as session:
        await session.execute(text("ALTER TABLE keyspace RENAME TO elsewhere"))
    async with open_services(deployed(valkey, other_url)) as services:
        assert await client.execute("EXISTS", BOUND) == 0
        async with services.database.transaction() as session:
            await session.execute(text("ALTER TABLE elsewhere RENAME TO keyspace"))
        async with within("the comparison"):
            while not await client.execute("EXISTS", BOUND):
                await asyncio.sleep(OFTEN)


async def test_a_user_who_may_not_look_for_keys_is_told(database_url: str, other_url: str) -> None:
    """The documented user cannot drop what is foreign; with one more command it can."""
    with ValkeyServer() as server:
        assert server.command(*acl_line("graph").replace(">PASSWORD", ">secret").split()) == b"OK"
        url = server.tcp_url.replace("redis://", "redis://graph:secret@")
        async with open_services(deployed(url, database_url)) as services:
            token, _ = await services.sessions.create("1")
        with pytest.raises(ForeignKeyspace, match=r"\+scan"):
            async with open_services(deployed(url, other_url)):
                pass
        async with open_services(deployed(url, database_url)) as services:
            assert await services.sessions.touch(token) is not None
        assert server.command("ACL", "SETUSER", "graph", "+scan") == b"OK"
        async with open_services(deployed(url, other_url)) as services:
            assert await services.sessions.touch(token) is None
