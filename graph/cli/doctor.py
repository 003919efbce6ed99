"""``graph doctor``: checks the Redis and the SQL database of the settings, and gives advice.

Each `Finding` is one fact with a verdict: fine, worth attention, or wrong. Nothing is changed. If no Redis is
configured, the embedded Valkey is used, and started for the check if necessary. Only `repair` changes anything.
"""

import statistics
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Literal

from redis.exceptions import RedisError
from rich.markup import escape
from sqlalchemy import Row, text

from graph.cli import permissions
from graph.cli.support import application, console, redis
from graph.engines import aof
from graph.engines.child import try_lock
from graph.engines.database import Database
from graph.engines.embedded import EmbeddedError, server_binary
from graph.engines.failures import reason
from graph.engines.revisions import OURS, Migrations, head_revision
from graph.errors import DomainError
from graph.patterns.client import BadRedisUrl, Client, Command, open_client, parse_info
from graph.settings import Settings
from graph.settings_group import without_password

Severity = Literal["ok", "note", "wrong"]
MARKS: dict[Severity, str] = {"ok": "[green]✓[/]", "note": "[yellow]![/]", "wrong": "[red]✗[/]"}
SLOW = 0.005  # seconds for one round trip above which the network is worth attention
OLDEST_REDIS = 7  # major version
NEARLY_FULL = 0.9  # fraction of `maxmemory` in use that is worth attention
_BUSY = "it is on this machine, which is busy"


@dataclass(frozen=True)
class Finding:
    """One fact, whether it is fine, and what to do if not."""

    verdict: Severity
    about: str
    fact: str
    advice: str = ""


async def report(settings: Settings) -> bool:
    """Print every finding; returns True if nothing is wrong."""
    out = console()
    well = True
    async with AsyncExitStack() as stack:
        for findings in (check_redis(settings, stack), check_sql(settings)):
            async for finding in findings:
                out.print(f"{MARKS[finding.verdict]} {finding.about:<12} {escape(finding.fact)}", soft_wrap=True)
                if finding.advice:
                    out.print(f"  {'':<12} [dim]→ {escape(finding.advice)}[/]", soft_wrap=True)
                well = well and finding.verdict != "wrong"
    return well


# --- repairs ---


def repair(settings: Settings) -> bool:
    """Cut off the invalid end of the embedded Valkey's append-only file; returns True if the file is valid now."""
    out = console()
    folder = settings.server.data_dir / "valkey"
    if settings.redis.url is not None or not folder.exists():
        out.print(f"{MARKS['ok']} there is no embedded Valkey here to repair", soft_wrap=True)
        return True
    lock = try_lock(folder / "server.lock")
    if lock is None:
        out.print(
            f"{MARKS['wrong']} the embedded Valkey of {escape(str(folder))} is running: stop it first", soft_wrap=True
        )
        return False
    with lock:
        binary = server_binary()
        damaged = aof.damage(binary, folder)
        if damaged is None:
            out.print(f"{MARKS['ok']} the append-only file in {escape(str(folder))} is whole", soft_wrap=True)
            return True
        try:
            copy = aof.repair(binary, damaged, most=None)
        except (aof.NotRepaired, OSError) as error:
            out.print(f"{MARKS['wrong']} {escape(str(error))}", soft_wrap=True)
            return False
    out.print(f"{MARKS['ok']} cut off {damaged.lost:,} of {damaged.size:,} bytes that made no sense", soft_wrap=True)
    out.print(f"  the file as it was is kept as {escape(str(copy))}", soft_wrap=True)
    return True


# --- Redis ---


