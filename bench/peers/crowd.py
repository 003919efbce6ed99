"""The servers of `bench mix`, each with a database of its own on the same data, and everybody who is signed in.

Prices change while a server is under load. So that none of them has changes in its database that it did not make, each
works on a copy of one: an SQLite file beside the others, or a database of the same PostgreSQL.
"""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import tempfile
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import uvloop
from sqlalchemy import text

from bench.peers.contenders import LOAD_CORE, OURS, PINNED, Running
from bench.peers.mixture import ADMINS, SESSIONS, WITNESS, Mixture, Sender, score_of
from bench.peers.shopdata import BOARD, PRODUCTS, SHOWN, add_users
from graph.catalog import seed_catalog
from graph.engines.database import migrate
from graph.leaderboard import NewBoard
from graph.services import open_services
from graph.settings import DatabaseSettings, RedisSettings, ServerSettings, Settings
from harness.postgres import Postgres
from harness.valkey import ValkeyServer

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from sqlalchemy import RowMapping

    from bench.peers.contenders import Contender

_AT_ONCE = 100


class Crowd(NamedTuple):
    """Servers that run, the URLs of their databases for SQLAlchemy, and who asks them what."""

    running: dict[str, Running]
    urls: dict[str, str]
    valkey: ValkeyServer
    mixture: Mixture
    witness: Sender
    admin: Sender
    hidden: int
    """The id of a product that is shown to nobody."""
    plan: Path
    folder: Path
    environment: dict[str, str]

    def another(self, contender: Contender) -> Running:
        """One more process of ours, on the same database."""
        return Running(contender, self.environment, self.folder / f"another-{contender.name}.log")


@contextmanager
def gather(contenders: Sequence[Contender], *, on_postgres: bool = False) -> Generator[Crowd]:
    """Start everything."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mix")))
        valkey = stack.enter_context(ValkeyServer())
        if PINNED:
            os.sched_setaffinity(valkey.pid, {LOAD_CORE})
        server = stack.enter_context(Postgres()) if on_postgres else None
        url = asyncio.run(_database(server)) if server is not None else None
        settings = Settings(
            server=ServerSettings(data_dir=folder),
            redis=RedisSettings(url=valkey.url),
            database=DatabaseSettings(url=url),
        )
        products, hidden, senders = uvloop.run(_fill(settings))
        mixture = Mixture(products, senders[:-1])
        plan = folder / "plan"
        mixture.write(plan)
        urls = {OURS.name: settings.database_url}
        environment = _environment(folder, valkey, plan) | ({} if url is None else {"GRAPH_DATABASE_URL": url})
        environments = {OURS.name: environment}
        for name in (contender.name for contender in contenders if contender is not OURS):
            sql = _copy(server, folder, url, name)  # before anybody uses the original
            urls[name] = _for_sqlalchemy(sql, server, name)
            environments[name] = environment | {"SQL": sql}
            _seed_redis(valkey, name, senders)
        running = {
            one.name: stack.enter_context(Running(one, environments[one.name], folder / f"{one.name}.log"))
            for one in contenders
        }
        yield Crowd(running, urls, valkey, mixture, senders[-1], senders[SESSIONS], hidden, plan, folder, environment)


async def _database(server: Postgres) -> str:
    """A database on PostgreSQL that every commit waits for, as an SQLite file does."""
    name = await server.create(empty=True)
    await server.execute(
        "ALTER SYSTEM SET fsync = on", "ALTER SYSTEM SET synchronous_commit = on", "SELECT pg_reload_conf()"
    )
    return server.url(name)


async def _fill(settings: Settings) -> tuple[Sequence[RowMapping], int, list[Sender]]:
    """Fill the database and Redis of ours: the active products by name, an inactive one, and who is signed in."""
    players = [*range(1, SESSIONS + 1), WITNESS]
    roles = dict.fromkeys(players, "PLAYER")
    roles |= dict.fromkeys(range(SESSIONS + 1, SESSIONS + ADMINS + 1), "ADMIN")
    await migrate(settings.database_url)
    async with open_services(settings) as services:
        await seed_catalog(services.catalog, PRODUCTS)
        await add_users(services.database, roles)
        board = await services.leaderboards.create_board(NewBoard(slug=BOARD, name="Bench"))
        for first in range(0, len(players), _AT_ONCE):
            some = players[first : first + _AT_ONCE]
            await asyncio.gather(*(services.leaderboards.submit(board, one, float(score_of(one))) for one in some))
        senders = [
            Sender(number, (await services.sessions.create(str(number), role=roles[number]))[0])
            for number in sorted(roles)
        ]
        async with services.database.session() as session:
            found = (await session.execute(text(f"{SHOWN} ORDER BY name_key, product.id"))).mappings().all()
            hidden = (await session.execute(text("SELECT min(id) FROM product WHERE NOT active"))).scalar_one()
    return found, int(hidden), senders


def _copy(server: Postgres | None, folder: Path, url: str | None, name: str) -> str:
    """Copy the database of ours for `name`: what `sql.mjs` is told."""
    if server is None or url is None:
        path = folder / f"{name}.db"
        with closing(sqlite3.connect(folder / "graph.db")) as source, closing(sqlite3.connect(path)) as copy:
            source.backup(copy)
        return str(path)
    original = url.partition("@/")[2].partition("?")[0]
    asyncio.run(server.execute(f"CREATE DATABASE {name} TEMPLATE {original} STRATEGY FILE_COPY"))
    return f"postgresql://postgres@/{name}?host={server.folder}"


def _for_sqlalchemy(sql: str, server: Postgres | None, name: str) -> str:
    return f"sqlite+aiosqlite:///{sql}" if server is None else server.url(name)


def _environment(folder: Path, valkey: ValkeyServer, plan: Path) -> dict[str, str]:
    return {
        "REDIS": str(valkey.socket),
        "BOARD": BOARD,
        "SCORES": BOARD,
        "WRITES": "true",
        "PLAN": str(plan),
        "GRAPH_REDIS_URL": valkey.url,
        "GRAPH_DATA_DIR": str(folder),
        "GRAPH_RATE_LIMIT_AUTHENTICATED": "1000000000",
        "GRAPH_RATE_LIMIT_ANONYMOUS": "1000000000",
        "GRAPH_ACCESS_LOG": "false",
        "GRAPH_JOBS_BESIDE": "false",
        "GRAPH_TRUSTED_PROXIES": "127.0.0.1",
    }


def _seed_redis(valkey: ValkeyServer, name: str, senders: Sequence[Sender]) -> None:
    """What a peer finds in Redis: the sessions, the board, the players' names."""
    for sender in senders:
        number = sender.player
        is_admin = SESSIONS < number <= SESSIONS + ADMINS
        session = {"player": str(number), "user": {"role": "ADMIN" if is_admin else "PLAYER"}}
        valkey.command("SET", f"session:{sender.token}", json.dumps(session), "EX", 86_400)
        if not is_admin:
            valkey.command("ZADD", f"{name}:board", score_of(number), number)
            valkey.command("HSET", f"{name}:players", number, f"Player {number}")
