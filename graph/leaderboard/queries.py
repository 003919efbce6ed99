"""Reading leaderboards from SQL: rows for the index, answers while there is none, the archive of finished seasons.

An answer takes several statements, so they run in one snapshot (`snapshot`). A top page walks an index; a place in the
middle of a board is counted, which takes time in proportion to the rank: the service lets only a few of them run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, func, or_, select, text

from graph.leaderboard.models import ARCHIVE, BOARDS, SCORES, SEASONS
from graph.leaderboard.records import OwnScore, player_key, player_number
from graph.leaderboard.writing import board_of, season_of
from graph.patterns.ranking import Entry, Neighbourhood, Place, RankingPage, ScoreRow, Ties, ranks

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from sqlalchemy import ColumnElement, Select
    from sqlalchemy import Row as SqlRow
    from sqlalchemy.ext.asyncio import AsyncSession

    from graph.engines.database import Database
    from graph.leaderboard.records import BoardRecord, SeasonRecord

CHUNK = 10_000
NO_BUILD = "0" * 16
EMPTY = RankingPage([], 0, has_previous=False, has_next=False, build=NO_BUILD, seq=0)
S, A = SCORES.c, ARCHIVE.c
_BEST_FIRST = (S.score.desc(), S.achieved_at, S.player_id)
_WORST_FIRST = (S.score, S.achieved_at.desc(), S.player_id.desc())


async def snapshot(session: AsyncSession) -> None:
    """Let all statements of a session that has run none yet see one instant; SQLite's always do."""
    if session.get_bind().dialect.name == "postgresql":
        await session.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))


async def boards(session: AsyncSession) -> list[BoardRecord]:
    """All boards, by name."""
    return [board_of(row) for row in await session.execute(select(BOARDS).order_by(BOARDS.c.name, BOARDS.c.id))]


async def board(session: AsyncSession, slug: str) -> BoardRecord | None:
    """The board with this slug."""
    row = (await session.execute(select(BOARDS).where(BOARDS.c.slug == slug))).one_or_none()
    return None if row is None else board_of(row)


async def season(session: AsyncSession, board: BoardRecord, number: int) -> SeasonRecord | None:
    """A season that was played or looked at."""
    statement = select(SEASONS).where(SEASONS.c.board_id == board.id, SEASONS.c.number == number)
    row = (await session.execute(statement)).one_or_none()
    return None if row is None else season_of(row)


async def unfinished(session: AsyncSession) -> list[SeasonRecord]:
    """Seasons that are not archived to the end."""
    statement = select(SEASONS).where(SEASONS.c.state != "ARCHIVED").order_by(SEASONS.c.id)
    return [season_of(row) for row in await session.execute(statement)]


# --- rows for the index ---


async def rows(database: Database, season_id: int, *, since: int = 0) -> AsyncIterator[Sequence[ScoreRow]]:
    """All rows of a season, or those whose version is at least `since`, in chunks, each read in its own session."""
    columns = select(S.player_id, S.score, S.achieved_at, S.version).where(S.season_id == season_id)
    walk = [S.version, S.player_id] if since else [S.player_id]
    if since:
        columns = columns.where(S.version >= since)
    after: tuple[int, ...] | None = None
    while True:
        statement = columns if after is None else columns.where(_beyond(walk, after))
        async with database.session() as session:
            found = (await session.execute(statement.order_by(*walk).limit(CHUNK))).all()
        if not found:
            return
        yield [ScoreRow(player_key(player), score, at / 1e6, version) for player, score, at, version in found]
        player, _, _, version = found[-1]
        after = (version, player) if since else (player,)


def _beyond(columns: Sequence[Any], values: Sequence[Any]) -> ColumnElement[bool]:
    """``(columns) > (values)``, as each engine's indexes know it."""
    if len(columns) == 1:
        return columns[0] > values[0]
    return or_(columns[0] > values[0], and_(columns[0] == values[0], columns[1] > values[1]))


async def row(session: AsyncSession, board: int, season: int, player: int) -> ScoreRow | None:
    """What a player holds in a season, by the numbers of all three."""
    statement = (
        select(S.score, S.achieved_at, S.version)
        .join(SEASONS, SEASONS.c.id == S.season_id)
        .where(SEASONS.c.board_id == board, SEASONS.c.number == season, S.player_id == player)
    )
    found = (await session.execute(statement)).one_or_none()
    return None if found is None else ScoreRow(player_key(player), found.score, found.achieved_at / 1e6, found.version)


async def scores_of(session: AsyncSession, player: int) -> list[OwnScore]:
    """Every score of a player, in every season of every board, finished or not."""
    found: list[OwnScore] = []
    for c in (S, A):  # from the seasons, of which there are few: each look-up goes by the primary key
        own = select(BOARDS.c.slug, SEASONS.c.number, c.score, c.achieved_at).where(
            c.season_id == SEASONS.c.id, c.player_id == player, SEASONS.c.board_id == BOARDS.c.id
        )
        frozen = SEASONS.c.state.in_(("CLOSED", "ARCHIVED"))
        found += [OwnScore(*row) for row in await session.execute(own.where(frozen if c is A else ~frozen))]
    return sorted(found, key=lambda one: (one.board, one.season))


async def size(session: AsyncSession, season_id: int) -> int:
    """How many players have a score."""
    return (await session.execute(select(func.count()).where(S.season_id == season_id))).scalar_one()


# --- answers while there is no index ---


def _ahead(score: float, achieved: int, player: int, *, columns: Any = S) -> ColumnElement[bool]:
    """Rows that stand before a place, or at it."""
    c = columns
    sooner = or_(c.achieved_at < achieved, and_(c.achieved_at == achieved, c.player_id <= player))
    return or_(c.score > score, and_(c.score == score, sooner))


