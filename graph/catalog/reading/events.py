"""Reads the outbox: what waits for its position in the order of publication, and what comes after one.

Each statement is built once, because every change of a product is followed by all of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import BigInteger, Integer, bindparam, exists, select

from graph.catalog.models import EVENT_LOG, EVENTS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from graph.engines.database import Database

E = EVENTS.c
WAITING = E.position.is_(None)


class OutboxState(NamedTuple):
    """What the table holds: the log's name and newest position, and the rows without a position."""

    nonce: str
    position: int
    single: bool
    bulk: tuple[int, int] | None
    """The first and the last id of the rows of bulk writes that have no position."""


class NumberedEvent(NamedTuple):
    """A row that has its position."""

    position: int
    kind: str
    product_id: int
    category: str | None
    previous_category: str | None
    at: datetime


_MOST = bindparam("most", type_=Integer())
_FIRST, _LAST = (
    select(E.id).where(WAITING, E.bulk).order_by(order).limit(1).scalar_subquery() for order in (E.id, E.id.desc())
)
_STATE = select(
    *(EVENT_LOG.c.nonce, EVENT_LOG.c.position, exists().where(WAITING, ~E.bulk).label("single")),
    *(_FIRST.label("first"), _LAST.label("last")),
)
_BULK = select(E.id).where(WAITING, E.bulk).order_by(E.id).limit(_MOST)
_SINGLE = select(E.id, E.product_id).where(WAITING, ~E.bulk).order_by(E.id).limit(_MOST)
_AFTER = (
    select(*(E[name] for name in NumberedEvent._fields))
    .where(E.position > bindparam("after", type_=BigInteger()))
    .order_by(E.position)
    .limit(_MOST)
)


async def state(database: Database) -> OutboxState:
    """Return what the table holds."""
    ((nonce, position, single, first, last),) = await database.rows(_STATE, {})
    return OutboxState(nonce, position, bool(single), None if first is None else (first, last))


async def bulk(database: Database, most: int) -> list[int]:
    """Return the rows of bulk writes that have no position."""
    return [row[0] for row in await database.rows(_BULK, {"most": most})]


async def singles(database: Database, most: int) -> tuple[list[int], list[int]]:
    """Return the next rows of single writes without a position, and then all bulk rows of the same products."""
    single = await database.rows(_SINGLE, {"most": most})
    same = E.product_id.in_({row[1] for row in single})
    before = await database.execute(select(E.id).where(WAITING, E.bulk, same))
    return [row[0] for row in single], [row[0] for row in before]


async def numbered(database: Database, after: int, most: int) -> Sequence[NumberedEvent]:
    """Return the next events in the order of publication."""
    values: dict[str, Any] = {"after": after, "most": most}
    return [NumberedEvent(*row) for row in await database.rows(_AFTER, values)]
