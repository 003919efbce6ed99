"""PrestaShop: the columns of its product import (which its export modules write) and of its back office's export."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graph.catalog.importing.formats.base import Draft, Joiner, KnownFormat

if TYPE_CHECKING:
    from collections.abc import Iterable

    from graph.catalog.importing.problems import Problem


class _Features(Joiner):
    """Makes attributes of features like ``Material:Cotton:1,Size:M:2``."""

    def feed(self, draft: Draft) -> Iterable[Draft | Problem]:
        told: dict[str, Any] = dict(draft.told)
        if features := told.pop("features", None):
            parts = [part.split(":") for part in str(features).split(",")]
            told["attributes"] = [
                [part[0].strip(), part[1].strip()] for part in parts if len(part) > 1 and part[1].strip()
            ]
        return (draft._replace(told=told),)


PRESTASHOP = KnownFormat(
    name="prestashop",
    title="PrestaShop",
    signs=(
        ("Product ID", "Active (0/1)", "Name *"),
        ("Active (0/1)", "Name *", "Categories (x,y,z...)"),
        ("ID", "Active (0/1)", "Name*", "Categories (x,y,z...)"),
        ("Actif (0/1)", "Nom *", "Catégories (x,y,z...)"),
        ("Aktiv (0/1)", "Name *", "Kategorien (x,y,z...)"),
        ("Attivo (0/1)", "Nome *", "Categorie (x,y,z...)"),
        ("Activo (0/1)", "Nombre *", "Categorías (x,y,z...)"),
        ("Actief (0/1)", "Naam *", "Categorieën (x,y,z...)"),
        ("Product ID", "Name", "Reference", "Price (tax excl.)"),
        ("ID", "Name", "Reference", "Base price", "Final price"),
        ("id_product", "reference", "price"),
    ),
    columns={
        "sku": (
            *("Reference #", "Reference", "Référence n°", "Référence", "Artikel-Nr. #", "Artikel-Nr.", "Artikelnummer"),
            *("Riferimento #", "Riferimento", "N° de referencia", "Referencia #", "Referencia", "Referentie #"),
            "Referentie",
        ),
        "id": (
            "Product ID",
            "ID",
            "id_product",
            "ID produit",
            "Produkt-ID",
            "ID prodotto",
            "ID de producto",
            "Product-ID",
        ),
        "active": (
            *("Active (0/1)", "Actif (0/1)", "Aktiv (0/1)", "Attivo (0/1)", "Activo (0/1)", "Actief (0/1)"),
            *("Status", "Active", "Aktiviert (0/1)"),
        ),
        "name": ("Name *", "Nom *", "Nome *", "Nombre *", "Naam *"),
        "category": (
            *("Categories (x,y,z...)", "Catégories (x,y,z...)", "Kategorien (x,y,z...)", "Categorie (x,y,z...)"),
            *("Categorías (x,y,z...)", "Categorieën (x,y,z...)", "Category", "Catégorie", "Kategorie", "Categoría"),
        ),
        "price": (
            *("Price tax excluded", "Prix HT", "Preis ohne MwSt.", "Preis exkl. MwSt.", "Prezzo tasse escluse"),
            *("Precio sin impuestos", "Precio impuestos excluidos", "Prijs exclusief BTW", "Price (tax excl.)"),
            *("Price tax included", "Prix TTC", "Preis inkl. MwSt.", "Prezzo tasse incluse"),
            *("Precio impuestos incluidos", "Prijs inclusief BTW", "Price (tax incl.)", "Base price", "price"),
        ),
        "reduction": (
            *("Discount amount", "Montant de la remise", "Montant de la réduction", "Rabattbetrag", "Importo sconto"),
            *("Importe del descuento", "Kortingsbedrag"),
        ),
        "reductionPercent": (
            *("Discount percent", "Pourcentage de réduction", "Pourcentage de la remise", "Rabatt in Prozent"),
            *("Percentuale sconto", "Porcentaje de descuento", "Kortingspercentage"),
        ),
        "saleFrom": (
            *("Discount from (yyyy-mm-dd)", "Réduction du (aaaa-mm-jj)", "Remise à partir de (aaaa-mm-jj)"),
            *("Rabatt von (jjjj-mm-tt)", "Sconto dal (aaaa-mm-gg)", "Descuento desde (aaaa-mm-dd)"),
        ),
        "saleTo": (
            *("Discount to (yyyy-mm-dd)", "Réduction au (aaaa-mm-jj)", "Remise jusqu'au (aaaa-mm-jj)"),
            *("Rabatt bis (jjjj-mm-tt)", "Sconto al (aaaa-mm-gg)", "Descuento hasta (aaaa-mm-dd)"),
        ),
        "features": (
            *("Feature (Name:Value:Position)", "Feature(Name:Value:Position)", "Caractéristique (Nom:Valeur:Position)"),
            *("Feature (Name:Value:Position:Customized)", "Funktion (Name:Wert:Position)"),
            *("Caratteristica (Nome:Valore:Posizione)", "Característica (Nombre:Valor:Posición)"),
        ),
        "gtin": ("EAN13", "EAN-13", "UPC", "ISBN", "EAN 13"),
        "brand": ("Manufacturer", "Brand", "Fabricant", "Marque", "Hersteller", "Marke", "Produttore", "Marca", "Merk"),
        "stock": ("Quantity", "Quantité", "Menge", "Anzahl", "Quantità", "Cantidad", "Hoeveelheid", "quantity"),
        "description": ("Description", "Beschreibung", "Descrizione", "Descripción", "Beschrijving"),
        "shortDescription": (
            *("Short description", "Summary", "Description courte", "Résumé", "Kurzbeschreibung", "Zusammenfassung"),
            *("Descrizione breve", "Riepilogo", "Descripción corta", "Resumen", "Korte beschrijving", "Samenvatting"),
        ),
        "images": (
            *("Image URLs (x,y,z...)", "URL des images (x,y,z...)", "URLs des images (x,y,z...)"),
            *("Bild-URLs (x,y,z...)", "Bild-URL (x,y,z...)", "URL immagine (x,y,z...)", "URL immagini (x,y,z...)"),
            *("URL de las imágenes (x,y,z...)", "URLs de las imágenes (x,y,z...)", "Afbeelding URL's (x,y,z...)"),
            *("Image URL", "Image"),
        ),
        "tags": (
            *("Tags (x,y,z...)", "Mots-clés (x,y,z...)", "Étiquettes (x,y,z...)", "Tag (x,y,z...)", "Tags"),
            *("Etiquetas (x,y,z...)", "Stichwörter (x,y,z...)"),
        ),
        "backorder": ("Text when backorder allowed?",),
    },
    lists=",",
    levels="/",
    joiner=_Features,
    roots=("Home", "Root", "Accueil", "Racine", "Startseite", "Inicio", "Start"),
)
