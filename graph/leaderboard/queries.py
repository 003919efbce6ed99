"""Reads leaderboards from SQL: rows for the index, answers while there is no index, seasons.

An answer takes several statements, so they run in one snapshot (`snapshot`). A top page walks an index; a rank in the
middle of a board has to be counted, which takes time proportional to the rank, so the service runs only a few at a
time.

The tables hold merits (`graph.leaderboard.models`); they are converted to scores and back here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, func, or_, select, text

from graph.leaderboard.models import ARCHIVE, BOARDS, REMOVED, SCORES, SEASONS
from graph.leaderboard.records import OwnScore, player_key, player_number
from graph.leaderboard.writing import board_of, season_of
from graph.patterns.ranking import (
    NO_BUILD,
    Entry,
    Neighbourhood,
    Order,
    Place,
    RankingPage,
    ScoreRow,
    Start,
    Ties,
    percentile,
    ranks,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence

    from sqlalchemy import ColumnElement, Select
    from sqlalchemy import Row as SqlRow
    from sqlalchemy.ext.asyncio import AsyncSession

    from graph.engines.database import Database
    from graph.leaderboard.records import BoardRecord, SeasonRecord

CHUNK = 10_000
EMPTY = RankingPage([], 0, has_previous=False, has_next=False, build=NO_BUILD, seq=0)
S, A = SCORES.c, ARCHIVE.c
_BEST_FIRST = (S.score.desc(), S.achieved_at, S.player_id)
_WORST_FIRST = (S.score, S.achieved_at.desc(), S.player_id.desc())


async def snapshot(session: AsyncSession) -> None:
    """Let all statements of a new session see one snapshot; on SQLite they always do."""
    if session.get_bind().dialect.name == "postgresql":
        await session.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))


async def boards(session: AsyncSession) -> list[BoardRecord]:
    """Return all boards, sorted by name."""
    there = select(BOARDS).where(BOARDS.c.deleted_at.is_(None))
    return [board_of(row) for row in await session.execute(there.order_by(BOARDS.c.name, BOARDS.c.id))]


async def board(session: AsyncSession, slug: str) -> BoardRecord | None:
    """Return the board with this slug."""
    named = select(BOARDS).where(BOARDS.c.slug == slug, BOARDS.c.deleted_at.is_(None))
    row = (await session.execute(named)).one_or_none()
    return None if row is None else board_of(row)


async def board_by_id(session: AsyncSession, number: int) -> BoardRecord | None:
    """Return the board with this id."""
    there = select(BOARDS).where(BOARDS.c.id == number, BOARDS.c.deleted_at.is_(None))
    row = (await session.execute(there)).one_or_none()
    return None if row is None else board_of(row)


async def boards_by_id(session: AsyncSession, numbers: Iterable[int]) -> list[BoardRecord]:
    """Return those of the boards with these ids that exist."""
    there = select(BOARDS).where(BOARDS.c.id.in_([*numbers]), BOARDS.c.deleted_at.is_(None))
    return [board_of(row) for row in await session.execute(there)]


async def season(session: AsyncSession, board: BoardRecord, number: int) -> SeasonRecord | None:
    """Return a season that was played in or looked at."""
    statement = select(SEASONS).where(SEASONS.c.board_id == board.id, SEASONS.c.number == number)
    row = (await session.execute(statement)).one_or_none()
    return None if row is None else season_of(row)


async def unfinished(session: AsyncSession) -> list[SeasonRecord]:
    """Return the seasons of existing boards that are not completely archived."""
    statement = (
        select(SEASONS)
        .join(BOARDS, BOARDS.c.id == SEASONS.c.board_id)
        .where(SEASONS.c.state != "ARCHIVED", BOARDS.c.deleted_at.is_(None))
        .order_by(SEASONS.c.id)
    )
    return [season_of(row) for row in await session.execute(statement)]


# --- rows for the index ---


async def rows(
    database: Database, board: BoardRecord, season_id: int, *, since: int = 0
) -> AsyncIterator[Sequence[ScoreRow]]:
    """Yield all rows of a season in chunks, each read in its own session.

    With `since`, only rows of at least that version, removed ones included; otherwise only rows that have a score.
    """
    columns = select(S.player_id, S.score, S.achieved_at, S.version, S.metadata).where(S.season_id == season_id)
    walk = [S.version, S.player_id] if since else [S.player_id]
    columns = columns.where(S.version >= since if since else S.score > REMOVED)
    after: tuple[int, ...] | None = None
    while True:
        statement = columns if after is None else columns.where(_beyond(walk, after))
        async with database.session() as session:
            found = (await session.execute(statement.order_by(*walk).limit(CHUNK))).all()
        if not found:
            return
        yield [_row(board, row) for row in found]
        player, _, _, version, _ = found[-1]
        after = (version, player) if since else (player,)


def _row(board: BoardRecord, row: SqlRow[int, float, int, int, str | None]) -> ScoreRow:
    player, merit, at, version, metadata = row
    score = None if merit == REMOVED else board.order.merit(merit)
    return ScoreRow(player_key(player), score, at / 1e6, version, metadata)


def _beyond(columns: Sequence[Any], values: Sequence[Any]) -> ColumnElement[bool]:
    """Return ``(columns) > (values)`` in a form for which each engine uses an index."""
    if len(columns) == 1:
        return columns[0] > values[0]
    return or_(columns[0] > values[0], and_(columns[0] == values[0], columns[1] > values[1]))


async def row(session: AsyncSession, board: BoardRecord, season: int, player: int) -> ScoreRow | None:
    """Return a player's row in a season."""
    statement = (
        select(S.player_id, S.score, S.achieved_at, S.version, S.metadata)
        .join(SEASONS, SEASONS.c.id == S.season_id)
        .where(SEASONS.c.board_id == board.id, SEASONS.c.number == season, S.player_id == player, S.score > REMOVED)
    )
    found = (await session.execute(statement)).one_or_none()
    return None if found is None else _row(board, found)


