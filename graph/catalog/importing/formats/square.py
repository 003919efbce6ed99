"""Square's item library export: a row per variation, with a column of stock per location."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graph.catalog.importing.formats.base import QUANTITY, Draft, Joiner, KnownFormat, summed_stock

if TYPE_CHECKING:
    from collections.abc import Iterable

    from graph.catalog.importing.problems import Problem

_PLAIN = ("", "regular")
"""Names of the variation of an item that has only one."""
_YES = ("y", "yes", "true")


class _Variations(Joiner):
    """Groups the variations of an item, and names those that have no option."""

    def feed(self, draft: Draft) -> Iterable[Draft | Problem]:
        told = summed_stock(draft.told)
        pairs = [(told.pop(f"optionName{n}", None), told.pop(f"optionValue{n}", None)) for n in range(1, 7)]
        options = [[name, value] for name, value in pairs if name and value]
        variation = str(told.pop("type", ""))
        if not options and variation.lower() not in _PLAIN:
            options = [["Variation", variation]]
        if options and told.get("handle"):
            told["groupId"] = str(told["handle"]).lstrip("#")
            told["options"] = options
        elif options:
            told["attributes"] = [*told.get("attributes", []), *options]
        told.pop("handle", None)
        told["status"] = "archived" if str(told.get("status", "")).lower() in _YES else "active"
        return (draft._replace(told=told),)


SQUARE = KnownFormat(
    name="square",
    title="Square",
    signs=(
        ("Token", "Item Name", "Variation Name", "Price"),
        ("Token", "Item Name", "Description", "Variation Name", "SKU", "Price"),
    ),
    columns={
        "sku": ("SKU",),
        "id": ("Token",),
        "handle": ("Reference Handle",),
        "name": ("Item Name",),
        "type": ("Variation Name",),
        "description": ("Description",),
        "price": ("Price",),
        "salePrice": ("Online Sale Price",),
        "category": ("Categories", "Category", "Reporting Category"),
        "gtin": ("GTIN",),
        "status": ("Archived",),
    },
    patterns={
        "optionName": r"optionname(\d+)",
        "optionValue": r"optionvalue(\d+)",
        f"attribute.{QUANTITY}": r"currentquantity.+",  # at each location; the sum is the stock
    },
    adds=("stock",),
    lists=",",
    joiner=_Variations,
)
