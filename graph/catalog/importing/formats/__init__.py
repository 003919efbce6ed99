"""The known formats, one per file: a table of what its columns mean.

They are tried in the order of `FORMATS`; the one that recognises the most columns of a header is chosen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from graph.catalog.importing.formats.amazon import AMAZON
from graph.catalog.importing.formats.base import KnownFormat, key
from graph.catalog.importing.formats.bigcommerce import BIGCOMMERCE
from graph.catalog.importing.formats.builders import (
    ECWID,
    LIGHTSPEED,
    OPENCART,
    SHIFT4SHOP,
    SQUARESPACE,
    WIX,
)
from graph.catalog.importing.formats.ebay import EBAY
from graph.catalog.importing.formats.etsy import ETSY
from graph.catalog.importing.formats.magento import MAGENTO
from graph.catalog.importing.formats.merchant import MERCHANT
from graph.catalog.importing.formats.own import OWN
from graph.catalog.importing.formats.plain import PLAIN
from graph.catalog.importing.formats.platforms import MEDUSA, OPENFOODFACTS, SALEOR, SHOPWARE, STRIPE
from graph.catalog.importing.formats.prestashop import PRESTASHOP
from graph.catalog.importing.formats.shopify import SHOPIFY
from graph.catalog.importing.formats.square import SQUARE
from graph.catalog.importing.formats.woocommerce import WOOCOMMERCE
from graph.catalog.importing.headers import bare

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

FORMATS: dict[str, KnownFormat] = {
    known.name: known
    for known in (
        OWN,
        *(SHOPIFY, WOOCOMMERCE, MAGENTO, PRESTASHOP, BIGCOMMERCE, MERCHANT, ETSY, OPENFOODFACTS, SQUARE, EBAY, AMAZON),
        *(SHOPWARE, MEDUSA, SALEOR, STRIPE, WIX, SQUARESPACE, ECWID, LIGHTSPEED, SHIFT4SHOP, OPENCART),
        PLAIN,
    )
}


def names_columns(cells: Sequence[str], chosen: frozenset[str] = frozenset()) -> int:
    """Return how many of these cells are names of columns in one format, or of columns that are `chosen`."""
    names = [name for cell in cells if (name := cell.strip())]
    if any(name in chosen for name in names):
        return len(names)
    return max(sum(known.meaning(bare(name)) is not None for name in names) for known in FORMATS.values())


def recognised(columns: Iterable[str]) -> KnownFormat:
    """Return the format that has these columns; the plain one if none does."""
    keys = frozenset(key(name) for column in columns for name in (column, bare(column)))
    best = max(FORMATS.values(), key=lambda known: known.recognises(keys))
    return best if best.recognises(keys) else PLAIN
