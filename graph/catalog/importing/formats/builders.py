"""Site builders and tills, most with variants below their product: Wix, Squarespace, Ecwid, Lightspeed and others.

A row begins a product if its kind says so or, in files without kinds, if it has a name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graph.catalog.importing.formats.base import QUANTITY, Draft, Joiner, KnownFormat, summed_stock
from graph.catalog.importing.problems import Problem
from graph.catalog.importing.texts import slug_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from graph.catalog.importing.formats.base import Lookup

_MOST = 4096
"""Most rows of one product."""
_INHERITED = (
    *("name", "description", "category", "brand", "tags", "images", "active", "currency", "price", "compareAtPrice"),
    *("tracked", "reduction", "reductionKind", "groupId"),
)
_VARIATION = ("variant", "variation", "product_variation")
_WIX = "https://static.wixstatic.com/media/"


class _VariantsBelow(Joiner):
    """Joins variants to the product that they follow; a product that has some is no product itself."""

    def __init__(self, kept: Lookup) -> None:
        super().__init__(kept)
        self._rows: list[Draft] = []

    def feed(self, draft: Draft) -> Iterable[Draft | Problem]:
        told = draft.told
        kind = str(told.get("type", "")).lower()
        begins = kind == "product" if kind else "name" in told
        done = self.end() if begins or len(self._rows) >= _MOST else ()
        self._rows.append(draft)
        return done

    def end(self) -> Iterable[Draft | Problem]:
        rows, self._rows = self._rows, []
        if not rows:
            return ()
        base = rows[0]
        if str(base.told.get("type", "product")).lower() != "product":
            return [Problem(row.line, "The product that it belongs to is not above it.") for row in rows]
        if "type" in base.told:
            variants = [row for row in rows[1:] if str(row.told.get("type", "")).lower() in _VARIATION]
        else:
            variants = rows if len(rows) > 1 or _options(base.told, base.told) else []
        self.merged += len(rows) - (len(variants) or 1)
        if not variants:
            return (base._replace(told=_single(base.told)),)
        return [_variant(row, base) for row in variants]


def _options(told: dict[str, Any], base: dict[str, Any]) -> list[list[Any]]:
    """Return the options of a row; their names may be in the product's row alone."""
    named = [
        [name, str(value).partition(":")[2] or value if str(value).startswith("#") else value]
        for number in range(1, 7)
        if (name := told.get(f"optionName{number}") or base.get(f"optionName{number}"))
        and (value := told.get(f"optionValue{number}"))
    ]
    return named or list(told.get("attributes", ()))


def _single(told: dict[str, Any]) -> dict[str, Any]:
    """Return a product without variants; what may be chosen without being counted (Wix) becomes attributes."""
    chosen = [[name, one] for name, value in _options(told, told) for one in str(value).split(";")]
    told = {name: value for name, value in told.items() if name != "groupId" and not name.startswith("option")}
    told["attributes"] = [[name, one.partition(":")[2] if one.startswith("#") else one] for name, one in chosen]
    return told


def _variant(row: Draft, base: Draft) -> Draft:
    above, own = base.told, row.told
    told = {name: above[name] for name in _INHERITED if name in above} | own
    told["options"] = _options(own, above)
    told["attributes"] = []
    told["groupId"] = above.get("groupId") or above.get("sku") or above.get("handle") or above.get("id")
    if row is not base and own.get("sku") in (None, above.get("sku")):
        name = own.get("sku") or above.get("handle")
        if name is not None:
            told["sku"] = slug_of((str(name), *(str(value) for _, value in told["options"])))
    if (more := own.get("surcharge")) is not None and "price" in above:
        told |= {"price": more, "priceChange": "ADD", "basePrice": above["price"]}
    return Draft(row.line, told, row.row, base.row if row is not base else None)


class _Wix(_VariantsBelow):
    """Completes the addresses of pictures, of which Wix writes the last part alone."""

    def feed(self, draft: Draft) -> Iterable[Draft | Problem]:
        pictures = draft.told.get("images", ())
        images = [[url if "/" in url else f"{_WIX}{url}", text] for url, text in pictures]
        return super().feed(draft._replace(told={**draft.told, "images": images}) if images else draft)


