"""The steps of a write inside its transaction: check, find the category, lock, write the row and its event.

Every change of a product adds a row to the outbox (`graph.catalog.models.ProductEvent`) in the same transaction, so an
event is published if and only if the change was committed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypedDict, cast

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from graph.catalog import details, rules
from graph.catalog.models import CATEGORIES, EVENTS, PRODUCTS
from graph.catalog.reading import queries
from graph.errors import Invalid, Missing, Taken

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from decimal import Decimal

    from sqlalchemy.ext.asyncio import AsyncSession

    from graph.catalog.records import ChangeKind, ProductRecord


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


async def category_id(session: AsyncSession, slug: str | None) -> int | None:
    """Return the id of the category with this slug, which is not deleted until the transaction ends.

    Raises `Invalid` if there is none.
    """
    if slug is None:
        return None
    found = None
    if rules.is_slug(slug):
        wanted = select(CATEGORIES.c.id).where(CATEGORIES.c.slug == slug)
        found = await session.scalar(wanted.with_for_update(read=True, key_share=True))
    if found is None:
        raise Invalid("category", "There is no such category.")
    return int(found)


async def insert_product(session: AsyncSession, values: dict[str, Any]) -> ProductRecord:
    """Insert a row; raises `Taken` if the sku is in use."""
    values = values | derived(values["sku"], values["name"], values["description"])
    try:
        inserted = await session.scalar(insert(PRODUCTS).returning(PRODUCTS.c.id), values)
    except IntegrityError as error:
        raise Taken from error
    return (await queries.by_id(session, [int(inserted or 0)]))[0]


async def locked(session: AsyncSession, product_id: int) -> ProductRecord:
    """Return the current product, locked until the transaction ends; raises `Missing`."""
    await session.execute(select(PRODUCTS.c.id).where(PRODUCTS.c.id == product_id).with_for_update())
    found = await queries.by_id(session, [product_id])
    if not found:
        raise Missing("product")
    return found[0]


async def update_product(session: AsyncSession, before: ProductRecord, values: dict[str, Any]) -> ProductRecord:
    """Write `values` to a locked product and return it; the result equals `before` if nothing differs."""
    changed = dict(values)
    if "name" in values or "description" in values:
        texts = {"name": before.name, "description": before.description} | values
        changed |= derived(before.sku, texts["name"], texts["description"])
    if "compare_at_price" not in values and values.get("currency", before.currency) != before.currency:
        changed["compare_at_price"] = None  # it was in the former currency
    if not changed:
        return before
    same = PRODUCTS.c.id == before.id
    await session.execute(update(PRODUCTS).where(same).values(changed))
    after = (await queries.by_id(session, [before.id]))[0]
    if after != before:
        moment = max(datetime.now(UTC), before.updated_at)
        await session.execute(update(PRODUCTS).where(same).values(updated_at=moment))
        after = after._replace(updated_at=moment)
    return after


async def delete_product(session: AsyncSession, product_id: int) -> None:
    """Delete the product's row."""
    await session.execute(delete(PRODUCTS).where(PRODUCTS.c.id == product_id))


async def tell(
    session: AsyncSession, kind: ChangeKind, product: ProductRecord, at: datetime, before: ProductRecord | None = None
) -> None:
    """Add the change to the outbox."""
    slug = product.category.slug if product.category else None
    left = before.category.slug if before and before.category else None
    values = {"kind": kind, "product_id": product.id, "category": slug, "at": at}
    await session.execute(insert(EVENTS), values | {"previous_category": left if left != slug else None})
