from __future__ import annotations

import asyncio
import contextlib
import itertools
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from graph.patterns.client import open_client
from graph.patterns.ranking import Entry, Operator, Order, Ranking, ScoreRow, Ties
from tests.support.models.ranking import POLICIES, RankingModel

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Sequence

    from graph.patterns.client import Client
    from harness.valkey import ValkeyServer

PLAYERS = st.sampled_from(["1", "2", "10", "12", "300", "Zoë", "zoe", "~"])
EXTREMES = [
    0.0,
    -0.0,
    5e-324,
    -5e-324,
    2.2250738585072014e-308,
    1.7976931348623157e308,
    -1.7976931348623157e308,
    2.0**53,
]
SCORES = st.one_of(
    st.integers(-3, 3).map(float),
    st.sampled_from(EXTREMES),
    st.sampled_from([0.1, 0.2, 0.30000000000000004, 0.3, 1.0000000000000002]),
    st.floats(allow_nan=False, allow_infinity=False),
)
METADATA = st.sampled_from([None, None, '{"car":"b"}', "ü" * 40, "\n\x01"])
TIMES = st.integers(1, 6).map(float) | st.integers(1, 2**53 - 2**20).map(lambda micros: micros / 1e6)


class Machine(RuleBasedStateMachine):
    """Drives a ranking and its model side by side."""

    operator: Operator
    order: Order
    ties: Ties
    runner: asyncio.Runner
    client: Client
    boards = itertools.count()
    operations = 0

    @initialize()
    def begin(self) -> None:
        """Start with an empty ranking."""
        board = f"machine-{next(self.boards)}"
        self.ranking = Ranking(self.client, board, operator=self.operator, order=self.order, ties=self.ties)
        self.model = RankingModel(self.operator, self.ties, self.order)
        self._run(self.ranking.create())

    def _run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        type(self).operations += 1
        return self.runner.run(coroutine)

    def _place(self, player: str) -> Entry | None:
        return next((entry for entry in self.model.entries() if entry.player == player), None)

    @rule(player=PLAYERS, score=SCORES, at=TIMES, metadata=METADATA)
    def submit(self, player: str, score: float, at: float, metadata: str | None) -> None:
        """Scores are weighed alike, and the places before and after are those of the list."""
        before = self._place(player)
        try:
            changed = self.model.submit(player, score, at, metadata)
        except OverflowError:
            with pytest.raises(OverflowError):
                self._run(self.ranking.submit(player, score, at=at))
            return
        got = self._run(self.ranking.submit(player, score, at=at, metadata=metadata))
        after = self._place(player)
        assert after is not None
        assert (got.changed, got.rank, got.score, got.achieved_at) == (
            changed,
            after.rank,
            after.score,
            after.achieved_at,
        )
        assert (got.former_rank, got.former_score) == ((before.rank, before.score) if before else (None, None))

    @rule(player=PLAYERS, score=SCORES, at=TIMES, step=st.integers(-1, 2), metadata=METADATA)
    def put(self, player: str, score: float, at: float, step: int, metadata: str | None) -> None:
        """A row is taken in exactly if it is newer."""
        version = max(1, self.model.versions.get(player, 0) + step)
        changed = self.model.put(player, score, at, version, metadata)
        assert self._run(self.ranking.put(ScoreRow(player, score, at, version, metadata))).changed is changed

    @rule(player=PLAYERS, other=PLAYERS, score=SCORES, at=TIMES, step=st.integers(-1, 2))
    def catch_up(self, player: str, other: str, score: float, at: float, step: int) -> None:
        """Rows and removals that come late are each taken in exactly if they are newer."""
        gone = max(1, self.model.versions.get(player, 0) + step)
        changed = gone > self.model.versions.get(player, 0) and player in self.model.rows
        if gone > self.model.versions.get(player, 0):
            self.model.versions[player] = gone
            self.model.rows.pop(player, None)
        version = max(1, self.model.versions.get(other, 0) + step)
        taken = self.model.put(other, score, at, version)

        async def late() -> AsyncIterator[list[ScoreRow]]:
            yield [ScoreRow(player, None, at, gone), ScoreRow(other, score, at, version)]

        assert self._run(self.ranking.catch_up(late())) == changed + taken

    @rule(player=PLAYERS)
    def remove(self, player: str) -> None:
        """Removing says whether there was an entry."""
        assert self._run(self.ranking.remove(player)) is self.model.remove(player)

    @rule(player=PLAYERS, neighbours=st.integers(0, 9))
    def around(self, player: str, neighbours: int) -> None:
        """Neighbours are the slice of the list."""
        everybody = self.model.entries()
        got = self._run(self.ranking.around(player, neighbours, metadata=True))
        at = next((i for i, entry in enumerate(everybody) if entry.player == player), None)
        if at is None:
            assert got is None
            return
        assert shown([got.entry, *got.above, *got.below]) == shown(
            [everybody[at], *everybody[max(0, at - neighbours) : at], *everybody[at + 1 : at + 1 + neighbours]]
        )
        assert got.entry == everybody[at]
        assert got.above == everybody[max(0, at - neighbours) : at]
        assert got.below == everybody[at + 1 : at + 1 + neighbours]

    @rule(players=st.lists(PLAYERS, max_size=6))
    def entries(self, players: list[str]) -> None:
        """Several players come in the order asked for."""
        got = self._run(self.ranking.entries(players, metadata=True))
        assert shown(got) == shown([self._place(player) for player in players])

    @rule(first=st.integers(1, 9), offset=st.integers(0, 9))
    def page(self, first: int, offset: int) -> None:
        """A page is the slice of the list."""
        everybody = self.model.entries()
        got = self._run(self.ranking.page(first, offset=offset, metadata=True))
        assert shown(got.entries) == shown(everybody[offset : offset + first])
        assert (got.size, got.has_next) == (len(everybody), offset + first < len(everybody))

    @rule(first=st.integers(1, 4))
    def pages(self, first: int) -> None:
        """Pages join into the list."""
        page = self._run(self.ranking.page(first, metadata=True))
        seen = page.entries
        while page.has_next:
            page = self._run(self.ranking.page_after(first, page.end, metadata=True))
            seen = seen + page.entries
        assert shown(seen) == shown(self.model.entries())

    @rule()
    def size(self) -> None:
        """The size is that of the list."""
        assert self._run(self.ranking.size()) == len(self.model.rows)

    @rule(late=st.lists(st.tuples(PLAYERS, SCORES, TIMES), max_size=3), gone=st.lists(PLAYERS, max_size=1))
    def rebuild(self, late: list[tuple[str, float, float]], gone: list[str]) -> None:
        """A rebuild from the list keeps what was put, submitted and removed while it ran."""

        async def source() -> AsyncIterator[list[ScoreRow]]:
            model = self.model
            old = [
                ScoreRow(p, score, at, model.versions[p], model.metadata[p]) for p, (score, at) in model.rows.items()
            ]
            old.insert(1, ScoreRow("gone", None, 1.0, 1))
            yield old[:2]
            for player, score, at in late:
                with contextlib.suppress(OverflowError):
                    self.model.submit(player, score, at)
                    await self.ranking.submit(player, score, at=at)
            for player in gone:
                self.model.remove(player)
                await self.ranking.remove(player)
            yield old[2:]

        assert self._run(self.ranking.rebuild(source()))
        touched = {*self.model.rows, *gone, *(player for player, _, _ in late)}
        self.model.versions = {p: version for p, version in self.model.versions.items() if p in touched}
        assert shown(self._run(self.ranking.page(100, metadata=True)).entries) == shown(self.model.entries())


