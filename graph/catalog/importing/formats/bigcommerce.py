"""BigCommerce's product export, old and new: variants and pictures follow their product."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from graph.catalog.importing.formats.base import Draft, Joiner, KnownFormat
from graph.catalog.importing.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable

    from graph.catalog.importing.formats.base import Lookup

_KIND = re.compile(r"\[[A-Z]+\]")  # [RB], [S], [FIXED]: how an option is shown, or how it changes the price
_INHERITED = ("name", "description", "category", "brand", "active", "tracked", "images")
_OTHER = ("video", "rule", "modifier", "customfield")
_MOST = 4096


def _options(cell: list[list[Any]] | str) -> list[list[Any]]:
    """Read options like ``[RB]Size=Large,[S]Colour=Red`` or ``Type=Rectangles|Name=Size|Value=Large``."""
    text = cell if isinstance(cell, str) else "|".join(f"{name}={value}" for name, value in cell)
    if "Name=" in text and "Value=" in text:
        found: list[list[Any]] = []
        for part in re.split(r"Type=", text):
            name, value = re.search(r"Name=([^|]*)", part), re.search(r"Value=([^|;]*)", part)
            if name is not None and value is not None:
                found.append([name.group(1).strip(), value.group(1).strip()])
        return found
    pairs = (part.partition("=") for part in _KIND.sub("", text).split(","))
    return [[name.strip(), value.strip()] for name, mark, value in pairs if mark and value.strip()]


class _Products(Joiner):
    """Joins variants and pictures to the product that they follow."""

    def __init__(self, kept: Lookup) -> None:
        super().__init__(kept)
        self._rows: list[tuple[str, Draft]] = []

    def feed(self, draft: Draft) -> Iterable[Draft | Problem]:
        kind = "".join(character for character in str(draft.told.get("type", "product")).lower() if character.isalpha())
        if kind in _OTHER:
            self.merged += 1
            return ()
        done = self.end() if kind == "product" or len(self._rows) > _MOST else ()
        self._rows.append((kind, draft))
        return done

    def end(self) -> Iterable[Draft | Problem]:
        rows, self._rows = self._rows, []
        if not rows:
            return []
        (kind, base), rest = rows[0], rows[1:]
        if kind != "product":
            return [Problem(draft.line, "The product that it belongs to is not above it.") for _, draft in rows]
        pictures = [draft for other, draft in rest if other == "image"]
        variants = [draft for other, draft in rest if other != "image"]
        self.merged += len(pictures)
        told = dict(base.told)
        told["images"] = [*told.get("images", ()), *(url for one in pictures for url in one.told.get("images", ()))]
        if not variants:
            return [base._replace(told=told)]
        group = told.get("sku") or told.get("id")
        told["groupId"] = group
        by_option = (
            "option" in str(told.get("tracked", "")).lower() or "variant" in str(told.get("tracked", "")).lower()
        )
        # A product whose stock is counted by variant, or that has no sku, is not sold itself.
        self.merged += by_option or "sku" not in told
        products = [] if by_option or "sku" not in told else [base._replace(told=told)]
        return products + [_variant(draft, told, base) for draft in variants]


def _variant(draft: Draft, parent: dict[str, Any], base: Draft) -> Draft:
    own = dict(draft.told)
    told_name = own.pop("name", "")
    told = {name: parent[name] for name in _INHERITED if name in parent} | own
    told["options"] = _options(own.get("options") or str(told_name))
    told["groupId"] = parent["groupId"]
    price = str(own.get("price", ""))
    how = _KIND.match(price)
    if how is not None:
        told["price"] = price[how.end() :].strip()
        told["priceChange"] = how.group().strip("[]")
    if how is None or told["priceChange"] != "FIXED":
        told["basePrice"] = parent.get("salePrice") or parent.get("price")
    if "price" not in told and told.get("basePrice") is not None:
        told["price"] = told["basePrice"]
    return Draft(draft.line, told, draft.row, base.row)


BIGCOMMERCE = KnownFormat(
    name="bigcommerce",
    title="BigCommerce",
    signs=(
        ("Item Type", "Product ID", "Product Name"),
        ("Item Type", "Product Name", "Product Code/SKU"),
        ("Item", "ID", "Name", "Inventory Tracking"),
        ("Item", "SKU", "Name", "Current Stock"),
        ("Product Name", "Product Code/SKU", "Product Visible?"),
    ),
    columns={
        "type": ("Item Type", "Item"),
        "id": ("Product ID", "ID"),
        "sku": ("Product Code/SKU", "SKU"),
        "name": ("Product Name", "Name"),
        "options": ("Options",),
        "description": ("Product Description", "Description"),
        "brand": ("Brand Name", "Brand"),
        "price": ("Price", "Calculated Price"),
        "salePrice": ("Sale Price",),
        "compareAtPrice": ("Retail Price", "MSRP"),
        "active": ("Product Visible?", "Is Visible", "Product Visible"),
        "inStock": ("Product Availability",),
        "tracked": ("Track Inventory", "Inventory Tracking"),
        "stock": ("Stock Level", "Current Stock Level", "Current Stock"),
        "category": ("Category", "Categories", "Category String", "Category Details"),
        "gtin": (
            "GTIN",
            "GPS Global Trade Item Number",
            "Global Trade Number",
            "Global Trade Item Number",
            "Product UPC/EAN",
            "UPC/EAN",
        ),
        "image": ("Image URL (Import)", "Internal Image URL (Export)", "Image URL"),
        "variantImage": ("Variant Image URL",),
    },
    patterns={"image": r"productimagefile(\d+)|productimageurl(\d+)|imageurl(\d+)"},
    levels="/",
    lists=";",
    roots=("Shop All",),
    joiner=_Products,
)
