"""A ranking of any number of players: who is where, and who stands around them, at one instant.

Every finite double is a legal score and is kept exactly: the sorted set is scored by the score itself (or, where low
scores are the better ones, by its negative), and equal scores are ordered by the member, which begins with the time of
achievement. A text may go with each score. Each read or change is one script,
O(log n), so that rank, score and neighbours always belong together.

A ranking is either the truth itself (`create`, then `submit`, which weighs scores in Redis), or the index of a truth
kept elsewhere (``derived=True``: `put` versioned rows, `rebuild` from all of them). A derived index never gives an
answer that it cannot stand for: without a whole index every read raises `RankingMissing`; after the server process
changed, which may have lost its newest writes, `RankingStale`, until `catch_up` put what was newer and `verify` notes
it.
Rebuilding fills a successor beside the index, into which `put` writes too, and renames it in place: no row put
meanwhile is lost, and readers see the old index or the new one. One builder at a time; a dead one's lease runs out.

Keys ``{prefix}:ranking:{<board>}:…`` are durable: an index that expired while nobody looked would cost a rebuild from
millions of rows just when somebody does, and a truth must not expire at all; `drop` removes them. A successor has a
TTL.

Raises ValueError for scores that are not finite, `RankingMissing`, and what the client raises when Redis is away.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from graph.patterns.client import Script, command
from graph.patterns.ranking.build import CHUNK, Build
from graph.patterns.ranking.reader import RankingReader
from graph.patterns.ranking.values import (
    Operator,
    Order,
    RankingMissing,
    RankingStale,
    RankingState,
    ScoreRow,
    Submitted,
    Ties,
    finite,
    micros,
    seconds,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Callable, Sequence

    from graph.patterns.client import Argument, Client, Command, Replies

LEASE = 15.0  # seconds a rebuild may be silent before another process takes over
TOGETHER = 32
"""Rows that one script stores: a few hundred microseconds for which nobody else is served."""

_submit = Script(__name__, "submit")
_put = Script(__name__, "submit", idempotent=True)  # a version is taken in once, however often it is sent
_remove = Script(__name__, "remove")
_remove_row = Script(__name__, "remove", idempotent=True)  # as above
_verify = Script(__name__, "verify", idempotent=True)


DURABLE_KEYS = {
    "ranking:{*}:*": "an index that expired would be rebuilt just when somebody looks; a truth must not expire"
}
"""Keys without a TTL, below the prefix, and why they have none; a ranking being built has one."""


class Ranking(RankingReader):
    """One ranking, by `board` (any text without braces), under an operator, an order and ties that never change."""

    def __init__(
        self,
        client: Client,
        board: str,
        *,
        operator: Operator = Operator.BEST,
        order: Order = Order.DESCENDING,
        ties: Ties = Ties.EARLIEST_FIRST,
        derived: bool = False,
        prefix: str = "graph",
        lease: float = LEASE,
    ) -> None:
        """`derived` says that the rows are kept elsewhere; `lease` is for rebuilds, in seconds."""
        super().__init__(client, board, operator=operator, order=order, ties=ties, derived=derived, prefix=prefix)
        self._lease = lease

    # --- writing ---

    async def create(self) -> None:
        """Create an empty ranking; does nothing where there already is one."""
        build = self._build()
        if await build.begin(if_missing=True):
            await build.promote()

    async def submit(
        self, player: str, score: float, *, at: float | None = None, metadata: str | None = None
    ) -> Submitted:
        """Weigh a score against the one held, by the operator; `at` is when it was achieved (default: now).

        `metadata` is kept with the score that it came with: when that changes nothing, neither does it. SUM adds
        `score` to the one held and raises OverflowError when that gives no finite number.
        """
        when: Argument = "" if at is None else micros(at)
        args = (self.operator.value, self.ties.value, player, self._merit(score), when, "", metadata or "")
        (stored,) = self._submitted(await self._client.batch(_submit(self._both, args)), 0)
        return stored

    def _put_command(self, rows: Sequence[ScoreRow]) -> Command:
        args: list[Argument] = ["set", self.ties.value]
        for row in rows:
            assert row.score is not None
            when, text = micros(row.achieved_at), row.metadata or ""
            args += (row.player, self._merit(row.score), when, row.version, text)
        return _put(self._both, args)

    def _merit(self, score: float) -> str:
        return repr(self.order.merit(finite(score)))

    async def put(self, row: ScoreRow) -> Submitted:
        """Store a row from the source of truth, if it is newer than the one held; one with a score, see `remove`.

        Raises `RankingMissing` or `RankingStale` when there is no rank to give; a successor gets the row nevertheless.
        """
        (stored,) = self._submitted(await self._client.batch(self._put_command([row])), 0)
        return stored

    async def put_all(self, rows: Sequence[ScoreRow]) -> list[Submitted | Exception]:
        """Put several rows in one batch, in their order; what `put` would raise stands in the result.

        `TOGETHER` of them are one script.
        """
        parts = [rows[start : start + TOGETHER] for start in range(0, len(rows), TOGETHER)]
        replies = await self._client.batch(*map(self._put_command, parts))
        found: list[Submitted | Exception] = []
        for at, part in enumerate(parts):
            try:
                found += self._submitted(replies, at)
            except (RankingMissing, RedisError) as error:
                found += [error] * len(part)
        return found

    async def remove(self, player: str, *, version: int | None = None) -> bool:
        """Take a player out; True when there was an entry (no newer than `version`)."""
        removed = await self._client.run(
            _remove, self._both, (self.ties.value, player, "" if version is None else version)
        )
        if removed < 0:
            raise RankingMissing(self._live[3])
        return bool(removed)

    async def drop(self) -> None:
        """Remove the ranking."""
        await self._client.execute("UNLINK", *self._both, retry=True)

    # --- keeping a derived index in step with its truth ---

    async def rebuild(
        self,
        source: AsyncIterable[Sequence[ScoreRow]],
        *,
        through: int = 0,
        if_missing: bool = False,
        on_progress: Callable[[int], None] | None = None,
    ) -> bool:
        """Rebuild the index from `source`, which must include everything that existed when this call began to read it.

        Rows that say a score was removed need not be there, and are passed over.

        `through` is a version, all rows up to which `source` has for certain; `if_missing` builds nothing where there
        is a whole index; `on_progress` gets the number of rows of each chunk that was loaded.

        Versions of removed players are forgotten: from now on `source` is the truth. Returns False, without touching
        `source`, while another process rebuilds, or if one has been. Raises `RankingMissing` when the
        successor was lost on the way (the lease ran out, Redis was emptied): begin again.
        """
        build = self._build()
        if not await build.begin(if_missing=if_missing):
            return False
        await build.feed(source, on_progress)
        if not await build.promote(through):
            raise RankingMissing(self._next[3])
        return True

    def _build(self) -> Build:
        return Build(self._client, self._live, self._next, order=self.order, dense=self._dense, lease=self._lease)

    async def catch_up(self, source: AsyncIterable[Sequence[ScoreRow]]) -> int:
        """Put every row of `source`, removals included; returns how many changed the index."""
        changed = 0
        async for rows in source:
            for start in range(0, len(rows), CHUNK):
                part = rows[start : start + CHUNK]
                for row, reply in zip(part, await self._client.batch(*map(self._row_command, part)), strict=True):
                    if isinstance(reply, Exception):
                        raise reply
                    if reply in ([], -1):
                        raise RankingMissing(self._live[3])
                    changed += reply if row.score is None else reply[0][0]
        return changed

    def _row_command(self, row: ScoreRow) -> Command:
        if row.score is not None:
            return self._put_command([row])
        return _remove_row(self._both, (self.ties.value, row.player, row.version))

    async def verify(self, state: RankingState, server: bytes, through: int) -> bool:
        """Say that all rows from version `state.through` to `through` were put since `state` was read.

        `server` is `server_id()` as of before that. False when the index, or the server, is another one by now.
        """
        return bool(await self._client.run(_verify, self._live[3:], (state.build, server, through)))

    async def server_id(self) -> bytes:
        """The server process that answers at present."""
        replies = await self._client.batch(command("EXISTS", self._live[3]))
        if isinstance(replies[0], Exception):
            raise replies[0]
        return replies.process

    async def turn(self, work: str, ttl: float) -> bool:
        """Whether this process, and no other, may do some `work` within the next `ttl` seconds.

        For work that is harmless, merely wasteful, when two do it.
        """
        key = f"{self._turn}:{work}"
        reply = await self._client.execute("SET", key, 1, "NX", "PX", _milliseconds(ttl), retry=False)
        return reply is not None

    def _submitted(self, replies: Replies, at: int) -> list[Submitted]:
        """What became of the scores of one script."""
        found: list[Submitted] = []
        for reply in self._reply(replies, at):
            if reply[0] == b"overflow":
                raise OverflowError("the sum of the scores is not a finite number")
            if self._derived and reply[7] != replies.process:
                raise RankingStale(self._live[3])
            changed, rank, score, achieved, version, former_rank, former = reply[:7]
            found.append(
                Submitted(
                    changed=bool(changed),
                    rank=rank or None,
                    score=self.order.merit(float(score)),
                    achieved_at=seconds(achieved),
                    version=version,
                    former_rank=former_rank or None,
                    former_score=self.order.merit(float(former)) if former else None,
                    size=reply[9],
                )
            )
        return found


def _milliseconds(duration: float) -> int:
    return max(1, round(duration * 1000))
