"""Following the catalog: every committed change of a product, once, in order, resumable by cursor.

A subscriber that comes back with the cursor of the last change it saw gets everything since. Where that is not possible
any more (the history was trimmed, the store lost), the next change says so with `gap`, and the subscriber reads the
state again. Raises `graph.errors.BadInput` for a cursor that this server did not give out.
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
    """One event; `categories` are the slugs the product had before and after.

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
        """Read what the outbox has published."""
        data: dict[str, Any] = event.data
        categories = frozenset[str](data["categories"])
        return cls(ChangeKind(data["kind"]), data["product"], categories, data["at"], event.cursor, gap)


async def follow_products(
    broker: Broker,
    *,
    ids: Collection[int | None] | None = None,
    category: str | None = None,
    after: str | None = None,
) -> AsyncGenerator[ProductChange]:
    """Every change from now on, or after the cursor `after`; of the products `ids` and of `category` if given."""
    gap = False
    async with broker.subscribe(TOPIC, after, patient=True) as events:
        async for event in events:
            gap = gap or event.gap
            if event.data is None:
                continue  # nothing but the gap: the next event tells of it
            change = ProductChange.of(event, gap=gap)
            if (ids is None or change.product_id in ids) and (category is None or category in change.categories):
                yield change
                gap = False
