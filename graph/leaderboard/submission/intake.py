"""Writes a group of submissions to one board in a transaction, with the same results as one after the other.

It takes two statements for any number of them: one reads the season, which players exist and their scores; the scores
are compared here, one after the other; a guarded upsert writes them. A row is replaced only if it still has the score
that the new one was compared with. If another process was faster, PostgreSQL has locked the row in the attempt, so the
second comparison succeeds; on SQLite no process can be faster, because the transaction holds the write lock. Rows are
written in the order of user ids, and keys after all scores, so two processes cannot deadlock.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, and_, bindparam, func, select, true, type_coerce

from graph.engines.plain import padded
from graph.engines.upsert import upsert
from graph.errors import Invalid, Missing
from graph.leaderboard.models import PLAYERS, REMOVED, SCORES, SEASONS, SUBMISSIONS
from graph.leaderboard.records import Change, Remembered, SeasonState, player_key
from graph.leaderboard.submission import idempotency as keys
from graph.leaderboard.writing import open_season, season_of
from graph.patterns.ranking import Operator, ScoreRow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from graph.engines.plain import Statements
    from graph.leaderboard.records import BoardRecord, SeasonRecord, Submission
    from graph.leaderboard.writing import Clock

G, S, K = SEASONS.c, SCORES.c, SUBMISSIONS.c
_FOREVER = 1 << 53


@dataclass(frozen=True, slots=True)
class _Held:
    """A player's row; its merit is that of the score, or `REMOVED`."""

    merit: float
    achieved_at: int
    version: int
    metadata: str | None


@dataclass(slots=True)
class _Standing:
    """The season that accepts scores, the time in microseconds, and the row of each player who exists."""

    season: SeasonRecord
    now: int
    held: dict[int, _Held | None] = field(default_factory=dict[int, _Held | None])


async def take_in(
    connection: Statements, board: BoardRecord, submissions: Sequence[Submission], clock: Clock | None
) -> list[Change | Remembered | Exception]:
    """Write the submissions; returns an outcome for each: `Missing` for an unknown player, `Invalid` for an overflow.

    Raises `idempotency.Overtaken`, and what SQL raises for a submission that it refuses.
    """
    standing = await _standing(connection, board, sorted({one.player for one in submissions}), clock)
    named = [(one.player, one.key) for one in submissions if one.key is not None]
    known = await keys.remembered(connection, board.id, named) if named else {}
    written: set[int] = set()
    while True:
        found, rows = _weigh(board, standing, submissions, known)
        left = [row for row in rows if row["player_id"] not in written]
        if not left:
            break
        done = await _write(connection, left)
        written |= done
        if len(done) < len(left):
            lost = [row["player_id"] for row in left if row["player_id"] not in done]
            standing.held |= await _held(connection, standing.season.id, lost)
    if named:
        await keys.note(connection, board.id, found, standing.now)
    return found


async def _standing(
    connection: Statements, board: BoardRecord, players: Sequence[int], clock: Clock | None
) -> _Standing:
    own_clock = clock is None and connection.dialect.name == "postgresql"
    named = padded(players)
    statement = _standing_statement(len(named), own_clock=own_clock)
    values: dict[str, Any] = {"board": board.id, **{f"player_{at}": player for at, player in enumerate(named)}}
    while True:
        if not own_clock:
            values["now"] = round((clock or time.time)() * 1e6)
        rows = (await connection.execute(statement, values)).all()
        if rows:
            season, now = season_of(rows[0]), int(rows[0].now)
            if season.state is SeasonState.OPEN and (season.ends_at is None or now < season.ends_at):
                standing = _Standing(season, max(now, season.starts_at))
                for row in rows:
                    if row.player is not None:
                        there = row.score is not None
                        own = _Held(row.score, row.achieved_at, row.version, row.metadata) if there else None
                        standing.held[row.player] = own
                return standing
        await open_season(connection, board, clock)


