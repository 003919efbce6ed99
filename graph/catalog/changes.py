"""Following the catalog: every committed change of a product, once, in order, resumable by cursor.

A subscriber that returns with the cursor of the last change it saw gets everything since. Where that is not possible
any more (the history was trimmed or lost), the next change says so with `gap`, and the subscriber has to read the state
again. Raises `graph.errors.BadInput` for a cursor that this server did not give out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from graph.catalog.keys import TOPIC
from graph.catalog.records import ChangeKind

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection

    from graph.patterns.broker import Broker, Event


@dataclass(frozen=True, slots=True)
class ProductChange:
    """One event; `categories` are the slugs of the product's category before and after it.

    `cursor` resumes after this event. `gap`: events before this one were lost for good.
    """

    kind: ChangeKind
    product_id: int
    categories: frozenset[str]
    at: str
    cursor: str = ""
    gap: bool = False

    @classmethod
    def of(cls, event: Event, *, gap: bool = False) -> ProductChange:
        """Read an event as the outbox published it."""
        data: dict[str, Any] = event.data
        categories = frozenset[str](data["categories"])
        return cls(ChangeKind(data["kind"]), data["product"], categories, data["at"], event.cursor, gap)


def _read(event: Event) -> ProductChange:
    return ProductChange.of(event)


async def follow_products(
    broker: Broker,
    *,
    ids: Collection[int | None] | None = None,
    category: str | None = None,
    after: str | None = None,
) -> AsyncGenerator[ProductChange]:
    """Yield every change from now on, or after the cursor `after`; only of `ids` and `category` where given."""
    gap = False
    async with broker.subscribe(TOPIC, after, patient=True) as events:
        async for event in events:
            gap = gap or event.gap
            if event.data is None:
                continue  # only a gap, which the next event reports
            change = ProductChange.of(event, gap=True) if gap else event.once(_read)
            if (ids is None or change.product_id in ids) and (category is None or category in change.categories):
                yield change
                gap = False
