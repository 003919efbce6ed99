"""Publishes the committed changes of products: each once, in one order, whatever dies in between.

A write leaves its event in the table `product_events`, in its own transaction. The outbox gives the rows that have no
position yet the next ones (the order of publication, 1, 2, 3), and appends to the broker's topic whatever the topic
does not have. So the table is the truth and Redis a copy: a process that died between commit and publication, a Redis
that lost its last second or everything, a publisher that lags are all the same case, healed by the next look. Every
process looks: at once after a commit of its own, every `every` seconds for the others' sake; an event appended twice
counts once (`Broker.append`). Who looks for others acts only on what has stood still since the last look, so that an
import costs the processes that serve readers nothing.

The newest `TOPIC.max_length` rows are kept. While the database or Redis is away nothing is lost; it tries again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from prometheus_client import Counter
from sqlalchemy import bindparam, delete, exists, func, select, update

from graph.catalog.models import EVENT_LOG, EVENTS
from graph.errors import Unavailable as DatabaseUnavailable
from graph.patterns.broker import Delivery, Topic, Unavailable

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence
    from types import TracebackType

    from sqlalchemy.ext.asyncio import AsyncSession

    from graph.database import Database
    from graph.patterns.broker import Broker, Event

TOPIC = Topic("products", Delivery.EVERY, max_length=10_000, max_age=7 * 86_400.0, sourced=True)
"""What happened to products: see `ProductChange`."""

_PAGE = 200
_POSITION = update(EVENTS).where(EVENTS.c.id == bindparam("the_id")).values(position=bindparam("the_position"))
_PUBLISHED = Counter("graph_outbox_published_total", "Events that this process brought from the outbox to the broker.")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ProductChange:
    """One event: `kind` is CREATED, UPDATED or DELETED; `categories` are the slugs the product had before and after."""

    kind: str
    product_id: int
    categories: frozenset[str]
    at: str

    @classmethod
    def of(cls, event: Event) -> ProductChange:
        """Read what the outbox has published."""
        data: dict[str, Any] = event.data
        return cls(data["kind"], data["product"], frozenset(data["categories"]), data["at"])


class Outbox:
    """The publisher of one process; open it with ``async with``."""

    def __init__(self, database: Database, broker: Broker, *, every: float = 1.0) -> None:
        """Bring events from `database` to `broker`, looking every `every` seconds."""
        self._database = database
        self._broker = broker
        self._every = every
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

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

    async def _look(self) -> None:
        failing = False
        owed, seen = True, None
        while True:
            try:
                state = (await self._broker.end(TOPIC), *await self._state())
                if owed or state == seen:
                    await self.publish()
                owed, seen = False, state
                failing = False
            except (Unavailable, DatabaseUnavailable) as error:
                _log.info("the outbox waits: %s", error)
            except Exception as error:  # noqa: BLE001 - the task must outlive whatever went wrong
                if not failing:  # once, not every second
                    _log.warning("the outbox failed and goes on trying: %r", error)
                failing = True
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), self._every)
            owed = owed or self._wake.is_set()  # also what could not be published when it was asked for
            self._wake.clear()

    async def publish(self) -> int:
        """Publish all that is committed and was not published yet; returns how many events that were."""
        # Redis is asked first: whatever it has by now, the table has by the time that it is asked.
        end = await self._broker.end(TOPIC)
        nonce, position, waiting = await self._state()
        if waiting:
            nonce, position = await self._number()
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
        if waiting:
            await self._prune(position)
        _PUBLISHED.inc(count)
        return count

    async def _state(self) -> tuple[str, int, bool]:
        """The log's nonce, its newest position, and whether events wait for one."""
        waiting = exists().where(EVENTS.c.position.is_(None))
        async with self._database.session() as session:
            row = (await session.execute(select(EVENT_LOG.c.nonce, EVENT_LOG.c.position, waiting))).one()
        return row[0], row[1], bool(row[2])

    async def _number(self) -> tuple[str, int]:
        """Give the events that have none a position, in the order of their ids; one process at a time."""
        async with self._database.transaction() as session:
            nonce, position = await _lock(session)
            ids = (
                await session.scalars(select(EVENTS.c.id).where(EVENTS.c.position.is_(None)).order_by(EVENTS.c.id))
            ).all()
            if ids:
                rows = [{"the_id": one, "the_position": position + n} for n, one in enumerate(ids, 1)]
                await (await session.connection()).execute(_POSITION, rows)
                position += len(ids)
                await session.execute(update(EVENT_LOG).values(position=position))
        return nonce, position

    async def _rows(self, published: int) -> Sequence[Any]:
        """The next events in the order of publication."""
        columns = (EVENTS.c.position, EVENTS.c.kind, EVENTS.c.product_id, EVENTS.c.category)
        chosen = select(*columns, EVENTS.c.previous_category, EVENTS.c.at).where(EVENTS.c.position > published)
        async with self._database.session() as session:
            return (await session.execute(chosen.order_by(EVENTS.c.position).limit(_PAGE))).all()

    async def _append(self, nonce: str, rows: Sequence[Any], published: int, *, begin: bool) -> int:
        """Append `rows` behind what was published, or begin with them; returns the newest position published then."""
        before = rows[0].position - 1 if begin else published
        appends: list[Coroutine[Any, Any, int]] = []
        for row in rows:
            data = {
                "kind": row.kind,
                "product": row.product_id,
                "categories": sorted({one for one in (row.category, row.previous_category) if one is not None}),
                "at": row.at.isoformat(),
            }
            place = {"offset": row.position, "previous": before}
            appends.append(self._broker.append(TOPIC, data, log=nonce, **place, begin=begin and row is rows[0]))
            before = row.position
        return (await asyncio.gather(*appends))[-1]  # one write, in order: the connection is first in, first out

    async def _rename(self, nonce: str) -> str:
        async with self._database.transaction() as session:
            current, _ = await _lock(session)
            if current == nonce:
                current = secrets.token_hex(8)
                await session.execute(update(EVENT_LOG).values(nonce=current))
        return current

    async def _prune(self, position: int) -> None:
        """Drop rows that the topic's history would not hold either."""
        oldest = position - TOPIC.max_length
        async with self._database.session() as session:
            first = await session.scalar(select(func.min(EVENTS.c.position)))
        if first is not None and first <= oldest - _PAGE:
            async with self._database.transaction() as session:
                await session.execute(delete(EVENTS).where(EVENTS.c.position <= oldest))


async def _lock(session: AsyncSession) -> tuple[str, int]:
    """The log's row, kept from other processes until the transaction ends."""
    row = (await session.execute(select(EVENT_LOG.c.nonce, EVENT_LOG.c.position).with_for_update())).one()
    return row[0], row[1]
