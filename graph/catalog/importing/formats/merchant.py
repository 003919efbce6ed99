"""Google Merchant Center's product feed, and Meta's, Bing's and Pinterest's, which use the same columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graph.catalog.importing.formats.base import Draft, Joiner, KnownFormat

if TYPE_CHECKING:
    from collections.abc import Iterable

    from graph.catalog.importing.problems import Problem

_VARYING = ("color", "size", "material", "pattern", "age_group", "gender")


class _Groups(Joiner):
    """Turns details like colour and size into options of a variant, and into attributes of any other product."""

    def feed(self, draft: Draft) -> Iterable[Draft | Problem]:
        told = dict(draft.told)
        attributes: list[list[Any]] = told.get("attributes", [])
        if told.get("groupId"):
            told["options"] = [pair for pair in attributes if pair[0] in _VARYING[:4]]
            told["attributes"] = [pair for pair in attributes if pair[0] not in _VARYING[:4]]
        waiting = str(told.get("inStock", "")).lower().replace("_", " ")
        if waiting in ("preorder", "backorder"):
            told["attributes"] = [*told.get("attributes", []), ["availability", waiting]]
        return (draft._replace(told=told),)


MERCHANT = KnownFormat(
    name="merchant",
    title="Google Merchant Center",
    signs=(
        ("id", "title", "link", "price", "availability"),
        ("id", "title", "image_link", "price"),
        ("id", "title", "link", "image_link"),
        ("id", "title", "availability", "condition", "price"),
        ("g:id", "g:title", "g:price"),
    ),
    columns={
        "sku": ("id", "g:id"),
        "name": ("title", "g:title"),
        "description": ("description", "g:description"),
        "price": ("price", "g:price"),
        "salePrice": ("sale_price", "g:sale_price"),
        "saleDates": ("sale_price_effective_date", "g:sale_price_effective_date"),
        "stock": ("quantity_to_sell_on_facebook", "sell_on_google_quantity", "inventory", "quantity"),
        "inStock": ("availability", "g:availability"),
        "category": ("product_type", "g:product_type", "google_product_category", "g:google_product_category"),
        "groupId": ("item_group_id", "g:item_group_id"),
        "brand": ("brand", "g:brand"),
        "gtin": ("gtin", "g:gtin"),
        "image": ("image_link", "g:image_link"),
        "images": ("additional_image_link", "g:additional_image_link", "additional_image_links"),
        **{f"attribute.{name}": (name, f"g:{name}") for name in (*_VARYING, "condition", "mpn")},
    },
    joiner=_Groups,
)
