"""The catalog service: reads go through the cache, and every read after a write sees it.

Reads: a value is cached for at most `CATALOG_TTL` seconds and is invalid at once when a product it shows changes. Each
carries two tags: its own (a product's id or sku, all pages, a category's pages, the list of categories) and one for the
whole catalog, which an import invalidates in a single step at its end. Without Redis, reads go to the database.
An answer made of a page depends on what the page shows, not on all that might be on it (`get_narrowly`).

Writes: a change is planned on the product as it is, and the tags of what it makes wrong are held. Then one transaction,
which awaits nothing but its statements, makes sure that the product still is as it was, writes it with its event in the
outbox, and is committed; finally the tags get new generations. If somebody else was faster, all of that begins anew.
Writers of one product take turns within a process. (A new product has no id yet whose tag could be held: its
transaction is open meanwhile.) A write that cannot hold its tags is refused with
`graph.patterns.client.RedisUnavailable` and changes nothing. A write that is not possible raises `Invalid`, `Taken` or
`Missing` of `graph.errors`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from graph.catalog import keys, rules, shelving, writing
from graph.catalog.keys import (
    CATALOG_TTL,
    CATEGORY_LIST,
    EVERYTHING,
    order_tag,
    page_tag,
    priced_tag,
    product_tag,
    sku_tag,
)
from graph.catalog.reading import pages, queries
from graph.catalog.reading.paging import EMPTY_PAGE, Page, digest
from graph.catalog.records import (
    CategoryCount,
    ChangeKind,
    ProductRecord,
    counts_json,
    counts_of,
    product_of,
)
from graph.catalog.writing import PlannedChange
from graph.patterns.cache import get_narrowly
from graph.patterns.fair_queue import FairQueue

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from graph.catalog.reading.paging import Filter, PageRequest
    from graph.catalog.records import CategoryRecord
    from graph.catalog.shelving import CategoryChanges
    from graph.catalog.writing import NewProduct, ProductChanges
    from graph.engines.database import Database
    from graph.patterns.cache import Cache


class CatalogService:
    """Reads and writes products and categories, which are in SQL behind the cache."""

    def __init__(
        self,
        database: Database,
        cache: Cache,
        *,
        committed: Callable[[], None] = lambda: None,
        outdate: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Read `database` through `cache`.

        `committed` is called after each single write, whose event is in the outbox then. `outdate` invalidates the
        whole catalog for a bulk write and has its events published; without it only the cache is invalidated.
        """
        self.database = database
        self._rows = queries.RowReader(database.rows)
        self.cache = cache
        self.committed = committed
        self._outdate = outdate or partial(cache.invalidate, EVERYTHING)
        self._writers: WeakValueDictionary[int, FairQueue] = WeakValueDictionary()
        """The turns at the products that are being written, by their ids."""

    # --- reading ---

    async def products(self, ids: Sequence[int]) -> dict[int, ProductRecord]:
        """Return those of the products that exist, active or not: one trip to Redis, one statement for the misses."""

        async def load(tags: Sequence[str]) -> Mapping[str, Any]:
            found = await queries.values_by_id(self._rows, [keys.product_of_tag(tag) for tag in tags])
            return {product_tag(values[0]): values for values in found}

        wanted = [product_tag(one) for one in dict.fromkeys(ids)]
        values = await self.cache.get_many(wanted, load, tags=lambda key: (key, EVERYTHING), ttl=CATALOG_TTL)
        return {value[0]: product_of(value) for value in values.values() if value is not None}

    async def products_by_sku(self, skus: Sequence[str]) -> dict[str, ProductRecord]:
        """Return the same by sku. A text that cannot be a sku is not looked up."""

        async def load(tags: Sequence[str]) -> Mapping[str, Any]:
            found = await queries.values_by_sku(self._rows, [keys.sku_of_tag(tag) for tag in tags])
            return {sku_tag(values[1]): values for values in found}

        wanted = [sku_tag(sku) for sku in dict.fromkeys(skus) if rules.is_sku(sku)]
        if not wanted:
            return {}
        values = await self.cache.get_many(wanted, load, tags=lambda key: (key, EVERYTHING), ttl=CATALOG_TTL)
        return {value[1]: product_of(value) for value in values.values() if value is not None}

    async def page(self, request: PageRequest) -> Page:
        """Return the page that `request` asks for."""
        if request.filter.impossible:
            return EMPTY_PAGE

        async def load() -> Any:
            return await pages.page_values(self._rows, request, self.database.dialect)

        # What is made of the page depends on what it shows: not every change of any product outdates it.
        def narrow(page: Any) -> Sequence[str]:
            return (*listing, *(product_tag(row[0]) for row, _ in page["edges"]))

        by_price = request.sort.column == "price"
        listing = _listing(request.filter, by_price=by_price)
        tags = (page_tag(request.filter.category), EVERYTHING)
        key = keys.page_key(request.key)
        value = await get_narrowly(self.cache, key, load, tags=tags, narrow=narrow, ttl=CATALOG_TTL, exact=True)
        return Page(value, request.sort)

    async def count(self, chosen: Filter) -> int:
        """Return how many products match `chosen`."""
        if chosen.impossible:
            return 0

        async def load() -> Any:
            return await queries.count(self._rows, chosen, self.database.dialect)

        tags = _listing(chosen)
        count: int = await self.cache.get(keys.count_key(digest(chosen.canonical())), load, tags=tags, ttl=CATALOG_TTL)
        return count

    async def categories(self) -> tuple[CategoryCount, ...]:
        """Return all categories by name, with the number of their active products."""

        async def load() -> Any:
            return counts_json(await queries.categories(self._rows))

        return counts_of(await self.cache.get(CATEGORY_LIST, load, tags=(CATEGORY_LIST, EVERYTHING), ttl=CATALOG_TTL))

    # --- writing ---

    async def create(self, new: NewProduct) -> ProductRecord:
        """Add a product. Raises `Invalid`, or `Taken` if its sku is in use."""
        now = datetime.now(UTC)
        values = writing.row_of(new) | {"created_at": now, "updated_at": now}
        async with self.database.transaction() as session:
            category = await writing.category(session, new.category, locked=True)
            values["category_id"] = None if category is None else category.id
            product = await writing.insert_product(session, values)
            await writing.tell(session, ChangeKind.CREATED, product, now)
            async with self.cache.invalidating(*tags_of(None, product)):
                await session.commit()
        self.committed()
        return product

    async def update(self, product_id: int, changes: ProductChanges) -> ProductRecord:
        """Change what `changes` names. Raises `Invalid`, or `Missing` if there is no such product."""
        done = await self._change(product_id, lambda: PlannedChange.of(self._rows, product_id, changes))
        assert done.after is not None
        return done.after

    async def delete(self, product_id: int) -> None:
        """Delete a product. Raises `Missing` if there is no such product."""
        await self._change(product_id, lambda: PlannedChange.deletion(self._rows, product_id))

    async def _change(self, product_id: int, plan: Callable[[], Awaitable[PlannedChange]]) -> PlannedChange:
        """Make the change that `plan` gives, which is asked again if the product was changed meanwhile."""
        turns = self._writers.setdefault(product_id, FairQueue(1, 1))
        async with turns.place():
            while True:
                change = await plan()
                # One that rests on a bulk write is acknowledged before that is: outdate what either makes wrong.
                tags = [EVERYTHING] if change.untold else tags_of(change.before, change.after)
                if change.after == change.before:
                    if change.untold:
                        await self.cache.invalidate(*tags)
                    return change
                async with self.cache.invalidating(*tags):
                    written = await self.database.transact(change.write)
                if written:
                    self.committed()
                    return change

    async def create_category(self, slug: str, name: str, parent: str | None = None) -> CategoryRecord:
        """Add a category, below a parent if one is given. Raises `Invalid`, or `Taken` if its slug is in use."""
        return await shelving.create(self.database, self.cache, slug, name, parent)

    async def update_category(self, number: int, changes: CategoryChanges) -> CategoryRecord:
        """Rename or move a category. Raises `Missing`, or `Invalid`, for instance if it would be below itself."""
        return await shelving.update(self.database, self.cache, number, changes)

    async def delete_category(self, number: int) -> None:
        """Delete an empty category. Raises `Missing`, or `Invalid` if it is not empty."""
        await shelving.delete(self.database, self.cache, number)

    async def outdate(self) -> None:
        """Invalidate everything cached before now, after a bulk write has committed.

        Raises `graph.patterns.cache.generations.CacheWriteUnconfirmed` when Redis does not confirm it in time.
        """
        await self._outdate()


