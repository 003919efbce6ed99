"""Publishes the committed changes of products: each once, in one order, whatever dies in between.

A write leaves its event in the table `product_events`, in its own transaction. The outbox gives the rows that have no
position yet the next ones (the order of publication, 1, 2, 3), and appends to the broker's topic whatever the topic
does not have. So the table is the truth and Redis a copy: a process that died between commit and publication, a Redis
that lost its last second or everything, a publisher that lags are all the same case, healed by the next look. Every
process looks: at once after a commit of its own, every `every` seconds for the others' sake; an event appended twice
counts once (`Broker.append`). Who looks for others acts only on what has stood still since the last look.

A single write outdates what it changes in the cache at its own commit. A *bulk* write does not
(`graph.catalog.importing.bulk`): its rows get a position only after the whole catalog was outdated, so that no event is
ever ahead of the cache. The writer does that from time to time and at its end (`Outbox.outdate`), and its process
publishes them. Whoever else looks passes them over, but for two cases: a single change of the same product takes the
earlier events of that product along, so that its events stay in order; and bulk rows that have stood still for `STILL`
seconds have lost their writer, and are outdated and published for him. So the readers of an import that was killed see
what it committed within seconds.

The newest `TOPIC.max_length` rows are kept. While the database or Redis is away nothing is lost; it tries again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import secrets
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from prometheus_client import Counter
from sqlalchemy import bindparam, delete, exists, func, select, update

from graph.catalog.keys import EVERYTHING, TOPIC
from graph.catalog.models import EVENT_LOG, EVENTS
from graph.errors import Unavailable as DatabaseUnavailable
from graph.patterns.client import RedisUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from sqlalchemy.ext.asyncio import AsyncSession

    from graph.engines.database import Database
    from graph.patterns.broker import Broker, Position
    from graph.patterns.cache import Cache

STILL = 3.0
"""Seconds after which bulk rows that nobody touches are an orphan's: a batch of an import takes a fraction of one."""
_PAGE = 200
_BURST = 32
"""Events that are sent to Redis in one step; whoever reads the cache meanwhile waits for it."""
_ROUND = 2000
"""Rows that get their positions in one transaction: what another process may have to publish before its own."""
_MOST = 200_000
"""Bulk rows that are taken on at a time, to bound memory."""
_WAITING = EVENTS.c.position.is_(None)
_POSITION = update(EVENTS).where(EVENTS.c.id == bindparam("the_id")).values(position=bindparam("the_position"))
_PUBLISHED = Counter("graph_outbox_published_total", "Events that this process brought from the outbox to the broker.")

_log = logging.getLogger(__name__)


class _State(NamedTuple):
    """What the table holds: the log's name and newest position, and what waits for one."""

    nonce: str
    position: int
    single: bool
    bulk: tuple[int, int] | None
    """The first and the last id of the waiting rows of bulk writes."""


