"""The catalog's names in Redis: tags and keys of the cache, the topic of changes, the names of its jobs.

A tag is named by what changes: whoever writes outdates the tags of what it wrote, and whoever caches a value gives it
the tags of everything that the value shows. The cache adds the prefix of the service to every name.
"""

from __future__ import annotations

from graph.patterns.broker import Delivery, Topic

CATALOG_TTL = 300.0
"""Seconds that a value is cached at most; a change of what it shows outdates it before that."""

EVERYTHING = "catalog"
"""The tag of every cached value: a bulk write outdates the whole catalog in one step."""
PAGES = "catalog:pages"
CATEGORY_LIST = "catalog:categories"
"""Both a key and the tag of its value."""

TOPIC = Topic("products", Delivery.EVERY, max_length=10_000, max_age=7 * 86_400.0, sourced=True)
"""What happened to products: see `graph.catalog.changes.ProductChange`."""

IMPORT_PRODUCTS = "importProducts"
"""The name of the job that imports a file of products; its unique key is the file."""
WARM_CATALOG = "warmCatalog"

_PRODUCT = "catalog:product:"
_SKU = "catalog:sku:"


def product_tag(product_id: int) -> str:
    """What changes with one product: a key, and the tag of its value."""
    return f"{_PRODUCT}{product_id}"


def product_of_tag(tag: str) -> int:
    """The product's number in its tag."""
    return int(tag.removeprefix(_PRODUCT))


def sku_tag(sku: str) -> str:
    """What changes with the product of a sku, or when a product gets that sku: a key, and the tag of its value."""
    return f"{_SKU}{sku}"


def sku_of_tag(tag: str) -> str:
    """The sku in its tag."""
    return tag.removeprefix(_SKU)


def page_tag(category: str | None) -> str:
    """What changes with the pages of a category, or with the pages of all products."""
    return PAGES if category is None else f"{PAGES}:{category}"


def page_key(digest: str) -> str:
    """One page, by the digest of its request."""
    return f"catalog:page:{digest}"


def count_key(digest: str) -> str:
    """The number of products that match, by the digest of the filter."""
    return f"catalog:count:{digest}"
