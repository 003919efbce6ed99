"""Amazon's report of all listings, and its flat files by category, whose first two lines say nothing of products."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graph.catalog.importing.formats.base import Draft, Joiner, KnownFormat, key

if TYPE_CHECKING:
    from collections.abc import Iterable

    from graph.catalog.importing.problems import Problem

_VARYING = ("color", "size", "material", "style")
_CHILD = ("child", "untergeordnet", "enfant", "figlio", "derivat", "hijo", "secundari", "onderliggend", "barn", "podrz")
"""How the word for a child begins in the languages of the templates."""


class _Families(Joiner):
    """Makes options of what the children of a parent differ in; the parent is no product."""

    def feed(self, draft: Draft) -> Iterable[Draft | Problem]:
        told: dict[str, Any] = dict(draft.told)
        kind = key(str(told.pop("type", "")))
        parent = told.pop("parent", None)
        if kind and not parent and not kind.startswith(_CHILD):  # "parent" in any language
            self.merged += 1
            return ()
        if kind and parent:
            pairs: list[list[Any]] = told.get("attributes", [])
            told["groupId"] = parent
            told["options"] = [pair for pair in pairs if pair[0] in _VARYING]
            told["attributes"] = [pair for pair in pairs if pair[0] not in _VARYING]
        return (draft._replace(told=told),)


AMAZON = KnownFormat(
    name="amazon",
    title="Amazon",
    signs=(
        ("seller-sku", "item-name", "price", "quantity"),
        ("item_sku", "item_name", "standard_price"),
        ("item_sku", "item_name", "external_product_id"),
        ("Händler-SKU", "Artikelbezeichnung", "Preis", "Menge"),
        ("sku-vendeur", "nom-produit", "prix", "quantité"),
        ("contribution_sku#1.value", "product_type#1.value"),
    ),
    columns={
        "sku": ("seller-sku", "item_sku", "Händler-SKU", "sku-vendeur", "contribution_sku"),
        "name": ("item-name", "item_name", "Artikelbezeichnung", "nom-produit"),
        "description": ("item-description", "product_description", "Artikelbeschreibung", "description-produit"),
        "price": (
            "price",
            "standard_price",
            "purchasable_offer.our_price.schedule.value_with_tax",
            "Preis",
            "prix",
            "list_price",
        ),
        "currency": ("currency",),
        "salePrice": ("sale_price",),
        "saleFrom": ("sale_from_date",),
        "saleTo": ("sale_end_date",),
        "stock": ("quantity", "fulfillment_availability.quantity", "Menge", "quantité"),
        "status": ("status",),
        "brand": ("brand_name", "brand", "manufacturer"),
        "gtin": ("external_product_id", "amzn1.volt.ca.product_id_value"),
        "image": ("image-url", "main_image_url", "main_product_image_locator.media_location", "Bild-URL"),
        "parent": ("parent_sku", "child_parent_sku_relationship.parent_sku"),
        "type": ("parent_child", "parentage", "parentage_level"),
        "category": ("item_type_name", "item_type", "feed_product_type", "product_type"),
        "attribute.color": ("color_name", "color"),
        "attribute.size": ("size_name", "size"),
        "attribute.material": ("material_type",),
        "attribute.style": ("style_name",),
    },
    patterns={"image": r"otherimageurl(\d+)"},
    joiner=_Families,
)