async def scores_of(session: AsyncSession, player: int) -> list[OwnScore]:
    """Return every score of a player, in every season of every board, finished or not."""
    found: list[OwnScore] = []
    for c in (S, A):  # starts from the seasons, of which there are few: each look-up uses the primary key
        own = select(BOARDS.c.slug, SEASONS.c.number, c.score, c.achieved_at, c.metadata, BOARDS.c.score_order).where(
            *(c.season_id == SEASONS.c.id, c.player_id == player, SEASONS.c.board_id == BOARDS.c.id),
            *(c.score > REMOVED, BOARDS.c.deleted_at.is_(None)),
        )
        frozen = SEASONS.c.state.in_(("CLOSED", "ARCHIVED"))
        for slug, number, merit, at, metadata, order in await session.execute(own.where(frozen if c is A else ~frozen)):
            found.append(OwnScore(slug, number, Order[order].merit(merit), at, metadata))
    return sorted(found, key=lambda one: (one.board, one.season))


async def size(session: AsyncSession, season_id: int) -> int:
    """Count the players that have a score."""
    counted = select(func.count()).where(S.season_id == season_id, S.score > REMOVED)
    return (await session.execute(counted)).scalar_one()


# --- answers while there is no index ---


def ahead_of(merit: float, achieved: int, player: int, *, columns: Any = S) -> ColumnElement[bool]:
    """Return the condition for rows before a place, or at it."""
    c = columns
    sooner = or_(c.achieved_at < achieved, and_(c.achieved_at == achieved, c.player_id <= player))
    return or_(c.score > merit, and_(c.score == merit, sooner))


def behind(merit: float, achieved: int, player: int) -> ColumnElement[bool]:
    """Return the condition for rows after a place."""
    # score <= … comes first, as a range in which the index can start
    later = or_(S.achieved_at > achieved, and_(S.achieved_at == achieved, S.player_id > player))
    return and_(S.score <= merit, S.score > REMOVED, or_(S.score < merit, later))


async def _count(session: AsyncSession, season_id: int, condition: ColumnElement[bool]) -> int:
    return (await session.execute(select(func.count()).where(S.season_id == season_id, condition))).scalar_one()


