"""What a write of a product is made of: its rules, what it changes, and the statements of its transaction.

A `PlannedChange` rests on what was read of the product, before anything is locked; its transaction first makes sure
that this is still so. Every change of a product adds a row to the outbox (`graph.catalog.models.ProductEvent`) in the
same transaction, so an event is published if and only if the change was committed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Self, TypedDict, cast

from sqlalchemy import bindparam, delete, exists, insert, select, update
from sqlalchemy.exc import IntegrityError

from graph.catalog import details, rules
from graph.catalog.models import CATEGORIES, EVENTS, PRODUCTS
from graph.catalog.reading import events, queries
from graph.catalog.records import CategoryRecord, ChangeKind, ProductRecord, product_of
from graph.errors import Invalid, Missing, Taken

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from decimal import Decimal

    from sqlalchemy import Update
    from sqlalchemy.ext.asyncio import AsyncSession

    from graph.catalog.reading.queries import SqlReader
    from graph.engines.plain import Statements


@dataclass(frozen=True, slots=True)
class NewProduct:
    """The fields of a product to create; `category` is a slug, `amount` is in `currency`."""

    sku: str
    name: str
    amount: Decimal
    currency: str = "USD"
    description: str = ""
    category: str | None = None
    stock: int | None = 0
    active: bool = True
    more: ProductChanges | None = None
    """The optional fields."""


class ProductChanges(TypedDict, total=False):
    """The fields to change; `category` is a slug or None for no category, `price` an amount and its currency."""

    name: str
    description: str
    category: str | None
    price: tuple[Decimal, str]
    stock: int | None
    active: bool
    compare_at_price: Decimal | None
    in_stock: bool
    group_id: str | None
    brand: str | None
    gtin: str | None
    options: Sequence[tuple[str, str]]
    images: Sequence[tuple[str, str | None]]
    attributes: Sequence[tuple[str, str]]


def row_of(new: NewProduct) -> dict[str, Any]:
    """Return the columns of a new product, without its category and times; raises `Invalid`."""
    return {
        "sku": rules.check_sku(new.sku),
        **checked({"name": new.name, "description": new.description, "price": (new.amount, new.currency)}),
        **checked({"stock": new.stock, "active": new.active} | (new.more or {}), new.currency),  # pyright: ignore[reportArgumentType] - of one shape
    }


def checked(changes: ProductChanges, currency: str = "USD") -> dict[str, Any]:
    """Return the columns that `changes` sets, without the category and the derived ones; raises `Invalid`.

    `currency` is the product's, for changes that name none.
    """
    values: dict[str, Any] = {}
    if "name" in changes:
        values["name"] = rules.check_name(changes["name"])
    if "description" in changes:
        values["description"] = rules.check_description(changes["description"])
    if "price" in changes:
        amount, currency = changes["price"]
        values["currency"] = rules.check_currency(currency)
        values["price"] = rules.check_price(amount, currency)
    if "stock" in changes:
        stock = changes["stock"]
        values["stock"] = 0 if stock is None else rules.check_stock(stock)
        values["tracked"] = stock is not None
        values["in_stock"] = stock is None or stock > 0
    if "active" in changes:
        values["active"] = changes["active"]
    if "in_stock" in changes:
        values["in_stock"] = changes["in_stock"]
    if "compare_at_price" in changes:
        former = changes["compare_at_price"]
        kept = values.get("currency", currency)
        values["compare_at_price"] = None if former is None else rules.check_price(former, kept, "compareAtPrice")
    more = cast("dict[str, Any]", changes)
    return values | {name: check(more[name]) for name, check in _DETAILS.items() if name in more}


_DETAILS: dict[str, Callable[[Any], Any]] = {
    "group_id": details.check_group,
    "brand": details.check_brand,
    "gtin": details.check_gtin,
    "options": details.check_options,
    "images": details.check_images,
    "attributes": details.check_attributes,
}


def derived(sku: str, name: str, description: str) -> dict[str, str]:
    """Return the columns that make products sort and search alike on both engines."""
    return {"name_key": rules.name_key(name), "search": rules.search_words(sku, name, description)}


async def category(source: SqlReader, slug: str | None, *, locked: bool = False) -> CategoryRecord | None:
    """Return the category with this slug, which is not deleted until the transaction ends if it is `locked`.

    Raises `Invalid` if there is none.
    """
    if slug is None:
        return None
    if rules.is_slug(slug):
        for row in await source.execute(_LOCKED_CATEGORY if locked else _CATEGORY, {"slug": slug}):
            return CategoryRecord(*row)
    raise Invalid("category", "There is no such category.")


_CATEGORY = select(*(CATEGORIES.c[name] for name in CategoryRecord._fields)).where(
    CATEGORIES.c.slug == bindparam("slug", type_=CATEGORIES.c.slug.type)
)
_LOCKED_CATEGORY = _CATEGORY.with_for_update(read=True, key_share=True)


async def insert_product(session: AsyncSession, values: dict[str, Any]) -> ProductRecord:
    """Insert a row; raises `Taken` if the sku is in use."""
    values = values | derived(values["sku"], values["name"], values["description"])
    try:
        inserted = await session.scalar(insert(PRODUCTS).returning(PRODUCTS.c.id), values)
    except IntegrityError as error:
        raise Taken from error
    return (await queries.by_id(session, [int(inserted or 0)]))[0]


@dataclass(frozen=True, slots=True)
class PlannedChange:
    """A change of a product, or its deletion (`after` is None), planned on what was read of it."""

    before: ProductRecord
    after: ProductRecord | None
    _row: Sequence[Any]
    """What was read."""
    _values: Mapping[str, Any]
    """The columns to write."""
    _shelved: bool
    """Whether it puts the product into the category of `after`."""
    untold: bool
    """Whether it rests on a bulk write for which the cache has not been invalidated yet."""

    @classmethod
    async def of(cls, source: SqlReader, product_id: int, changes: ProductChanges) -> Self:
        """Plan to change what `changes` names; `after` equals `before` if nothing differs.

        Raises `Invalid`, or `Missing` if there is no such product.
        """
        row, untold = await _stored(source, product_id)
        before = product_of(row)
        values = checked(changes, before.currency)
        shelved = "category" in changes
        after = dict(zip(queries.PRODUCT_COLUMNS, row, strict=True)) | values
        if shelved:
            after |= queries.category_values(await category(source, changes["category"]))
            values["category_id"] = after["category_id"]
        if "name" in values or "description" in values:
            values |= derived(before.sku, after["name"], after["description"])
        if "compare_at_price" not in values and after["currency"] != before.currency:
            values["compare_at_price"] = after["compare_at_price"] = None  # it was in the former currency
        record = product_of(list(after.values()))
        if record != before:
            values["updated_at"] = max(datetime.now(UTC), before.updated_at)
            record = record._replace(updated_at=values["updated_at"])
        return cls(before, record, row, values, shelved, untold)

    @classmethod
    async def deletion(cls, source: SqlReader, product_id: int) -> Self:
        """Plan to delete a product; raises `Missing`."""
        row, untold = await _stored(source, product_id)
        return cls(product_of(row), None, row, {}, _shelved=False, untold=untold)

    async def write(self, connection: Statements) -> bool:
        """Write it in a transaction; False, with nothing changed, if it was planned on what is not so any more.

        The product and its new category stay as they are until the transaction ends.
        """
        before, after = self.before, self.after
        found = await connection.execute(_LOCKED, {"id": before.id})
        if [queries.values_of(row) for row in found] != [self._row]:
            return False
        if self._shelved and after is not None and after.category is not None:
            rows = await connection.execute(_LOCKED_CATEGORY, {"slug": after.category.slug})
            if [CategoryRecord(*row) for row in rows] != [after.category]:
                return False
        if after is None:
            await connection.execute(_DELETE, {"this": before.id})
            await tell(connection, ChangeKind.DELETED, before, datetime.now(UTC))
        else:
            columns = tuple(sorted(self._values))
            values = {f"new_{name}": self._values[name] for name in columns}
            await connection.execute(_writing(columns), {"this": before.id} | values)
            await tell(connection, ChangeKind.UPDATED, after, after.updated_at, before)
        return True


_LOCKED = queries.WITH_ID.with_for_update(of=PRODUCTS)
_THIS = PRODUCTS.c.id == bindparam("this", type_=PRODUCTS.c.id.type)
_DELETE = delete(PRODUCTS).where(_THIS)


@lru_cache(maxsize=256)
def _writing(columns: tuple[str, ...]) -> Update:
    """Return the statement that writes these columns."""
    new = {name: bindparam(f"new_{name}", type_=PRODUCTS.c[name].type) for name in columns}
    return update(PRODUCTS).where(_THIS).values(new)


# A bulk write's event has no position before the cache was invalidated for it. Read with the row, in one snapshot.
_UNTOLD = exists().where(events.WAITING, EVENTS.c.bulk, EVENTS.c.product_id == PRODUCTS.c.id)
_STORED = queries.with_id(_UNTOLD.label("untold"))


async def _stored(source: SqlReader, product_id: int) -> tuple[list[Any], bool]:
    """Return what is stored of a product, as it is cached, and whether a bulk write is untold; raises `Missing`."""
    for row in await source.execute(_STORED, {"id": product_id}):
        return queries.values_of(row), bool(row[queries.COLUMNS])
    raise Missing("product")


async def tell(
    source: SqlReader, kind: ChangeKind, product: ProductRecord, at: datetime, before: ProductRecord | None = None
) -> None:
    """Add the change to the outbox."""
    slug = product.category.slug if product.category else None
    left = before.category.slug if before and before.category else None
    values = {"kind": kind, "product_id": product.id, "category": slug, "at": at}
    await source.execute(_TELL, values | {"previous_category": left if left != slug else None})


_TOLD: dict[str, Any] = {
    name: bindparam(name) for name in ("kind", "product_id", "category", "previous_category", "at")
}
_TELL = insert(EVENTS).values(_TOLD | {"bulk": False})
