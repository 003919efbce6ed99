"""The tables of the catalog; `graph/engines/migrations/versions/0001_catalog.py` and later ones create them.

A product row has two derived columns that make both engines sort and search alike: `name_key` (the folded name,
compared byte by byte) and `search` (the product's words, folded, separated by single spaces). Prices are whole
ten-thousandths of the currency's unit, so they are exact and sort as numbers on both engines.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, Index, Table, Text, false, text, true
from sqlmodel import Field, SQLModel

from graph.engines.columns import Bytes, Id, UtcDateTime


class Category(SQLModel, table=True):
    """A category of products. Its slug is its name in URLs and filters, and never changes.

    `parent_id` is the category that it belongs to; the id of a category that is gone counts as none.
    """

    __table_args__ = (Index("category_by_parent", "parent_id"), {"sqlite_autoincrement": True})

    id: int | None = Field(default=None, primary_key=True, sa_type=Id)
    slug: str = Field(max_length=64, unique=True)
    name: str = Field(max_length=200)
    parent_id: int | None = Field(default=None, sa_type=Id)


class Product(SQLModel, table=True):
    """Something for sale. `sku` never changes; an inactive product is kept but not shown.

    `stock` is meaningless (and 0) if it is not `tracked`; `in_stock` says in either case whether the product is
    available. `options`, `images` and `attributes` are JSON: see `graph.catalog.details`.
    """

    __table_args__ = (
        CheckConstraint("price >= 0", name="product_price_not_negative"),
        CheckConstraint("stock >= 0", name="product_stock_not_negative"),
        Index("product_by_name", "active", "name_key", "id"),
        Index("product_by_price", "active", "price", "id"),
        Index("product_by_newest", "active", "created_at", "id"),
        Index("product_by_category_name", "category_id", "active", "name_key", "id"),
        Index("product_by_category_price", "category_id", "active", "price", "id"),
        Index("product_by_category_newest", "category_id", "active", "created_at", "id"),
        Index(
            "product_by_group",
            "group_id",
            sqlite_where=text("group_id IS NOT NULL"),
            postgresql_where=text("group_id IS NOT NULL"),
        ),
        Index(
            "product_by_brand",
            "brand",
            sqlite_where=text("brand IS NOT NULL"),
            postgresql_where=text("brand IS NOT NULL"),
        ),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=Id)
    sku: str = Field(max_length=64, unique=True)
    name: str = Field(max_length=200)
    name_key: str = Field(sa_type=Bytes)
    description: str = Field(sa_type=Text)
    category_id: int | None = Field(default=None, foreign_key="category.id", ondelete="SET NULL", sa_type=Id)
    price: int = Field(sa_type=BigInteger)
    currency: str = Field(max_length=3)
    stock: int
    active: bool
    search: str = Field(sa_type=Text)
    compare_at_price: int | None = Field(default=None, sa_type=BigInteger)
    tracked: bool = Field(default=True, sa_column_kwargs={"server_default": true()})
    in_stock: bool = Field(default=True, sa_column_kwargs={"server_default": true()})
    group_id: str | None = Field(default=None, max_length=100)
    brand: str | None = Field(default=None, max_length=200)
    gtin: str | None = Field(default=None, max_length=14)
    options: str = Field(default="[]", sa_type=Text, sa_column_kwargs={"server_default": "[]"})
    images: str = Field(default="[]", sa_type=Text, sa_column_kwargs={"server_default": "[]"})
    attributes: str = Field(default="[]", sa_type=Text, sa_column_kwargs={"server_default": "[]"})
    created_at: datetime = Field(sa_type=UtcDateTime)
    updated_at: datetime = Field(sa_type=UtcDateTime)


class ProductEvent(SQLModel, table=True):
    """The outbox: a change of a product, written in its transaction; see `graph.catalog.outbox`.

    `kind` is CREATED, UPDATED or DELETED; `category` is the slug after the change (before it, for DELETED) and
    `previous_category` the one before, if it changed. A row of a transaction that committed late may have a smaller id
    than one already published: `position` is the order of publication, given when the row is first seen. A row of a
    `bulk` write gets one only after the cached catalog was invalidated.
    """

    __tablename__ = "product_events"  # pyright: ignore[reportAssignmentType] - declared for declared_attr only
    __table_args__ = (
        # Finds the rows without a position from the index alone, however many of them an import has left.
        Index(
            "product_events_waiting",
            *("bulk", "id", "product_id"),
            sqlite_where=text("position IS NULL"),
            postgresql_where=text("position IS NULL"),
        ),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=Id)
    kind: str = Field(max_length=8)
    product_id: int = Field(sa_type=Id)
    category: str | None = Field(default=None, max_length=64)
    previous_category: str | None = Field(default=None, max_length=64)
    at: datetime = Field(sa_type=UtcDateTime)
    position: int | None = Field(default=None, unique=True, sa_type=BigInteger)
    bulk: bool = Field(default=False, sa_column_kwargs={"server_default": false()})


class ProductEventLog(SQLModel, table=True):
    """A single row, which names the outbox as a log (`nonce`) and counts the positions given out."""

    __tablename__ = "product_event_log"  # pyright: ignore[reportAssignmentType] - declared for declared_attr only

    id: int = Field(primary_key=True)
    nonce: str = Field(max_length=16)
    position: int = Field(default=0, sa_type=BigInteger)


# The same tables for statements that use columns rather than objects.
PRODUCTS: Table = SQLModel.metadata.tables["product"]
CATEGORIES: Table = SQLModel.metadata.tables["category"]
EVENTS: Table = SQLModel.metadata.tables["product_events"]
EVENT_LOG: Table = SQLModel.metadata.tables["product_event_log"]
