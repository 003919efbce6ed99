"""Changes to boards and scores beside submissions: removing a score or a player, ending a season, deleting a board.

Each is one transaction in SQL, which waits for submissions in progress (they hold the season's row in share mode); no
later one gets into the old season. A player is removed season by season (`graph.leaderboard.seasons.departures`).
Deleting the rows of a board, possibly millions, is done afterwards in chunks (`purge`), may be repeated, and is resumed
by the boards' upkeep after a failure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import CursorResult, case, delete, exists, insert, or_, select, update

from graph.engines.upsert import upsert
from graph.errors import Missing
from graph.leaderboard.models import ARCHIVE, BOARDS, DEPARTURES, REMOVED, SCORES, SEASONS, SUBMISSIONS
from graph.leaderboard.records import SeasonState, player_key
from graph.leaderboard.rules import season_at
from graph.leaderboard.writing import board_of, micros_of, moment, newest_season, open_season, season_of
from graph.patterns.ranking import ScoreRow

if TYPE_CHECKING:
    from sqlalchemy import Table
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

    from graph.engines.database import Database
    from graph.leaderboard.records import BoardRecord, SeasonRecord
    from graph.leaderboard.writing import Clock

CHUNK = 2_000
B, G, S = BOARDS.c, SEASONS.c, SCORES.c


async def remove_score(
    connection: AsyncConnection, board: BoardRecord, player: int, clock: Clock | None
) -> tuple[SeasonRecord, ScoreRow, float] | None:
    """Remove a player's score of the running season; returns the season, the row as it is now, and the former score.

    Returns None if there was none. Raises `graph.errors.Missing` for a board that was deleted.
    """
    season, now = await open_season(connection, board, clock)
    version = case((S.version < now, now), else_=S.version + 1)
    removing = (
        update(SCORES)
        .where(S.season_id == season.id, S.player_id == player, S.score > REMOVED)
        .values(former=S.score, score=REMOVED, version=version, metadata=None)
        .returning(S.former, S.version, S.achieved_at)
    )
    row = (await connection.execute(removing)).one_or_none()
    if row is None:
        return None
    removed = ScoreRow(player_key(player), None, row.achieved_at / 1e6, row.version)
    return season, removed, board.order.merit(row.former)


async def reset(
    connection: AsyncConnection, board: BoardRecord, clock: Clock | None
) -> tuple[SeasonRecord, BoardRecord]:
    """End the running season and begin the next; returns the season that is over, and the changed board.

    Raises `graph.errors.Missing` for a board that was deleted.
    """
    await _lock(connection, board)
    over, _ = await open_season(connection, board, clock)
    # Waits for submissions in progress; the clock is read after them.
    await connection.execute(update(SEASONS).where(G.id == over.id).values(number=G.number))
    _, now = await newest_season(connection, board, clock)
    now = max(now, over.starts_at + 1)
    await connection.execute(update(SEASONS).where(G.id == over.id).values(ends_at=now))
    anchor = {"anchored_at": now, "anchor_number": over.number + 1}
    anchored = update(BOARDS).where(B.id == board.id).values(anchor).returning(*B)
    counting = board_of((await connection.execute(anchored)).one())
    span = season_at(counting, moment(now))
    await connection.execute(
        insert(SEASONS).values(
            board_id=board.id,
            number=span.number,
            starts_at=now,
            ends_at=None if span.ends_at is None else micros_of(span.ends_at),
            state=SeasonState.OPEN.value,
        )
    )
    return over, counting


async def delete_board(connection: AsyncConnection, board: BoardRecord, now: int) -> list[SeasonRecord]:
    """Mark a board as deleted and release its slug; returns its seasons. Raises `Missing` if it was gone already."""
    await _lock(connection, board)
    gone = update(BOARDS).where(B.id == board.id).values(deleted_at=now, slug=f"~{board.id}")  # no board's slug
    await connection.execute(gone)
    ended = update(SEASONS).where(G.board_id == board.id).values(state=SeasonState.DELETED.value).returning(*G)
    return [season_of(row) for row in await connection.execute(ended)]


async def _lock(connection: AsyncConnection, board: BoardRecord) -> None:
    there = select(B.id).where(B.id == board.id, B.deleted_at.is_(None)).with_for_update()
    if (await connection.execute(there)).one_or_none() is None:
        raise Missing("board")


# --- removing a deleted user ---


async def depart(session: AsyncSession, player: int) -> None:
    """Note, in the transaction that deletes a user, that the user's scores are to be removed."""
    await session.execute(
        upsert(session.get_bind().dialect.name)(DEPARTURES).values(player_id=player).on_conflict_do_nothing()
    )


