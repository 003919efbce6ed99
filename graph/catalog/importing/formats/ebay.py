"""eBay's report of active listings, where variations follow their listing, and its upload template."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from graph.catalog.importing.formats.base import Draft, Joiner, KnownFormat

if TYPE_CHECKING:
    from collections.abc import Iterable

    from graph.catalog.importing.formats.base import Lookup
    from graph.catalog.importing.problems import Problem

_INHERITED = ("name", "description", "category", "images", "currency", "price")


class _Listings(Joiner):
    """Joins variations to the listing above them, which is then no product itself."""

    def __init__(self, kept: Lookup) -> None:
        super().__init__(kept)
        self._listing: Draft | None = None
        self._varies = False

    def feed(self, draft: Draft) -> Iterable[Draft | Problem]:
        told = dict(draft.told)
        varies = str(told.pop("variants", ""))
        kind = str(told.pop("type", "")).lower()
        same = self._listing is not None and told.get("id") in (None, self._listing.told.get("id"))
        if self._listing is None or not (kind == "variation" or (varies and same)):
            done = self.end()
            self._listing = draft._replace(told={**told, "options": _options(varies)} if varies else told)
            return done
        self.merged += not self._varies
        self._varies = True
        above = self._listing.told
        told = {name: above[name] for name in _INHERITED if name in above} | told
        told["groupId"] = above.get("sku") or above.get("id")
        told["options"] = _options(varies)
        return (Draft(draft.line, told, draft.row, self._listing.row),)

    def end(self) -> Iterable[Draft | Problem]:
        listing, self._listing = self._listing, None
        varied, self._varies = self._varies, False
        return () if listing is None or varied else (listing,)


def _options(text: str) -> list[list[Any]]:
    """Read options like ``[Size=M|Color=Red]``."""
    pairs = (part.partition("=") for part in re.split(r"[|;]", text.strip(" []")))
    return [[name.strip(), value.strip()] for name, mark, value in pairs if mark and value.strip()]


EBAY = KnownFormat(
    name="ebay",
    title="eBay",
    signs=(
        ("Title", "Custom label (SKU)", "Available quantity", "Start price"),
        ("Title", "Custom label (SKU)", "Available quantity", "Current price"),
        ("Title", "Custom label (SKU)", "Quantity", "Start price"),
        ("Title", "CustomLabel", "Quantity", "StartPrice"),
        ("Titel", "Bestandseinheit", "Verfügbare Stückzahl", "Startpreis"),
        ("Titel", "Bestandseinheit (SKU)", "Verfügbare Stückzahl", "Startpreis"),
        ("Titre", "Étiquette personnalisée (SKU)", "Quantité disponible", "Prix de départ"),
        ("Titolo", "Etichetta personalizzata (SKU)", "Quantità disponibile", "Prezzo iniziale"),
        ("Título", "Etiqueta personalizada (SKU)", "Cantidad disponible", "Precio inicial"),
    ),
    columns={
        "sku": (
            *("Custom label (SKU)", "CustomLabel", "Bestandseinheit", "Bestandseinheit (SKU)"),
            *("Étiquette personnalisée (SKU)", "Etichetta personalizzata (SKU)", "Etiqueta personalizada (SKU)"),
        ),
        "id": (
            *("Item number", "ItemID", "Artikelnummer", "Numéro de l'objet", "Numero oggetto", "Número de artículo"),
        ),
        "name": ("Title", "Titel", "Titre", "Titolo", "Título"),
        "description": ("Description",),
        "price": (
            *("Current price", "Start price", "StartPrice", "Aktueller Preis", "Startpreis", "Prix actuel"),
            *("Prix de départ", "Prezzo attuale", "Prezzo iniziale", "Precio actual", "Precio inicial"),
        ),
        "currency": ("Currency", "Währung", "Devise", "Valuta", "Divisa"),
        "stock": (
            *("Available quantity", "Quantity", "Verfügbare Stückzahl", "Quantité disponible"),
            *("Quantità disponibile", "Cantidad disponible"),
        ),
        "category": (
            *("eBay category 1 name", "Category name", "eBay-Kategorie 1 Name", "Nom de la catégorie eBay 1"),
            *("Nome categoria eBay 1", "Nombre de la categoría 1 de eBay"),
        ),
        "gtin": ("P:EAN", "P:UPC", "P:ISBN", "Product:EAN", "Product:UPC", "Product:ISBN"),
        "brand": ("C:Brand", "Brand"),
        "images": ("Item photo URL", "PicURL"),
        "type": ("Relationship",),
        "variants": (
            *("Variation details", "Relationship details", "RelationshipDetails", "Variantendetails"),
            *("Détails de la variante", "Dettagli variante", "Detalles de la variación"),
        ),
        "attribute.condition": ("Condition", "Zustand", "État", "Condizione", "Estado"),
    },
    attributes=r"\*?C:(.+)",
    levels="/",
    joiner=_Listings,
)
