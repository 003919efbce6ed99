"""A server process with all hands full goes on serving everybody else."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

import pytest

from harness.saturation import LOADS, Load, shop, watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from harness.serving import Serving


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Serving, Serving, str]]:
    """Two servers on the same data."""
    with shop(tmp_path_factory.mktemp("fairness")) as opened:
        yield opened


@pytest.mark.parametrize("load", LOADS.values(), ids=LOADS)
async def test_a_saturated_server_serves_the_others(
    site: tuple[Serving, Serving, str], load: Load, scaled: Callable[[int, int], int]
) -> None:
    """Beside many connections that ask again at once, health checks are answered and events arrive in order.

    What is executed is not all executed before a health check is answered: nine of ten are before half of the queue is
    through. The benchmark `fairness` has the seconds.
    """
    seen = await watch(*site, load, scaled(10, 2))
    assert seen.load.answered > 0
    assert len(seen.health) > 3
    assert len(seen.events) > 1
    if load is LOADS["executed queries"]:
        assert statistics.quantiles(seen.work, n=10)[-1] < load.connections / 2 * seen.each
