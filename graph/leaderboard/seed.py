"""Fills boards with demo players: the same at every run, up to ten million, many of them with equal scores.

Players are users with unusable passwords and addresses below ``players.invalid``. Player number n is the same however
many are generated, so seeding again with a larger number adds the rest. Scores are log-normal and rounded to steps, so
that a few are far ahead, most are close together, and ties are frequent. They are written to SQL in chunks; then the
index is rebuilt.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, Column, DateTime, MetaData, Table, Text, func, select, text

from graph.engines.failures import patiently
from graph.engines.upsert import upsert
from graph.errors import Taken
from graph.leaderboard import writing
from graph.leaderboard.models import SCORES
from graph.leaderboard.records import BoardRecord, NewBoard, SeasonSchedule
from graph.patterns.ranking import Operator, Ties

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.ext.asyncio import AsyncSession

    from graph.engines.database import Database
    from graph.leaderboard.service import LeaderboardService

MAX_PLAYERS = 10_000_000
DEMO_PLAYERS = 1000
CHUNK = 20_000

DEMO_BOARDS = (
    NewBoard("all-time", "All-time best", Operator.BEST, Ties.EARLIEST_FIRST, SeasonSchedule.NEVER),
    NewBoard("weekly-distance", "Distance this week", Operator.SUM, Ties.COMPETITION, SeasonSchedule.WEEKLY),
    NewBoard("daily-form", "Form of the day", Operator.LATEST, Ties.DENSE, SeasonSchedule.DAILY),
)

_USERS = Table(  # declared again here, because features do not import one another
    "users",
    MetaData(),
    Column("id", BigInteger, primary_key=True),
    *(Column(name, Text) for name in ("email", "email_key", "display_name", "password_hash", "role")),
    *(Column(name, DateTime(timezone=True)) for name in ("created_at", "password_changed_at")),
)
_UNUSABLE = "!"  # no hash has this form, so no password verifies against it
_JOINED = datetime(2024, 1, 8, 9, tzinfo=UTC)
_RECENT = 30 * 86_400_000_000  # microseconds over which the scores are spread
_CACHE = "PRAGMA cache_size = -{}"  # KiB: an index that is filled in random order should fit in memory
_LARGE_CACHE, _USUAL_CACHE = 262_144, 2_000
_SEED = 20260131
_ADJECTIVES = ("Swift", "Quiet", "Amber", "Lucky", "Bold", "Frosty", "Velvet", "Rapid", "Clever", "Sunny", "Misty")
_ANIMALS = (
    "Otter",
    "Falcon",
    "Badger",
    "Lynx",
    "Heron",
    "Panda",
    "Viper",
    "Koala",
    "Raven",
    "Marten",
    "Puffin",
    "Ibex",
)


async def seed_demo(
    database: Database,
    service: LeaderboardService,
    *,
    players: int = DEMO_PLAYERS,
    on_board: Callable[[str], None] = lambda _: None,
) -> int:
    """Create the three demo boards, with players, if there is no board at all; returns how many were created.

    `on_board` is called with the name of each before it is filled.
    """
    if await service.boards():
        return 0
    made = 0
    for new in DEMO_BOARDS:
        with contextlib.suppress(Taken):  # another process is creating it
            board = await patiently(partial(service.create_board, new))
            on_board(board.name)
            await patiently(partial(seed_players, database, service, board, players))
            made += 1
    return made


async def seed_players(
    database: Database,
    service: LeaderboardService,
    board: BoardRecord,
    count: int,
    *,
    on_progress: Callable[[int], None] = lambda _: None,
) -> int:
    """Give players 1 to `count` a score in the running season unless they have one; returns how many were added.

    `on_progress` is called with the number of players processed. Any addition requires rebuilding the index, which is
    done at the end.
    """
    if not 0 <= count <= MAX_PLAYERS:
        raise ValueError(f"the number of players is from 0 to {MAX_PLAYERS:,}")
    added = 0
    for first in range(1, count + 1, CHUNK):
        last = min(first + CHUNK - 1, count)
        people = await asyncio.to_thread(_people, first, last)
        async with database.transaction() as session:
            await _cache(session, _LARGE_CACHE)
            season, now = await writing.open_season(await session.connection(), board, None)
            numbers = await _add_people(session, people)
            scores = await asyncio.to_thread(
                _scores, board, numbers, season=season.id, first=first, span=(max(season.starts_at, now - _RECENT), now)
            )
            added += await _add_scores(session, season.id, scores)
            await _cache(session, _USUAL_CACHE)
        on_progress(last)
    while not await service.rebuild(board):  # noqa: ASYNC110 - another process builds, perhaps without the last scores
        await asyncio.sleep(0.1)
    return added


async def _cache(session: AsyncSession, size: int) -> None:
    if session.get_bind().dialect.name == "sqlite":
        await session.execute(text(_CACHE.format(size)))


def _email(number: int) -> str:
    return f"player-{number:08}@players.invalid"


def _people(first: int, last: int) -> list[dict[str, Any]]:
    return [
        {
            "email": (email := _email(number)),
            "email_key": email,
            "display_name": f"{_ADJECTIVES[number % 11]} {_ANIMALS[number % 12]} {number}",
            "password_hash": _UNUSABLE,
            "role": "PLAYER",
            "created_at": _JOINED,
            "password_changed_at": _JOINED,
        }
        for number in range(first, last + 1)
    ]


async def _add_people(session: AsyncSession, people: list[dict[str, Any]]) -> list[int]:
    """Add the users that are missing; returns the ids of all of them, in order."""
    connection = await session.connection()
    bounds = _USERS.c.email_key.between(people[0]["email_key"], people[-1]["email_key"])
    found = select(_USERS.c.id).where(bounds).order_by(_USERS.c.email_key)
    numbers = list(await session.scalars(found))
    if len(numbers) < len(people):
        await connection.execute(upsert(connection.dialect.name)(_USERS).on_conflict_do_nothing(), people)
        numbers = list(await session.scalars(found))
    assert len(numbers) == len(people)
    return numbers


def _scores(
    board: BoardRecord, numbers: list[int], *, season: int, first: int, span: tuple[int, int]
) -> list[dict[str, Any]]:
    draw = random.Random(f"{_SEED}/{board.slug}/{first}")  # noqa: S311 - the same at every run, on purpose
    version = round(time.time() * 1e6)
    step = 0.5 if board.operator is Operator.SUM else 10.0
    return [
        {
            "season_id": season,
            "player_id": number,
            "score": step * int(draw.lognormvariate(5.0, 0.8)),
            "achieved_at": draw.randint(*span),
            "version": version,
        }
        for number in numbers
    ]


async def _add_scores(session: AsyncSession, season: int, scores: list[dict[str, Any]]) -> int:
    counted = select(func.count()).where(
        SCORES.c.season_id == season,
        SCORES.c.player_id.between(min(row["player_id"] for row in scores), max(row["player_id"] for row in scores)),
    )
    before = (await session.execute(counted)).scalar_one()
    connection = await session.connection()
    await connection.execute(upsert(connection.dialect.name)(SCORES).on_conflict_do_nothing(), scores)
    return (await session.execute(counted)).scalar_one() - before
