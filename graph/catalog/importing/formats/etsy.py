"""Etsy's download of a shop's listings; its column names are in the seller's language."""

from __future__ import annotations

from graph.catalog.importing.formats.base import KnownFormat

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
        "optionName": r"variation(\d+)name|variante(\d+)nom|variazione(\d+)nome|variacion(\d+)nombre|variatie(\d+)naam",
        "optionValue": r"variation(\d+)values|variazione(\d+)valori|variacion(\d+)valores|variatie(\d+)waarden",
    },
)
