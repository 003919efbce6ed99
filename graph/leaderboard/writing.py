"""What a submission does inside its transaction: find the season, take the score in, remember the key.

The season's row is locked in share mode until the commit, so that closing a season waits for the scores that were
taken into it and no score comes after. The clock is the database server's (on SQLite the machine's), read after that.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeAlias

from sqlalchemy import BigInteger, case, func, insert, literal, select, type_coerce, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, IntegrityError

from graph.leaderboard.models import BOARDS, SCORES, SEASONS, SUBMISSIONS
from graph.leaderboard.records import (
    BoardRecord,
    Change,
    NewBoard,
    Outcome,
    Schedule,
    SeasonRecord,
    SeasonState,
    player_key,
)
from graph.leaderboard.rules import Invalid, Missing, Taken, season_at, season_number
from graph.patterns.ranking import Operator, Row, Ties

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement
    from sqlalchemy import Row as SqlRow
    from sqlalchemy.ext.asyncio import AsyncSession

Clock: TypeAlias = Callable[[], float]
"""Seconds since 1970."""

_LARGEST = 1.7976931348623157e308
_OUT_OF_RANGE = "22003"  # PostgreSQL: a double beyond the largest


def board_of(row: SqlRow[Any]) -> BoardRecord:
    """The board in a row."""
    return BoardRecord(
        id=row.id,
        slug=row.slug,
        name=row.name,
        operator=Operator[row.operator],
        ties=Ties[row.ties],
        schedule=Schedule(row.schedule),
        created_at=row.created_at,
    )


def season_of(row: SqlRow[Any]) -> SeasonRecord:
    """The season in a row."""
    return SeasonRecord(row.id, row.board_id, row.number, row.starts_at, row.ends_at, SeasonState(row.state), row.size)


def upsert(session: AsyncSession) -> Callable[[Any], Any]:
    """The engine's INSERT that knows ON CONFLICT."""
    return postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert


def moment(micros: int) -> datetime:
    """Microseconds since 1970 as a time in UTC."""
    return datetime.fromtimestamp(micros // 1_000_000, UTC).replace(microsecond=micros % 1_000_000)


def micros_of(value: datetime) -> int:
    """A time as whole microseconds since 1970."""
    seconds = value.replace(microsecond=0).timestamp()
    return int(seconds) * 1_000_000 + value.microsecond


async def create_board(session: AsyncSession, new: NewBoard, now: datetime) -> BoardRecord:
    """Insert a board; raises Taken."""
    statement = (
        insert(BOARDS)
        .values(
            slug=new.slug,
            name=new.name,
            operator=new.operator.name,
            ties=new.ties.name,
            schedule=new.schedule.value,
            created_at=now,
        )
        .returning(*BOARDS.c)
    )
    try:
        return board_of((await session.execute(statement)).one())
    except IntegrityError as error:
        raise Taken from error


# --- the season ---


async def open_season(session: AsyncSession, board: BoardRecord, clock: Clock | None) -> tuple[SeasonRecord, int]:
    """The season that takes scores now, locked against closing, and the time in microseconds; made if it is new."""
    while True:
        found, now = await _newest(session, board, clock)
        if found is not None and found.state is SeasonState.OPEN and (found.ends_at is None or now < found.ends_at):
            return found, max(now, found.starts_at)
        span = season_at(board, moment(now))
        if found is not None and span.number <= found.number:  # this clock is behind the one that began to close it
            span = season_number(board, found.number + 1)
        await session.execute(
            upsert(session)(SEASONS)
            .values(
                board_id=board.id,
                number=span.number,
                starts_at=micros_of(span.starts_at),
                ends_at=None if span.ends_at is None else micros_of(span.ends_at),
                state=SeasonState.OPEN.value,
            )
            .on_conflict_do_nothing()
        )


async def _newest(session: AsyncSession, board: BoardRecord, clock: Clock | None) -> tuple[SeasonRecord | None, int]:
    now: ColumnElement[int] = literal(round((clock or time.time)() * 1e6), BigInteger)
    if clock is None and session.get_bind().dialect.name == "postgresql":
        now = type_coerce(func.floor(func.extract("epoch", func.clock_timestamp()) * 1_000_000), BigInteger)
    statement = (
        select(*SEASONS.c, now.label("now"))
        .where(SEASONS.c.board_id == board.id)
        .order_by(SEASONS.c.number.desc())
        .limit(1)
        .with_for_update(read=True)
    )
    row = (await session.execute(statement)).one_or_none()
    if row is None:
        return None, int((await session.execute(select(now))).scalar_one())
    return season_of(row), int(row.now)


# --- the score ---


async def take_in(
    session: AsyncSession, board: BoardRecord, season: SeasonRecord, *, player: int, score: float, now: int
) -> Change:
    """One guarded upsert; raises Missing for an unknown player, Invalid for a sum that is no finite number."""
    new = {"season_id": season.id, "player_id": player, "score": score, "achieved_at": now, "version": now}
    try:
        row = (await session.execute(_guarded(session, board.operator, now, new))).one_or_none()
    except IntegrityError as error:
        raise Missing("player") from error
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) == _OUT_OF_RANGE:
            raise _overflow() from error
        raise
    changed = row is not None
    if row is None:
        held = select(SCORES).where(SCORES.c.season_id == season.id, SCORES.c.player_id == player)
        row = (await session.execute(held)).one()
        if board.operator is Operator.SUM and math.isinf(row.score + score):
            raise _overflow()
    if math.isinf(row.score):
        raise _overflow()
    improved = changed and (row.former is None or row.score > row.former)
    return Change(season, row_of(row), changed, improved)


