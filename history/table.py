"""The table in docs/reliability.md: a row for each engine and fault, a column for each workload.

A cell says how many operations were done, and how many of the promises about them were broken. Rows of what was not run
this time are kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from history.checks import CHECKS
from history.engines import ENGINES
from history.faults import FAULTS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from history.run import Result

START, END = "<!-- histories: python -m history --into docs/reliability.md -->", "<!-- end of histories -->"


def pairs() -> list[tuple[str, str]]:
    """What there is to run: engines with the faults that can happen to them."""
    return [(engine, fault) for engine in ENGINES for fault, what in FAULTS.items() if engine in what.engines]


def rows_of(document: str) -> dict[tuple[str, str], list[str]]:
    """The cells of the table in a document, by engine and fault."""
    table = document.partition(START)[2].partition(END)[0]
    found = [
        [cell.strip() for cell in line.strip("| ").split("|")] for line in table.splitlines() if line.startswith("|")
    ]
    return {(row[0], row[1]): row[2:] for row in found[2:]}


def row(result: Result) -> list[str]:
    """The cells of one result."""
    return [f"{result.operations[name]:,} / {len(result.violations[name])}" for name in CHECKS]


def rewritten(document: str, results: Iterable[Result]) -> str:
    """The document with these results in its table; raises ValueError if it has no place for one."""
    before, mark, rest = document.partition(START)
    _, last, after = rest.partition(END)
    if not mark or not last:
        raise ValueError(f"the document has no {START} and {END}")
    rows = rows_of(document) | {(one.engine, one.fault): row(one) for one in results}
    header = ["engine", "fault", *CHECKS]
    lines = [header, ["---"] * len(header), *([*pair, *rows[pair]] for pair in pairs() if pair in rows)]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"{before}{mark}\n{table}\n{last}{after}"
