"""Magento's (Adobe Commerce's) product export: variants are simple rows that a configurable row lists."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from graph.catalog.importing.formats.base import Draft, Joiner, KnownFormat
from graph.catalog.importing.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable

_PAIR = re.compile(r"(?:^|,)([A-Za-z][A-Za-z0-9_ ]*)=")
_INHERITED = ("name", "description", "shortDescription", "category", "images", "brand")


def _pairs(text: str) -> list[list[Any]]:
    """Read pairs like ``a=1,b=2``; a value may contain commas."""
    marks = list(_PAIR.finditer(text))
    ends = [*(mark.start() for mark in marks[1:]), len(text)]
    return [[mark.group(1), text[mark.end() : end].strip().strip('"')] for mark, end in zip(marks, ends, strict=False)]


class _Configurables(Joiner):
    """Joins simple products to the configurable ones that list them, wherever those are in the file."""

    surveys = True

    def survey(self, draft: Draft) -> None:
        told = draft.told
        if told.get("type") != "configurable" or told.get("locale"):
            return
        parent = {name: told[name] for name in _INHERITED if name in told}
        if not told.get("variants"):
            return
        family = self.kept.family(str(told.get("sku")), draft.line)
        for variation in str(told.get("variants", "")).split("|"):
            pairs = _pairs(variation)
            sku = next((value for name, value in pairs if name == "sku"), None)
            if sku is not None:
                options = [pair for pair in pairs if pair[0] != "sku"]
                self.kept.put(sku, parent | {"groupId": told.get("sku"), "options": options}, family)

    def feed(self, draft: Draft) -> Iterable[Draft | Problem]:
        told = dict(draft.told)
        if told.get("locale", "") not in ("", "admin", "default", "all"):
            self.translations += 1
            return ()
        if told.get("type") == "configurable":
            self.merged += 1
            if not told.get("variants"):
                return (Problem(draft.line, "A configurable product lists its variants.", "sku", told.get("sku", "")),)
            return ()
        more = told.pop("moreAttributes", "")
        told["attributes"] = [[name, one] for name, value in _pairs(more) for one in value.split("|") if one]
        parent = self.kept.get(str(told.get("sku", "")))
        if parent is not None:
            told = {**parent, **told}
            names = {name for name, _ in parent["options"]}
            told["attributes"] = [pair for pair in told["attributes"] if pair[0] not in names]
        return (draft._replace(told=told),)

    def end(self) -> Iterable[Draft | Problem]:
        for label, line in self.kept.unused():
            yield Problem(line, "None of its variants is in the file.", "sku", label)


MAGENTO = KnownFormat(
    name="magento",
    title="Magento (Adobe Commerce)",
    signs=(
        ("sku", "attribute_set_code", "product_type"),
        ("sku", "store_view_code", "product_type"),
        ("sku", "product_websites", "url_key"),
        ("sku", "_attribute_set", "_type"),
    ),
    columns={
        "sku": ("sku",),
        "locale": ("store_view_code", "_store"),
        "type": ("product_type", "_type"),
        "name": ("name",),
        "description": ("description",),
        "shortDescription": ("short_description",),
        "price": ("price",),
        "salePrice": ("special_price",),
        "saleFrom": ("special_price_from_date", "special_from_date"),
        "saleTo": ("special_price_to_date", "special_to_date"),
        "compareAtPrice": ("msrp_price", "msrp"),
        "stock": ("qty",),
        "inStock": ("is_in_stock",),
        "tracked": ("manage_stock",),
        "active": ("product_online", "status"),
        "category": ("categories", "_category"),
        "brand": ("manufacturer", "brand"),
        "gtin": ("gtin", "ean", "upc", "barcode"),
        "image": ("base_image", "image"),
        "images": ("additional_images",),
        "moreAttributes": ("additional_attributes",),
        "variants": ("configurable_variations",),
    },
    levels="/",
    lists=",",
    roots=("Default Category", "Root Catalog"),
    joiner=_Configurables,
)
