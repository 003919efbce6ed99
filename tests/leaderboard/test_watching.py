"""Who is woken by a move on a board: everybody it concerns, against a plain model, and nobody else."""

from __future__ import annotations

import asyncio
import random
from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest

from graph.leaderboard.keys import board_topic
from graph.leaderboard.live import boards
from graph.leaderboard.live.boards import LiveBoards
from graph.leaderboard.live.watching import Moves, Watchers
from graph.patterns.broker import Broker
from graph.patterns.ranking import Submitted, Ties
from harness.waiting import within

if TYPE_CHECKING:
    from graph.leaderboard.live.watching import Watch
    from graph.leaderboard.records import BoardRecord
    from graph.leaderboard.service import LeaderboardService
    from graph.patterns.client import Client


def submitted(rank: int | None, former: int | None) -> Submitted:
    """A score that moved its player from `former` to `rank`."""
    before = None if former is None else 0.0
    return Submitted(
        changed=True, rank=rank, score=1.0, achieved_at=0.0, version=1, former_rank=former, former_score=before, size=9
    )


def woken(watch: Watch) -> bool:
    """Whether `changed` would return."""
    return watch._wake.is_set()


def test_moves_say_what_lies_between() -> None:
    """A move touches both places and all between; a new entry all below it; under DENSE everybody below."""
    for ties, rank, former, expected in (
        (Ties.EARLIEST_FIRST, 3, 7, (3, 7)),
        (Ties.COMPETITION, 7, 3, (3, 8)),  # who was eighth beside others is seventh with them now
        (Ties.EARLIEST_FIRST, 4, None, (4, 1 << 53)),
        (Ties.DENSE, 3, 7, (3, 1 << 53)),
    ):
        moves = Moves()
        moves.add(ties, "a", submitted(rank, former))
        assert moves.spans == [expected]
        assert moves.count == 1
        assert not moves.everything
    moves.add(Ties.DENSE, "a", None)
    assert moves.everything
    many = Moves()
    for n in range(100):
        many.add(Ties.EARLIEST_FIRST, "a", submitted(n + 1, n + 2))
    assert len(many.spans) <= 33
    assert min(low for low, _ in many.spans) == 1
    assert max(high for _, high in many.spans) == 101


async def test_the_right_ones_are_woken() -> None:
    """Over random watchers and moves: those whose stretch or player is concerned, and no other."""
    dice = random.Random(7)
    watchers = Watchers()
    watches: list[Watch] = []
    for _ in range(2000):
        action = dice.random()
        if action < 0.3 or not watches:
            watch = watchers.join(str(dice.randrange(50)) if dice.random() < 0.5 else None)
            watches.append(watch)
            low = dice.randrange(1, 200)
            watch.stands(low, low + dice.choice([-1, 0, 4, 100]))
        elif action < 0.4:
            watch = watches.pop(dice.randrange(len(watches)))
            watchers.leave(watch)
        else:
            low = dice.randrange(1, 300)
            moves = Moves([(low, low + dice.randrange(20))], {str(dice.randrange(60))}, 1)
            watchers.take(moves)
            (a, b) = moves.spans[0]
            for watch in watches:
                concerned = (watch.low <= watch.high and a <= watch.high and watch.low <= b) or (
                    watch.player in moves.players
                )
                assert woken(watch) == concerned
                if concerned:
                    watch._woken_at = -1.0
                    await watch.changed()
                    watch.stands(low, low + dice.randrange(8))
    assert len(watchers._order) == len(watches)
    assert len(watchers.all) == len(watches)


async def test_what_moves_while_it_is_read_counts() -> None:
    """A move that comes between `changed` and `stands` wakes the watcher if it concerns where it stands now."""
    watchers = Watchers()
    watch = watchers.join(None)
    watchers.take(Moves([(5, 5)], {"x"}, 1))
    watch.stands(10, 12)
    assert not woken(watch)
    watchers.take(Moves([(11, 11)], {"x"}, 1))
    async with within("the watcher to be woken"):
        await watch.changed()
    watchers.take(Moves([(30, 40)], {"x"}, 1))
    watch.stands(35, 37)
    assert woken(watch)


async def test_a_thousand_idle_watchers_cost_nothing() -> None:
    """A move in one stretch looks at the watchers there, not at the others."""
    watchers = Watchers()
    looked: list[int] = []
    for n in range(1000):
        watch = watchers.join(None)
        watch.stands(n * 10, n * 10 + 4)
        watch.take = lambda _, n=n: looked.append(n)  # pyright: ignore[reportAttributeAccessIssue] - counts the looks
    watchers.take(Moves([(5003, 5017)], {"x"}, 1))
    assert sorted(looked) == [500, 501]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_who_began_while_redis_was_away_sees_what_was_announced_before_it_listened(
    service: LeaderboardService, board: BoardRecord, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first comparison cannot tell what was missed before it, so it has the board read again."""
    monkeypatch.setattr(boards, "_PATIENCE", 0.01)
    monkeypatch.setattr(boards, "_GRACE", 0.01)
    back = asyncio.Event()
    async with Broker(client) as broker, LiveBoards(service, broker, check_every=0.01) as live:
        listen, count = broker._listen, live._count

        async def listen_later(name: str) -> None:
            await back.wait()
            await listen(name)

        async def count_later(board: BoardRecord) -> tuple[str, int]:
            return await count(board) if back.is_set() else ("", 0)

        monkeypatch.setattr(broker, "_listen", listen_later)
        monkeypatch.setattr(live, "_count", count_later)
        async with aclosing(live.top(board, 3)) as tops:
            assert await anext(tops) == []
            await service.submit(board, 1, 10)
            async with within("the score to be announced"):
                while not (await broker.end(board_topic(board.id))).offset:
                    await asyncio.sleep(0.01)
            back.set()
            async with within("the score to be seen"):
                assert [entry.score for entry in await anext(tops)] == [10]
