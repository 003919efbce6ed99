"""A data directory in which `graph serve` finds goods: to fill an empty one takes most of a first start."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from graph.catalog.seed import seed_catalog
from graph.leaderboard.seed import DEMO_BOARDS
from graph.services import open_services
from graph.settings import RedisSettings, ServerSettings, Settings
from harness.postgres import run_apart
from harness.valkey import ValkeyServer
from tests.support.engines.migrated import migrated

PRODUCTS = 100


async def _fill(folder: Path, redis: str) -> None:
    settings = Settings(server=ServerSettings(data_dir=folder), redis=RedisSettings(url=redis))
    async with open_services(settings) as services:
        await seed_catalog(services.catalog, PRODUCTS)
        for board in DEMO_BOARDS:
            await services.leaderboards.create_board(board)


@cache
def _goods() -> bytes:
    with tempfile.TemporaryDirectory() as name, ValkeyServer() as valkey:
        folder = Path(name)
        migrated(folder / "graph.db")
        run_apart(lambda: _fill(folder, valkey.url))
        return (folder / "graph.db").read_bytes()


def stocked(folder: Path) -> Path:
    """Put a database with `PRODUCTS` demo products, the demo boards and no user into `folder`; returns that."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "graph.db").write_bytes(_goods())
    return folder