def behind(score: float, achieved: int, player: int) -> ColumnElement[bool]:
    """Rows that stand after a place."""
    # score <= … first: a range that the index can begin at
    later = or_(S.achieved_at > achieved, and_(S.achieved_at == achieved, S.player_id > player))
    return and_(S.score <= score, or_(S.score < score, later))


async def _count(session: AsyncSession, season_id: int, condition: ColumnElement[bool]) -> int:
    return (await session.execute(select(func.count()).where(S.season_id == season_id, condition))).scalar_one()


async def _rank(session: AsyncSession, season_id: int, ties: Ties, score: float, position: int) -> int:
    """The rank of the entry at `position` (from 0) with `score`."""
    if ties is Ties.EARLIEST_FIRST or position == 0:
        return position + 1
    counted = func.count(S.score.distinct()) if ties is Ties.DENSE else func.count()
    return (await session.execute(select(counted).where(S.season_id == season_id, S.score > score))).scalar_one() + 1


async def _ranked(
    session: AsyncSession, season_id: int, ties: Ties, found: Sequence[SqlRow[int, float, int]], position: int
) -> list[Entry]:
    if not found:
        return []
    first = await _rank(session, season_id, ties, found[0].score, position)
    return ranks(ties, [(player_key(r.player_id), r.score, r.achieved_at / 1e6) for r in found], position, first)


def _of(season_id: int) -> Select[int, float, int]:
    return select(S.player_id, S.score, S.achieved_at).where(S.season_id == season_id)


async def page(session: AsyncSession, season_id: int, ties: Ties, first: int, place: Place | None) -> RankingPage:
    """A page from the best on, or after `place`."""
    statement, position = _of(season_id), 0
    if place is not None:
        at = (place.score, place.achieved, player_number(place.player))
        statement = statement.where(behind(*at))
        position = await _count(session, season_id, _ahead(*at))
    found = (await session.execute(statement.order_by(*_BEST_FIRST).limit(first + 1))).all()
    entries = await _ranked(session, season_id, ties, found[:first], position)
    last = entries[-1] if entries else None
    total = await size(session, season_id)
    return RankingPage(entries, total, position > 0, len(found) > first, NO_BUILD, 0, last)


async def around(
    session: AsyncSession, season_id: int, ties: Ties, player: int, neighbours: int
) -> Neighbourhood | None:
    """A player's entry and its neighbours."""
    own = (await session.execute(_of(season_id).where(S.player_id == player))).one_or_none()
    if own is None:
        return None
    at = (own.score, own.achieved_at, own.player_id)
    better = _of(season_id).where(_ahead(*at), S.player_id != player).order_by(*_WORST_FIRST).limit(neighbours)
    worse = _of(season_id).where(behind(*at)).order_by(*_BEST_FIRST).limit(neighbours)
    above = (await session.execute(better)).all()[::-1]
    below = (await session.execute(worse)).all()
    start = await _count(session, season_id, _ahead(*at)) - 1 - len(above)
    entries = await _ranked(session, season_id, ties, [*above, own, *below], start)
    return Neighbourhood(entries[len(above)], entries[: len(above)], entries[len(above) + 1 :])


async def entries(session: AsyncSession, season_id: int, ties: Ties, players: Sequence[int]) -> list[Entry | None]:
    """The entries of those players who have one."""
    found: list[Entry | None] = []
    for own in (await session.execute(_of(season_id).where(S.player_id.in_(players)))).all():
        if ties is Ties.EARLIEST_FIRST:
            rank = await _count(session, season_id, _ahead(own.score, own.achieved_at, own.player_id))
        else:
            rank = await _rank(session, season_id, ties, own.score, 1)
        found.append(Entry(rank, player_key(own.player_id), own.score, own.achieved_at / 1e6))
    return found


# --- finished seasons ---


async def archived_page(session: AsyncSession, season_id: int, first: int, place: Place | None) -> RankingPage:
    """A page of a finished season; cursors given out while it ran go on where they stood."""
    after = 0
    if place is not None:
        at = (place.score, place.achieved, player_number(place.player))
        own = select(A.position).where(A.season_id == season_id, A.player_id == at[2], A.score == at[0])
        after = (await session.execute(own.where(A.achieved_at == at[1]))).scalar_one_or_none() or 0
        if not after:  # the entry moved after the cursor was given out
            counted = select(func.count()).where(A.season_id == season_id, _ahead(*at, columns=A))
            after = (await session.execute(counted)).scalar_one()
    found = await _archived(session, season_id, after, first + 1)
    newest = select(A.position).where(A.season_id == season_id).order_by(A.position.desc()).limit(1)
    total = (await session.execute(newest)).scalar_one_or_none() or 0
    last = found[:first][-1] if found else None
    return RankingPage(found[:first], total, after > 0, len(found) > first, NO_BUILD, 0, last)


async def archived_around(session: AsyncSession, season_id: int, player: int, neighbours: int) -> Neighbourhood | None:
    """A player's final entry and its neighbours."""
    own = select(A.position).where(A.season_id == season_id, A.player_id == player)
    position = (await session.execute(own)).scalar_one_or_none()
    if position is None:
        return None
    after = max(0, position - neighbours - 1)
    found = await _archived(session, season_id, after, position + neighbours - after)
    at: int = position - after - 1
    return Neighbourhood(found[at], found[:at], found[at + 1 :])


async def _archived(session: AsyncSession, season_id: int, after: int, count: int) -> list[Entry]:
    statement = select(ARCHIVE).where(A.season_id == season_id, A.position > after).order_by(A.position).limit(count)
    return [
        Entry(row.rank, player_key(row.player_id), row.score, row.achieved_at / 1e6)
        for row in await session.execute(statement)
    ]
