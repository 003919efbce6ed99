"""``graph doctor`` on real servers, well and badly set up."""

from __future__ import annotations

import contextlib
import socket
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest

from graph.cli import doctor
from graph.cli.doctor import check_redis, check_sql, redis_replicas, redis_version, round_trip
from graph.settings import DatabaseSettings, RedisSettings, Settings, sqlite_url
from harness.refusing import WAYS, refusing
from harness.valkey import ValkeyServer

if TYPE_CHECKING:
    from graph.cli.doctor import Finding
    from graph.engines.database import Database
    from harness.postgres import Postgres


async def examine(**options: str) -> dict[str, Finding]:
    """What the doctor finds on a Valkey with these options."""
    with ValkeyServer(aof=options.pop("aof", "") == "yes", options=options) as server:
        settings = Settings(redis=RedisSettings(url=server.url))
        async with AsyncExitStack() as stack:
            return {finding.about: finding async for finding in check_redis(settings, stack)}


async def test_a_server_as_advised_is_well() -> None:
    """The configuration of docs/operating.md passes every check."""
    found = await examine(aof="yes", maxmemory="64mb", **{"maxmemory-policy": "volatile-lru"})
    assert {about for about, finding in found.items() if finding.verdict == "wrong"} == set()
    assert {about: found[about].verdict for about in ("version", "role", "persistence", "eviction", "memory")} == {
        "version": "ok",
        "role": "ok",
        "persistence": "ok",
        "eviction": "ok",
        "memory": "ok",
    }


@pytest.mark.parametrize(
    ("options", "about", "verdict", "advice"),
    [
        ({"maxmemory": "64mb", "maxmemory-policy": "allkeys-lru"}, "eviction", "wrong", "volatile-lru"),
        ({"maxmemory": "64mb", "maxmemory-policy": "noeviction"}, "eviction", "note", "volatile-lru"),
        ({"maxmemory-policy": "volatile-lru"}, "eviction", "note", "set maxmemory"),
        ({"aof": "no"}, "persistence", "note", "appendonly yes"),
        ({"aof": "yes", "appendfsync": "no"}, "persistence", "note", "everysec"),
        ({"maxmemory": "1mb", "maxmemory-policy": "volatile-lru"}, "memory", "note", "raise"),
    ],
)
async def test_what_is_badly_set_up_gets_advice(options: dict[str, str], about: str, verdict: str, advice: str) -> None:
    """Each setting that loses data or stops writes is told with what to do."""
    finding = (await examine(**options))[about]
    assert finding.verdict == verdict, finding
    assert advice in finding.advice


def test_a_primary_behind_sentinels_should_need_a_replica() -> None:
    """Where it may be cut off, taking writes that nobody else has is worth a thought; a single server is not asked."""
    url = "redis+sentinel://a,b,c/main"
    alone, well = redis_replicas(url, "0"), redis_replicas(url, "1")
    assert alone is not None
    assert well is not None
    assert (alone.verdict, well.verdict) == ("note", "ok")
    assert "min-replicas-to-write 1" in alone.advice
    assert redis_replicas("redis://a", "0") is None


async def test_a_replica_is_refused() -> None:
    """A server that takes no writes is the wrong one."""
    with ValkeyServer() as primary:
        found = await examine(replicaof=f"127.0.0.1 {primary.port}")
    assert found["role"].verdict == "wrong"


@pytest.mark.parametrize("way", WAYS)
async def test_a_server_that_refuses_writes_is_wrong_and_why(way: str) -> None:
    """The reason is Redis' own, the advice names what to change."""
    with ValkeyServer() as server, refusing(server, way):
        settings = Settings(redis=RedisSettings(url=server.url))
        async with AsyncExitStack() as stack:
            found = [finding async for finding in check_redis(settings, stack)]
    wrong = [finding for finding in found if finding.verdict == "wrong"]
    assert wrong
    assert any(way in finding.fact or (way == "MASTERDOWN" and "READONLY" in finding.fact) for finding in wrong)
    assert all(finding.advice for finding in wrong)


