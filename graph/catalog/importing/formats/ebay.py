"""eBay's report of active listings, where variations follow their listing, and its upload template."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from graph.catalog.importing.formats.base import Draft, Joiner, KnownFormat

if TYPE_CHECKING:
    from collections.abc import Iterable

    from graph.catalog.importing.formats.base import Lookup
    from graph.catalog.importing.problems import Problem

_INHERITED = ("name", "description", "category", "images", "currency", "price")


class _Listings(Joiner):
    """Joins variations to the listing above them, which is then no product itself."""

    def __init__(self, kept: Lookup) -> None:
        super().__init__(kept)
        self._listing: Draft | None = None
        self._varies = False

    def feed(self, draft: Draft) -> Iterable[Draft | Problem]:
        told = dict(draft.told)
        varies = str(told.pop("variants", ""))
        kind = str(told.pop("type", "")).lower()
        if self._listing is None or not (kind == "variation" or (varies and "id" not in told)):
            done = self.end()
            self._listing = draft._replace(told={**told, "options": _options(varies)} if varies else told)
            return done
        self.merged += not self._varies
        self._varies = True
        above = self._listing.told
        told = {name: above[name] for name in _INHERITED if name in above} | told
        told["groupId"] = above.get("sku") or above.get("id")
        told["options"] = _options(varies)
        return (Draft(draft.line, told, draft.row, self._listing.row),)

    def end(self) -> Iterable[Draft | Problem]:
        listing, self._listing = self._listing, None
        varied, self._varies = self._varies, False
        return () if listing is None or varied else (listing,)


def _options(text: str) -> list[list[Any]]:
    """Read options like ``[Size=M|Color=Red]``."""
    pairs = (part.partition("=") for part in re.split(r"[|;]", text.strip(" []")))
    return [[name.strip(), value.strip()] for name, mark, value in pairs if mark and value.strip()]


EBAY = KnownFormat(
    name="ebay",
    title="eBay",
    signs=(
        ("Title", "Custom label (SKU)", "Available quantity", "Start price"),
        ("Title", "Custom label (SKU)", "Available quantity", "Current price"),
        ("Title", "Custom label (SKU)", "Quantity", "Start price"),
        ("Title", "CustomLabel", "Quantity", "StartPrice"),
    ),
    columns={
        "sku": ("Custom label (SKU)", "CustomLabel"),
        "id": ("Item number", "ItemID"),
        "name": ("Title",),
        "description": ("Description",),
        "price": ("Current price", "Start price", "StartPrice"),
        "currency": ("Currency",),
        "stock": ("Available quantity", "Quantity"),
        "category": ("eBay category 1 name", "Category name"),
        "gtin": ("P:EAN", "P:UPC", "P:ISBN", "Product:EAN", "Product:UPC", "Product:ISBN"),
        "brand": ("C:Brand", "Brand"),
        "images": ("Item photo URL", "PicURL"),
        "type": ("Relationship",),
        "variants": ("Variation details", "Relationship details", "RelationshipDetails"),
        "attribute.condition": ("Condition",),
    },
    levels="/",
    joiner=_Listings,
)
