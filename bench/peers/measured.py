"""The bursts of a run: medians over the rounds, and ratios within them."""

from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from bench.peers.contenders import OURS

if TYPE_CHECKING:
    from bench.peers.load import Burst

Cell = tuple[str, int, str]
"""Scenario, connections, contender."""

Figure = Literal["rate", "p50", "p99", "server", "redis"]
"""A field of `Burst`."""


def _bursts() -> dict[Cell, list[Burst]]:
    return {}


@dataclass(slots=True)
class Measured:
    """The bursts of each cell, round by round."""

    bursts: dict[Cell, list[Burst]] = field(default_factory=_bursts)

    def add(self, scenario: str, connections: int, contender: str, burst: Burst) -> None:
        """Note a round."""
        self.bursts.setdefault((scenario, connections, contender), []).append(burst)

    def median(self, scenario: str, connections: int, contender: str, what: Figure) -> float:
        """The median over the rounds."""
        return statistics.median(getattr(burst, what) for burst in self.bursts[scenario, connections, contender])

    def ratio(self, scenario: str, connections: int, contender: str) -> float:
        """How many times a contender's rate ours was: the median of the rounds' ratios."""
        ours = self.bursts[scenario, connections, OURS.name]
        others = self.bursts[scenario, connections, contender]
        return statistics.median(our.rate / other.rate for our, other in zip(ours, others, strict=True))

    def as_json(self) -> list[dict[str, Any]]:
        """All there is."""
        return [
            {"scenario": scenario, "connections": connections, "contender": contender, **asdict(burst)}
            for (scenario, connections, contender), bursts in self.bursts.items()
            for burst in bursts
        ]