@pytest.mark.parametrize(
    ("spoil", "url", "advice"),
    [
        (("CONFIG", "SET", "maxclients", "1"), "redis://127.0.0.1:{0}", "raise maxclients"),
        (("CONFIG", "SET", "requirepass", "secret"), "redis://127.0.0.1:{0}", "correct the password in"),
        (("ACL", "SETUSER", "shop", "on", ">secret"), "redis://shop:other@127.0.0.1:{0}", "correct the password in"),
    ],
)
async def test_a_server_that_lets_nobody_in_gets_advice(spoil: tuple[str, ...], url: str, advice: str) -> None:
    """What it says tells what to do: start it is not the answer."""
    with ValkeyServer() as server, contextlib.closing(socket.create_connection(("127.0.0.1", server.port))):
        server.command(*spoil)
        settings = Settings(redis=RedisSettings(url=url.format(server.port)))
        async with AsyncExitStack() as stack:
            found = [finding async for finding in check_redis(settings, stack)]
    assert [finding.verdict for finding in found if finding.about == "Redis"] == ["wrong"]
    assert any(advice in finding.advice for finding in found), found


async def test_a_database_that_takes_no_writes_is_wrong(postgres: Postgres) -> None:
    """A standby may be read, and is the wrong server."""
    name = await postgres.create()
    await postgres.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    settings = Settings(database=DatabaseSettings(url=postgres.url(name)))
    found = {finding.about: finding async for finding in check_sql(settings)}
    assert found["SQL writes"].verdict == "wrong"
    assert "at the primary" in found["SQL writes"].advice
    await postgres.drop(name)


async def test_why_sql_is_away_is_told(postgres: Postgres) -> None:
    """Clients only hear that it is; the doctor says what the server said."""
    settings = Settings(database=DatabaseSettings(url=postgres.url("nowhere")))
    (finding,) = [finding async for finding in check_sql(settings)]
    assert finding.verdict == "wrong"
    assert 'database "nowhere" does not exist' in finding.fact


@pytest.mark.parametrize(
    "url", ["redis+sentinel://a:1", "redis+cluster://a:1/3?address_map=x", "redis://a?address_map=b="]
)
async def test_a_url_that_makes_no_sense_is_told(url: str) -> None:
    """As a finding like any other."""
    async with AsyncExitStack() as stack:
        settings = Settings(redis=RedisSettings(url=url))
        (finding,) = [finding async for finding in check_redis(settings, stack)]
    assert finding.verdict == "wrong"
    assert "GRAPH_REDIS_URL" in finding.advice


def test_versions_and_distances() -> None:
    """Redis before 7 is too old, any Valkey is new enough, and a slow network is worth a note."""
    assert redis_version({"redis_version": "6.2.14"}).verdict == "wrong"
    assert redis_version({"redis_version": "7.0.0"}).verdict == "ok"
    assert redis_version({"redis_version": "7.2.4", "valkey_version": "9.1.2"}).fact == "Valkey 9.1.2"
    assert round_trip("latency", 0.0004, "").verdict == "ok"
    assert round_trip("latency", 0.02, "move").advice == "move"


async def test_a_migrated_database_is_well(database: Database) -> None:
    """On both engines: version, distance and the newest migration."""
    settings = Settings(database=DatabaseSettings(url=database.url))
    found = {finding.about: finding async for finding in check_sql(settings)}
    assert {finding.verdict for finding in found.values() if finding.about != "latency"} == {"ok"}
    assert len(found) == (4 if database.dialect == "sqlite" else 5)
    assert "newest" in found["migrations"].fact


async def test_a_slow_file_is_not_sent_to_another_network(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is on this machine can only be nearer once that has less to do."""
    monkeypatch.setattr(doctor, "SLOW", 0.0)
    settings = Settings(database=DatabaseSettings(url=database.url))
    found = {finding.about: finding async for finding in check_sql(settings)}
    assert ("network" in found["latency"].advice) is (database.dialect != "sqlite")


async def test_a_database_that_was_not_migrated_is_told(empty_sql: str) -> None:
    """Tables that are not there are a matter for ``graph serve``."""
    settings = Settings(database=DatabaseSettings(url=empty_sql))
    found = {finding.about: finding async for finding in check_sql(settings)}
    assert found["migrations"].verdict == "note"
    assert "graph serve" in found["migrations"].advice


@pytest.fixture
def empty_sql(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An SQLite file without a table."""
    path = tmp_path_factory.mktemp("empty") / "empty.db"
    path.touch()
    return sqlite_url(path)
