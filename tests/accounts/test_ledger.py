"""Sessions that have ended stay ended on a Redis that has lost the end: the ledger in SQL reminds it."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import pytest

from graph.accounts import RevocationLedger
from graph.engines.database import Database
from graph.errors import Unavailable
from graph.patterns.client import Client, RedisUnavailable, open_client
from graph.patterns.sessions import Revocation, Sessions, remind
from graph.settings import sqlite_url
from harness.valkey import SentinelSet, ValkeyCluster, ValkeyServer
from harness.waiting import within
from tests.support.engines.statements import statements

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def forgetful() -> Iterator[ValkeyServer]:
    """A server that keeps on disk what a SAVE put there, and nothing else."""
    with ValkeyServer() as server:
        yield server


@pytest.fixture
async def notes(sqlite_template: Path, tmp_path: Path) -> AsyncGenerator[Database]:
    """A migrated database where the engine does not matter."""
    shutil.copyfile(sqlite_template, tmp_path / "notes.db")
    async with Database(sqlite_url(tmp_path / "notes.db")) as opened:
        yield opened


@asynccontextmanager
async def process(url: str, database: Database) -> AsyncGenerator[tuple[Client, Sessions]]:
    """A process with sessions, as `graph.services` builds them."""
    ledger = RevocationLedger(database)
    async with open_client(url, prepare=partial(remind, ledger=ledger)) as client:
        yield client, Sessions(client, ledger=ledger)


async def alive(sessions: Sessions, *tokens: str) -> list[bool]:
    """Which of the sessions the server answers for, once it answers."""
    async with within("an answer"):
        while True:
            try:
                return [await sessions.touch(token) is not None for token in tokens]
            except RedisUnavailable:
                await asyncio.sleep(0.01)


async def test_a_session_that_was_ended_stays_ended_on_a_server_that_forgot(
    forgetful: ValkeyServer, database: Database
) -> None:
    """One, all, all but one: in the process that ended them and in one that starts afterwards. Others go on."""
    async with process(forgetful.url, database) as (client, sessions):
        await client.execute("FLUSHALL", retry=False)
        one, session = await sessions.create("1")
        other, _ = await sessions.create("1")
        everything = [(await sessions.create("2"))[0] for _ in range(3)]
        spared, kept = await sessions.create("3")
        beside, _ = await sessions.create("3")
        untouched, _ = await sessions.create("4")
        forgetful.command("SAVE")
        assert await sessions.revoke("1", session.id)
        assert await sessions.revoke_all("2") == 3
        assert await sessions.revoke_all("3", keep=kept.id) == 1
        forgetful.kill()
        forgetful.start()
        tokens = (one, other, *everything, spared, beside, untouched)
        expected = [False, True, False, False, False, True, False, True]
        assert await alive(sessions, *tokens) == expected
        assert len(await sessions.list("3")) == 1
        forgetful.kill()
        forgetful.start()
        async with process(forgetful.url, database) as (_, later):
            assert await alive(later, *tokens) == expected


async def test_a_session_begun_after_a_revocation_is_not_ended_by_the_reminder(
    forgetful: ValkeyServer, notes: Database
) -> None:
    """Who signs in again after ending all sessions stays signed in over a restart."""
    async with process(forgetful.url, notes) as (client, sessions):
        await client.execute("FLUSHALL", retry=False)
        before, _ = await sessions.create("5")
        await sessions.revoke_all("5")
        again, _ = await sessions.create("5")
        forgetful.command("SAVE")
        forgetful.kill()
        forgetful.start()
        assert await alive(sessions, before, again) == [False, True]


async def test_a_login_under_way_is_stopped_on_a_server_that_forgot(forgetful: ValkeyServer, notes: Database) -> None:
    """The reminder brings the user's epoch back, too, by which a login is told to check its credentials again."""
    async with process(forgetful.url, notes) as (client, sessions):
        await client.execute("FLUSHALL", retry=False)
        before = await sessions.epoch("6")
        forgetful.command("SAVE")
        await sessions.revoke_all("6")
        forgetful.kill()
        forgetful.start()
        assert await alive(sessions, f"6.{'A' * 43}") == [False]
        assert await sessions.epoch("6") > before


async def test_a_server_is_not_believed_while_nobody_can_say_what_it_forgot(
    forgetful: ValkeyServer, caplog: pytest.LogCaptureFixture
) -> None:
    """While SQL is away a server that came back counts as away itself; it is told once, and heals."""

    class Patchy:
        away = False

        async def record(self, revocation: Revocation) -> None:
            del revocation

        async def recent(self) -> list[Revocation]:
            if self.away:
                raise Unavailable("no database")
            return []

    ledger = Patchy()
    async with open_client(forgetful.url, prepare=partial(remind, ledger=ledger)) as client:
        sessions = Sessions(client, ledger=ledger)
        token, _ = await sessions.create("7")
        forgetful.command("SAVE")
        ledger.away = True
        forgetful.kill()
        forgetful.start()
        async with within("a refusal because of SQL"):
            while "no database" not in caplog.text:
                with pytest.raises(RedisUnavailable):
                    await sessions.touch(token)
                await asyncio.sleep(0.01)
        for _ in range(20):
            with pytest.raises(RedisUnavailable):
                await sessions.touch(token)
        assert caplog.text.count("no database") == 1
        ledger.away = False
        assert await alive(sessions, token) == [True]


async def test_only_ends_of_sessions_write_to_the_ledger(client: Client, database: Database) -> None:
    """Beginning and using a session asks SQL nothing; an end is one row and one look at what is old."""
    sessions = Sessions(client, ledger=RevocationLedger(database))
    with statements(database) as seen:
        token, session = await sessions.create("8")
        await sessions.touch(token)
        await sessions.list("8")
        assert not await sessions.revoke("8", "no such session")
        assert seen == []
        await sessions.revoke("8", session.id)
        assert [one.split()[0] for one in seen if one.split()[0] in ("INSERT", "DELETE", "SELECT")] == [
            "INSERT",
            "DELETE",
        ]


async def test_a_node_of_a_cluster_is_reminded_of_its_own_users(notes: Database) -> None:
    """Each node gets what it holds; users of other nodes do not hinder it."""
    with ValkeyCluster() as cluster:
        async with process(cluster.url, notes) as (_, sessions):
            users = [str(number) for number in range(100, 112)]
            made = [(await sessions.create(user))[0] for user in users]
            for node in cluster.nodes:
                node.command("SAVE")
            for user in users[::2]:
                await sessions.revoke_all(user)
            for node in cluster.nodes:
                node.kill()
            for node in cluster.nodes:
                node.start()
            assert await alive(sessions, *made) == [False, True] * 6


@pytest.mark.usefixtures("undisputed")
async def test_a_replica_that_never_heard_of_an_end_is_reminded_when_it_is_promoted(notes: Database) -> None:
    """The replica was frozen while the session ended, and is the primary now."""
    with SentinelSet() as servers:
        async with process(servers.url, notes) as (client, sessions):
            gone, _ = await sessions.create("1")
            stays, _ = await sessions.create("2")
            assert await client.execute("WAIT", 1, 30_000, retry=False) == 1
            servers.replica.pause()
            servers.primary.command("CLIENT", "KILL", "TYPE", "replica")  # nothing waits for it in a socket's buffer
            await sessions.revoke_all("1")
            servers.primary.kill()
            servers.replica.resume()
            assert await alive(sessions, gone, stays) == [False, True]
