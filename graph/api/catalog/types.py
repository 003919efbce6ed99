"""The GraphQL types of the catalog: products, categories, pages and results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import lru_cache, partial
from typing import Annotated, Any

import strawberry

from graph.api.catalog.loaders import categories, product_counts
from graph.api.context import Context, Info
from graph.api.enums import enum
from graph.api.errors import InvalidInput, NotFound, SkuTaken, SlugTaken
from graph.api.node import Deleted, Node, global_id
from graph.api.pagination import PageInfo
from graph.catalog import (
    PRODUCT_COLUMNS,
    CategoryRecord,
    Page,
    ProductRecord,
    category_of,
    decimal_of,
    paging,
    product_of,
)
from graph.endpoint.declare import Rows, RowShape, cost
from graph.engines.columns import stored_moment


@strawberry.type(description="An amount of money, exact.")
class Money:
    amount: Decimal = strawberry.field(description="With as many decimals as the currency has.")
    currency: str = strawberry.field(description='ISO 4217 code, e.g. "USD".')


@strawberry.type(description="A category of products.")
class Category(Node):
    """A category; its number of products may be known already."""

    slug: str = strawberry.field(description="Its name in filters; never changes.")
    name: str
    key: strawberry.Private[int]
    parent_key: strawberry.Private[int | None] = None
    counted: strawberry.Private[int | None] = None

    @classmethod
    def of(cls, record: CategoryRecord, counted: int | None = None) -> Category:
        number, slug, name, parent = record
        return cls(
            id=global_id("Category", number), slug=slug, name=name, key=number, parent_key=parent, counted=counted
        )

    @strawberry.field(description="The parent category; null at the top.")
    async def parent(self, info: Info) -> Category | None:
        """Load it, batched with all other requested parents."""
        found = None if self.parent_key is None else await info.context.loader(categories).load(self.parent_key)
        return found and Category.of(found)

    @strawberry.field(description="How many active products it has.")
    async def product_count(self, info: Info) -> int:
        """Take it from the list of categories, or load it, batched with all others."""
        return self.counted if self.counted is not None else await info.context.loader(product_counts).load(self.key)


_category = lru_cache(maxsize=1024)(Category.of)
"""`Category.of` for products, of which most of a page are in the same few categories."""


@strawberry.type(description="What distinguishes a variant from the others of its group.")
class ProductOption:
    name: str
    value: str


@strawberry.type(description="A property of a product; a name may have several values.")
class ProductAttribute:
    name: str
    value: str


@strawberry.type(description="A picture of a product.")
class ProductImage:
    url: str = strawberry.field(description="A URL, or a path in the shop's own store.")
    alt: str | None = strawberry.field(description="What the image shows.")


@strawberry.type(description="Something for sale.")
class Product(Node):
    sku: str = strawberry.field(description="The shop's own product number; unique, never changes.")
    name: str
    description: str = strawberry.field(description="Plain text, possibly empty.")
    category: Category | None
    price: Money
    compare_at_price: Money | None = strawberry.field(description="The former price, or the price elsewhere.")
    stock: int | None = strawberry.field(description="Items in stock; null if stock is not counted.")
    in_stock: bool = strawberry.field(description="Whether it is available, counted or not.")
    active: bool = strawberry.field(description="Whether it is shown; only an ADMIN sees inactive products.")
    group_id: str | None = strawberry.field(description="Shared by the variants of one product.")
    options: list[ProductOption]
    images: list[ProductImage] = strawberry.field(description="The first one is the main one.")
    brand: str | None
    gtin: str | None = strawberry.field(description="The number in its barcode (EAN, UPC, ISBN).")
    attributes: list[ProductAttribute]
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, record: ProductRecord, counts: Mapping[int, int] | None = None) -> Product:
        """Build it from a record; `counts` has the numbers of products of categories, by id."""
        (number, sku, name, description, category, price, currency, stock, active, created, updated,
         former, in_stock, group, brand, gtin, options, images, attributes) = record  # fmt: skip
        return cls(
            id=global_id("Product", number),
            sku=sku,
            name=name,
            description=description,
            category=category and _category(category, None if counts is None else counts.get(category.id, 0)),
            price=Money(amount=price, currency=currency),
            compare_at_price=None if former is None else Money(amount=former, currency=currency),
            stock=stock,
            in_stock=in_stock,
            active=active,
            group_id=group,
            options=[ProductOption(name=name, value=value) for name, value in options] if options else [],
            images=[ProductImage(url=url, alt=alt) for url, alt in images] if images else [],
            brand=brand,
            gtin=gtin,
            attributes=[ProductAttribute(name=name, value=value) for name, value in attributes] if attributes else [],
            created_at=created,
            updated_at=updated,
        )


@lru_cache(maxsize=4096)
def _money(stored: int | None, currency: str) -> Money | None:
    return None if stored is None else Money(amount=decimal_of(stored, currency), currency=currency)


def _category_of(number: int, slug: str | None, name: str, parent: int | None) -> Category | None:
    record = category_of(number, slug, name, parent)
    return record and _category(record)


def _stock_of(stock: int, tracked: object) -> int | None:
    return stock if tracked else None


def _product_of(row: Sequence[Any]) -> Product:
    return Product.of(product_of(row))


_ROWS = RowShape(
    Product,
    _product_of,
    PRODUCT_COLUMNS,
    plain=("sku", "name", "description", "active", "group_id", "brand", "gtin"),
    made={
        "id": (partial(global_id, "Product"), "id"),
        "category": (_category_of, "category_id", "slug", "category_name", "parent_id"),
        "price": (_money, "price", "currency"),
        "compare_at_price": (_money, "compare_at_price", "currency"),
        "stock": (_stock_of, "stock", "tracked"),
        "in_stock": (bool, "in_stock"),
        "created_at": (stored_moment, "created_at"),
        "updated_at": (stored_moment, "updated_at"),
    },
)
"""As `Product.of` has them."""


@strawberry.type(description="A product on a page.")
class ProductEdge:
    cursor: str = strawberry.field(description="Pass it as `after` or `before`, with the same sort.")
    node: Product


def _edges(root: ProductConnection) -> list[ProductEdge]:
    return [ProductEdge(cursor=edge.cursor, node=node) for edge, node in zip(root.page.edges, root.nodes, strict=True)]


def _page_info(root: ProductConnection) -> PageInfo:
    page = root.page
    return PageInfo(
        has_next_page=page.has_next,
        has_previous_page=page.has_previous,
        start_cursor=page.edges[0].cursor if page.edges else None,
        end_cursor=page.edges[-1].cursor if page.edges else None,
    )


@strawberry.type(description="totalCount is computed only when it is selected.")
class ProductConnection:
    edges: list[ProductEdge] = strawberry.field(resolver=_edges)
    nodes: Sequence[Product] = strawberry.field(description="The products of `edges`.")
    page_info: PageInfo = strawberry.field(resolver=_page_info)
    total_count: int = strawberry.field(description="How many products match the filter.", metadata=cost(90))
    page: strawberry.Private[Page]

    @classmethod
    def of(cls, page: Page, total: int, counts: Mapping[int, int] | None) -> ProductConnection:
        if counts is None:
            return cls(nodes=Rows(_ROWS, page.rows), total_count=total, page=page)
        return cls(nodes=[Product.of(edge.product, counts) for edge in page.edges], total_count=total, page=page)


enum(paging.Sort, name="ProductSort", description="The order of products; equal ones are ordered by age.")


# --- results ---


ProductResult = Annotated[Product | SkuTaken | NotFound | InvalidInput, strawberry.union("ProductResult")]
CategoryResult = Annotated[Category | SlugTaken | NotFound | InvalidInput, strawberry.union("CategoryResult")]
DeleteCategoryResult = Annotated[Deleted | NotFound | InvalidInput, strawberry.union("DeleteCategoryResult")]
DeleteProductResult = Annotated[Deleted | NotFound, strawberry.union("DeleteProductResult")]


def visible(context: Context, record: ProductRecord | None) -> Product | None:
    """Return the product; None if it is inactive and the caller is not an ADMIN."""
    if record is None or not (record.active or context.caller.role == "ADMIN"):
        return None
    return Product.of(record)
