"""The ranking as ten lines of Python: what the real one is compared with."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field

import pytest

from graph.patterns.ranking import Entry, Operator, Order, Ties
from graph.patterns.ranking.values import micros

POLICIES = [
    pytest.param(operator, order, ties, marks=[pytest.mark.heavy] if (one + other + third) % 2 else [])
    for (one, operator), (other, order), (third, ties) in itertools.product(
        enumerate(Operator), enumerate(Order), enumerate(Ties)
    )
]
"""Every policy of a board; in a quick run half of them, among which each two of its parts are together in one."""


@dataclass
class RankingModel:
    """A dict of players, sorted anew for every question."""

    operator: Operator
    ties: Ties
    order: Order = Order.DESCENDING
    rows: dict[str, tuple[float, float]] = field(default_factory=dict[str, tuple[float, float]])
    metadata: dict[str, str | None] = field(default_factory=dict[str, "str | None"])
    versions: dict[str, int] = field(default_factory=dict[str, int])

    def submit(self, player: str, score: float, at: float, metadata: str | None = None) -> bool:
        """Weigh a score; False when it changes nothing. Raises OverflowError as the ranking does."""
        held = self.rows.get(player)
        new = score + 0.0
        if held is not None:
            better = max if self.order is Order.DESCENDING else min
            new = {Operator.BEST: better(held[0], new), Operator.LATEST: new, Operator.SUM: held[0] + new}[
                self.operator
            ]
            if math.isinf(new):
                raise OverflowError
            if new == held[0]:
                return False
        self.versions[player] = max(micros(at), self.versions.get(player, 0) + 1)
        self.rows[player] = (new, at)
        self.metadata[player] = metadata
        return True

    def put(self, player: str, score: float, at: float, version: int, metadata: str | None = None) -> bool:
        """Replace an older row."""
        if version <= self.versions.get(player, 0):
            return False
        self.versions[player] = version
        self.rows[player] = (score + 0.0, at)
        self.metadata[player] = metadata
        return True

    def remove(self, player: str) -> bool:
        """Take a player out, remembering its version."""
        self.versions[player] = self.versions.get(player, 0) + 1
        return self.rows.pop(player, None) is not None

    def entries(self) -> list[Entry]:
        """Everybody, best first, with ranks, metadata and percentiles."""
        sign = -1 if self.order is Order.DESCENDING else 1
        order = sorted((sign * score, at, player.encode()) for player, (score, at) in self.rows.items())
        scores = [sign * key + 0.0 for key, _, _ in order]
        levels = sorted(set(scores), key=lambda score: sign * score)
        ranks = {
            Ties.EARLIEST_FIRST: list(range(1, len(scores) + 1)),
            Ties.COMPETITION: [scores.index(score) + 1 for score in scores],
            Ties.DENSE: [levels.index(score) + 1 for score in scores],
        }[self.ties]
        return [
            Entry(ranks[i], p.decode(), scores[i], at, self.metadata[p.decode()], self._percentile(i, scores))
            for i, (_, at, p) in enumerate(order)
        ]

    def _percentile(self, at: int, scores: list[float]) -> float:
        ahead = at if self.ties is Ties.EARLIEST_FIRST else scores.index(scores[at])
        return 100 * (len(scores) - ahead) / len(scores)
