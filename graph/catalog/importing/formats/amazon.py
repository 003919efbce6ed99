"""Amazon's report of all listings, and its flat files by category, whose first two lines say nothing of products."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graph.catalog.importing.formats.base import Draft, Joiner, KnownFormat

if TYPE_CHECKING:
    from collections.abc import Iterable

    from graph.catalog.importing.problems import Problem

_VARYING = ("color", "size", "material", "style")


class _Families(Joiner):
    """Makes options of what the children of a parent differ in; the parent is no product."""

    def feed(self, draft: Draft) -> Iterable[Draft | Problem]:
        told: dict[str, Any] = dict(draft.told)
        kind = str(told.pop("type", "")).lower()
        if kind == "parent":
            self.merged += 1
            return ()
        parent = told.pop("parent", None)
        if kind == "child" and parent:
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
    ),
    columns={
        "sku": ("seller-sku", "item_sku"),
        "name": ("item-name", "item_name"),
        "description": ("item-description", "product_description"),
        "price": ("price", "standard_price", "list_price"),
        "currency": ("currency",),
        "salePrice": ("sale_price",),
        "saleFrom": ("sale_from_date",),
        "saleTo": ("sale_end_date",),
        "stock": ("quantity",),
        "status": ("status",),
        "brand": ("brand_name", "manufacturer"),
        "gtin": ("external_product_id",),
        "image": ("image-url", "main_image_url"),
        "parent": ("parent_sku",),
        "type": ("parent_child", "parentage"),
        "category": ("item_type_name", "item_type", "feed_product_type"),
        "attribute.color": ("color_name",),
        "attribute.size": ("size_name",),
        "attribute.material": ("material_type",),
        "attribute.style": ("style_name",),
    },
    patterns={"image": r"otherimageurl(\d+)"},
    joiner=_Families,
)
