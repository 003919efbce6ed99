"""Reads finished seasons from the archive, within a given session."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, select

from graph.leaderboard.models import ARCHIVE
from graph.leaderboard.queries import NO_BUILD, ahead_of, place_at, shown
from graph.patterns.ranking import Neighbourhood, RankingPage, Start, Ties, ranks

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from graph.leaderboard.records import BoardRecord
    from graph.patterns.ranking import Entry, Place

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
        if not after:  # the entry moved after the cursor was issued
            counted = select(func.count()).where(A.season_id == season_id, ahead_of(*at, columns=A))
            after = (await session.execute(counted)).scalar_one()
    total = await _size(session, season_id)
    found = await _read(session, season_id, board, after, count=first + 1, total=total)
    last = found[:first][-1] if found else None
    return RankingPage(found[:first], total, after > 0, len(found) > first, NO_BUILD, 0, last)


async def around(
    session: AsyncSession, season_id: int, board: BoardRecord, player: int, neighbours: int
) -> Neighbourhood | None:
    """Return a player's final entry and its neighbours."""
    own = select(A.position).where(A.season_id == season_id, A.player_id == player)
    position = (await session.execute(own)).scalar_one_or_none()
    if position is None:
        return None
    after = max(0, position - neighbours - 1)
    total = await _size(session, season_id)
    found = await _read(session, season_id, board, after, count=position + neighbours - after, total=total)
    at: int = position - after - 1
    return Neighbourhood(found[at], found[:at], found[at + 1 :])


async def _size(session: AsyncSession, season_id: int) -> int:
    newest = select(A.position).where(A.season_id == season_id).order_by(A.position.desc()).limit(1)
    return (await session.execute(newest)).scalar_one_or_none() or 0


async def _read(
    session: AsyncSession, season_id: int, board: BoardRecord, after: int, *, count: int, total: int
) -> list[Entry]:
    statement = select(ARCHIVE).where(A.season_id == season_id, A.position > after).order_by(A.position).limit(count)
    found = (await session.execute(statement)).all()
    if not found:
        return []
    ahead = {Ties.EARLIEST_FIRST: after, Ties.COMPETITION: found[0].rank - 1}.get(board.ties)
    if ahead is None:  # from here upwards, past equal scores
        better = select(A.position).where(A.season_id == season_id, A.position <= after, A.score > found[0].score)
        ahead = (await session.execute(better.order_by(A.position.desc()).limit(1))).scalar_one_or_none() or 0
    return ranks(board.ties, shown(board, found), Start(after, found[0].rank, ahead, total))
