"""Closes a season: computes its ranks once and writes them to the archive, where they never change.

Exactly one process closes a season: it claims the season by a guarded update with its own token and a lease, and every
chunk that it writes checks the token in the same transaction (fencing), so a process that was believed dead and wakes
up cannot write any more. If the process dies, its lease expires, and the next one continues after the last chunk.
Claiming the season waits for submissions in progress, which hold its row in share mode; no later one gets in.
"""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Any

from sqlalchemy import CursorResult, and_, delete, func, insert, or_, select, update

from graph.leaderboard.models import ARCHIVE, REMOVED, SCORES, SEASONS
from graph.leaderboard.queries import S, behind
from graph.leaderboard.records import SeasonState, player_key
from graph.patterns.ranking import Start, ranks

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.ext.asyncio import AsyncSession

    from graph.engines.database import Database
    from graph.leaderboard.records import SeasonRecord
    from graph.patterns.ranking import Entry, Ties

LEASE = 30.0
CHUNK = 2_000
G, A = SEASONS.c, ARCHIVE.c


class TakenOver(Exception):
    """Another process has taken over closing the season."""


async def close(
    database: Database,
    season: SeasonRecord,
    ties: Ties,
    *,
    clock: Callable[[], float] = time.time,
    lease: float = LEASE,
    chunk: int = CHUNK,
) -> bool:
    """Close a season that is over, or continue where a dead process stopped; False if there is nothing to do."""
    token = secrets.token_hex(8)
    now = _micros(clock())
    free = or_(G.state == SeasonState.OPEN.value, and_(G.state == SeasonState.CLOSING.value, G.closer_until < now))
    taken = (
        update(SEASONS)
        .where(G.id == season.id, G.ends_at <= now, free)
        .values(state=SeasonState.CLOSING.value, closer=token, closer_until=now + _micros(lease))
    )
    async with database.transaction() as session:
        if not await _changes(session, taken):
            return False
    try:
        more = True
        while more:
            async with database.transaction() as session:
                await hold(session, season.id, token, _micros(clock() + lease))
                more = await _archive_chunk(session, season.id, ties, chunk)
        async with database.transaction() as session:
            size = (await session.execute(select(func.count()).where(A.season_id == season.id))).scalar_one()
            await hold(session, season.id, token, None, state=SeasonState.CLOSED.value, size=size, closer=None)
    except TakenOver:
        return False
    return True


async def purge(database: Database, season: SeasonRecord, *, chunk: int = CHUNK) -> None:
    """Delete the scores of a closed season, which are in the archive; may be repeated, and run twice at once."""
    some = select(S.player_id).where(S.season_id == season.id).limit(chunk)
    while True:
        async with database.transaction() as session:
            if not await _changes(
                session, delete(SCORES).where(S.season_id == season.id, S.player_id.in_(some.scalar_subquery()))
            ):
                done = update(SEASONS).where(G.id == season.id, G.state == SeasonState.CLOSED.value)
                await session.execute(done.values(state=SeasonState.ARCHIVED.value))
                return


async def hold(session: AsyncSession, season_id: int, token: str, until: int | None, **values: Any) -> None:
    """Extend the lease, or write `values`, if this process still holds it; raises `TakenOver`."""
    own = and_(G.id == season_id, G.closer == token, G.state == SeasonState.CLOSING.value)
    if not await _changes(session, update(SEASONS).where(own).values(closer_until=until, **values)):
        raise TakenOver


async def _archive_chunk(session: AsyncSession, season_id: int, ties: Ties, chunk: int) -> bool:
    """Archive the next entries after the last archived one; False if there are none."""
    statement = select(S.player_id, S.score, S.achieved_at, S.metadata)
    statement = statement.where(S.season_id == season_id, S.score > REMOVED)
    newest = select(ARCHIVE).where(A.season_id == season_id).order_by(A.position.desc()).limit(1)
    last = (await session.execute(newest)).one_or_none()
    if last is not None:
        statement = statement.where(behind(last.score, last.achieved_at, last.player_id))
    order = (S.score.desc(), S.achieved_at, S.player_id)
    found = (await session.execute(statement.order_by(*order).limit(chunk))).all()
    if not found:
        return False
    rows = [(player_key(row.player_id), row.score, row.achieved_at / 1e6, None) for row in found]
    if last is None:
        entries = ranks(ties, rows, Start(0, 1, 0, 0))
        position = 0
    else:
        before = (player_key(last.player_id), last.score, last.achieved_at / 1e6, None)
        position = last.position
        entries = _following(ties, [before, *rows], position, last.rank)
    await session.execute(
        insert(ARCHIVE),
        [
            {
                "season_id": season_id,
                "position": at,
                "player_id": row.player_id,
                "rank": entry.rank,
                "score": row.score,
                "achieved_at": row.achieved_at,
                "metadata": row.metadata,
            }
            for at, (row, entry) in enumerate(zip(found, entries, strict=True), position + 1)
        ],
    )
    return True


def _following(ties: Ties, rows: list[tuple[str, float, float, None]], position: int, rank: int) -> list[Entry]:
    """Return the archive entries after the first of `rows`, whose position (from 1) and rank are known."""
    return ranks(ties, rows, Start(position - 1, rank, 0, 0))[1:]


async def _changes(session: AsyncSession, statement: Any) -> int:
    result = await session.execute(statement)
    assert isinstance(result, CursorResult)
    return result.rowcount


def _micros(seconds: float) -> int:
    return round(seconds * 1e6)
