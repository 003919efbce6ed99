"""A ranking of any number of players: who is where, and who stands around them, at one instant.

Every finite double is a legal score and is kept to its last bit: the sorted set is scored by the score itself, and
equal scores are ordered by the member, which begins with the time of achievement. Reading or changing it is one script,
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

import asyncio
import contextlib
import secrets
import struct
from collections import deque
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError

from graph.patterns.ranking_values import (
    Context,
    Entry,
    Operator,
    Page,
    Place,
    RankingMissing,
    RankingStale,
    Row,
    State,
    Submitted,
    Ties,
    finite,
    micros,
    ranked,
    seconds,
)
from graph.patterns.script import Script, command

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Callable, Sequence

    from graph.patterns.client import Client
    from graph.patterns.pending import Replies
    from graph.patterns.script import Argument, Command

__all__ = [
    "Context",
    "Entry",
    "Operator",
    "Page",
    "Place",
    "Ranking",
    "RankingMissing",
    "RankingStale",
    "Row",
    "State",
    "Submitted",
    "Ties",
]

LEASE = 15.0  # seconds a rebuild may be silent before another process takes over
CHUNK = 500  # rows a load script takes: it holds the server for about a millisecond
WINDOW = 20  # load scripts under way, so that the server works while the source reads

_submit = Script("ranking_submit")
_put = Script("ranking_submit", idempotent=True)  # a version is taken in once, however often it is sent
_page = Script("ranking_page", idempotent=True)
_around = Script("ranking_around", idempotent=True)
_entries = Script("ranking_entries", idempotent=True)
_state = Script("ranking_state", idempotent=True)
_remove = Script("ranking_remove")
_begin = Script("ranking_begin", idempotent=True)
_load = Script("ranking_load", idempotent=True)
_promote = Script("ranking_promote")
_verify = Script("ranking_verify", idempotent=True)

_PARTS = ("order", "players", "levels", "state")
_FIELDS = struct.Struct(">QQ")
_DOUBLE = struct.Struct(">d")
_UNCHANGED = bytes(6)


class Ranking:
    """One ranking, by `board` (any text without braces), under an operator and a tie policy that never change."""

    def __init__(
        self,
        client: Client,
        board: str,
        *,
        operator: Operator = Operator.BEST,
        ties: Ties = Ties.EARLIEST_FIRST,
        derived: bool = False,
        prefix: str = "graph",
        lease: float = LEASE,
    ) -> None:
        """`derived` says that the rows are kept elsewhere; `lease` is for rebuilds, in seconds."""
        self.operator = operator
        self.ties = ties
        self._client = client
        self._derived = derived
        self._lease = lease
        base = f"{prefix}:ranking:{{{board}}}"
        self._live = [f"{base}:{part}" for part in _PARTS]
        self._next = [f"{base}:next:{part}" for part in _PARTS]
        self._both = self._live + self._next
        self._turn = f"{base}:turn"

    # --- writing ---

    async def create(self) -> None:
        """Begin with an empty ranking where there is none; nothing happens where there is one."""
        token = secrets.token_hex(8)
        if await self._client.run(_begin, self._both, (token, _milliseconds(self._lease), 1, self._dense)):
            await self._client.run(_promote, self._both, (token, self._dense, 0))

    async def submit(self, player: str, score: float, *, at: float | None = None) -> Submitted:
        """Weigh a score against the one held, by the operator; `at` is when it was achieved (default: now).

        SUM adds `score` to the one held and raises OverflowError when that gives no finite number.
        """
        when: Argument = "" if at is None else micros(at)
        args = (self.operator.value, self.ties.value, player, repr(finite(score)), when, "")
        replies = await self._client.batch(_submit(self._both, args))
        return self._submitted(replies, 0)

    def put_command(self, row: Row) -> Command:
        """Build the command of `put`, for a batch."""
        score = repr(finite(row.score))
        return _put(self._both, ("set", self.ties.value, row.player, score, micros(row.achieved_at), row.version))

    async def put(self, row: Row) -> Submitted:
        """Take in a row as it stands elsewhere, if it is newer than the one held.

        Raises `RankingMissing` or `RankingStale` when there is no rank to give; a successor has the row all the same.
        """
        return self._submitted(await self._client.batch(self.put_command(row)), 0)

    async def put_all(self, rows: Sequence[Row]) -> list[Submitted | Exception]:
        """Put several rows in one batch, in their order; what `put` would raise stands in the result."""
        replies = await self._client.batch(*map(self.put_command, rows))
        found: list[Submitted | Exception] = []
        for at in range(len(rows)):
            try:
                found.append(self._submitted(replies, at))
            except (RankingMissing, RedisError) as error:
                found.append(error)
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

    # --- reading: one script each ---

    async def page(self, first: int, *, offset: int = 0) -> Page:
        """The `first` entries from position `offset` on, best first."""
        return await self._read_page((self.ties.value, first, offset, "", "", "", 0), None)

    async def page_after(self, first: int, place: Place) -> Page:
        """Up to `first` entries that come after `place` (from `Page.place`), whether or not it is still taken.

        Pages join: an entry that did not change between two pages is in exactly one of them. One that did change is at
        most in one: under operators by which it may have moved down it is left out of the later page.
        """
        build, since = ("", 0) if self.operator is Operator.BEST else (place.build, place.seq)
        args = (self.ties.value, first, 0, repr(place.score), place.member, build, since)
        return await self._read_page(args, place)

    async def _read_page(self, args: tuple[Argument, ...], place: Place | None) -> Page:
        reply = self._whole(await self._client.batch(_page(self._live, args)), 7, 8)
        size, position, first, raw, omitted, more, seq, _, build = reply
        entries = ranked(self.ties, raw, position, first)
        last = entries[-1] if entries else None
        if omitted:
            gone = set(omitted)
            entries = [entry for i, entry in enumerate(entries, 1) if i not in gone]
        name = build.decode()
        if place is not None and place.build == name:
            seq = place.seq
        return Page(entries, size, position > 0, bool(more), name, seq, last)

    async def entry(self, player: str) -> Entry | None:
        """The player's entry."""
        return (await self.entries([player]))[0]

    async def entries(self, players: Sequence[str]) -> list[Entry | None]:
        """The entries of several players, in the order asked for; None for one who has none."""
        reply = self._whole(await self._client.batch(_entries(self._live, (self.ties.value, *players))), 0, 1)
        ranks: list[int] = reply[2::3]
        scores: list[bytes] = reply[3::3]
        times: list[int] = reply[4::3]
        return [
            Entry(rank, player, 0.0 - float(score), seconds(achieved)) if rank else None
            for player, rank, score, achieved in zip(players, ranks, scores, times, strict=True)
        ]

    async def around(self, player: str, neighbours: int = 2) -> Context | None:
        """The player's entry with up to `neighbours` entries above and below; None for a player who has none."""
        reply = self._whole(await self._client.batch(_around(self._live, (self.ties.value, player, neighbours))), 1, 2)
        if not reply[0]:
            return None
        position, start, first, raw = reply[3:7]
        entries = ranked(self.ties, raw, start, first)
        own: int = position - start
        return Context(entries[own], entries[:own], entries[own + 1 :])

    async def state(self) -> State:
        """How large the ranking is and how far it has come, even if it is stale."""
        replies = await self._client.batch(_state(self._live, (self.ties.value,)))
        size, seq, through, server, build = self._reply(replies, 0)
        return State(size, seq, through, build.decode(), stale=self._derived and server != replies.run_id)

    async def size(self) -> int:
        """How many players it holds."""
        state = await self.state()
        if state.stale:
            raise RankingStale(self._live[3])
        return state.size

    # --- keeping a derived index in step with its truth ---

    async def rebuild(
        self,
        source: AsyncIterable[Sequence[Row]],
        *,
        through: int = 0,
        if_missing: bool = False,
        on_progress: Callable[[int], None] | None = None,
    ) -> bool:
        """Make the index anew from `source`, which must see what was there when this call began to consume it.

        `through` is a version, all rows up to which `source` has for certain; `if_missing` builds nothing where there
        is a whole index; `on_progress` is told rows as they go in.

        Versions of removed players are forgotten: from now on `source` is the truth. Returns False, without touching
        `source`, while another process rebuilds, or if one has been. Raises `RankingMissing` when the
        successor was lost on the way (the lease ran out, Redis was emptied): begin again.
        """
        token = secrets.token_hex(8)
        mode = (1 if if_missing else 0, self._dense)
        if not await self._client.run(_begin, self._both, (token, _milliseconds(self._lease), *mode)):
            return False
        beat = asyncio.create_task(self._keep_lease(token))
        try:
            await self._feed(token, source, on_progress)
        finally:
            beat.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await beat
        if not await self._client.run(_promote, self._both, (token, self._dense, through)):
            raise RankingMissing(self._next[3])
        return True

    async def _feed(
        self, token: str, source: AsyncIterable[Sequence[Row]], on_progress: Callable[[int], None] | None
    ) -> None:
        under_way: deque[tuple[asyncio.Future[Replies], int]] = deque()

        async def settle() -> None:
            future, count = under_way.popleft()
            reply = (await future)[0]
            if isinstance(reply, Exception):
                raise reply
            if not reply:
                raise RankingMissing(self._next[3])
            if on_progress is not None:
                on_progress(count)

        async for rows in source:
            for start in range(0, len(rows), CHUNK):
                part = rows[start : start + CHUNK]
                under_way.append((self._client.batch(self._load_command(token, part)), len(part)))
                if len(under_way) > WINDOW:
                    await settle()
        while under_way:
            await settle()

    def _load_command(self, token: str, rows: Sequence[Row]) -> Command:
        newest = {row.player: row for row in sorted(rows, key=_version)} if _repeats(rows) else None
        args: list[Argument] = [token, _milliseconds(self._lease), self._dense, max(map(_version, rows), default=0)]
        for row in rows if newest is None else newest.values():
            inverse = 0.0 - finite(row.score)
            held = _FIELDS.pack(micros(row.achieved_at), row.version)
            args += (row.player, repr(inverse), held[1:8] + held[9:] + _UNCHANGED, _DOUBLE.pack(inverse))
        return _load(self._next, args)

    async def _keep_lease(self, token: str) -> None:
        while True:
            await asyncio.sleep(self._lease / 3)
            await self._client.batch(self._load_command(token, ()))

    async def catch_up(self, source: AsyncIterable[Sequence[Row]]) -> int:
        """Put every row of `source`; returns how many were newer than what the index held."""
        changed = 0
        async for rows in source:
            for start in range(0, len(rows), CHUNK):
                replies = await self._client.batch(*map(self.put_command, rows[start : start + CHUNK]))
                for reply in replies:
                    if isinstance(reply, Exception):
                        raise reply
                    if not reply:
                        raise RankingMissing(self._live[3])
                    changed += reply[0]
        return changed

    async def verify(self, state: State, server: bytes, through: int) -> bool:
        """Say that all rows from version `state.through` to `through` were put since `state` was read.

        `server` is `server_id()` as of before that. False when the index, or the server, is another one by now.
        """
        return bool(await self._client.run(_verify, self._live[3:], (state.build, server, through)))

    async def server_id(self) -> bytes:
        """The server process that answers at present."""
        replies = await self._client.batch(command("EXISTS", self._live[3]))
        if isinstance(replies[0], Exception):
            raise replies[0]
        return replies.run_id

    async def turn(self, work: str, ttl: float) -> bool:
        """Whether this process is the one of all that may do a certain work within the next `ttl` seconds.

        For work that is harmless, merely wasteful, when two do it.
        """
        key = f"{self._turn}:{work}"
        reply = await self._client.execute("SET", key, 1, "NX", "PX", _milliseconds(ttl), retry=False)
        return reply is not None

    # --- replies ---

    @property
    def _dense(self) -> int:
        return 1 if self.ties is Ties.DENSE else 0

    def _reply(self, replies: Replies, at: int) -> Any:
        reply = replies[at]
        if isinstance(reply, Exception):
            raise reply
        if not reply:
            raise RankingMissing(self._live[3])
        return reply

    def _whole(self, replies: Replies, server: int, build: int) -> Any:
        reply = self._reply(replies, 0)
        assert len(reply) > build
        if self._derived and reply[server] != replies.run_id:
            raise RankingStale(self._live[3])
        return reply

    def _submitted(self, replies: Replies, at: int) -> Submitted:
        reply = self._reply(replies, at)
        if reply[0] == b"overflow":
            raise OverflowError("the sum of the scores is not a finite number")
        if self._derived and reply[7] != replies.run_id:
            raise RankingStale(self._live[3])
        changed, rank, score, achieved, version, former_rank, former = reply[:7]
        return Submitted(
            changed=bool(changed),
            rank=rank or None,
            score=float(score),
            achieved_at=seconds(achieved),
            version=version,
            former_rank=former_rank or None,
            former_score=float(former) if former else None,
        )


def _milliseconds(duration: float) -> int:
    return max(1, round(duration * 1000))


def _version(row: Row) -> int:
    return row.version


def _repeats(rows: Sequence[Row]) -> bool:
    return len({row.player for row in rows}) < len(rows)