def _listing(chosen: Filter, *, by_price: bool = False) -> tuple[str, ...]:
    """Return the tags of which products match `chosen`, and of their order."""
    category = chosen.category
    by_price = by_price or chosen.min_price is not None or chosen.max_price is not None
    return (order_tag(category), *((priced_tag(category),) if by_price else ()), EVERYTHING)


def tags_of(before: ProductRecord | None, after: ProductRecord | None) -> list[str]:
    """Return the tags of all cached values that a change from `before` to `after` makes wrong."""
    versions = [version for version in (before, after) if version is not None]
    lists = {page_tag}
    if before is None or after is None or _placed(before) != _placed(after):
        lists.add(order_tag)
    if before is None or after is None or before.price != after.price:
        lists.add(priced_tag)
    tags = {tag(None) for tag in lists}
    for version in versions:
        tags |= {product_tag(version.id), sku_tag(version.sku)}
        tags |= {tag(version.category.slug) for tag in lists if version.category}
    counted = {(version.category, version.active) for version in versions}
    if len(versions) == 1 or len(counted) == 2:  # noqa: PLR2004 - the two versions count differently
        tags.add(CATEGORY_LIST)
    return sorted(tags)


def _placed(product: ProductRecord) -> ProductRecord:
    """Return the product with only those fields that decide its place in lists, the price not counted."""
    return product._replace(**_UNPLACED)


_UNPLACED: dict[str, Any] = {
    "price": Decimal(0),
    "currency": "",
    "stock": 0,
    "compare_at_price": None,
    "gtin": None,
    "options": (),
    "images": (),
    "updated_at": datetime.min.replace(tzinfo=UTC),
}
"""Fields that decide no list's content or order; any other field is taken to, future ones included."""
