"""The catalog's GraphQL types: products, categories, pages, inputs and results."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated

import strawberry

from graph.api.catalog.loaders import product_counts
from graph.api.context import Context, Info
from graph.api.enums import enum
from graph.api.errors import InvalidInput, NotFound, SkuTaken
from graph.api.node import Node, global_id
from graph.api.pagination import PageInfo, given
from graph.catalog import rules
from graph.catalog.reading import paging
from graph.catalog.reading.paging import Sort
from graph.catalog.records import CategoryRecord, Page, ProductRecord
from graph.catalog.writing import ProductChanges


@strawberry.type(description="An amount of money, exact.")
class Money:
    """A price."""

    amount: Decimal = strawberry.field(description="With as many decimals as the currency has.")
    currency: str = strawberry.field(description='ISO 4217 code, e.g. "USD".')


@strawberry.type(description="A shelf of the catalog.")
class Category(Node):
    """A category, perhaps with its count known already."""

    slug: str = strawberry.field(description="Its name in filters; never changes.")
    name: str
    key: strawberry.Private[int]
    counted: strawberry.Private[int | None] = None

    @classmethod
    def of(cls, record: CategoryRecord, counted: int | None = None) -> Category:
        """Show a record."""
        return cls(
            id=global_id("Category", record.id), slug=record.slug, name=record.name, key=record.id, counted=counted
        )

    @strawberry.field(description="How many active products it holds.")
    async def product_count(self, info: Info) -> int:
        """Known from the list of categories, else loaded together with all others asked for."""
        return self.counted if self.counted is not None else await info.context.loader(product_counts).load(self.key)


@strawberry.type(description="Something for sale.")
class Product(Node):
    """A product."""

    sku: str = strawberry.field(description="The shop's own number of it; unique, never changes.")
    name: str
    description: str = strawberry.field(description="Plain text, perhaps empty.")
    category: Category | None
    price: Money
    stock: int = strawberry.field(description="Pieces in store.")
    active: bool = strawberry.field(description="Whether it is shown; only an ADMIN sees one that is not.")
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, record: ProductRecord, counts: Mapping[int, int] | None = None) -> Product:
        """Show a record; `counts` gives the number of products of categories, by their number."""
        category = record.category
        return cls(
            id=global_id("Product", record.id),
            sku=record.sku,
            name=record.name,
            description=record.description,
            category=category and Category.of(category, None if counts is None else counts.get(category.id, 0)),
            price=Money(amount=record.price, currency=record.currency),
            stock=record.stock,
            active=record.active,
            created_at=record.created_at,
            updated_at=record.updated_at,
        )


@strawberry.type(description="A product on a page.")
class ProductEdge:
    """An edge."""

    cursor: str = strawberry.field(description="Hand it back as `after` or `before`, with the same sort.")
    node: Product


@strawberry.type(description="totalCount is computed only when it is selected.")
class ProductConnection:
    """A page."""

    edges: list[ProductEdge]
    nodes: list[Product] = strawberry.field(description="The products of `edges`.")
    page_info: PageInfo
    total_count: int = strawberry.field(description="How many products match the filter.")

    @classmethod
    def of(cls, page: Page, total: int, counts: Mapping[int, int] | None) -> ProductConnection:
        """Show a page."""
        edges = [ProductEdge(cursor=edge.cursor, node=Product.of(edge.product, counts)) for edge in page.edges]
        return cls(
            edges=edges,
            nodes=[edge.node for edge in edges],
            page_info=PageInfo(
                has_next_page=page.has_next,
                has_previous_page=page.has_previous,
                start_cursor=edges[0].cursor if edges else None,
                end_cursor=edges[-1].cursor if edges else None,
            ),
            total_count=total,
        )


enum(Sort, name="ProductSort", description="The order of products; equal ones follow each other by age.")


# --- inputs ---


@strawberry.input(one_of=True, description="Names one product.")
class ProductBy:
    """Exactly one of them."""

    id: strawberry.ID | None = strawberry.UNSET
    sku: str | None = strawberry.UNSET


@strawberry.input(description="Which products; all conditions must hold.")
class ProductFilter:
    """Conditions."""

    category: str | None = strawberry.field(default=strawberry.UNSET, description="Slug of a category.")
    search: str | None = strawberry.field(
        default=strawberry.UNSET,
        description="Words that must each begin a word of the name, the sku or the description. Case and accents do "
        f"not matter. At most {paging.MAX_SEARCH} characters and {paging.MAX_TERMS} words.",
    )
    min_price: Decimal | None = strawberry.field(
        default=strawberry.UNSET, description="Lowest amount, in whatever currency."
    )
    max_price: Decimal | None = strawberry.field(
        default=strawberry.UNSET, description="Highest amount, in whatever currency."
    )
    in_stock: bool | None = strawberry.field(
        default=strawberry.UNSET, description="Only with pieces in store, or only without."
    )
    include_inactive: bool | None = strawberry.field(default=strawberry.UNSET, description="Needs the role ADMIN.")


@strawberry.input(description="A price.")
class MoneyInput:
    """Checked by the catalog's rules."""

    amount: Decimal = strawberry.field(description="Not negative, with no more decimals than the currency has.")
    currency: str = strawberry.field(default="USD", description="ISO 4217 code.")


@strawberry.input(description="A product to be added.")
class CreateProductInput:
    """Checked by the catalog's rules."""

    sku: str = strawberry.field(description=f"At most {rules.MAX_SKU} letters, digits and `._/-`.")
    name: str = strawberry.field(description=f"At most {rules.MAX_NAME} characters.")
    description: str = strawberry.field(default="", description=f"At most {rules.MAX_DESCRIPTION} characters.")
    category: str | None = strawberry.field(default=strawberry.UNSET, description="Slug of a category that exists.")
    price: MoneyInput
    stock: int = 0
    active: bool = True


@strawberry.input(description="What is to change; what is left out, or null, stays (but a null category ends it).")
class UpdateProductInput:
    """Checked by the catalog's rules."""

    id: strawberry.ID
    name: str | None = strawberry.UNSET
    description: str | None = strawberry.UNSET
    category: str | None = strawberry.field(
        default=strawberry.UNSET, description="Slug of a category that exists; null takes the product out of its own."
    )
    price: MoneyInput | None = strawberry.UNSET
    stock: int | None = strawberry.UNSET
    active: bool | None = strawberry.UNSET

    def changes(self) -> ProductChanges:
        """As the service takes them."""
        changes: ProductChanges = {}
        if self.category is not strawberry.UNSET:
            changes["category"] = self.category
        if (name := given(self.name)) is not None:
            changes["name"] = name
        if (description := given(self.description)) is not None:
            changes["description"] = description
        if (price := given(self.price)) is not None:
            changes["price"] = (price.amount, price.currency)
        if (stock := given(self.stock)) is not None:
            changes["stock"] = stock
        if (active := given(self.active)) is not None:
            changes["active"] = active
        return changes


# --- results ---


@strawberry.type(description="What was deleted.")
class Deleted:
    """The ID that names nothing any more."""

    id: strawberry.ID


ProductResult = Annotated[Product | SkuTaken | NotFound | InvalidInput, strawberry.union("ProductResult")]
DeleteProductResult = Annotated[Deleted | NotFound, strawberry.union("DeleteProductResult")]


def visible(context: Context, record: ProductRecord | None) -> Product | None:
    """The product, unless it is inactive and the caller no ADMIN."""
    if record is None or not (record.active or context.caller.role == "ADMIN"):
        return None
    return Product.of(record)
