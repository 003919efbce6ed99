"""Processes submissions: commits them in groups, puts them into the index, settles their keys, answers.

A score is committed in SQL before it is answered, whatever happens to Redis or to the others in the group. If the
caller is cancelled after the group began, the score is written and put like the others. The answer to a key is settled,
that is, complete with its ranks and on disk, before any caller gets it, so that it never changes.

A caller is answered only after the score is in the index and cached answers of the board are invalid, even if another
process committed the score and died before doing that.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from prometheus_client import Histogram

from graph.engines.commits import Groups
from graph.errors import Invalid, Missing
from graph.leaderboard import queries
from graph.leaderboard.keys import moved_tags
from graph.leaderboard.records import Change, Outcome, Remembered, Settlement, Submission
from graph.leaderboard.submission import idempotency as keys
from graph.leaderboard.submission import intake as taking
from graph.patterns.tasks import unheard

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence
    from typing import TypeAlias

    from graph.engines.database import Database
    from graph.engines.plain import Statements
    from graph.leaderboard.index import Indexes
    from graph.leaderboard.records import BoardRecord
    from graph.leaderboard.writing import Clock
    from graph.patterns.ranking import Submitted

    Item: TypeAlias = Submission | Settlement
    Written: TypeAlias = Change | Remembered | Outcome
    Answer: TypeAlias = Remembered | Outcome

LIMIT = 128
"""Most members of a group, about 10 ms of writing."""

_SIZES = Histogram(
    "graph_leaderboard_group_size",
    "Submissions and answers that were written in one transaction.",
    buckets=(1, 2, 4, 8, 16, 32, 64, 128),
)
_SETTLE_PAUSES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.3)

_UNTOLD = 120.0
"""Seconds for which a row counts as new: its process may have died before invalidating answers cached for 60 s."""
_TOLD = 16_384
"""Players whose last row is remembered."""

logger = logging.getLogger(__name__)


class Submissions:
    """Accepts the scores that one process receives; `close` it at the end."""

    def __init__(
        self,
        database: Database,
        indexes: Indexes,
        *,
        clock: Clock | None,
        moved: Callable[[BoardRecord, str, Submitted | None], None],
        outdate: Callable[[str, Iterable[str] | None], Awaitable[bool]] | None = None,
    ) -> None:
        """`moved` is called for every score that changed, after the commit; with None if it is not known what moved.

        `outdate` is awaited for a board whose scores have just changed, before the submissions are acknowledged, with
        the tags of the ranks that moved, or with None (`Outdating`).
        """
        self._database = database
        self._indexes = indexes
        self._clock = clock
        self._moved = moved
        self._outdate = outdate
        self._told = _Told()
        self._groups: Groups[Item, Written, Answer] = Groups(self._commit, self._publish, limit=LIMIT, sizes=_SIZES)
        self._answering: dict[tuple[int, int, str], asyncio.Task[Outcome]] = {}

    async def close(self) -> None:
        """Cancel the submissions in progress."""
        tasks = [*self._answering.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._groups.close()

    async def submit(self, submission: Submission) -> Outcome:
        """Accept a score, or return the first answer to its key; raises `Missing`, `Invalid`."""
        if submission.key is None:
            answer = await self._groups.add(submission)
            assert isinstance(answer, Outcome)
            return answer
        name = (submission.board.id, submission.player, submission.key)
        while (running := self._answering.get(name)) is not None:
            try:
                return await asyncio.shield(running)
            except Invalid:  # another score under the same key was refused, which leaves the key to this one
                continue
        task = asyncio.create_task(self._answer(submission, submission.key, self._groups.add(submission)))
        self._answering[name] = task
        task.add_done_callback(lambda _: self._answering.pop(name, None))
        task.add_done_callback(unheard)
        return await asyncio.shield(task)

    # --- a group ---

    async def _commit(self, group: Sequence[Item]) -> list[Written | Exception]:
        while True:
            try:
                return await self._transaction(group)
            except keys.Overtaken:  # another process's answer to a key can be found now
                continue

    async def _transaction(self, group: Sequence[Item]) -> list[Written | Exception]:
        boards: dict[int, list[tuple[int, Submission]]] = {}
        settlements: list[tuple[int, Settlement]] = []
        for at, item in enumerate(group):
            if isinstance(item, Settlement):
                settlements.append((at, item))
            else:
                boards.setdefault(item.board.id, []).append((at, item))

        async def write(connection: Statements) -> list[Written | Exception]:
            written: dict[int, Written | Exception] = {}
            for _, members in sorted(boards.items()):
                submissions = [submission for _, submission in members]
                try:
                    taken = await taking.take_in(connection, submissions[0].board, submissions, self._clock)
                except Missing as error:  # the board was deleted
                    taken = [error for _ in submissions]
                written |= zip((at for at, _ in members), taken, strict=True)
            if settlements:
                outcomes = await keys.settle(connection, [settlement for _, settlement in settlements])
                written |= zip((at for at, _ in settlements), outcomes, strict=True)
            return [written[at] for at in range(len(group))]

        return await self._database.transact(write, stays=True)  # of a group's own task

    async def _publish(self, written: Sequence[Written | Exception]) -> list[Answer | Exception]:
        """Put committed scores into the index, a batch for each season; returns the answers."""
        answers: list[Answer | Exception] = []
        seasons: dict[int, list[tuple[int, Change]]] = {}
        for at, one in enumerate(written):
            if isinstance(one, Change):
                seasons.setdefault(one.season.id, []).append((at, one))
                answers.append(_outcome(one, None))
            else:
                answers.append(one)
        puts = [self._put(changes, answers) for changes in seasons.values()]
        if len(puts) == 1:  # as nearly always: without a task for it
            await puts[0]
        else:
            await asyncio.gather(*puts)
        return answers

    async def _put(self, changes: Sequence[tuple[int, Change]], answers: list[Answer | Exception]) -> None:
        _, first = changes[0]
        board = first.submission.board
        places = await self._indexes.put(board, first.season.number, [change.row for _, change in changes])
        recent = ((self._clock or time.time)() - _UNTOLD) * 1e6
        # A score that changed nothing rests on a row that another process may not have told of yet.
        told = self._told.with_those_of(change for _, change in changes if change.changed)
        new = [
            (change, place)
            for (_, change), place in zip(changes, places, strict=True)
            if change.row.version > recent and not (told(change) and _was_there(change, place))
        ]
        if self._outdate is not None and new and await self._outdate(board.slug, _moved(board, new)):
            # What got into the index later, kept answers may lack that were made after this.
            self._told.note(change for change, place in new if place is not None)
        for (at, change), place in zip(changes, places, strict=True):
            answers[at] = _outcome(change, place)
            if not change.changed:
                continue
            try:
                self._moved(board, change.row.player, place)
            except Exception:  # the score is safe, whatever a listener makes of it
                logger.exception("a change of board %s was not announced", board.slug)

    # --- a key ---

    async def _answer(self, submission: Submission, key: str, first: Awaitable[Answer]) -> Outcome:
        """Submit under a key: the first to store the key accepts the score; all return the settled answer."""
        board, player = submission.board, submission.player
        answer = await first
        if isinstance(answer, Remembered):
            if not answer.settled:
                answer = await self._settled(board, player, key)
            if answer.settled:
                return answer.outcome
            answer = answer.outcome
        settled = await self._groups.add(Settlement(board.id, player, key, answer))
        assert isinstance(settled, Outcome)
        return settled

    async def _settled(self, board: BoardRecord, player: int, key: str) -> Remembered:
        """Wait for the process that settles the first answer; if it died, complete the answer without a former rank."""
        found = None
        for pause in _SETTLE_PAUSES:
            async with self._database.session() as session:
                answers = await keys.remembered(await session.connection(), board.id, [(player, key)])
            found = answers.get((player, key))
            if found is None:  # the player was deleted with every score
                raise Missing("player")
            if found.settled:
                return found
            await asyncio.sleep(pause)
        assert found is not None
        outcome, rank = found.outcome, None
        async with self._database.session() as session:
            row = await queries.row(session, board, outcome.season, player)
        if row is not None:
            (place,) = await self._indexes.put(board, outcome.season, [row])
            rank = None if place is None else place.rank
        if self._outdate is not None:
            await self._outdate(board.slug, None)
        return Remembered(Outcome(outcome.score, outcome.improved, rank, None, outcome.season), settled=False)


class _Told:
    """The last rows of players of which all that they moved is outdated; of those who sent scores to this process."""

    def __init__(self) -> None:
        self._versions: dict[tuple[int, str], int] = {}

    def note(self, changes: Iterable[Change]) -> None:
        """Remember the rows of `changes`, and forget the oldest."""
        for name, version in map(_row_of, changes):
            self._versions.pop(name, None)
            self._versions[name] = version
        while len(self._versions) > _TOLD:
            del self._versions[next(iter(self._versions))]

    def with_those_of(self, changes: Iterable[Change]) -> Callable[[Change], bool]:
        """Whether the row of a change is remembered, or one of `changes`, which are told beside it."""
        beside = set(map(_row_of, changes))

        def told(change: Change) -> bool:
            name, version = row = _row_of(change)
            return row in beside or self._versions.get(name) == version

        return told


def _row_of(change: Change) -> tuple[tuple[int, str], int]:
    return (change.season.id, change.row.player), change.row.version


def _was_there(change: Change, place: Submitted | None) -> bool:
    """Whether a score changed nothing, not even the index, which may get a row late."""
    return not change.changed and place is not None and not place.changed


def _moved(board: BoardRecord, changes: Sequence[tuple[Change, Submitted | None]]) -> set[str] | None:
    """The tags of the ranks that moved; None if one of them is not known, or came to be in another process."""
    moved: set[str] = set()
    for change, place in changes:
        tags = moved_tags(board.slug, board.ties, place) if change.changed and place is not None else None
        if tags is None:
            return None
        moved.update(tags)
    return moved


def _outcome(change: Change, place: Submitted | None) -> Outcome:
    assert change.row.score is not None
    rank = former = None
    if place is not None:
        rank = place.rank
        if place.changed or not change.changed:  # otherwise the row got into the index another way
            former = place.former_rank
    return Outcome(change.row.score, change.improved, rank, former, change.season.number)
