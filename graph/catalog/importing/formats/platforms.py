"""Exports that need little more than a table: Shopware, Medusa, Saleor, Stripe, Open Food Facts and its sisters.

Those of Open Food Facts are of goods by barcode and have no prices; ``--default price=0`` sets one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graph.catalog.importing.formats.base import Draft, Joiner, KnownFormat

if TYPE_CHECKING:
    from collections.abc import Iterable

    from graph.catalog.importing.problems import Problem

_INHERITED = ("name", "description", "category", "images", "brand", "price", "compareAtPrice", "currency", "attributes")


class _ByParent(Joiner):
    """Joins variants to the row whose id they name (Shopware); that row stays a product, if it has no variants."""

    surveys = True

    def survey(self, draft: Draft) -> None:
        told = draft.told
        if (parent := told.get("parent")) is not None:
            self.kept.put(f"has:{parent}", {}, 0)
        elif (number := told.get("id")) is not None:
            kept = {name: told[name] for name in _INHERITED if name in told}
            self.kept.put(f"id:{number}", kept | {"groupId": told.get("sku") or number}, 0)

    def feed(self, draft: Draft) -> Iterable[Draft | Problem]:
        told: dict[str, Any] = dict(draft.told)
        parent = told.pop("parent", None)
        if parent is not None:
            told = (self.kept.get(f"id:{parent}") or {"groupId": parent}) | told
        elif self.kept.get(f"has:{told.get('id')}") is not None:
            self.merged += 1
            return ()
        return (draft._replace(told=told),)


class _ByHandle(Joiner):
    """Makes one group of the rows that share a handle, and options of what they say (Medusa, Saleor)."""

    def feed(self, draft: Draft) -> Iterable[Draft | Problem]:
        told: dict[str, Any] = dict(draft.told)
        numbers = [name.removeprefix("optionName") for name in told if name.startswith("optionName")]
        pairs = [[told[f"optionName{n}"], told.get(f"optionValue{n}")] for n in sorted(numbers)]
        told["options"] = [pair for pair in pairs if pair[1]] or told.pop("options", [])
        if told["options"]:
            told["groupId"] = told.get("handle") or told.get("id")
        return (draft._replace(told=told),)


class _InMinorUnits(Joiner):
    """Reads amounts that are whole numbers of a currency's smallest unit (Stripe)."""

    def feed(self, draft: Draft) -> Iterable[Draft | Problem]:
        told: dict[str, Any] = dict(draft.told)
        if isinstance(told.get("price"), (int, str)):
            told["minorUnits"] = True
        return (draft._replace(told=told),)


SHOPWARE = KnownFormat(
    name="shopware",
    title="Shopware",
    signs=(
        ("product_number", "parent_id", "stock"),
        ("product_number", "translations.DEFAULT.name"),
        ("productNumber", "parentId", "stock"),
        ("ordernumber", "mainnumber", "instock"),
    ),
    columns={
        "id": ("id",),
        "parent": ("parent_id", "parentId"),
        "sku": ("product_number", "productNumber", "ordernumber"),
        "groupId": ("mainnumber",),
        "name": ("translations.DEFAULT.name", "name"),
        "description": ("translations.DEFAULT.description", "description", "description_long"),
        "price": ("price.DEFAULT.gross", "price_gross", "price", "price.gross", "price.DEFAULT.net", "price_net"),
        "compareAtPrice": ("price.DEFAULT.listPrice.gross", "pseudoprice"),
        "currency": ("price.DEFAULT.currency", "currency"),
        "stock": ("stock", "instock", "availableStock"),
        "active": ("active",),
        "category": ("category_names", "categories", "category"),
        "brand": ("manufacturer.translations.DEFAULT.name", "manufacturer_name", "manufacturer.name", "supplier"),
        "gtin": ("ean",),
        "image": ("cover.media.url", "media_url", "media", "imageUrl"),
        "tags": ("tags", "keywords"),
    },
    lists="|",
    joiner=_ByParent,
)
MEDUSA = KnownFormat(
    name="medusa",
    title="Medusa",
    signs=(("Product Handle", "Product Title", "Variant SKU"), ("Product Handle", "Product Title", "Variant Title")),
    columns={
        "id": ("Variant Id",),
        "handle": ("Product Handle",),
        "sku": ("Variant SKU",),
        "name": ("Product Title",),
        "description": ("Product Description",),
        "status": ("Product Status",),
        "price": ("Price", "Variant Price"),
        "stock": ("Variant Inventory Quantity",),
        "tracked": ("Variant Manage Inventory",),
        "backorder": ("Variant Allow Backorder",),
        "category": ("Product Category 1 Name", "Product Category 1", "Product Type"),
        "gtin": ("Variant Barcode", "Variant EAN", "Variant UPC"),
        "tags": ("Product Tags",),
        "attribute.tag": tuple(f"Product Tag {number}" for number in range(1, 10)),
        "image": ("Product Thumbnail",),
    },
    patterns={
        "image": r"(?:product)?image(\d+)(?:url)?",
        "optionName": r"(?:variant)?option(\d+)name",
        "optionValue": r"(?:variant)?option(\d+)value",
    },
    joiner=_ByHandle,
)
SALEOR = KnownFormat(
    name="saleor",
    title="Saleor",
    signs=(("id", "name", "variant sku", "product type"), ("name", "variant sku", "variant id")),
    columns={
        "id": ("id",),
        "sku": ("variant sku",),
        "name": ("name",),
        "description": ("description as str", "description"),
        "category": ("category",),
        "images": ("variant media", "product media"),
    },
    patterns={
        "price": r".+channelvariantpriceamount",
        "currency": r".+channelcurrencycode",
        "active": r".+channelpublished",
        "stock": r".+warehousequantity",
    },
    attributes=r"(.+) \((?:product|variant) attribute\)",
)
STRIPE = KnownFormat(
    name="stripe",
    title="Stripe",
    signs=(("id", "object", "default_price", "name"), ("id", "object", "default_price.unit_amount", "name")),
    columns={
        "id": ("id",),
        "name": ("name",),
        "description": ("description",),
        "price": ("default_price.unit_amount",),
        "currency": ("default_price.currency",),
        "active": ("active",),
        "images": ("images",),
    },
    attributes=r"metadata\.(.+)",
    joiner=_InMinorUnits,
)
OPENFOODFACTS = KnownFormat(
    name="openfoodfacts",
    title="Open Food Facts",
    signs=(
        ("code", "product_name", "brands"),
        ("code", "product_name", "categories_tags"),
        ("code", "product_name", "countries"),
        ("code", "url", "creator", "product_name"),
    ),
    columns={
        "sku": ("code", "_id"),
        "gtin": ("code",),
        "name": ("product_name", "product_name_en", "product_name_de", "product_name_fr", "generic_name"),
        "description": ("generic_name", "generic_name_en", "ingredients_text"),
        "price": ("price",),
        "currency": ("currency",),
        "category": ("categories", "categories_en", "main_category_en", "main_category"),
        "brand": ("brands",),
        "image": ("image_url", "image_front_url"),
        "attribute.quantity": ("quantity",),
        "attribute.packaging": ("packaging",),
        "attribute.label": ("labels",),
        "attribute.nutriscore": ("nutriscore_grade", "nutrition_grade_fr"),
    },
    levels=",",
)