async def check_redis(settings: Settings, stack: AsyncExitStack) -> AsyncGenerator[Finding]:
    """Check that Redis is reachable, recent, near, persistent, and does not evict durable keys."""
    where = without_password(settings.redis.url) if settings.redis.url else "embedded Valkey"
    denied: list[Finding] = []
    try:
        url = await stack.enter_async_context(redis(settings))
        denied = await redis_permissions(url, settings.redis.prefix)
        client = await stack.enter_async_context(open_client(url))
        info = parse_info(await client.execute("INFO"))
        latency = await _median_seconds(lambda: client.execute("PING"))
        policy = info.get("maxmemory_policy") or await _config(client, "maxmemory-policy")
        fsync = await _config(client, "appendfsync")
        refusal = await refuses(client, settings.redis.prefix)
        replicas = await _config(client, "min-replicas-to-write")
    except (RedisError, EmbeddedError, OSError, BadRedisUrl) as error:
        advice = permissions.advice_for(str(error), "start it, or correct GRAPH_REDIS_URL; unset means embedded")
        if any(finding.verdict == "wrong" for finding in denied):
            advice = "allow its user what is denied below"
        yield Finding("wrong", "Redis", f"{where}: {error}", advice)
        for finding in denied:
            yield finding
        return
    yield Finding("ok", "Redis", where)
    for finding in denied:
        yield finding
    for finding in (
        redis_version(info),
        redis_role(info),
        redis_writes(refusal),
        round_trip("latency", latency, "put Redis in the same network as this server" if settings.redis.url else _BUSY),
        redis_persistence(info, fsync),
        redis_replicas(settings.redis.url or "", replicas),
        redis_eviction(info, policy),
        redis_memory(info),
    ):
        if finding is not None:
            yield finding


async def redis_permissions(url: str, prefix: str) -> list[Finding]:
    """Check on every server of `url` that the user may send what the product sends, with its keys and channels."""
    found = [
        Finding("wrong" if must else "note", "permissions", fact, advice)
        for must, fact, advice in permissions.told(await permissions.missing(url, prefix), prefix)
    ]
    return found or [Finding("ok", "permissions", "every command, key and channel that is needed")]


async def _config(client: Client, name: str) -> str:
    try:
        found: dict[bytes, bytes] = await client.send(Command(("CONFIG", "GET", name), None, retry=True))
    except RedisError:  # hosted Redis often does not allow CONFIG
        return ""
    return b"".join(found.values()).decode()


def redis_version(info: Mapping[str, str]) -> Finding:
    """Check the version: scripts need features of Redis 7, which every Valkey has."""
    valkey = info.get("valkey_version")
    version = info.get("redis_version", "0")
    if valkey is None and int(version.partition(".")[0]) < OLDEST_REDIS:
        return Finding("wrong", "version", f"Redis {version}", "Redis 7 or newer, or Valkey, is needed")
    return Finding("ok", "version", f"Valkey {valkey}" if valkey else f"Redis {version}")


def redis_role(info: Mapping[str, str]) -> Finding:
    """Check the role: a replica refuses writes."""
    mode = info.get("redis_mode") or info.get("server_mode") or "standalone"
    if info.get("role", "master") not in {"master", "primary"}:
        return Finding("wrong", "role", "replica", "point GRAPH_REDIS_URL at the primary")
    return Finding("ok", "role", f"primary, {mode}")


async def refuses(client: Client, prefix: str) -> str:
    """Return why Redis refuses writes, tried with one that changes nothing; empty if it accepts them."""
    key = f"{prefix}:probe"
    (reply,) = await client.batch(Command(("SETRANGE", key, 0, ""), key, retry=True))
    return str(reply) if isinstance(reply, Exception) else ""


def redis_writes(refusal: str) -> Finding:
    """Check that writes are accepted: a server that answers may still refuse them."""
    if not refusal:
        return Finding("ok", "writes", "taken")
    advice = permissions.advice_for(refusal, "look at the log of Redis")
    return Finding("wrong", "writes", f"refused: {refusal}", advice)


def redis_persistence(info: Mapping[str, str], fsync: str) -> Finding:
    """Check persistence, because sessions, limits and undelivered events exist only in Redis."""
    if info.get("aof_enabled") != "1":
        return Finding(
            "note", "persistence", "append-only file off", "a restart ends every session: CONFIG SET appendonly yes"
        )
    if info.get("aof_last_write_status") == "err":
        return Finding("wrong", "persistence", "the last write of the append-only file failed", "look at its disk")
    if fsync == "no":
        return Finding(
            "note", "persistence", "appendfsync no", "a crash loses up to 30 s: CONFIG SET appendfsync everysec"
        )
    return Finding("ok", "persistence", f"append-only file, fsync {fsync or 'unknown'}")


def redis_replicas(url: str, replicas: str) -> Finding | None:
    """Check that a primary which is cut off from its replicas stops accepting writes that will be lost."""
    if "+sentinel://" not in url or not replicas:
        return None
    if replicas == "0":
        advice = "a primary that was cut off takes writes that are lost: CONFIG SET min-replicas-to-write 1"
        return Finding("note", "replicas", "min-replicas-to-write 0", advice)
    return Finding("ok", "replicas", f"min-replicas-to-write {replicas}")