class Outbox:
    """The publisher of one process; open it with ``async with``."""

    def __init__(self, database: Database, broker: Broker, cache: Cache, *, every: float = 1.0) -> None:
        """Bring events from `database` to `broker`, looking every `every` seconds; outdate `cache` for bulk writes."""
        self._database = database
        self._broker = broker
        self._cache = cache
        self._every = every
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._shown: Sequence[int] = ()
        """Rows of bulk writes that may be published: the catalog was outdated after they had been committed."""
        self._outdating = asyncio.Lock()
        self._orphans = _Unchanged(STILL * random.uniform(1.0, 1.5))  # noqa: S311 - so that processes do not act as one

    async def __aenter__(self) -> Self:
        """Start looking."""
        self._task = asyncio.create_task(self._look(), name="outbox")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop; what is not published yet will be, by another process or the next start."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def nudge(self) -> None:
        """Look at once: something was committed."""
        self._wake.set()

    async def outdate(self) -> None:
        """Let no reader see the catalog as it was before what bulk writes have committed by now; then publish that.

        Publication goes on in the background. Raises `graph.patterns.cache.generations.CacheWriteUnconfirmed` when
        Redis does not confirm it in time.
        """
        async with self._outdating:
            try:
                waiting = await self._bulk()
            except DatabaseUnavailable:
                waiting = ()  # they will be found standing still
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
                owed, seen = False, now
                failing = False
            except (RedisUnavailable, DatabaseUnavailable) as error:
                _log.info("the outbox waits: %s", error)
            except Exception as error:  # noqa: BLE001 - the task must outlive whatever went wrong
                if not failing:  # once, not every second
                    _log.warning("the outbox failed and goes on trying: %r", error)
                failing = True
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):  # wait_for() of 3.11 loses a cancellation that meets a nudge
                    await self._wake.wait()
            owed = owed or self._wake.is_set()  # also what could not be published when it was asked for
            self._wake.clear()

    async def publish(self) -> int:
        """Publish all single changes that are committed and were not yet; returns how many events went out."""
        count = 0
        while True:
            # Redis is asked first: whatever it has by now, the table has by the time that it is asked.
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
        if self._shown[: len(ids)] == ids:  # else they have been listed anew
            self._shown = self._shown[len(ids) :]

    async def _bring(self, end: Position, state: _State, ids: Sequence[int]) -> int:
        """Give the rows `ids` positions, and append whatever the topic, which ends at `end`, does not have."""
        nonce, position = state.nonce, state.position
        if ids:
            nonce, position = await self._number(ids, end)
        if end.nonce == nonce and end.offset > position:
            # The database went back to an older state: its positions will mean other events from now on.
            nonce = await self._rename(nonce)
        known, published, count = end.nonce == nonce, end.offset, 0
        if not known:
            published = 0
        while published < position and (rows := await self._rows(published)):
            newest = await self._append(nonce, rows, published, begin=not known)
            if newest <= published:
                self._wake.set()  # Redis has lost something since it was asked: look again
                break
            known, published, count = True, newest, count + len(rows)
        _PUBLISHED.inc(count)
        return count

    # --- the table ---

    async def _state(self) -> _State:
        single = exists().where(_WAITING, ~EVENTS.c.bulk)
        first, last = (
            select(EVENTS.c.id).where(_WAITING, EVENTS.c.bulk).order_by(order).limit(1).scalar_subquery()
            for order in (EVENTS.c.id, EVENTS.c.id.desc())
        )
        async with self._database.session() as session:
            row = (await session.execute(select(EVENT_LOG.c.nonce, EVENT_LOG.c.position, single, first, last))).one()
        return _State(row[0], row[1], bool(row[2]), None if row[3] is None else (row[3], row[4]))

    async def _bulk(self) -> Sequence[int]:
        """The waiting rows of bulk writes."""
        chosen = select(EVENTS.c.id).where(_WAITING, EVENTS.c.bulk).order_by(EVENTS.c.id).limit(_MOST)
        async with self._database.session() as session:
            return (await session.scalars(chosen)).all()

    async def _singles(self) -> Sequence[int]:
        """The next waiting rows of single writes, and those of bulk writes of the same products before them."""
        columns = select(EVENTS.c.id, EVENTS.c.product_id)
        async with self._database.session() as session:
            chosen = columns.where(_WAITING, ~EVENTS.c.bulk).order_by(EVENTS.c.id).limit(_ROUND)
            single = (await session.execute(chosen)).all()
            same = EVENTS.c.product_id.in_({row.product_id for row in single})
            before = (await session.scalars(select(EVENTS.c.id).where(_WAITING, EVENTS.c.bulk, same))).all()
        if before:  # the single writes outdated their products, but not all that the bulk writes may have changed
            await self._cache.invalidate(EVERYTHING)
        return sorted([row.id for row in single] + list(before))

    async def _number(self, ids: Sequence[int], end: Position) -> tuple[str, int]:
        """Give those of the rows `ids` that have none yet a position, in this order; one process at a time.

        Rows that are published and that the topic's history would not hold any more are dropped.
        """
        async with self._database.transaction() as session:
            nonce, position = await _lock(session)
            chosen = select(EVENTS.c.id).where(EVENTS.c.id.in_(ids), _WAITING).order_by(EVENTS.c.id)
            waiting = (await session.scalars(chosen)).all()
            if waiting:
                rows = [{"the_id": one, "the_position": position + n} for n, one in enumerate(waiting, 1)]
                await (await session.connection()).execute(_POSITION, rows)
                position += len(waiting)
                await session.execute(update(EVENT_LOG).values(position=position))
            published = end.offset if end.nonce == nonce else 0
            oldest = min(published, position - TOPIC.max_length)
            first = await session.scalar(select(func.min(EVENTS.c.position)))
            if first is not None and first <= oldest - _PAGE:
                await session.execute(delete(EVENTS).where(EVENTS.c.position <= oldest))
        return nonce, position

    async def _rows(self, published: int) -> Sequence[Any]:
        """The next events in the order of publication."""
        columns = (EVENTS.c.position, EVENTS.c.kind, EVENTS.c.product_id, EVENTS.c.category)
        chosen = select(*columns, EVENTS.c.previous_category, EVENTS.c.at).where(EVENTS.c.position > published)
        async with self._database.session() as session:
            return (await session.execute(chosen.order_by(EVENTS.c.position).limit(_PAGE))).all()

    async def _append(self, nonce: str, rows: Sequence[Any], published: int, *, begin: bool) -> int:
        """Append `rows` behind what was published, or begin with them; returns the newest position published then."""
        before = newest = rows[0].position - 1 if begin else published
        for first in range(0, len(rows), _BURST):
            burst = rows[first : first + _BURST]
            place = {"first": burst[0].position, "previous": before}
            events = [_event(row) for row in burst]
            newest = await self._broker.append(TOPIC, events, log=nonce, **place, begin=begin and not first)
            before = burst[-1].position
            if newest != before:
                break  # something has to come first, or others were there before
        return newest

    async def _rename(self, nonce: str) -> str:
        async with self._database.transaction() as session:
            current, _ = await _lock(session)
            if current == nonce:
                current = secrets.token_hex(8)
                await session.execute(update(EVENT_LOG).values(nonce=current))
        return current


class _Unchanged:
    """Notices what stays as it is."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._what: object = None
        self._since = 0.0

    def stands(self, what: object) -> bool:
        """Whether this is the same, and not None, for as long as one has patience; then it begins anew."""
        now = asyncio.get_running_loop().time()
        if what is None or what != self._what:
            self._what, self._since = what, now
            return False
        if now - self._since < self._patience:
            return False
        self._since = now
        return True


def _event(row: Any) -> dict[str, Any]:
    """What is published of a row."""
    return {
        "kind": row.kind,
        "product": row.product_id,
        "categories": sorted({one for one in (row.category, row.previous_category) if one is not None}),
        "at": row.at.isoformat(),
    }


async def _lock(session: AsyncSession) -> tuple[str, int]:
    """The log's row, kept from other processes until the transaction ends."""
    row = (await session.execute(select(EVENT_LOG.c.nonce, EVENT_LOG.c.position).with_for_update())).one()
    return row[0], row[1]