async def departed(session: AsyncSession) -> list[int]:
    """Return the deleted users whose scores are still to be removed."""
    return list(await session.scalars(select(DEPARTURES.c.player_id).order_by(DEPARTURES.c.player_id)))


async def played(session: AsyncSession, player: int) -> list[SeasonRecord]:
    """Return the seasons that still have something of a player."""
    scored = exists().where(S.season_id == G.id, S.player_id == player, or_(S.score > REMOVED, S.former.is_not(None)))
    archived = exists().where(ARCHIVE.c.season_id == G.id, ARCHIVE.c.player_id == player)
    found = select(SEASONS).where(or_(scored, archived)).order_by(G.id)
    return [season_of(row) for row in await session.execute(found)]


async def forget(connection: AsyncConnection, season: SeasonRecord, player: int, now: int) -> ScoreRow | None:
    """Remove everything that a season has of a deleted player; returns the row that says so to the index.

    The row of the score stays without its values, for its version. The season's row is locked first, so that whoever is
    archiving the season waits, and finds nothing to archive.
    """
    await connection.execute(select(G.id).where(G.id == season.id).with_for_update())
    version = case((S.version < now, now), else_=S.version + 1)
    emptied = (
        update(SCORES)
        .where(S.season_id == season.id, S.player_id == player)
        .values(score=REMOVED, former=None, metadata=None, version=version)
        .returning(S.version, S.achieved_at)
    )
    row = (await connection.execute(emptied)).one_or_none()
    gone = delete(ARCHIVE).where(ARCHIVE.c.season_id == season.id, ARCHIVE.c.player_id == player)
    if (await connection.scalars(gone.returning(ARCHIVE.c.position))).all():
        await connection.execute(update(SEASONS).where(G.id == season.id).values(size=G.size - 1))
    return None if row is None else ScoreRow(player_key(player), None, row.achieved_at / 1e6, row.version)


async def forgotten(session: AsyncSession, player: int) -> None:
    """Remove a deleted player's submission keys, and the note that there is something to remove."""
    boards = list(await session.scalars(select(B.id)))
    await session.execute(
        delete(SUBMISSIONS).where(SUBMISSIONS.c.board_id.in_(boards), SUBMISSIONS.c.player_id == player)
    )
    await session.execute(delete(DEPARTURES).where(DEPARTURES.c.player_id == player))


# --- deleting the rows of a deleted board ---


async def deleted_boards(session: AsyncSession) -> list[tuple[BoardRecord, list[int]]]:
    """Return the deleted boards whose rows still exist, with the ids of their seasons."""
    boards = [board_of(row) for row in await session.execute(select(BOARDS).where(B.deleted_at.is_not(None)))]
    found: list[tuple[BoardRecord, list[int]]] = []
    for board in boards:
        numbers = await session.scalars(select(G.number).where(G.board_id == board.id))
        found.append((board, list(numbers)))
    return found


async def purge(database: Database, board: BoardRecord) -> None:
    """Delete all rows of a deleted board, its own last; may be repeated, and run twice at once."""
    async with database.session() as session:
        seasons = list(await session.scalars(select(G.id).where(G.board_id == board.id)))
    for season in seasons:
        await _delete(database, SCORES, S.season_id == season, S.player_id)
        await _delete(database, ARCHIVE, ARCHIVE.c.season_id == season, ARCHIVE.c.position)
    keys = SUBMISSIONS.c
    await _delete(database, SUBMISSIONS, keys.board_id == board.id, keys.player_id)
    async with database.transaction() as session:
        await session.execute(delete(SEASONS).where(G.board_id == board.id))
        await session.execute(delete(BOARDS).where(B.id == board.id, B.deleted_at.is_not(None)))


async def _delete(database: Database, table: Table, condition: Any, key: Any) -> None:
    some = select(key).where(condition).limit(CHUNK).scalar_subquery()
    while True:
        async with database.transaction() as session:
            result = await session.execute(delete(table).where(condition, key.in_(some)))
            assert isinstance(result, CursorResult)
            if not result.rowcount:
                return
