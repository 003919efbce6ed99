"""What tests of the library share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from graph.library import Redis

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from graph.patterns.client import Client
    from harness.valkey import ValkeyServer


@pytest.fixture
async def redis(client: Client, valkey: ValkeyServer) -> AsyncIterator[Redis]:
    """An empty one."""
    del client  # it emptied the server
    redis = Redis(valkey.url, prefix="test")
    yield redis
    await redis.close()