def redis_eviction(info: Mapping[str, str], policy: str) -> Finding:
    """Check that keys without a TTL are not evicted."""
    if policy.startswith("allkeys"):
        return Finding(
            "wrong", "eviction", policy, "durable keys may be evicted: CONFIG SET maxmemory-policy volatile-lru"
        )
    if info.get("maxmemory", "0") == "0":
        return Finding(
            "note", "eviction", f"{policy}, no maxmemory", "set maxmemory, or the cache may fill the machine"
        )
    if policy == "noeviction":
        return Finding("note", "eviction", policy, "writes fail when memory is full: maxmemory-policy volatile-lru")
    return Finding("ok", "eviction", policy)


def redis_memory(info: Mapping[str, str]) -> Finding:
    """Report how full the memory is, and whether keys have been evicted."""
    used, limit = int(info.get("used_memory", 0)), int(info.get("maxmemory", 0))
    evicted = int(info.get("evicted_keys", 0))
    fact = f"{used / 2**20:,.0f} MiB" + (f" of {limit / 2**20:,.0f} MiB" if limit else "")
    if limit and used > NEARLY_FULL * limit:
        return Finding(
            "note", "memory", f"{fact}, {evicted:,} keys evicted", "raise maxmemory (GRAPH_REDIS_MAX_MEMORY)"
        )
    return Finding("ok", "memory", fact)


# --- SQL ---


async def check_sql(settings: Settings) -> AsyncGenerator[Finding]:
    """Check that the database is reachable, near, and at this version's migration."""
    where = without_password(settings.database_url)
    path = settings.database_path
    if path is not None and not path.exists():
        yield Finding("note", "SQL", f"{where}: not created yet", "graph serve creates and fills it")
        return
    try:
        async with Database(settings.database_url) as database:

            async def ping() -> Any:
                async with database.session() as session:
                    query = "SELECT sqlite_version()" if database.dialect == "sqlite" else "SHOW server_version"
                    return (await session.execute(text(query))).scalar_one()

            name = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}[database.dialect]
            yield Finding("ok", "SQL", f"{name} {await ping()}, {where}")
            near = _BUSY if path is not None else "put the database in the same network as this server"
            yield round_trip("latency", await _median_seconds(ping), near)
            yield sql_damage(await database.damage())
            if database.dialect == "postgresql":
                yield sql_writes(await database.execute(text("SHOW transaction_read_only")))
            for line in (OURS, *application(settings).migrations):
                yield migrations(await database.revision(line), line)
    except (DomainError, OSError) as error:
        yield Finding(
            "wrong", "SQL", f"{where}: {reason(error)}", "start it, or correct GRAPH_DATABASE_URL; unset means SQLite"
        )
    except ValueError as error:
        yield Finding("wrong", "SQL", str(error), "correct GRAPH_DATABASE_URL; unset means SQLite")


def sql_damage(found: str) -> Finding:
    """Check every page of the file."""
    if found:
        return Finding(
            "wrong",
            "pages",
            found,
            "stop the server, restore a backup, or save what can be read: sqlite3 FILE .recover",
        )
    return Finding("ok", "pages", "whole, as far as the engine can tell")


def sql_writes(found: Sequence[Row[Any]]) -> Finding:
    """Check that PostgreSQL takes writes: a standby does not, nor does one whose provider has stopped them."""
    if found[0][0] == "on":
        advice = "point GRAPH_DATABASE_URL at the primary; or see default_transaction_read_only, and room on its disk"
        return Finding("wrong", "SQL writes", "refused: transactions are read-only", advice)
    return Finding("ok", "SQL writes", "taken")


def migrations(revision: str | None, line: Migrations = OURS) -> Finding:
    """Check that the tables are those of this version."""
    head = head_revision(line)
    if revision == head:
        return Finding("ok", "migrations", f"at {head}, the newest")
    return Finding("note", "migrations", f"at {revision or 'none'}, newest is {head}", "graph serve migrates")


# --- both ---


def round_trip(about: str, seconds: float, advice: str) -> Finding:
    """Report the round-trip time."""
    fact = f"{seconds * 1000:.2f} ms a round trip"
    return Finding("ok", about, fact) if seconds < SLOW else Finding("note", about, fact, advice)


async def _median_seconds(probe: Callable[[], Awaitable[Any]]) -> float:
    taken: list[float] = []
    for _ in range(9):
        started = perf_counter()
        await probe()
        taken.append(perf_counter() - started)
    return statistics.median(taken)
