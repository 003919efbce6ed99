"""What every benchmark reports in: rows of one table, ratios against a peer measured in the same run.

A benchmark is a module of this package with ``run() -> Report``. ``python -m bench`` runs them all and prints the
tables; ``python -m bench jobs cache`` runs some.
"""

from __future__ import annotations

import os
import platform
import statistics
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Row:
    """One thing measured: its `figure` in `unit`, and how it compares with `peer` (the ratio ours : peer's)."""

    name: str
    figure: float
    unit: str
    peer: str = ""
    ratio: float | None = None
    aim: str = ""


@dataclass(slots=True)
class Report:
    """A title, rows, and what the reader should know."""

    title: str
    rows: list[Row] = field(default_factory=list[Row])
    notes: list[str] = field(default_factory=list[str])

    def add(
        self, name: str, figure: float, unit: str, *, peer: str = "", ratio: float | None = None, aim: str = ""
    ) -> None:
        """Add a row."""
        self.rows.append(Row(name, figure, unit, peer, ratio, aim))

    def as_markdown(self) -> str:
        """The table as GitHub shows it."""
        lines = [f"### {self.title}", "", "| | figure | against | ratio | aim |", "|---|---:|---|---:|---|"]
        for row in self.rows:
            ratio = "" if row.ratio is None else f"{row.ratio:.2f}×"
            lines.append(f"| {row.name} | {_digits(row.figure)} {row.unit} | {row.peer} | {ratio} | {row.aim} |")
        if self.notes:
            lines += ["", *(f"- {note}" for note in self.notes)]
        return "\n".join(lines)


def _digits(figure: float) -> str:
    if abs(figure) >= 1000:
        return f"{figure:,.0f}"
    return f"{figure:.3g}"


def machine() -> str:
    """What the figures were measured on, as far as it matters."""
    return f"{os.cpu_count()} cores, Python {platform.python_version()}, {platform.system()} {platform.machine()}"


def median(values: list[float]) -> float:
    """The median."""
    return statistics.median(values)
