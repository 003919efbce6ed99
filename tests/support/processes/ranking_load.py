"""Writers and readers of one ranking, each in a process of its own."""

from __future__ import annotations

import asyncio
import itertools
import random

from graph.patterns.client import open_client
from graph.patterns.ranking import Entry, Neighbourhood, Operator, Ranking, Ties


def write(url: str, ties: Ties, seed: int, operations: int, players: int) -> None:
    """Submit scores for random players as fast as it goes."""
    asyncio.run(_write(url, ties, seed, operations, players))


async def _write(url: str, ties: Ties, seed: int, operations: int, players: int) -> None:
    draw = random.Random(seed)
    async with open_client(url) as client:
        ranking = Ranking(client, "busy", operator=Operator.LATEST, ties=ties)

        async def some(count: int) -> None:
            for _ in range(count):
                await ranking.submit(str(draw.randrange(players)), draw.randint(0, 30))

        await asyncio.gather(*(some(operations // 4) for _ in range(4)))


def read(url: str, ties: Ties, seed: int, operations: int, players: int) -> int:
    """Look around random players; returns how many were found, raising AssertionError for any that is inconsistent."""
    return asyncio.run(_read(url, ties, seed, operations, players))


async def _read(url: str, ties: Ties, seed: int, operations: int, players: int) -> int:
    draw = random.Random(seed)
    found = 0
    async with open_client(url) as client:
        ranking = Ranking(client, "busy", operator=Operator.LATEST, ties=ties)

        async def some(count: int) -> None:
            nonlocal found
            for _ in range(count):
                player = str(draw.randrange(players))
                context = await ranking.around(player, 3)
                if context is not None:
                    found += 1
                    assert context.entry.player == player, context
                    check(context, ties, 3)

        await asyncio.gather(*(some(operations // 4) for _ in range(4)))
    return found


def check(context: Neighbourhood, ties: Ties, neighbours: int) -> None:
    """Raise AssertionError unless the entries can all be of one instant."""
    entries = [*context.above, context.entry, *context.below]
    assert len({entry.player for entry in entries}) == len(entries), entries
    assert len(context.below) <= neighbours
    if len(context.above) < neighbours:
        assert entries[0].rank == 1, entries
    for one, other in itertools.pairwise(entries):
        assert (-one.score, one.achieved_at) <= (-other.score, other.achieved_at), entries
        _check_step(one, other, ties)
    if ties is Ties.COMPETITION:
        _check_competition(entries)


def _check_step(one: Entry, other: Entry, ties: Ties) -> None:
    step = other.rank - one.rank
    if ties is Ties.EARLIEST_FIRST:
        assert step == 1, (one, other)
    elif one.score == other.score:
        assert step == 0, (one, other)
    elif ties is Ties.DENSE:
        assert step == 1, (one, other)
    else:
        assert step >= 1, (one, other)


def _check_competition(entries: list[Entry]) -> None:
    """After the first change of score the ranks are positions, so each follows from the group before."""
    starts = [i for i in range(1, len(entries)) if entries[i].score != entries[i - 1].score]
    for start, following in itertools.pairwise(starts):
        assert entries[following].rank - entries[start].rank == following - start, entries
