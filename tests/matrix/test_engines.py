"""The product on every engine that it is said to run on: the same promises, before and after something goes wrong."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.support.apps.shopping import shop
from tests.support.engines.deployments import DEPLOYMENTS, REDIS

if TYPE_CHECKING:
    from pathlib import Path


pytestmark = pytest.mark.heavy
"""Each engine takes the better part of a minute."""


@pytest.mark.parametrize("name", DEPLOYMENTS)
async def test_the_product_keeps_its_promises(name: str, tmp_path: Path) -> None:
    """All of them hold at first; writes and reads go on while the engine is disturbed; and all hold afterwards."""
    if name in ("debian", "secured") and REDIS is None:
        pytest.skip("redis-server is not installed")
    with DEPLOYMENTS[name](tmp_path) as deployment:
        async with shop(tmp_path, **deployment.settings) as opened:
            await opened.everything()
            if deployment.disturb is None:
                return
            opened.forgetting = deployment.forgets
            disturbing = asyncio.create_task(asyncio.to_thread(deployment.disturb))
            while not disturbing.done():
                await opened.catalog(rounds=2)
            await disturbing
            await opened.well()
            opened.forgetting = False
            await opened.everything()
