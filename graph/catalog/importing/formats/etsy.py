"""Etsy's download of a shop's listings; its column names are in the seller's language.

A listing with variations has their skus in one cell, in the order of the variations: of each value of the first one, or
of each pair of values. Its quantity is that of all together, so a variation has none of its own.
"""

from __future__ import annotations

import re
from itertools import product
from typing import TYPE_CHECKING, Any

from graph.catalog.importing.formats.base import Draft, Joiner, KnownFormat
from graph.catalog.importing.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable

_COUNT = re.compile(r"\s*[0-9]+\s*")


class _SeveralSkus(Joiner):
    """Makes a product of each sku of a listing."""

    def feed(self, draft: Draft) -> Iterable[Draft | Problem]:
        told: dict[str, Any] = dict(draft.told)
        cell = str(told.get("sku", ""))
        skus = [sku for one in cell.split(",") if (sku := one.strip())]
        if len(skus) <= 1:
            return (draft,)
        varying = [pair for number in (1, 2) if (pair := _values(told, number)) is not None]
        names = [name for name, _ in varying]
        choices = [list(zip(names, chosen, strict=True)) for chosen in product(*(values for _, values in varying))]
        if varying and len(skus) == len(varying[0][1]) < len(choices):  # the second variation has no skus of its own
            choices = [[(varying[0][0], value)] for value in varying[0][1]]
        if len(skus) != len(choices) or not varying:
            many = len(choices) if varying else "no"
            return (Problem(draft.line, f"{len(skus)} skus for {many} variations.", "sku", cell),)
        for name in [name for name in told if name.startswith("option")]:
            del told[name]
        stock = str(told.pop("stock", ""))
        if _COUNT.fullmatch(stock):
            told["inStock"] = "yes" if int(stock) else "no"
        told["groupId"] = told.get("id") or skus[0]
        return [
            draft._replace(told=told | {"sku": sku, "options": [[name, value] for name, value in options]})
            for sku, options in zip(skus, choices, strict=True)
        ]


def _values(told: dict[str, Any], number: int) -> tuple[str, list[str]] | None:
    values = [value.strip() for value in str(told.get(f"optionValue{number}", "")).split(",") if value.strip()]
    return (str(told.get(f"optionName{number}") or "Variation"), values) if values else None


ETSY = KnownFormat(
    name="etsy",
    title="Etsy",
    signs=(
        ("TITLE", "DESCRIPTION", "PRICE", "CURRENCY_CODE", "QUANTITY"),
        ("TITOLO", "DESCRIZIONE", "PREZZO", "QUANTITÀ"),
        ("TITEL", "BESCHREIBUNG", "PREIS", "ANZAHL"),
        ("TITEL", "BESCHREIBUNG", "PREIS", "MENGE"),
        ("TITEL", "BESCHREIBUNG", "PREIS", "STÜCKZAHL"),
        ("TITRE", "DESCRIPTION", "PRIX", "QUANTITÉ"),
        ("TÍTULO", "DESCRIPCIÓN", "PRECIO", "CANTIDAD"),
        ("TITEL", "BESCHRIJVING", "PRIJS", "AANTAL"),
        ("TITEL", "BESCHRIJVING", "PRIJS", "HOEVEELHEID"),
    ),
    columns={
        "sku": ("SKU",),
        "id": ("LISTING_ID", "LISTING ID"),
        "name": ("TITLE", "TITOLO", "TITEL", "TITRE", "TÍTULO"),
        "description": ("DESCRIPTION", "DESCRIZIONE", "BESCHREIBUNG", "DESCRIPCIÓN", "BESCHRIJVING"),
        "price": ("PRICE", "PREZZO", "PREIS", "PRIX", "PRECIO", "PRIJS"),
        "currency": (
            *("CURRENCY_CODE", "WÄHRUNGSCODE", "WÄHRUNG", "CODE_DEVISE", "DEVISE", "CODICE_VALUTA", "VALUTA"),
            *("CÓDIGO_MONEDA", "CÓDIGO_DE_MONEDA", "MONEDA", "VALUTACODE"),
        ),
        "stock": (
            *("QUANTITY", "QUANTITÀ", "ANZAHL", "MENGE", "STÜCKZAHL", "QUANTITÉ", "CANTIDAD", "AANTAL", "HOEVEELHEID"),
        ),
        "tags": ("TAGS", "TAG", "ETIQUETAS", "SCHLAGWÖRTER", "MOTS-CLÉS"),
        "attribute.material": ("MATERIALS", "MATERIALI", "MATERIALIEN", "MATÉRIAUX", "MATERIALES", "MATERIALEN"),
    },
    patterns={
        "image": r"(?:image|immagine|bild|imagen|afbeelding)(\d+)",
        "optionName": r"varia(?:tion|nte|zione|cion|tie)(\d+)(?:name|nom|nome|nombre|naam)",
        "optionValue": r"varia(?:tion|nte|zione|cion|tie)(\d+)(?:values|werte|valeurs|valori|valores|waarden)",
    },
    adds=("inStock",),
    joiner=_SeveralSkus,
)