@cache
def _standing_statement(count: int, *, own_clock: bool) -> Any:
    now: Any = bindparam("now", type_=BigInteger)
    if own_clock:
        now = type_coerce(func.floor(func.extract("epoch", func.clock_timestamp()) * 1_000_000), BigInteger)
    every = SEASONS.alias()
    newest = select(func.max(every.c.number)).where(every.c.board_id == bindparam("board")).scalar_subquery()
    # Both are locked until the commit: deleting a player waits, and so does closing the season; no score gets in
    # afterwards. PostgreSQL checks a row again that it has waited for.
    there = select(PLAYERS.c.id).where(
        PLAYERS.c.id.in_([bindparam(f"player_{at}") for at in range(count)]), PLAYERS.c.deleted_at.is_(None)
    )
    player = there.with_for_update(read=True, key_share=True).subquery("player")
    return (
        select(*G, now.label("now"), player.c.id.label("player"), S.score, S.achieved_at, S.version, S.metadata)
        .select_from(
            SEASONS.outerjoin(player, true()).outerjoin(SCORES, and_(S.season_id == G.id, S.player_id == player.c.id))
        )
        .where(G.board_id == bindparam("board"), G.number == newest)
        .with_for_update(read=True, of=SEASONS)
    )


async def _held(connection: Statements, season: int, players: Sequence[int]) -> dict[int, _Held | None]:
    named = padded(players)
    values = {f"player_{at}": player for at, player in enumerate(named)}
    found = await connection.execute(_held_statement(len(named)), {"season": season, **values})
    return {player: _Held(*row) for player, *row in found}


@cache
def _held_statement(count: int) -> Any:
    players: Any = [bindparam(f"player_{at}") for at in range(count)]
    return select(S.player_id, S.score, S.achieved_at, S.version, S.metadata).where(
        S.season_id == bindparam("season"), S.player_id.in_(players)
    )


# --- comparing scores ---


def _weigh(
    board: BoardRecord,
    standing: _Standing,
    submissions: Sequence[Submission],
    known: dict[tuple[int, str], Remembered],
) -> tuple[list[Change | Remembered | Exception], list[dict[str, Any]]]:
    """Return the outcomes of the submissions, applied one after the other, and the resulting rows to write."""
    season, held = standing.season, dict(standing.held)
    latest = season.ends_at - 1 if season.ends_at is not None else _FOREVER
    found: list[Change | Remembered | Exception] = []
    changed: set[int] = set()
    for at, one in enumerate(submissions):
        if one.key is not None and (answer := known.get((one.player, one.key))) is not None:
            found.append(answer)
            continue
        if one.player not in held:
            found.append(Missing("player"))
            continue
        before = held[one.player]
        standing_merit = None if before is None or before.merit == REMOVED else before.merit
        merit = _weighed(board.operator, standing_merit, board.order.merit(one.score))
        if not math.isfinite(merit):
            found.append(Invalid("score", "The sum of the scores would be no finite number."))
            continue
        after = before
        if merit != standing_merit:
            # A microsecond apart, so that the first of equal scores is ahead.
            now = min(standing.now + at, latest)
            version = now if before is None else max(now, before.version + 1)
            after = held[one.player] = _Held(merit, now, version, one.metadata)
            changed.add(one.player)
        assert after is not None
        score, when = board.order.merit(after.merit), after.achieved_at / 1e6
        row = ScoreRow(player_key(one.player), score, when, after.version, after.metadata)
        improved = after is not before and (standing_merit is None or merit > standing_merit)
        found.append(Change(one, season, row, changed=after is not before, improved=improved))
    rows: list[dict[str, Any]] = []
    for player in sorted(changed):
        after, before = held[player], standing.held[player]
        assert after is not None
        rows.append(
            {
                "season_id": season.id,
                "player_id": player,
                "score": after.merit,
                "achieved_at": after.achieved_at,
                "version": after.version,
                "former": None if before is None else before.merit,
                "metadata": after.metadata,
            }
        )
    return found, rows


def _weighed(operator: Operator, held: float | None, given: float) -> float:
    if held is None or operator is Operator.LATEST:
        return given
    return max(held, given) if operator is Operator.BEST else held + given


async def _write(connection: Statements, rows: Sequence[dict[str, Any]]) -> set[int]:
    """Write the rows of players whose score has not changed since it was read; returns their ids."""
    return set(await connection.scalars(_guarded(connection.dialect.name), rows))


@cache
def _guarded(dialect: str) -> Any:
    statement = upsert(dialect)(SCORES)
    given = statement.excluded
    return statement.on_conflict_do_update(
        index_elements=[S.season_id, S.player_id],
        set_={name: given[name] for name in ("former", "score", "achieved_at", "version", "metadata")},
        where=and_(S.score == given.former, S.version < given.version),
    ).returning(S.player_id)
