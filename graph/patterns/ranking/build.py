"""Rebuilds a ranking: a successor is filled beside the index and renamed into its place.

There is one builder at a time, by a token and a lease that it renews while it loads rows. The lease of a builder that
died runs out, and its leftovers are never used. Rows put into the ranking meanwhile go into the successor, too
(submit.lua).
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import struct
from collections import deque
from typing import TYPE_CHECKING

from graph.patterns.client import Script
from graph.patterns.ranking.values import RankingMissing, finite, micros

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Callable, Sequence

    from graph.patterns.client import Argument, Client, Command, Replies
    from graph.patterns.ranking.values import Order, ScoreRow

CHUNK = 500  # rows a load script takes: it holds the server for about a millisecond
WINDOW = 20  # load scripts in progress, so that the server works while the source reads

_begin = Script(__name__, "begin", idempotent=True)
_load = Script(__name__, "load", idempotent=True)
_promote = Script(__name__, "promote")

_FIELDS = struct.Struct(">QQ")
_DOUBLE = struct.Struct(">d")
_UNCHANGED = bytes(6)


class Build:
    """One attempt at building."""

    def __init__(
        self, client: Client, live: list[str], successor: list[str], *, order: Order, dense: int, lease: float
    ) -> None:
        """Build `successor`, then put it in the place of `live`; `lease` is in seconds."""
        self._client = client
        self._next = successor
        self._both = live + successor
        self._order = order
        self._dense = dense
        self._lease = max(1, round(lease * 1000))
        self._token = secrets.token_hex(8)

    async def begin(self, *, if_missing: bool) -> bool:
        """Start with an empty successor; False while another one builds (or, with `if_missing`, if one has)."""
        mode = (1 if if_missing else 0, self._dense)
        return bool(await self._client.run(_begin, self._both, (self._token, self._lease, *mode)))

    async def promote(self, through: int = 0) -> bool:
        """Put the successor in place; False when it was lost on the way."""
        return bool(await self._client.run(_promote, self._both, (self._token, self._dense, through)))

    async def feed(self, source: AsyncIterable[Sequence[ScoreRow]], on_progress: Callable[[int], None] | None) -> None:
        """Load all of `source`; raises `RankingMissing` when the successor was lost."""
        beat = asyncio.create_task(self._keep_lease())
        try:
            await self._feed(source, on_progress)
        finally:
            beat.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await beat

    async def _feed(self, source: AsyncIterable[Sequence[ScoreRow]], on_progress: Callable[[int], None] | None) -> None:
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
                under_way.append((self._client.batch(self._load_command(part)), len(part)))
                if len(under_way) > WINDOW:
                    await settle()
        while under_way:
            await settle()

    def _load_command(self, rows: Sequence[ScoreRow]) -> Command:
        newest = {row.player: row for row in sorted(rows, key=_version)} if _repeats(rows) else None
        args: list[Argument] = [self._token, self._lease, self._dense, max(map(_version, rows), default=0)]
        for row in rows if newest is None else newest.values():
            if row.score is None:
                continue
            inverse = 0.0 - self._order.merit(finite(row.score))
            held = _FIELDS.pack(micros(row.achieved_at), row.version)
            text = row.metadata.encode() if row.metadata is not None else b""
            args += (row.player, repr(inverse), held[1:8] + held[9:] + _UNCHANGED + text, _DOUBLE.pack(inverse))
        return _load(self._next, args)

    async def _keep_lease(self) -> None:
        while True:
            await asyncio.sleep(self._lease / 3000)
            await self._client.batch(self._load_command(()))


def _version(row: ScoreRow) -> int:
    return row.version


def _repeats(rows: Sequence[ScoreRow]) -> bool:
    return len({row.player for row in rows}) < len(rows)
