"""What ``graph export`` writes: one column per field of a product, taken literally."""

from __future__ import annotations

from graph.catalog.importing.formats.base import KnownFormat

FIELDS = (
    *("sku", "name", "description", "category", "price", "currency", "compareAtPrice", "stock", "inStock", "active"),
    *("groupId", "options", "images", "brand", "gtin", "attributes"),
)
"""The columns in the order in which they are written."""

OWN = KnownFormat(
    name="graph",
    title="this project's own (`graph export`)",
    signs=(tuple(FIELDS),),
    columns={name: (name,) for name in FIELDS},
    exact=True,
)
