"""The catalog's subscription: every committed change of a product, once, in order, resumable."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import datetime
from functools import lru_cache

import strawberry

from graph.api.auth import ANYBODY, requires
from graph.api.catalog.loaders import products
from graph.api.catalog.types import Product, visible
from graph.api.context import Info
from graph.api.enums import enum
from graph.api.node import global_id, key_of
from graph.api.pagination import given
from graph.api.scalars import Cursor
from graph.catalog import ChangeKind, ProductChange, follow_products
from graph.endpoint.declare import live
from graph.errors import BadInput

MAX_IDS = 100
"""How many products one subscription may name."""


enum(ChangeKind, description="What happened to a product.")


@strawberry.type(description="A product was created, changed or deleted.")
class ProductEvent:
    cursor: Cursor = strawberry.field(description="Pass it as `after` to continue after this event.")
    kind: ChangeKind
    product_id: strawberry.ID
    gap: bool = strawberry.field(
        description="True when events before this one were lost for good (history trimmed, store lost): read the "
        "state again."
    )
    at: datetime
    number: strawberry.Private[int]

    @classmethod
    def of(cls, change: ProductChange) -> ProductEvent:
        return cls(
            cursor=Cursor(change.cursor),
            kind=change.kind,
            product_id=global_id("Product", change.product_id),
            gap=change.gap,
            at=datetime.fromisoformat(change.at),
            number=change.product_id,
        )

    @strawberry.field(description="The product as it is now; null once it is deleted, or while it is not shown.")
    async def product(self, info: Info) -> Product | None:
        """Read it through the cache, like any query."""
        return visible(info.context, await info.context.loader(products).load(self.number))


@lru_cache(maxsize=256)
def _event(change: ProductChange) -> ProductEvent:
    """The same object for all subscriptions that are told of `change`, so that it is executed once."""
    return ProductEvent.of(change)


@strawberry.type
class CatalogSubscription:
    @strawberry.subscription(
        description="Products created, changed or deleted. With `after`, first everything missed since that cursor.",
        extensions=[requires(ANYBODY)],
        metadata=live(shared=True, cursor="after", once=True),
    )
    async def product_changed(
        self,
        info: Info,
        ids: list[strawberry.ID] | None = strawberry.UNSET,
        category: str | None = strawberry.UNSET,
        after: Cursor | None = strawberry.UNSET,
    ) -> AsyncGenerator[ProductEvent]:
        chosen = given(ids)
        if chosen is not None and len(chosen) > MAX_IDS:
            raise BadInput(f"productChanged takes at most {MAX_IDS} ids.", argument="ids")
        wanted = None if chosen is None else {key_of(one, "Product") for one in chosen}
        broker = info.context.services.broker
        async with aclosing(
            follow_products(broker, ids=wanted, category=given(category), after=given(after))
        ) as changes:
            async for change in changes:
                yield _event(change)
