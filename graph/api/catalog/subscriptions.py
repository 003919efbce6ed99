"""Following the catalog: every committed change of a product, once, in order, resumable."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import datetime
from enum import Enum

import strawberry

from graph.api.auth.access import ANYBODY, requires
from graph.api.catalog.types import Product, visible
from graph.api.context import Info
from graph.api.node import global_id, key_of
from graph.api.pagination import given
from graph.api.scalars import Cursor
from graph.catalog.outbox import TOPIC, ProductChange
from graph.endpoint.declare import live
from graph.errors import BadInput

MAX_IDS = 100
"""How many products one subscription names."""


@strawberry.enum(description="What became of a product.")
class ChangeKind(Enum):
    """The kinds as the outbox writes them."""

    CREATED = "CREATED"
    UPDATED = "UPDATED"
    DELETED = "DELETED"


@strawberry.type(description="A product was created, changed or deleted.")
class ProductEvent:
    """One committed change."""

    cursor: Cursor = strawberry.field(description="Hand it back as `after` to go on after this event.")
    kind: ChangeKind
    product_id: strawberry.ID
    gap: bool = strawberry.field(
        description="True when events before this one were lost for good (history trimmed, store lost): read the "
        "state again."
    )
    at: datetime
    number: strawberry.Private[int]

    @strawberry.field(description="The product as it is now; null once it is deleted, or while it is not shown.")
    async def product(self, info: Info) -> Product | None:
        """Read it through the cache, as any query does."""
        return visible(info.context, await info.context.loaders.product.load(self.number))


@strawberry.type
class CatalogSubscription:
    """What can be followed."""

    @strawberry.subscription(
        description="Products created, changed or deleted. With `after`, first everything missed since that cursor.",
        extensions=[requires(ANYBODY)],
        metadata=live(shared=True, cursor="after"),
    )
    async def product_changed(
        self,
        info: Info,
        ids: list[strawberry.ID] | None = strawberry.UNSET,
        category: str | None = strawberry.UNSET,
        after: Cursor | None = strawberry.UNSET,
    ) -> AsyncGenerator[ProductEvent]:
        chosen, shelf, gap = given(ids), given(category), False
        if chosen is not None and len(chosen) > MAX_IDS:
            raise BadInput(f"productChanged takes at most {MAX_IDS} ids.", argument="ids")
        wanted = None if chosen is None else {key_of(one, "Product") for one in chosen}
        async with info.context.services.broker.subscribe(TOPIC, given(after), patient=True) as events:
            async for event in events:
                gap = gap or event.gap
                if event.data is None:
                    continue  # nothing but the gap: the next event tells of it
                change = ProductChange.of(event)
                if wanted is not None and change.product_id not in wanted:
                    continue
                if shelf is not None and shelf not in change.categories:
                    continue
                yield ProductEvent(
                    cursor=Cursor(event.cursor),
                    kind=ChangeKind(change.kind),
                    product_id=global_id("Product", change.product_id),
                    gap=gap,
                    at=datetime.fromisoformat(change.at),
                    number=change.product_id,
                )
                gap = False
