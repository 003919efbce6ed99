"""A data directory in which `graph serve` finds goods: to fill an empty one takes most of a first start."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from graph.catalog.seed import seed_catalog
from graph.leaderboard.seed import seed_demo
from graph.services import open_services
from graph.settings import RedisSettings, ServerSettings, Settings
from harness.postgres import run_apart
from harness.valkey import ValkeyServer
from tests.support.engines.migrated import migrated

PRODUCTS = 100


async def _fill(folder: Path, redis: str, players: int) -> None:
    settings = Settings(server=ServerSettings(data_dir=folder), redis=RedisSettings(url=redis))
    async with open_services(settings) as services:
        await seed_catalog(services.catalog, PRODUCTS)
        await seed_demo(services.database, services.leaderboards, players=players)


@cache
def _goods(players: int) -> bytes:
    with tempfile.TemporaryDirectory() as name, ValkeyServer() as valkey:
        folder = Path(name)
        migrated(folder / "graph.db")
        run_apart(lambda: _fill(folder, valkey.url, players))
        return (folder / "graph.db").read_bytes()


def stocked(folder: Path, *, players: int = 0) -> Path:
    """Put a database with `PRODUCTS` demo products and the demo boards into `folder`; returns that.

    `graph serve` makes the first admin there only if there are no `players`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "graph.db").write_bytes(_goods(players))
    return folder
