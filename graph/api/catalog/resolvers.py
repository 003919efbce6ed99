"""The queries and mutations for products and categories; every read goes through the cache."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import strawberry

from graph.api.auth import CATALOG, check, requires
from graph.api.catalog.inputs import (
    CreateCategoryInput,
    CreateProductInput,
    ProductBy,
    ProductFilter,
    UpdateCategoryInput,
    UpdateProductInput,
)
from graph.api.catalog.loaders import products, products_by_sku
from graph.api.catalog.subscriptions import CatalogSubscription
from graph.api.catalog.types import (
    Category,
    CategoryResult,
    DeleteCategoryResult,
    DeleteProductResult,
    Product,
    ProductConnection,
    ProductResult,
    visible,
)
from graph.api.context import Context, Info
from graph.api.errors import InvalidAsResult, NotFound, SkuTaken, SlugTaken
from graph.api.node import Deleted, Node, integer_keys, key_of, required_key
from graph.api.pagination import given, mentions, selects
from graph.api.schema_part import SchemaPart
from graph.catalog import CATALOG_TTL, CategoryChanges, NewProduct, paging
from graph.endpoint.declare import cached, cost
from graph.errors import Missing, Taken


async def _load_products(context: Context, keys: Sequence[str]) -> Mapping[str, Node]:
    numbers = integer_keys(keys)
    records = await context.loader(products).load_many(numbers.values())
    shown = {key: visible(context, record) for key, record in zip(numbers, records, strict=True)}
    return {key: product for key, product in shown.items() if product is not None}


async def _load_categories(context: Context, keys: Sequence[str]) -> Mapping[str, Node]:
    counts = {str(count.category.id): count for count in await context.services.catalog.categories()}
    return {key: Category.of(counts[key].category, counts[key].products) for key in keys if key in counts}


def _filter(context: Context, conditions: ProductFilter | None) -> paging.Filter:
    if conditions is None:
        return paging.Filter()
    if conditions.include_inactive:
        check(context, CATALOG)
    return paging.Filter(
        category=given(conditions.category),
        search=given(conditions.search),
        min_price=given(conditions.min_price),
        max_price=given(conditions.max_price),
        in_stock=given(conditions.in_stock),
        include_inactive=bool(given(conditions.include_inactive)),
        brand=given(conditions.brand),
        group=given(conditions.group_id),
        attributes=tuple((pair.name, pair.value) for pair in given(conditions.attributes) or ()),
    )


@strawberry.type
class CatalogQuery:
    @strawberry.field(metadata=cached(CATALOG_TTL), description="One product; null when there is none.")
    async def product(self, info: Info, by: ProductBy) -> Product | None:
        if (sku := given(by.sku)) is not None:
            return visible(info.context, await info.context.loader(products_by_sku).load(sku))
        number = key_of(given(by.id) or "", "Product")
        return None if number is None else visible(info.context, await info.context.loader(products).load(number))

    @strawberry.field(
        metadata=cost(10, assumed=paging.DEFAULT_SIZE) | cached(CATALOG_TTL),
        description=f"Products page by page: the first {paging.DEFAULT_SIZE} unless `first` or `last` says otherwise, "
        f"at most {paging.MAX_SIZE}. A page neither repeats nor skips a product while others are added or removed.",
    )
    async def products(
        self,
        info: Info,
        first: int | None = strawberry.UNSET,
        after: str | None = strawberry.UNSET,
        last: int | None = strawberry.UNSET,
        before: str | None = strawberry.UNSET,
        filter: ProductFilter | None = strawberry.UNSET,
        sort: paging.Sort = paging.Sort.NAME_ASC,
    ) -> ProductConnection:
        catalog = info.context.services.catalog
        chosen = _filter(info.context, given(filter))
        request = paging.PageRequest.of(
            first=given(first),
            after=given(after),
            last=given(last),
            before=given(before),
            filter=chosen,
            sort=sort,
        )
        if not mentions(info, "totalCount", "productCount"):
            return ProductConnection.of(await catalog.page(request), 0, None)
        summed = selects(info, "totalCount")
        counted = any(selects(info, *path, "category", "productCount") for path in (("nodes",), ("edges", "node")))
        # Everything requested in one turn of the event loop is sent in one write: a page costs one round trip.
        page, total, counts = await asyncio.gather(
            catalog.page(request),
            catalog.count(chosen) if summed else _nothing(),
            catalog.categories() if counted else _nothing(),
        )
        known = None if counts is None else {count.category.id: count.products for count in counts}
        return ProductConnection.of(page, total or 0, known)

    @strawberry.field(metadata=cost(assumed=20) | cached(CATALOG_TTL), description="All categories, by name.")
    async def categories(self, info: Info) -> list[Category]:
        return [
            Category.of(count.category, count.products) for count in await info.context.services.catalog.categories()
        ]


async def _nothing() -> None:
    return None


@strawberry.type
class CatalogMutation:
    @strawberry.mutation(
        description="Adds a product. Needs the role ADMIN.", extensions=[requires(CATALOG), InvalidAsResult()]
    )
    async def create_product(self, info: Info, input: CreateProductInput) -> ProductResult:
        new = NewProduct(
            sku=input.sku,
            name=input.name,
            amount=input.price.amount,
            currency=input.price.currency,
            description=input.description,
            category=given(input.category),
            stock=input.stock,
            active=input.active,
            more=input.more(),
        )
        try:
            return Product.of(await info.context.services.catalog.create(new))
        except Taken:
            return SkuTaken.of(input.sku)

    @strawberry.mutation(
        description="Changes a product. Needs the role ADMIN.", extensions=[requires(CATALOG), InvalidAsResult()]
    )
    async def update_product(self, info: Info, input: UpdateProductInput) -> ProductResult:
        try:
            number = required_key(input.id, "Product")
            return Product.of(await info.context.services.catalog.update(number, input.changes()))
        except Missing:
            return NotFound.of("There is no such product.")

    @strawberry.mutation(description="Deletes a product. Needs the role ADMIN.", extensions=[requires(CATALOG)])
    async def delete_product(self, info: Info, id: strawberry.ID) -> DeleteProductResult:
        try:
            await info.context.services.catalog.delete(required_key(id, "Product"))
        except Missing:
            return NotFound.of("There is no such product.")
        return Deleted(id=id)

    @strawberry.mutation(
        description="Adds a category. Needs the role ADMIN.", extensions=[requires(CATALOG), InvalidAsResult()]
    )
    async def create_category(self, info: Info, input: CreateCategoryInput) -> CategoryResult:
        catalog = info.context.services.catalog
        try:
            return Category.of(await catalog.create_category(input.slug, input.name, given(input.parent)), 0)
        except Taken:
            return SlugTaken.of(input.slug, "category")

    @strawberry.mutation(
        description="Changes a category's name or parent. Needs the role ADMIN.",
        extensions=[requires(CATALOG), InvalidAsResult()],
    )
    async def update_category(self, info: Info, input: UpdateCategoryInput) -> CategoryResult:
        changes: CategoryChanges = {}
        if (name := given(input.name)) is not None:
            changes["name"] = name
        if input.parent is not strawberry.UNSET:
            changes["parent"] = input.parent
        try:
            number = required_key(input.id, "Category")
            return Category.of(await info.context.services.catalog.update_category(number, changes))
        except Missing:
            return NotFound.of("There is no such category.")

    @strawberry.mutation(
        description="Deletes a category that holds no products and no other categories. Needs the role ADMIN.",
        extensions=[requires(CATALOG), InvalidAsResult()],
    )
    async def delete_category(self, info: Info, id: strawberry.ID) -> DeleteCategoryResult:
        try:
            await info.context.services.catalog.delete_category(required_key(id, "Category"))
        except Missing:
            return NotFound.of("There is no such category.")
        return Deleted(id=id)


PART = SchemaPart(
    query=CatalogQuery,
    mutation=CatalogMutation,
    subscription=CatalogSubscription,
    nodes={"Product": _load_products, "Category": _load_categories},
    kept=frozenset({"Product", "Category"}),
)
