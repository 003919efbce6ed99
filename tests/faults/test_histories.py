"""A quarter of what ``make jepsen`` does: clients, a fault, a history, and nothing broken in it."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import pytest

from history.checks import CHECKS
from history.clock import LIBRARY
from history.engines import ENGINES, REDIS
from history.faults import FAULTS
from history.rig import Rig
from history.run import observe
from history.table import pairs

if TYPE_CHECKING:
    from pathlib import Path


pytestmark = [pytest.mark.heavy, pytest.mark.timeout(3600)]
"""Three servers and six workloads take half a minute for each fault."""

LACKING = {"debian": REDIS is None, "clocked": LIBRARY is None}


def shared_out() -> dict[str, list[str]]:
    """Every fault once: on that engine, of those that it can happen to, which has fewest so far.

    Of the times for which something is stopped, one.
    """
    chosen: dict[str, list[str]] = defaultdict(list)
    for fault in FAULTS:
        if fault.endswith(("for 3 s", "for 15 s")):
            continue
        engine = min((engine for engine, happens in pairs() if happens == fault), key=lambda one: len(chosen[one]))
        chosen[engine].append(fault)
    return chosen


@pytest.mark.parametrize(("name", "faults"), shared_out().items())
async def test_nothing_is_broken_in_a_history(tmp_path: Path, name: str, faults: list[str]) -> None:
    """An engine fails while everything is in use; the rest of the table is `make jepsen`'s."""
    if LACKING.get(name):
        pytest.skip("Debian's redis-server or libfaketime is not installed")
    with ENGINES[name](tmp_path) as engine, Rig(tmp_path, engine) as rig:
        for fault in faults:
            if fault == "disk full" and engine.disk is None:
                continue  # only root may mount a file system to fill
            result = await observe(rig, fault, seconds=3)
            assert result.broken == [], fault
            done = {name: bool(count) for name, count in result.operations.items()}
            assert done == dict.fromkeys(CHECKS, True), fault