def shown(entries: Sequence[Entry | None]) -> list[tuple[Entry, float] | None]:
    """Entries with what does not make them another entry."""
    return [None if entry is None else (entry, entry.percentile) for entry in entries]


@pytest.mark.parametrize(("operator", "order", "ties"), POLICIES)
def test_every_answer_equals_a_sorted_list(
    valkey: ValkeyServer, scaled: Callable[[int, int], int], operator: Operator, order: Order, ties: Ties
) -> None:
    """After any operations, under every operator, order and tie policy, every answer is that of a sorted list."""
    with asyncio.Runner() as runner:
        opened = open_client(valkey.url)
        client = runner.run(opened.__aenter__())
        runner.run(client.execute("FLUSHALL", retry=False))
        machine = type(
            "Driven",
            (Machine,),
            {"operator": operator, "order": order, "ties": ties, "runner": runner, "client": client, "operations": 0},
        )
        try:
            run_state_machine_as_test(
                machine,
                settings=settings(
                    max_examples=scaled(40, 4),
                    stateful_step_count=60,
                    deadline=None,
                    database=None,
                    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
                ),
            )
        finally:
            runner.run(opened.__aexit__(None, None, None))
    assert machine.operations >= scaled(556, 15), "eighteen combinations make 10,000 operations"
