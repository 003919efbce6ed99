"""Magento's (Adobe Commerce's) product export: variants are simple rows that a configurable row lists."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from graph.catalog.importing.formats.base import Draft, Joiner, KnownFormat
from graph.catalog.importing.objects import plain
from graph.catalog.importing.problems import Problem, as_list, as_object

if TYPE_CHECKING:
    from collections.abc import Iterable

_PAIR = re.compile(r"(?:^|,)([A-Za-z][A-Za-z0-9_ ]*)=")
_DISABLED = ("2", "disabled", "no")
_OF_THE_SYSTEM = re.compile(
    r"\w*_ids?|\w*(?:layout|design|container|display|meta|gift|thumbnail|image|swatch|update|options)\w*"
)
"""Attributes in Magento's REST answers that say how a product is shown, not what it is."""
_INHERITED = ("name", "description", "shortDescription", "category", "images", "brand")


def _pairs(text: str) -> list[list[Any]]:
    """Read pairs like ``a=1,b=2``; a value may contain commas."""
    marks = list(_PAIR.finditer(text))
    ends = [*(mark.start() for mark in marks[1:]), len(text)]
    return [[mark.group(1), text[mark.end() : end].strip().strip('"')] for mark, end in zip(marks, ends, strict=False)]


def _labels(draft: Draft) -> list[str]:
    """Return the names of the options in which the variants of a configurable product differ, from a REST answer."""
    extension = as_object((draft.row.fields or {}).get("extension_attributes")) or {}
    options = map(as_object, as_list(extension.get("configurable_product_options")) or ())
    return [plain(option.get("label")) for option in options if option is not None]


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
        if (children := as_list(told["variants"])) is not None:  # REST: the ids of the variants
            family = self.kept.family(str(told.get("sku")), draft.line)
            for child in children:
                self.kept.put(f"id:{child}", parent | {"groupId": told.get("sku"), "varies": _labels(draft)}, family)
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
        if str(told.get("active", "")).lower() in _DISABLED:
            told["active"] = "0"
        more = told.pop("moreAttributes", "")
        told["attributes"] = [
            *(pair for pair in told.get("attributes", ()) if not _OF_THE_SYSTEM.fullmatch(pair[0])),
            *([name, one] for name, value in _pairs(more) for one in value.split("|") if one),
        ]
        told.pop("variants", None)
        parent = self.kept.get(str(told.get("sku", "")))
        if parent is None and told.get("id") is not None:
            parent = self.kept.get(f"id:{told['id']}")
        if parent is not None and "varies" in parent:
            told = {**parent, **told}
            names = {name.lower().replace(" ", "_"): name for name in told.pop("varies")}
            told["options"] = [[names[name], value] for name, value in told["attributes"] if name in names]
            told["attributes"] = [pair for pair in told["attributes"] if pair[0] not in names]
        elif parent is not None:
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
        ("sku", "attribute_set_id", "type_id"),
    ),
    columns={
        "sku": ("sku",),
        "id": ("id",),
        "handle": ("url_key", "custom_attributes.url_key"),
        "locale": ("store_view_code", "_store"),
        "type": ("product_type", "_type", "type_id"),
        "name": ("name",),
        "description": ("description", "custom_attributes.description"),
        "shortDescription": ("short_description", "custom_attributes.short_description"),
        "price": ("price",),
        "salePrice": ("special_price", "custom_attributes.special_price"),
        "saleFrom": ("special_price_from_date", "special_from_date", "custom_attributes.special_from_date"),
        "saleTo": ("special_price_to_date", "special_to_date", "custom_attributes.special_to_date"),
        "compareAtPrice": ("msrp_price", "msrp", "custom_attributes.msrp"),
        "stock": ("qty", "extension_attributes.stock_item.qty"),
        "inStock": ("is_in_stock", "extension_attributes.stock_item.is_in_stock"),
        "tracked": ("manage_stock", "extension_attributes.stock_item.manage_stock"),
        "active": ("product_online", "status"),
        "category": ("categories", "_category"),
        "brand": ("manufacturer", "brand", "custom_attributes.brand", "custom_attributes.manufacturer"),
        "gtin": (
            *("gtin", "ean", "upc", "barcode"),
            *(f"custom_attributes.{name}" for name in ("gtin", "ean", "upc", "barcode")),
        ),
        "image": ("base_image", "image"),
        "images": ("additional_images", "media_gallery_entries"),
        "moreAttributes": ("additional_attributes",),
        "variants": ("configurable_variations", "extension_attributes.configurable_product_links"),
    },
    attributes=r"custom_attributes\.(.+)",
    dates=("%m/%d/%y", "%m/%d/%Y", "%m/%d/%y, %I:%M %p"),
    levels="/",
    lists=",",
    roots=("Default Category", "Root Catalog"),
    joiner=_Configurables,
)
