"""Publishes the committed changes of products: each once, in one order, whatever dies in between.

A write leaves its event in the table `product_events`, in its own transaction. The outbox gives the rows that have no
position yet the next ones (the order of publication, 1, 2, 3), and appends to the broker's topic whatever the topic
does not have. So the table is the truth and Redis a copy: a process that died between commit and publication, a Redis
that lost its last second or everything, and a publisher that lags are all the same case, repaired by the next round.
Every process runs these rounds: at once after a commit of its own, and every `every` seconds on behalf of the others;
an event appended twice counts once (`Broker.append`). A round on behalf of others acts only on rows that have not
changed since the last round.

A single write invalidates what it changes in the cache when it commits. A *bulk* write does not
(`graph.catalog.importing.bulk`): its rows get a position only after the whole cached catalog was invalidated, so no
event is ever ahead of the cache. The writer does that from time to time and at its end (`Outbox.outdate`), and its
process publishes the rows. Other processes skip them, with two exceptions: a single change of a product publishes the
earlier events of that product first, so that its events stay in order; and bulk rows that have not changed for `STILL`
seconds have lost their writer, so another process invalidates and publishes them. So the readers of an import that was
killed see what it committed within seconds.

The newest `TOPIC.max_length` rows are kept. While the database or Redis is away nothing is lost; the outbox tries
again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import secrets
from functools import cache
from typing import TYPE_CHECKING, Any, Self

from prometheus_client import Counter
from sqlalchemy import bindparam, delete, func, select, update

from graph.catalog.keys import EVERYTHING, TOPIC
from graph.catalog.models import EVENT_LOG, EVENTS
from graph.catalog.reading import events
from graph.engines.plain import padded
from graph.errors import Unavailable as DatabaseUnavailable
from graph.patterns.client import RedisUnavailable
from graph.patterns.outage import Outage

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from sqlalchemy import Select
    from sqlalchemy.ext.asyncio import AsyncSession

    from graph.catalog.reading.events import NumberedEvent, OutboxState
    from graph.engines.database import Database
    from graph.engines.plain import Statements
    from graph.patterns.broker import Broker, Position
    from graph.patterns.cache import Cache

STILL = 3.0
"""Seconds without change after which bulk rows count as orphaned; a batch of an import takes a fraction of one."""
_PAGE = 200
_BURST = 32
"""Events that are sent to Redis in one step; readers of the cache have to wait for it."""
_ROUND = 2000
"""Rows that get their positions in one transaction; another process may have to publish them before its own."""
_MOST = 200_000
"""Bulk rows that are processed at a time, to bound memory."""
_LOG = select(EVENT_LOG.c.nonce, EVENT_LOG.c.position).with_for_update()
_NEWEST = update(EVENT_LOG).values(position=bindparam("newest"))
_POSITION = update(EVENTS).where(EVENTS.c.id == bindparam("the_id")).values(position=bindparam("the_position"))
_FIRST = select(func.min(EVENTS.c.position))
_FORGET = delete(EVENTS).where(EVENTS.c.position <= bindparam("oldest"))
_PUBLISHED = Counter(
    "graph_outbox_published_total", "Events that this process published from the outbox to the broker."
)

logger = logging.getLogger(__name__)


class Outbox:
    """The publisher of one process; open it with ``async with``."""

    def __init__(self, database: Database, broker: Broker, cache: Cache, *, every: float = 1.0) -> None:
        """Publish events from `database` to `broker`, every `every` seconds; invalidate `cache` for bulk writes."""
        self._database = database
        self._broker = broker
        self._cache = cache
        self._every = every
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._shown: Sequence[int] = ()
        """Rows of bulk writes that may be published, because the catalog was invalidated after their commit."""
        self._outdating = asyncio.Lock()
        self._outage = Outage("the outbox is waiting", "the outbox goes on", logger, logging.INFO)
        self._orphans = _Unchanged(STILL * random.uniform(1.0, 1.5))  # noqa: S311 - so that processes do not act as one

    async def __aenter__(self) -> Self:
        """Start the rounds."""
        self._task = asyncio.create_task(self._look(), name="outbox")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop; another process, or the next start, publishes what is left."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        self._outage.close()

    def nudge(self) -> None:
        """Start a round now, because something was committed."""
        self._wake.set()

    async def outdate(self) -> None:
        """Invalidate the cached catalog for what bulk writes have committed so far, then publish those rows.

        They are published in the background. Raises `graph.patterns.cache.generations.CacheWriteUnconfirmed` when
        Redis does not confirm it in time.
        """
        async with self._outdating:
            try:
                waiting = await events.bulk(self._database, _MOST)
            except DatabaseUnavailable:
                waiting = ()  # they will be found as orphans
            await self._cache.invalidate(EVERYTHING)
            if waiting:
                self._shown = waiting
                self._wake.set()

    async def _look(self) -> None:
        failing = False
        owed, seen = True, None
        while True:
            pause = self._every
            try:
                end, state = await self._broker.end(TOPIC), await self._state()
                now = (end, *state[:3])
                if owed or now == seen:
                    await self.publish()
                if self._shown:
                    await self._publish_shown()
                elif self._orphans.stands(state.bulk):
                    await self.outdate()
                pause = 0.0 if self._shown else self._every
                failing, owed, seen = False, False, now
                self._outage.ended()
            except (RedisUnavailable, DatabaseUnavailable) as error:
                self._outage.began(str(error))
            except Exception as error:  # noqa: BLE001 - the task must outlive whatever went wrong
                if not failing:
                    logger.warning("the outbox failed and will keep trying: %r", error)
                failing = True
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):  # wait_for() of 3.11 can lose a cancellation to a nudge
                    await self._wake.wait()
            owed = owed or self._wake.is_set()  # includes what could not be published when `outdate` was called
            self._wake.clear()

    async def publish(self) -> int:
        """Publish all single changes that are committed but not published; returns the number of events published."""
        count = 0
        while True:
            # Ask Redis before the table, so that whatever Redis has by then, the table has too.
            end = await self._broker.end(TOPIC)
            state = await self._state()
            ids = await self._singles() if state.single else ()
            count += await self._bring(end, state, ids)
            if len(ids) < _ROUND:
                return count

    async def _publish_shown(self) -> None:
        """Publish the next rows of bulk writes."""
        ids = self._shown[:_ROUND]
        await self._bring(await self._broker.end(TOPIC), await self._state(), ids)
        if self._shown[: len(ids)] == ids:  # otherwise they were listed again meanwhile
            self._shown = self._shown[len(ids) :]

    async def _bring(self, end: Position, state: OutboxState, ids: Sequence[int]) -> int:
        """Give the rows `ids` positions, and append to the topic what comes after its end `end`."""
        nonce, position = state.nonce, state.position
        if end.nonce == nonce and end.offset > position:
            # The database was restored to an older state: its positions will mean other events from now on.
            nonce = await self._rename(nonce)
        if ids:
            nonce, position = await self._number(ids, end)
        known, published, count = end.nonce == nonce, end.offset, 0
        if not known:
            published = 0
        while published < position and (rows := await events.numbered(self._database, published, _PAGE)):
            newest = await self._append(nonce, rows, published, begin=not known)
            if newest <= published:
                self._wake.set()  # Redis has lost something since it was asked: start again
                break
            known, published, count = True, newest, count + len(rows)
        _PUBLISHED.inc(count)
        return count

    # --- the table ---

    async def _state(self) -> OutboxState:
        return await events.state(self._database)

    async def _singles(self) -> Sequence[int]:
        """Return the next rows of single writes without a position, preceded by bulk rows of the same products."""
        single, before = await events.singles(self._database, _ROUND)
        if before:  # the single writes invalidated their products, not all that the bulk writes may have changed
            await self._cache.invalidate(EVERYTHING)
        return sorted(single + before)

    async def _number(self, ids: Sequence[int], end: Position) -> tuple[str, int]:
        """Give a position to those of the rows `ids`, which are sorted, that have none; one process at a time.

        Published rows that the topic's history would not hold any more are deleted.
        """
        parts = [padded(ids[at : at + _ROUND]) for at in range(0, len(ids), _ROUND)]  # a statement takes so many

        async def number(connection: Statements) -> tuple[str, int]:
            nonce, position = await _lock(connection)
            waiting: list[int] = []
            for part in parts:
                named: dict[str, Any] = {f"id_{place}": one for place, one in enumerate(part)}
                waiting += (await connection.scalars(_still_waiting(len(part)), named)).all()
            if waiting:
                rows = [{"the_id": one, "the_position": position + n} for n, one in enumerate(waiting, 1)]
                await connection.execute(_POSITION, rows)
                position += len(waiting)
                await connection.execute(_NEWEST, {"newest": position})
            published = end.offset if end.nonce == nonce else 0
            oldest = min(published, position - TOPIC.max_length)
            first = (await connection.execute(_FIRST)).scalar_one()
            if first is not None and first <= oldest - _PAGE:
                await connection.execute(_FORGET, {"oldest": oldest})
            return nonce, position

        return await self._database.transact(number)

    async def _append(self, nonce: str, rows: Sequence[NumberedEvent], published: int, *, begin: bool) -> int:
        """Append `rows` to the topic, or begin it with them; returns the newest position published afterwards."""
        before = newest = rows[0].position - 1 if begin else published
        for first in range(0, len(rows), _BURST):
            burst = rows[first : first + _BURST]
            place = {"first": burst[0].position, "previous": before}
            told = [_event(row) for row in burst]
            newest = await self._broker.append(TOPIC, told, log=nonce, **place, begin=begin and not first)
            before = burst[-1].position
            if newest != before:
                break  # earlier rows have to come first, or another process has published some
        return newest

    async def _rename(self, nonce: str) -> str:
        async with self._database.transaction() as session:
            current, _ = await _lock(session)
            if current == nonce:
                current = secrets.token_hex(8)
                await session.execute(update(EVENT_LOG).values(nonce=current))
        return current


async def rename_log(database: Database) -> None:
    """Give the log of events another name, so that nobody takes its next numbers for those that it gave out before."""
    async with database.transaction() as session:
        await session.execute(update(EVENT_LOG).values(nonce=secrets.token_hex(8)))


class _Unchanged:
    """Tells how long a value has stayed the same."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._what: object = None
        self._since = 0.0

    def stands(self, what: object) -> bool:
        """Whether the value has been the same, and not None, for the given time; if so, the time starts again."""
        now = asyncio.get_running_loop().time()
        if what is None or what != self._what:
            self._what, self._since = what, now
            return False
        if now - self._since < self._patience:
            return False
        self._since = now
        return True


def _event(row: NumberedEvent) -> dict[str, Any]:
    """Return the published form of a row."""
    return {
        "kind": row.kind,
        "product": row.product_id,
        "categories": sorted({one for one in (row.category, row.previous_category) if one is not None}),
        "at": row.at.isoformat(),
    }


async def _lock(connection: Statements | AsyncSession) -> tuple[str, int]:
    """Return the log's row, locked against other processes until the transaction ends."""
    (row,) = (await connection.execute(_LOG)).all()
    return row[0], row[1]


@cache
def _still_waiting(count: int) -> Select[Any]:
    """Select those of `count` rows that have no position."""
    some = EVENTS.c.id.in_([bindparam(f"id_{place}") for place in range(count)])
    return select(EVENTS.c.id).where(some, events.WAITING).order_by(EVENTS.c.id)
