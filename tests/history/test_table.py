"""The table of histories in docs/reliability.md: its form is that of the workloads, engines and faults there are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from history.checks import CHECKS, Violation
from history.record import History
from history.run import Result
from history.table import END, START, pairs, rewritten, rows_of

DOCUMENT = (Path(__file__).parents[2] / "docs" / "reliability.md").read_text()


def result(engine: str, fault: str, operations: int, broken: int = 0) -> Result:
    """What a run may come to."""
    violations = {name: [Violation("stale read", "p", "")] * broken for name in CHECKS}
    return Result(engine, fault, History(), dict.fromkeys(CHECKS, operations), violations)


def test_the_table_is_of_all_that_can_be_run() -> None:
    """It has a row for each engine and fault that there are, in their order, with a cell a workload, none broken."""
    rows = rows_of(DOCUMENT)
    assert list(rows) == pairs()
    assert rewritten(DOCUMENT, []) == DOCUMENT
    for row in rows.values():
        assert len(row) == len(CHECKS)
        assert all(re.fullmatch(r"[\d,]+ / 0", cell) for cell in row), row


def test_results_are_put_into_the_table() -> None:
    """A row of this run replaces that of another; rows that were not run are kept, in the order of the engines."""
    empty = f"before\n{START}\n{END}\nafter\n"
    once = rewritten(empty, [result("cluster", "none", 7), result("embedded", "FLUSHALL", 1200)])
    assert once.startswith(f"before\n{START}\n| engine | fault | catalog |")
    assert once.endswith(f"{END}\nafter\n")
    again = rewritten(once, [result("cluster", "none", 8, broken=2), result("embedded", "none", 1)])
    assert rows_of(again) == {
        ("embedded", "none"): ["1 / 0"] * len(CHECKS),
        ("embedded", "FLUSHALL"): ["1,200 / 0"] * len(CHECKS),
        ("cluster", "none"): ["8 / 2"] * len(CHECKS),
    }
    assert list(rows_of(again)) == [("embedded", "none"), ("embedded", "FLUSHALL"), ("cluster", "none")]
    with pytest.raises(ValueError, match="the document has no"):
        rewritten("nothing", [])