WIX = KnownFormat(
    name="wix",
    title="Wix",
    signs=(("handleId", "fieldType", "name", "price"), ("handleId", "fieldType", "name", "sku", "inventory")),
    columns={
        "handle": ("handleId",),
        "type": ("fieldType",),
        "name": ("name",),
        "description": ("description",),
        "images": ("productImageUrl",),
        "category": ("collection",),
        "sku": ("sku",),
        "price": ("price",),
        "surcharge": ("surcharge",),
        "active": ("visible",),
        "reductionKind": ("discountMode",),
        "reduction": ("discountValue",),
        "stock": ("inventory",),
        "brand": ("brand",),
    },
    patterns={"optionName": r"productoptionname(\d+)", "optionValue": r"productoptiondescription(\d+)"},
    lists=";",
    joiner=_Wix,
)
SQUARESPACE = KnownFormat(
    name="squarespace",
    title="Squarespace",
    signs=(
        ("Product ID [Non Editable]", "Variant ID [Non Editable]", "Title", "SKU"),
        ("Product Page", "Product URL", "Title", "SKU", "Hosted Image URLs"),
    ),
    columns={
        "groupId": ("Product ID [Non Editable]",),
        "id": ("Variant ID [Non Editable]",),
        "name": ("Title",),
        "description": ("Description",),
        "sku": ("SKU",),
        "price": ("Price",),
        "salePrice": ("Sale Price",),
        "onSale": ("On Sale",),
        "stock": ("Stock",),
        "category": ("Categories",),
        "tags": ("Tags",),
        "active": ("Visible",),
        "images": ("Hosted Image URLs",),
    },
    patterns={"optionName": r"optionname(\d+)", "optionValue": r"optionvalue(\d+)"},
    levels="/",
    lists=",",
    joiner=_VariantsBelow,
)
ECWID = KnownFormat(
    name="ecwid",
    title="Ecwid (Lightspeed E-Series)",
    signs=(("type", "product_internal_id", "product_sku", "product_name"),),
    columns={
        "type": ("type",),
        "id": ("product_internal_id",),
        "sku": ("product_variation_sku", "product_sku"),
        "name": ("product_name",),
        "price": ("product_price",),
        "compareAtPrice": ("product_compare_to_price",),
        "tracked": ("product_is_inventory_tracked",),
        "stock": ("product_quantity",),
        "brand": ("product_brand",),
        "gtin": ("product_upc", "product_gtin"),
        "description": ("product_description",),
        "active": ("product_is_available",),
        "category": ("product_category_1", "product_category_2"),
        "image": ("product_media_main_image_url",),
    },
    patterns={"image": r"productmediagalleryimageurl(\d+)"},
    attributes=r"product_variation_option_(.+)",
    levels="/",
    joiner=_VariantsBelow,
)


class _Outlets(Joiner):
    """Makes a group of the rows that share a handle, with the stock of all outlets together."""

    def feed(self, draft: Draft) -> Iterable[Draft | Problem]:
        told = summed_stock(draft.told)
        told["options"] = _options(told, {})
        if told["options"]:
            told["groupId"] = told.get("handle")
        return (draft._replace(told=told),)


LIGHTSPEED = KnownFormat(
    name="lightspeed",
    title="Lightspeed Retail (Vend)",
    signs=(
        ("handle", "sku", "variant_option_one_name", "retail_price"),
        ("id", "handle", "sku", "composite_name", "retail_price"),
    ),
    columns={
        "id": ("id",),
        "handle": ("handle",),
        "sku": ("sku",),
        "name": ("name",),
        "description": ("description",),
        "category": ("product_category", "type"),
        "optionName1": ("variant_option_one_name",),
        "optionValue1": ("variant_option_one_value",),
        "optionName2": ("variant_option_two_name",),
        "optionValue2": ("variant_option_two_value",),
        "optionName3": ("variant_option_three_name",),
        "optionValue3": ("variant_option_three_value",),
        "tags": ("tags",),
        "price": ("retail_price",),
        "brand": ("brand_name",),
        "active": ("active",),
        "tracked": ("track_inventory",),
    },
    patterns={f"attribute.{QUANTITY}": r"inventory.+"},
    adds=("stock",),
    levels="/",
    joiner=_Outlets,
)
SHIFT4SHOP = KnownFormat(
    name="shift4shop",
    title="Shift4Shop (3dcart)",
    signs=(("catalogid", "id", "name", "price"), ("catalogid", "SKU", "name", "price")),
    columns={
        "sku": ("id", "SKU", "mfgid"),
        "id": ("catalogid",),
        "name": ("name",),
        "description": ("extended_description",),
        "shortDescription": ("description",),
        "category": ("categories",),
        "brand": ("manufacturer",),
        "price": ("price",),
        "salePrice": ("saleprice",),
        "onSale": ("onsale",),
        "stock": ("stock",),
        "hidden": ("hide",),
        "gtin": ("gtin", "upc"),
    },
    patterns={"image": r"image(\d+)"},
    levels="/",
    lists="@",
)
OPENCART = KnownFormat(
    name="opencart",
    title="OpenCart",
    signs=(
        ("product_id", "model", "quantity", "image_name", "price"),
        ("product_id", "model", "quantity", "stock_status_id", "price"),
    ),
    columns={
        "id": ("product_id",),
        "sku": ("sku", "model"),
        "name": ("name",),
        "description": ("description",),
        "category": ("categories",),
        "price": ("price",),
        "stock": ("quantity",),
        "tracked": ("subtract",),
        "active": ("status",),
        "brand": ("manufacturer", "manufacturer_id"),
        "gtin": ("ean", "upc", "isbn", "jan"),
        "image": ("image_name", "image"),
        "attribute.mpn": ("mpn",),
    },
    lists=",",
)
