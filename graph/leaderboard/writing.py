"""Writes boards and seasons: converts rows, creates boards, finds or creates the season that accepts scores.

That season's row is locked in share mode until the commit, so closing a season waits for the scores in progress and no
score gets in afterwards. The clock is the database server's (on SQLite the machine's), read after locking.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeAlias

from sqlalchemy import BigInteger, and_, func, insert, literal, or_, select, type_coerce, update
from sqlalchemy.exc import IntegrityError

from graph.engines.upsert import upsert
from graph.errors import Missing, Taken
from graph.leaderboard.models import BOARDS, SEASONS
from graph.leaderboard.records import BoardRecord, NewBoard, SeasonRecord, SeasonSchedule, SeasonState
from graph.leaderboard.rules import season_at, season_number
from graph.patterns.ranking import Operator, Order, Ties

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Update
    from sqlalchemy import Row as SqlRow
    from sqlalchemy.ext.asyncio import AsyncSession

    from graph.engines.plain import Statements

Clock: TypeAlias = Callable[[], float]
"""Returns seconds since 1970."""


def board_of(row: SqlRow[Any]) -> BoardRecord:
    """Return the board in a row."""
    return BoardRecord(
        id=row.id,
        slug=row.slug,
        name=row.name,
        operator=Operator[row.operator],
        ties=Ties[row.ties],
        schedule=SeasonSchedule(row.schedule),
        created_at=row.created_at,
        order=Order[row.score_order],
        cron=row.cron,
        anchored_at=None if row.anchored_at is None else moment(row.anchored_at),
        anchor_number=1 if row.anchor_number is None else row.anchor_number,
    )


def season_of(row: SqlRow[Any]) -> SeasonRecord:
    """Return the season in a row."""
    return SeasonRecord(row.id, row.board_id, row.number, row.starts_at, row.ends_at, SeasonState(row.state), row.size)


def moment(micros: int) -> datetime:
    """Return the UTC time of microseconds since 1970."""
    return datetime.fromtimestamp(micros // 1_000_000, UTC).replace(microsecond=micros % 1_000_000)


def micros_of(value: datetime) -> int:
    """Return a time in whole microseconds since 1970."""
    seconds = value.replace(microsecond=0).timestamp()
    return int(seconds) * 1_000_000 + value.microsecond


async def create_board(session: AsyncSession, new: NewBoard, now: datetime) -> BoardRecord:
    """Insert a board; raises `Taken`."""
    statement = (
        insert(BOARDS)
        .values(
            slug=new.slug,
            name=new.name,
            operator=new.operator.name,
            ties=new.ties.name,
            schedule=new.schedule.value,
            score_order=new.order.name,
            cron=new.cron,
            created_at=now,
        )
        .returning(*BOARDS.c)
    )
    try:
        return board_of((await session.execute(statement)).one())
    except IntegrityError as error:
        raise Taken from error


# --- the season ---


async def open_season(connection: Statements, board: BoardRecord, clock: Clock | None) -> tuple[SeasonRecord, int]:
    """Return the season that accepts scores now, created if it is new and locked against closing, and the time (µs).

    Raises `graph.errors.Missing` for a board that was deleted.
    """
    while True:
        found, now = await newest_season(connection, board, clock)
        if found is not None and found.state is SeasonState.OPEN and (found.ends_at is None or now < found.ends_at):
            return found, max(now, found.starts_at)
        board = await _there(connection, board.id)
        span = season_at(board, moment(now))
        if found is not None and span.number <= found.number:  # this clock is behind the closing process
            span = season_number(board, found.number + 1)
        await connection.execute(
            upsert(connection.dialect.name)(SEASONS)
            .values(
                board_id=board.id,
                number=span.number,
                starts_at=micros_of(span.starts_at),
                ends_at=None if span.ends_at is None else micros_of(span.ends_at),
                state=SeasonState.OPEN.value,
            )
            .on_conflict_do_nothing()
        )
        if board.schedule is SeasonSchedule.CRON:  # so that seasons need not be counted from the first one
            await connection.execute(anchoring(board.id, span.number, micros_of(span.starts_at)))


async def _there(connection: Statements, board: int) -> BoardRecord:
    """Return the current board, locked until the commit; raises `Missing`."""
    named = select(BOARDS).where(BOARDS.c.id == board, BOARDS.c.deleted_at.is_(None)).with_for_update()
    row = (await connection.execute(named)).one_or_none()
    if row is None:
        raise Missing("board")
    return board_of(row)


def anchoring(board: int, number: int, starts_at: int) -> Update:
    """Count a board's seasons from this one, unless they are counted from a later one already."""
    counted = BOARDS.c.anchor_number
    older = and_(BOARDS.c.id == board, or_(counted.is_(None), counted < number))
    return update(BOARDS).where(older).values(anchored_at=starts_at, anchor_number=number)


async def newest_season(
    connection: Statements, board: BoardRecord, clock: Clock | None
) -> tuple[SeasonRecord | None, int]:
    """Return the newest existing season, locked against closing, and the time in microseconds, read after locking."""
    now: ColumnElement[int] = literal(round((clock or time.time)() * 1e6), BigInteger)
    if clock is None and connection.dialect.name == "postgresql":
        now = type_coerce(func.floor(func.extract("epoch", func.clock_timestamp()) * 1_000_000), BigInteger)
    statement = (
        select(*SEASONS.c, now.label("now"))
        .where(SEASONS.c.board_id == board.id)
        .order_by(SEASONS.c.number.desc())
        .limit(1)
        .with_for_update(read=True)
    )
    row = (await connection.execute(statement)).one_or_none()
    if row is None:
        return None, int((await connection.execute(select(now))).scalar_one())
    return season_of(row), int(row.now)
