"""How Redis and the SQL database are, found out by asking them; neither look fails, however they are."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from graph.api.server.types import EngineHealth, EngineState
from graph.errors import Unavailable
from graph.patterns.client import RedisUnavailable, command, parse_info

if TYPE_CHECKING:
    from graph.services import Services

PATIENCE = 2.0
"""Seconds after which an engine that has not answered counts as away."""

_PRODUCTS = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}


async def look_at_redis(services: Services) -> EngineState:
    """How Redis is; of a cluster, how one of its nodes is."""
    client, began = services.client, time.perf_counter()
    try:
        async with asyncio.timeout(PATIENCE):
            (told,) = await client.batch(command("INFO", retry=True))
        took = 1000 * (time.perf_counter() - began)
    except (RedisUnavailable, TimeoutError):
        return _away()
    if isinstance(told, Exception):
        return _away()
    facts = parse_info(told)
    server = (facts.get("server_name") or "redis").capitalize()
    version = facts.get(f"{server.lower()}_version") or facts.get("redis_version") or ""
    limit = float(facts.get("maxmemory") or 0)
    return EngineState(
        health=EngineHealth.REFUSES if client.refusal else EngineHealth.OK,
        name=f"{server} {version}".strip(),
        milliseconds=took,
        used_bytes=float(facts["used_memory"]) if "used_memory" in facts else None,
        max_bytes=limit or None,
    )


async def look_at_sql(services: Services) -> EngineState:
    """How the SQL database is."""
    database, began = services.database, time.perf_counter()
    try:
        async with asyncio.timeout(PATIENCE):
            await database.ping()
            took = 1000 * (time.perf_counter() - began)
            size = await database.size()
    except (Unavailable, TimeoutError):
        return _away(_PRODUCTS[database.dialect])
    version: Any = database.engine.dialect.server_version_info
    return EngineState(
        health=EngineHealth.OK,
        name=" ".join((_PRODUCTS[database.dialect], ".".join(str(part) for part in version or ()))).strip(),
        milliseconds=took,
        used_bytes=float(size),
        max_bytes=None,
    )


def _away(name: str | None = None) -> EngineState:
    return EngineState(health=EngineHealth.AWAY, name=name, milliseconds=None, used_bytes=None, max_bytes=None)