def _guarded(session: AsyncSession, operator: Operator, now: int, row: dict[str, Any]) -> Any:
    statement = upsert(session)(SCORES).values(row)
    held, given = SCORES.c.score, statement.excluded.score
    total = held + given
    # PostgreSQL raises where SQLite gives infinity, so the sum is not formed where it would be too large.
    fits = case((func.abs(held) > literal(_LARGEST) - func.abs(given), (held > 0) != (given > 0)), else_=True)
    new, changes = {
        Operator.BEST: (given, given > held),
        Operator.LATEST: (given, given != held),
        Operator.SUM: (total, case((fits, total != held), else_=False)),
    }[operator]
    return statement.on_conflict_do_update(
        index_elements=[SCORES.c.season_id, SCORES.c.player_id],
        set_={
            "former": held,
            "score": new,
            "achieved_at": now,
            "version": case((SCORES.c.version >= now, SCORES.c.version + 1), else_=now),
        },
        where=changes,
    ).returning(*SCORES.c)


def _overflow() -> Invalid:
    return Invalid("score", "The sum of the scores would be no finite number.")


def row_of(row: SqlRow[Any]) -> Row:
    """A row of scores as the ranking takes it."""
    score = float(row.score)  # SQLite's RETURNING gives whole numbers as integers
    return Row(player_key(row.player_id), score, row.achieved_at / 1e6, row.version)


# --- the key ---


async def remember(
    session: AsyncSession, board: BoardRecord, player: int, key: str, *, change: Change, now: int
) -> bool:
    """Note the first answer to `key`; False when there is one, or another process is about to give one."""
    statement = (
        upsert(session)(SUBMISSIONS)
        .values(
            board_id=board.id,
            player_id=player,
            key=key,
            season=change.season.number,
            score=change.row.score,
            improved=change.improved,
            settled=False,
            created_at=now,
        )
        .on_conflict_do_nothing()
        .returning(SUBMISSIONS.c.key)
    )
    return (await session.execute(statement)).one_or_none() is not None


def _named(board: BoardRecord, player: int, key: str) -> Any:
    columns = SUBMISSIONS.c
    return (columns.board_id == board.id) & (columns.player_id == player) & (columns.key == key)


async def remembered(session: AsyncSession, board: BoardRecord, player: int, key: str) -> tuple[Outcome, bool] | None:
    """The answer to `key` and whether it is complete; None when it was never sent."""
    row = (await session.execute(select(SUBMISSIONS).where(_named(board, player, key)))).one_or_none()
    if row is None:
        return None
    return Outcome(row.score, row.improved, row.rank, row.previous_rank, row.season), bool(row.settled)


async def settle(session: AsyncSession, board: BoardRecord, player: int, key: str, outcome: Outcome) -> Outcome:
    """Complete the answer to `key`, unless somebody else has; returns the one that counts."""
    await session.execute(
        update(SUBMISSIONS)
        .where(_named(board, player, key), SUBMISSIONS.c.settled.is_(False))
        .values(settled=True, rank=outcome.rank, previous_rank=outcome.previous_rank)
    )
    found = await remembered(session, board, player, key)
    assert found is not None
    return found[0]