async def _start(
    session: AsyncSession, season_id: int, ties: Ties, merit: float, *, position: int, total: int
) -> Start:
    """Return from where ranks are counted: the rank of the entry at `position` (from 0), which has this merit."""
    if ties is Ties.EARLIEST_FIRST or position == 0:
        return Start(position, position + 1, position, total)
    ahead = await _count(session, season_id, S.score > merit)
    if ties is Ties.COMPETITION:
        return Start(position, ahead + 1, ahead, total)
    levels = select(func.count(S.score.distinct())).where(S.season_id == season_id, S.score > merit)
    return Start(position, (await session.execute(levels)).scalar_one() + 1, ahead, total)


async def _ranked(
    session: AsyncSession,
    season_id: int,
    board: BoardRecord,
    found: Sequence[SqlRow[int, float, int, str | None]],
    *,
    position: int,
    total: int,
) -> list[Entry]:
    if not found:
        return []
    start = await _start(session, season_id, board.ties, found[0].score, position=position, total=total)
    return ranks(board.ties, shown(board, found), start)


def shown(board: BoardRecord, found: Sequence[SqlRow[*tuple[Any, ...]]]) -> list[tuple[str, float, float, str | None]]:
    """Return the values of entries in these rows: player, score, time, metadata."""
    merit = board.order.merit
    return [(player_key(r.player_id), merit(r.score), r.achieved_at / 1e6, r.metadata) for r in found]


def _of(season_id: int) -> Select[int, float, int, str | None]:
    chosen = select(S.player_id, S.score, S.achieved_at, S.metadata)
    return chosen.where(S.season_id == season_id, S.score > REMOVED)


def place_at(board: BoardRecord, place: Place) -> tuple[float, int, int]:
    """Return a place in terms of the tables: merit, time, user id."""
    return board.order.merit(place.score), place.achieved, player_number(place.player)


async def page(
    session: AsyncSession, season_id: int, board: BoardRecord, first: int, place: Place | None
) -> RankingPage:
    """Return a page from the best entry on, or after `place`."""
    statement, position = _of(season_id), 0
    if place is not None:
        at = place_at(board, place)
        statement = statement.where(behind(*at))
        position = await _count(session, season_id, ahead_of(*at))
    found = (await session.execute(statement.order_by(*_BEST_FIRST).limit(first + 1))).all()
    total = await size(session, season_id)
    entries = await _ranked(session, season_id, board, found[:first], position=position, total=total)
    last = entries[-1] if entries else None
    return RankingPage(entries, total, position > 0, len(found) > first, NO_BUILD, 0, last)


async def around(
    session: AsyncSession, season_id: int, board: BoardRecord, player: int, neighbours: int
) -> Neighbourhood | None:
    """Return a player's entry and its neighbours."""
    own = (await session.execute(_of(season_id).where(S.player_id == player))).one_or_none()
    if own is None:
        return None
    at = (own.score, own.achieved_at, own.player_id)
    better = _of(season_id).where(ahead_of(*at), S.player_id != player).order_by(*_WORST_FIRST).limit(neighbours)
    worse = _of(season_id).where(behind(*at)).order_by(*_BEST_FIRST).limit(neighbours)
    above = (await session.execute(better)).all()[::-1]
    below = (await session.execute(worse)).all()
    start = await _count(session, season_id, ahead_of(*at)) - 1 - len(above)
    total = await size(session, season_id)
    entries = await _ranked(session, season_id, board, [*above, own, *below], position=start, total=total)
    return Neighbourhood(entries[len(above)], entries[: len(above)], entries[len(above) + 1 :])


async def entries(
    session: AsyncSession, season_id: int, board: BoardRecord, players: Sequence[int]
) -> list[Entry | None]:
    """Return the entries of those players who have one."""
    found: list[Entry | None] = []
    total = await size(session, season_id)
    for own in (await session.execute(_of(season_id).where(S.player_id.in_(players)))).all():
        position = 1  # only the counting below depends on it
        if board.ties is Ties.EARLIEST_FIRST:
            position = await _count(session, season_id, ahead_of(own.score, own.achieved_at, own.player_id)) - 1
        start = await _start(session, season_id, board.ties, own.score, position=position, total=total)
        ((player, score, at, metadata),) = shown(board, [own])
        found.append(Entry(start.rank, player, score, at, metadata, percentile(start.ahead, total)))
    return found
