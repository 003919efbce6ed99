"""The ranking as ten lines of Python: what the real one is compared with."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from graph.patterns.ranking import Entry, Operator, Ties
from graph.patterns.ranking.values import micros


@dataclass
class RankingModel:
    """A dict of players, sorted anew for every question."""

    operator: Operator
    ties: Ties
    rows: dict[str, tuple[float, float]] = field(default_factory=dict[str, tuple[float, float]])
    versions: dict[str, int] = field(default_factory=dict[str, int])

    def submit(self, player: str, score: float, at: float) -> bool:
        """Weigh a score; False when it changes nothing. Raises OverflowError as the ranking does."""
        held = self.rows.get(player)
        new = score + 0.0
        if held is not None:
            new = {Operator.BEST: max(held[0], new), Operator.LATEST: new, Operator.SUM: held[0] + new}[self.operator]
            if math.isinf(new):
                raise OverflowError
            if new == held[0]:
                return False
        self.versions[player] = max(micros(at), self.versions.get(player, 0) + 1)
        self.rows[player] = (new, at)
        return True

    def put(self, player: str, score: float, at: float, version: int) -> bool:
        """Replace an older row."""
        if version <= self.versions.get(player, 0):
            return False
        self.versions[player] = version
        self.rows[player] = (score + 0.0, at)
        return True

    def remove(self, player: str) -> bool:
        """Take a player out, remembering its version."""
        self.versions[player] = self.versions.get(player, 0) + 1
        return self.rows.pop(player, None) is not None

    def entries(self) -> list[Entry]:
        """Everybody, best first, with ranks."""
        order = sorted((-score, at, player.encode()) for player, (score, at) in self.rows.items())
        scores = [-inverse for inverse, _, _ in order]
        levels = sorted(set(scores), reverse=True)
        ranks = {
            Ties.EARLIEST_FIRST: list(range(1, len(scores) + 1)),
            Ties.COMPETITION: [scores.index(score) + 1 for score in scores],
            Ties.DENSE: [levels.index(score) + 1 for score in scores],
        }[self.ties]
        return [Entry(ranks[i], p.decode(), scores[i], at) for i, (_, at, p) in enumerate(order)]
