"""Shopify's product export and template: a row per variant, and more rows for more pictures, under one handle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graph.catalog.importing.formats.base import Draft, Joiner, KnownFormat
from graph.catalog.importing.texts import slug_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from graph.catalog.importing.formats.base import Lookup
    from graph.catalog.importing.problems import Problem

_MOST = 4096
"""Most rows of one handle; Shopify allows 2,048 variants and 250 pictures of a product."""
_INHERITED = ("name", "description", "brand", "category", "tags", "active", "status", "attributes")
_DEFAULT = "Default Title"
_PICTURED = frozenset(("variantImage", "imageAlt"))


class _Handles(Joiner):
    """Joins the rows of a handle, which follow each other."""

    def __init__(self, kept: Lookup) -> None:
        super().__init__(kept)
        self._rows: list[Draft] = []

    def feed(self, draft: Draft) -> Iterable[Draft | Problem]:
        handle = draft.told.get("handle")
        same = bool(self._rows) and handle == self._rows[0].told.get("handle") and handle is not None
        done = () if same and len(self._rows) < _MOST else self.end()
        self._rows.append(draft)
        return done

    def end(self) -> Iterable[Draft | Problem]:
        rows, self._rows = self._rows, []
        if not rows:
            return ()
        base = rows[0]
        if len(rows) == 1 and base.told.get("optionValue1", _DEFAULT) == _DEFAULT and _PICTURED.isdisjoint(base.told):
            # Most products of most shops, by a fast path.
            return (base._replace(told={**base.told, "images": base.told.get("images", []), "options": []}),)
        names = [base.told.get(f"optionName{number}") for number in (1, 2, 3)]
        variants = [row for row in rows if row is base or {"sku", "price", "optionValue1"} & row.told.keys()]
        self.merged += len(rows) - len(variants)
        pictures = [picture for _, _, picture in sorted(_pictures(rows), key=lambda one: one[:2])]
        grouped = len(variants) > 1 or base.told.get("optionValue1", _DEFAULT) != _DEFAULT
        return [_variant(row, base, names, pictures, grouped=grouped) for row in variants]


def _pictures(rows: list[Draft]) -> Iterable[tuple[int, int, list[Any]]]:
    """Return position, row and picture (URL and text) for each picture."""
    for number, row in enumerate(rows):
        told = str(row.told.get("imagePosition", ""))
        place = int(told) if told.isascii() and told.isdigit() else 0
        for url, text in row.told.get("images", ()):
            yield place, number, [url, text or row.told.get("imageAlt")]


def _variant(row: Draft, base: Draft, names: list[Any], pictures: list[list[Any]], *, grouped: bool) -> Draft:
    told = {name: base.told[name] for name in _INHERITED if name in base.told} | row.told
    if own := told.get("variantImage"):
        pictures = [[own, None], *(picture for picture in pictures if picture[0] != own)]
    told["images"] = pictures
    values = [told.get(f"optionValue{number}") for number in (1, 2, 3)]
    options = [[name, value] for name, value in zip(names, values, strict=True) if name and value]
    told["options"] = []
    if grouped:
        told["groupId"] = told.get("handle")
        told["options"] = options
        if "sku" not in told and told.get("handle"):
            told["sku"] = slug_of((told["handle"], *(str(value) for _, value in options)))
    return Draft(row.line, told, row.row, base.row if row is not base else None)


SHOPIFY = KnownFormat(
    name="shopify",
    title="Shopify",
    signs=(
        ("Handle", "Title", "Variant Price"),
        ("Handle", "Title", "Variant SKU"),
        ("Handle", "Title", "Option1 Name", "Option1 Value"),
        ("URL handle", "Title", "Price"),
        ("URL handle", "Title", "Option1 value"),
    ),
    columns={
        "handle": ("Handle", "URL handle"),
        "sku": ("Variant SKU", "SKU"),
        "name": ("Title",),
        "description": ("Body (HTML)", "Body HTML", "Description"),
        "price": ("Variant Price", "Price"),
        "compareAtPrice": ("Variant Compare At Price", "Compare-at price"),
        "stock": ("Variant Inventory Qty", "Inventory quantity"),
        "tracked": ("Variant Inventory Tracker", "Inventory tracker"),
        "backorder": ("Variant Inventory Policy", "Continue selling when out of stock"),
        "active": ("Published", "Published on online store"),
        "status": ("Status",),
        "category": (
            *("Product Category", "Standardized Product Type", "Standard Product Type"),
            *("Google Shopping / Google Product Category", "Custom Product Type", "Type"),
        ),
        "brand": ("Vendor",),
        "gtin": ("Variant Barcode", "Barcode"),
        "tags": ("Tags",),
        "optionName1": ("Option1 Name",),
        "optionValue1": ("Option1 Value",),
        "optionName2": ("Option2 Name",),
        "optionValue2": ("Option2 Value",),
        "optionName3": ("Option3 Name",),
        "optionValue3": ("Option3 Value",),
        "image": ("Image Src", "Product image URL"),
        "imagePosition": ("Image Position",),
        "imageAlt": ("Image Alt Text",),
        "variantImage": ("Variant Image", "Variant image URL"),
    },
    joiner=_Handles,
)
