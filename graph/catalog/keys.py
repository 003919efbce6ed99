"""The catalog's names in Redis: tags and keys of the cache, the topic of changes, the names of its jobs.

A tag is named after what changes: a writer invalidates the tags of what it wrote, and a cached value carries the tags
of everything that it shows. The cache adds the service's prefix to every name.
"""

from __future__ import annotations

from graph.patterns.broker import Delivery, Topic

CATALOG_TTL = 300.0
"""Seconds that a value is cached at most; a change of what it shows invalidates it earlier."""

EVERYTHING = "catalog"
"""The tag of every cached value: a bulk write invalidates the whole catalog in one step."""
PAGES = "catalog:pages"
"""The tag of every cached page of all products: any change of a product outdates it."""
_ORDER = "catalog:order"
_PRICED = "catalog:priced"
CATEGORY_LIST = "catalog:categories"
"""Both a key and the tag of its value."""

TOPIC = Topic("products", Delivery.EVERY, max_length=10_000, max_age=7 * 86_400.0, sourced=True)
"""The topic of product changes: see `graph.catalog.changes.ProductChange`."""

IMPORT_PRODUCTS = "importProducts"
"""The name of the job that imports a file of products; its unique key is the file."""
IMPORT_UPLOAD = "importUpload"
"""The name of the job that imports a file that was uploaded, and then removes it."""
FORGET_UPLOADS = "forgetUploads"
WARM_CATALOG = "warmCatalog"

_PRODUCT = "catalog:product:"
_SKU = "catalog:sku:"


def product_tag(product_id: int) -> str:
    """Return the cache key of a product by its id, which is also the tag of everything that shows the product."""
    return f"{_PRODUCT}{product_id}"


def product_of_tag(tag: str) -> int:
    """Return the product's id in a `product_tag`."""
    return int(tag.removeprefix(_PRODUCT))


def sku_tag(sku: str) -> str:
    """Return the cache key of a product by its sku, which is also the tag of that look-up, found or not."""
    return f"{_SKU}{sku}"


def sku_of_tag(tag: str) -> str:
    """Return the sku in a `sku_tag`."""
    return tag.removeprefix(_SKU)


def page_tag(category: str | None) -> str:
    """Return the tag of the pages of a category, or of the pages of all products."""
    return PAGES if category is None else f"{PAGES}:{category}"


def order_tag(category: str | None) -> str:
    """Return the tag of which products a list has, and in which order, whatever they cost: of a category, or of all."""
    return _ORDER if category is None else f"{_ORDER}:{category}"


def priced_tag(category: str | None) -> str:
    """Return the same tag for lists that are sorted or filtered by price."""
    return _PRICED if category is None else f"{_PRICED}:{category}"


def page_key(digest: str) -> str:
    """Return the key of a page, given the digest of its request."""
    return f"catalog:page:{digest}"


def count_key(digest: str) -> str:
    """Return the key of the number of matching products, given the digest of the filter."""
    return f"catalog:count:{digest}"
