"""Which ranks a score outdates: all whose entries it changes, against a plain model, and few others."""

from __future__ import annotations

import itertools
import random
from typing import TYPE_CHECKING

import pytest

from graph.leaderboard.keys import MOST_BANDS, moved_tags, shown_tags, size_tag
from graph.patterns.ranking import Order, Ranking, ScoreRow, Ties

if TYPE_CHECKING:
    from collections.abc import Callable

    from graph.patterns.client import Client
    from graph.patterns.ranking import RankingPage


def shown(page: RankingPage, start: int, count: int) -> tuple[list[tuple[int, str, float]], list[str]]:
    """What an answer shows from a position on, and the tags that it is kept under."""
    entries = page.entries[start : start + count]
    tags = shown_tags("b", entries[0].rank, entries[-1].rank)
    return [(entry.rank, entry.player, entry.score) for entry in entries], tags


@pytest.mark.parametrize(
    ("order", "ties"),
    [
        pytest.param(order, ties, marks=[pytest.mark.heavy] if (one + other) % 2 else [])
        for (one, order), (other, ties) in itertools.product(enumerate(Order), enumerate(Ties))
    ],
)
async def test_whatever_a_score_changes_is_outdated(
    client: Client, scaled: Callable[[int, int], int], ties: Ties, order: Order
) -> None:
    """Up, down, among equals, new: an answer that shows anything else afterwards has a tag that the score outdates."""
    dice = random.Random(14)
    ranking = Ranking(client, "b", ties=ties, order=order)
    await ranking.create()
    rows = [ScoreRow(f"p{number}", float(dice.randrange(80)), 1.0 + number, 1 + number) for number in range(200)]
    await ranking.put_all(rows)
    kept = 0
    turns = scaled(100, 40)
    for turn in range(turns):
        before = await ranking.page(1000)
        player = f"p{dice.randrange(230)}"
        entry = await ranking.entry(player)
        score = (
            dice.randrange(80) if entry is None or dice.random() < 0.3 else entry.score + dice.choice((-2, -1, 1, 2))
        )
        submitted = await ranking.put(ScoreRow(player, float(score), 1000.0 + turn, 1000 + turn))
        moved = moved_tags("b", ties, submitted)
        assert moved is not None
        after = await ranking.page(1000)
        assert (size_tag("b") in moved) == (before.size != after.size)
        for start in range(0, before.size - 5, 3):
            was, tags = shown(before, start, 5)
            now, _ = shown(after, start, 5)
            if was != now:
                assert set(tags) & set(moved), (was, now, submitted)
            kept += set(tags).isdisjoint(moved)
    assert kept > 5 * turns
    await ranking.drop()


def test_bands_are_few() -> None:
    """The ranks of a board of a million players are in about a hundred bands, in their order, each rank in one."""
    bands = [shown_tags("b", rank, rank) for rank in range(1, 1_000_001, 13)]
    assert all(len(one) == 1 for one in bands)
    order = list(dict.fromkeys(one for (one,) in bands))
    assert len(order) < 120
    assert order == shown_tags("b", 1, 1_000_000)
    assert shown_tags("b", 1, 16) == shown_tags("b", 1, 1)
    assert len(shown_tags("b", 1, 256)) == MOST_BANDS
