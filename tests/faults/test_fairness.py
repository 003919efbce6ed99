"""A server process with all hands full goes on serving everybody else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.saturation import ENOUGH, LOADS, Load, shop, watch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.serving import Serving


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Serving, Serving, str]]:
    """Two servers on the same data."""
    with shop(tmp_path_factory.mktemp("fairness")) as opened:
        yield opened


@pytest.mark.heavy
@pytest.mark.parametrize("load", LOADS.values(), ids=LOADS)
async def test_a_saturated_server_serves_the_others(site: tuple[Serving, Serving, str], load: Load) -> None:
    """Beside many connections that ask again at once, health checks are answered and events arrive in order.

    A health check does not wait for everybody who asked before: three of four are answered before half of the
    connections are. The benchmark `fairness` has the seconds.
    """
    seen = await watch(*site, load, 10)
    assert len(seen.events) >= ENOUGH
    if load is LOADS["executed queries"]:
        assert sorted(seen.before)[3 * len(seen.before) // 4] < load.connections / 2
