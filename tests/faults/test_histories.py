"""A short sample of what ``make jepsen`` does: clients, a fault, a history, and nothing broken in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from history.checks import CHECKS
from history.engines import ENGINES
from history.rig import Rig
from history.run import observe

if TYPE_CHECKING:
    from pathlib import Path


pytestmark = pytest.mark.heavy
"""Three servers and six workloads take the better part of a minute."""


@pytest.mark.parametrize(
    ("name", "faults"),
    [
        ("embedded", ("Redis killed", "FLUSHALL")),
        ("sentinel", ("Redis killed",)),
        ("cluster", ("slots moved",)),
    ],
)
async def test_nothing_is_broken_in_a_history(tmp_path: Path, name: str, faults: tuple[str, ...]) -> None:
    """An engine fails while everything is in use; the rest of the table is `make jepsen`'s."""
    with ENGINES[name](tmp_path) as engine, Rig(tmp_path, engine) as rig:
        for fault in faults:
            result = await observe(rig, fault, seconds=3)
            assert result.broken == []
            assert {name: bool(count) for name, count in result.operations.items()} == dict.fromkeys(CHECKS, True)
