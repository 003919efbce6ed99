"""Google Merchant Center's product feed, and Meta's, Bing's and Pinterest's, which use the same columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graph.catalog.importing.formats.base import Draft, Joiner, KnownFormat

if TYPE_CHECKING:
    from collections.abc import Iterable

    from graph.catalog.importing.problems import Problem

_VARYING = ("color", "size", "material", "pattern", "age_group", "gender")

_LOCAL = {
    "color": ("Farbe", "couleur", "colore", "kleur"),
    "size": ("Größe", "taille", "taglia", "talla", "maat"),
    "material": ("matière", "materiale", "materiaal"),
    "pattern": ("Muster", "motif", "fantasia", "estampado", "patroon"),
    "condition": ("Zustand", "état", "condizione", "estado", "staat"),
}
"""What the details are called in other languages."""


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
        ("ID", "Titel", "Bildlink", "Preis"),
        ("ID", "titre", "lien image", "prix"),
        ("ID", "titolo", "link immagine", "prezzo"),
        ("ID", "título", "enlace imagen", "precio"),
        ("ID", "título", "enlace de imagen", "precio"),
        ("ID", "titel", "afbeeldingslink", "prijs"),
    ),
    columns={
        "sku": ("id", "g:id"),
        "name": ("title", "g:title", "titel", "titre", "titolo", "título"),
        "description": (
            *("description", "g:description", "Beschreibung", "descrizione", "descripción", "beschrijving"),
        ),
        "price": ("price", "g:price", "Preis", "prix", "prezzo", "precio", "prijs"),
        "salePrice": (
            *("sale_price", "g:sale_price", "Sonderangebotspreis", "Angebotspreis", "prix soldé", "prix promotionnel"),
            *("prezzo scontato", "precio de oferta", "actieprijs"),
        ),
        "saleDates": ("sale_price_effective_date", "g:sale_price_effective_date"),
        "stock": ("quantity_to_sell_on_facebook", "sell_on_google_quantity", "inventory", "quantity"),
        "inStock": (
            *("availability", "g:availability", "Verfügbarkeit", "disponibilité", "disponibilità", "disponibilidad"),
            "beschikbaarheid",
        ),
        "category": (
            *(
                "product_type",
                "g:product_type",
                "Produkttyp",
                "type de produit",
                "tipo di prodotto",
                "tipo de producto",
            ),
            *("producttype", "catégorie", "categoría de producto", "google_product_category"),
            *("g:google_product_category", "Google Produktkategorie", "catégorie de produits google"),
            *("categoria prodotto google", "categoría en google product", "google-productcategorie"),
        ),
        "groupId": (
            *("item_group_id", "g:item_group_id", "Artikelgruppe", "Artikelgruppen-ID", "identifiant groupe"),
            *("identifiant du groupe d'articles", "ID gruppo articoli", "identificativo gruppo"),
            *("identificador de grupo", "identificador de grupo de artículos", "artikelgroep-id"),
        ),
        "brand": ("brand", "g:brand", "Marke", "marque", "marca", "merk"),
        "gtin": ("gtin", "g:gtin"),
        "image": (
            *("image_link", "g:image_link", "Bildlink", "lien image", "link immagine", "enlace imagen"),
            *("enlace de imagen", "afbeeldingslink"),
        ),
        "images": (
            *("additional_image_link", "g:additional_image_link", "additional_image_links", "zusätzlicher Bildlink"),
            *("lien image supplémentaire", "link immagine aggiuntiva", "enlace imagen adicional"),
            *("enlace de imagen adicional", "extra afbeeldingslink"),
        ),
        **{f"attribute.{name}": (name, f"g:{name}", *_LOCAL.get(name, ())) for name in (*_VARYING, "condition", "mpn")},
    },
    joiner=_Groups,
)
