"""Services for the tests of this product's jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from graph.services import Services, open_services
from graph.settings import DatabaseSettings, JobSettings, RedisSettings, ServerSettings, Settings, sqlite_url
from tests.support.engines.migrated import migrated

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from harness.valkey import ValkeyServer


@pytest.fixture
async def services(valkey: ValkeyServer, client: object, tmp_path: Path) -> AsyncGenerator[Services]:
    """Services on an empty server and an empty SQLite file, with an import directory."""
    (tmp_path / "imports").mkdir()
    settings = Settings(
        server=ServerSettings(data_dir=tmp_path),
        redis=RedisSettings(url=valkey.url),
        database=DatabaseSettings(url=sqlite_url(tmp_path / "graph.db")),
        jobs=JobSettings(imports=tmp_path / "imports"),
    )
    migrated(tmp_path / "graph.db")
    async with open_services(settings) as opened:
        yield opened
