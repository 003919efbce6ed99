"""Reads finished seasons from the archive, within a given session.

Positions order the entries and may have gaps, where a deleted player was; ranks are those with which the season ended.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, select

from graph.leaderboard.models import ARCHIVE, SEASONS
from graph.leaderboard.queries import ahead_of, place_at, shown
from graph.patterns.ranking import NO_BUILD, Entry, Neighbourhood, RankingPage, Ties, percentile

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from sqlalchemy import Row as SqlRow
    from sqlalchemy.ext.asyncio import AsyncSession

    from graph.leaderboard.records import BoardRecord
    from graph.patterns.ranking import Place

A = ARCHIVE.c


async def page(
    session: AsyncSession, season_id: int, board: BoardRecord, first: int, place: Place | None
) -> RankingPage:
    """Return a page of a finished season; cursors issued while it ran stay valid."""
    after = 0
    if place is not None:
        at = place_at(board, place)
        own = select(A.position).where(A.season_id == season_id, A.player_id == at[2], A.score == at[0])
        after = (await session.execute(own.where(A.achieved_at == at[1]))).scalar_one_or_none() or 0
        if not after:  # the entry moved after the cursor was issued, or is gone
            ahead = select(func.max(A.position)).where(A.season_id == season_id, ahead_of(*at, columns=A))
            after = (await session.execute(ahead)).scalar_one_or_none() or 0
    beyond = _of(season_id).where(A.position > after).order_by(A.position).limit(first + 1)
    found = (await session.execute(beyond)).all()
    entries = await _entries(session, season_id, board, found[:first])
    size = (await session.execute(select(SEASONS.c.size).where(SEASONS.c.id == season_id))).scalar_one_or_none() or 0
    last = entries[-1] if entries else None
    return RankingPage(entries, size, after > 0, len(found) > first, NO_BUILD, 0, last)


async def around(
    session: AsyncSession, season_id: int, board: BoardRecord, player: int, neighbours: int
) -> Neighbourhood | None:
    """Return a player's final entry and its neighbours."""
    own = (await session.execute(_of(season_id).where(A.player_id == player))).one_or_none()
    if own is None:
        return None
    better = _of(season_id).where(A.position < own.position).order_by(A.position.desc()).limit(neighbours)
    worse = _of(season_id).where(A.position > own.position).order_by(A.position).limit(neighbours)
    above = (await session.execute(better)).all()[::-1]
    below = (await session.execute(worse)).all()
    entries = await _entries(session, season_id, board, [*above, own, *below])
    at = len(above)
    return Neighbourhood(entries[at], entries[:at], entries[at + 1 :])


def _of(season_id: int) -> Any:
    return select(ARCHIVE).where(A.season_id == season_id)


async def _entries(
    session: AsyncSession, season_id: int, board: BoardRecord, found: Sequence[SqlRow[*tuple[Any, ...]]]
) -> list[Entry]:
    """Return the entries in consecutive rows."""
    if not found:
        return []
    newest = select(func.max(A.position)).where(A.season_id == season_id)
    size: int = (await session.execute(newest)).scalar_one()
    ahead, held = 0, found[0].score
    if board.ties is Ties.DENSE:  # whose ranks do not say how many are ahead
        better = select(A.position).where(A.season_id == season_id, A.position < found[0].position, A.score > held)
        ahead = (await session.execute(better.order_by(A.position.desc()).limit(1))).scalar_one_or_none() or 0
    entries: list[Entry] = []
    for at, (row, (player, score, when, metadata)) in enumerate(zip(found, shown(board, found), strict=True)):
        if board.ties is not Ties.DENSE:
            ahead = row.rank - 1
        elif row.score != held:
            ahead, held = found[at - 1].position, row.score
        entries.append(Entry(row.rank, player, score, when, metadata, percentile(ahead, size)))
    return entries
