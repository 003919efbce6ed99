"""Idempotency keys of submissions: sending one again changes nothing and gets the first answer.

The first process to insert a key in SQL, in the transaction of its score, accepts the score; any other that finds the
key returns the stored answer. The ranks are known only after the commit, from the index: the first process to get them
settles the answer, which does not change any more.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, bindparam, or_, select, update

from graph.engines.plain import padded
from graph.engines.upsert import upsert
from graph.leaderboard.models import SUBMISSIONS
from graph.leaderboard.records import Change, Outcome, Remembered

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from graph.engines.plain import Statements
    from graph.leaderboard.records import Settlement

K = SUBMISSIONS.c


class Overtaken(Exception):
    """Another process inserted one of the keys first: roll back and start again to find it."""


async def remembered(
    connection: Statements, board: int, names: Iterable[tuple[int, str]]
) -> dict[tuple[int, str], Remembered]:
    """Return the answers to those keys that were sent before, by player and key."""
    wanted = padded(sorted(set(names)))
    values: dict[str, Any] = {"board": board}
    for at, (player, key) in enumerate(wanted):
        values |= {f"player_{at}": player, f"key_{at}": key}
    found = await connection.execute(_named(len(wanted)), values)
    return {
        (row.player_id, row.key): Remembered(
            Outcome(row.score, bool(row.improved), row.rank, row.previous_rank, row.season), settled=bool(row.settled)
        )
        for row in found
    }


@cache
def _named(count: int) -> Any:
    each = [and_(K.player_id == bindparam(f"player_{at}"), K.key == bindparam(f"key_{at}")) for at in range(count)]
    return select(SUBMISSIONS).where(K.board_id == bindparam("board"), or_(*each))


async def note(connection: Statements, board: int, found: Sequence[Change | Remembered | Exception], now: int) -> None:
    """Store the first answer to each key; raises `Overtaken` if another process has stored one meanwhile."""
    rows = [
        {
            "board_id": board,
            "player_id": one.submission.player,
            "key": one.submission.key,
            "season": one.season.number,
            "score": one.row.score,
            "improved": one.improved,
            "settled": False,
            "rank": None,
            "previous_rank": None,
            "created_at": now,
        }
        for one in found
        if isinstance(one, Change) and one.submission.key is not None
    ]
    if not rows:
        return
    rows.sort(key=lambda row: (row["player_id"], row["key"]))
    if len((await connection.scalars(_noting(connection.dialect.name), rows)).all()) < len(rows):
        raise Overtaken


@cache
def _noting(dialect: str) -> Any:
    return upsert(dialect)(SUBMISSIONS).on_conflict_do_nothing().returning(K.key)


async def settle(connection: Statements, settlements: Sequence[Settlement]) -> list[Outcome]:
    """Complete the answers to keys unless that was done already; returns the answers that count."""
    ordered = sorted(settlements, key=lambda one: (one.board, one.player, one.key))
    await connection.execute(
        _SETTLE,
        [
            {
                "of_board": one.board,
                "of_player": one.player,
                "of_key": one.key,
                "new_rank": one.outcome.rank,
                "new_previous": one.outcome.previous_rank,
            }
            for one in ordered
        ],
    )
    counting: dict[tuple[int, int, str], Outcome] = {}
    for board in {one.board for one in ordered}:
        names = [(one.player, one.key) for one in ordered if one.board == board]
        for (player, key), answer in (await remembered(connection, board, names)).items():
            counting[board, player, key] = answer.outcome
    return [counting.get((one.board, one.player, one.key), one.outcome) for one in settlements]


_SETTLE = (
    update(SUBMISSIONS)
    .where(
        K.board_id == bindparam("of_board"),
        K.player_id == bindparam("of_player"),
        K.key == bindparam("of_key"),
        K.settled.is_(False),
    )
    .values(settled=True, rank=bindparam("new_rank"), previous_rank=bindparam("new_previous"))
)
