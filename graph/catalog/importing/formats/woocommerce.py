"""WooCommerce's product export, in the shop's language: variations name their variable product as parent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graph.catalog.importing.formats.base import Draft, Joiner, KnownFormat
from graph.catalog.importing.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable

_INHERITED = ("description", "shortDescription", "category", "images", "brand", "tags", "active")
_MOST_ATTRIBUTES = 100


def _pairs(told: dict[str, Any]) -> list[list[Any]]:
    """Return the names and values of the row's attributes."""
    names = sorted(int(name.removeprefix("attributeName")) for name in told if name.startswith("attributeName"))
    found = [[told[f"attributeName{n}"], told.get(f"attributeValue{n}")] for n in names[:_MOST_ATTRIBUTES]]
    return [pair for pair in found if pair[1]]


class _Parents(Joiner):
    """Joins variations to their products, wherever those are in the file."""

    surveys = True

    def survey(self, draft: Draft) -> None:
        told = draft.told
        if "variable" in str(told.get("type", "")):
            names = [told[name] if name == "sku" else f"id:{told[name]}" for name in ("sku", "id") if told.get(name)]
            family = self.kept.family(str(told.get("sku") or told.get("id")), draft.line)
            for name in names:
                self.kept.put(str(name), told, family)

    def feed(self, draft: Draft) -> Iterable[Draft | Problem]:
        told = dict(draft.told)
        kind = str(told.get("type", ""))
        pairs = _pairs(told)
        if "variable" in kind:
            self.merged += 1
            return ()
        if "variation" not in kind:
            told["attributes"] = told.get("attributes", []) + [
                [name, one] for name, value in pairs for one in str(value).split(", ")
            ]
            return (draft._replace(told=told),)
        told["options"] = pairs
        named = str(told.get("parent", ""))
        parent = self.kept.get(named) if named else None
        if parent is None:
            told["groupId"] = named.removeprefix("id:") or None
            return (draft._replace(told=told),)
        told["groupId"] = parent.get("sku") or parent.get("id")
        hidden = "active" in parent and "active" in told and parent["active"] != "1"
        told = {name: parent[name] for name in _INHERITED if name in parent} | told
        if hidden:
            told["active"] = parent["active"]
        shared = [pair for pair in _pairs(parent) if pair[0] not in {name for name, _ in pairs}]
        told["attributes"] = [[name, one] for name, value in shared for one in str(value).split(", ")]
        told.setdefault("name", parent.get("name"))
        return (draft._replace(told=told),)

    def end(self) -> Iterable[Draft | Problem]:
        for name, line in self.kept.unused():
            yield Problem(line, "None of its variations is in the file.", "sku", name)


WOOCOMMERCE = KnownFormat(
    name="woocommerce",
    title="WooCommerce",
    signs=(
        ("ID", "Type", "SKU", "Regular price"),
        ("ID", "Typ", "Artikelnummer", "Regulärer Preis"),
        ("ID", "Typ", "Artikelnummer", "Regulärer Verkaufspreis"),
        ("ID", "Type", "UGS", "Tarif régulier"),
        ("ID", "Type", "UGS", "Tarif normal"),
        ("ID", "Type", "UGS", "Prix régulier"),
        ("ID", "Tipo", "COD", "Prezzo di listino"),
        ("ID", "Tipo", "SKU", "Prezzo di listino"),
        ("ID", "Tipo", "SKU", "Precio normal"),
        ("ID", "Tipo", "Precio normal", "Nombre"),
        ("ID", "Type", "SKU", "Reguliere prijs"),
        ("ID", "Type", "SKU", "Normale prijs"),
        ("ID", "Type", "SKU", "Name", "Published", "Categories"),
        ("ID", "Tipo", "SKU", "Nome", "Preço"),
        ("ID", "Tipo", "REF", "Nome", "Preço normal"),
        ("ID", "Rodzaj", "SKU", "Nazwa", "Cena"),
        ("ID", "Typ", "SKU", "Nazwa", "Cena regularna"),
        ("ID", "Typ", "Artikelnummer", "Namn", "Ordinarie pris"),
        ("ID", "Type", "Varenummer", "Navn", "Normalpris"),
    ),
    columns={
        "id": ("ID",),
        "type": ("Type", "Typ", "Tipo", "Rodzaj"),
        "status": ("status",),
        "tracked": ("manage_stock",),
        "attributes": ("attributes",),
        "sku": ("SKU", "Artikelnummer", "UGS", "COD", "REF", "Varenummer"),
        "gtin": (
            "GTIN, UPC, EAN, or ISBN",
            *("GTIN, UPC, EAN oder ISBN", "GTIN, UPC, EAN ou ISBN", "GTIN, UPC, EAN o ISBN", "GTIN, UPC, EAN of ISBN"),
            *("GTIN, UPC, EAN lub ISBN", "GTIN, UPC, EAN eller ISBN"),
        ),
        "name": ("Name", "Nom", "Nome", "Nombre", "Naam", "Nazwa", "Namn", "Navn"),
        "active": (
            "Published",
            "Veröffentlicht",
            "Publié",
            "Pubblicato",
            "Publicado",
            "Gepubliceerd",
            "Opublikowano",
            "Publicerad",
            "Udgivet",
        ),
        "description": (
            "Description",
            "Beschreibung",
            "Descrizione",
            "Descripción",
            "Beschrijving",
            "Descrição",
            "Opis",
            "Beskrivning",
            "Beskrivelse",
        ),
        "shortDescription": (
            *("Descrição curta", "Descrição breve", "Krótki opis", "Kort beskrivning", "Kort beskrivelse"),
            *("Short description", "Kurzbeschreibung", "Description courte", "Breve descrizione"),
            *("Descripción corta", "Korte beschrijving"),
        ),
        "saleFrom": (
            *("Data de início da promoção", "Data de preço promocional começa em", "Data rozpoczęcia promocji"),
            *("Date sale price starts", "Datum, an dem Angebotspreis beginnt", "Date de début de promo"),
            *("Data di inizio del prezzo in offerta", "Día en que empieza el precio rebajado", "Startdatum actieprijs"),
        ),
        "saleTo": (
            *("Data de término da promoção", "Data de preço promocional termina em", "Data zakończenia promocji"),
            *("Date sale price ends", "Datum, an dem Angebotspreis endet", "Date de fin de promo"),
            *("Data di fine del prezzo in offerta", "Día en que termina el precio rebajado", "Einddatum actieprijs"),
        ),
        "inStock": (
            "stock_status",
            *("Em estoque?", "Em stock?", "W magazynie?", "Na stanie?", "I lager?", "På lager?"),
            *("In stock?", "Vorrätig?", "Auf Lager?", "En stock ?", "In magazzino?"),
            *("¿Existencias?", "¿Hay existencias?", "¿En inventario?", "Op voorraad?"),
        ),
        "stock": (
            "Stock",
            "stock_quantity",
            "Lager",
            "Bestand",
            "Lagerbestand",
            "Magazzino",
            "Inventario",
            "Existencias",
            "Voorraad",
            *("Estoque", "Stan magazynowy", "Magazyn", "Lagersaldo", "Lagerbeholdning"),
        ),
        "backorder": (
            *("Backorders allowed?", "Lieferrückstände erlaubt?", "Autoriser les commandes de produits en rupture ?"),
            *("Abilita gli ordini arretrati?", "¿Permitir reservas de productos agotados?", "Nabestellingen toestaan?"),
        ),
        "salePrice": (
            "Sale price",
            "Angebotspreis",
            "Tarif promo",
            "Prezzo in offerta",
            "Precio rebajado",
            "Actieprijs",
            *("Preço promocional", "Cena promocyjna", "Reapris", "Tilbudspris"),
        ),
        "regularPrice": (
            *("Regular price", "Regulärer Preis", "Regulärer Verkaufspreis", "Tarif régulier", "Tarif normal"),
            *("Prix régulier", "Prezzo di listino", "Precio normal", "Reguliere prijs", "Normale prijs"),
            *("Preço", "Preço normal", "Cena", "Cena regularna", "Ordinarie pris", "Normalpris"),
        ),
        "category": (
            "Categories",
            "Kategorien",
            "Catégories",
            "Categorie",
            "Categorías",
            "Categorieën",
            "Categorias",
            "Kategorie",
            "Kategorier",
        ),
        "tags": ("Tags", "Schlagwörter", "Étiquettes", "Tag", "Etiquetas", "Tagi", "Znaczniki", "Etiketter"),
        "brand": ("Brands", "Brand", "Marken", "Marques", "Marchi", "Marcas", "Merken"),
        "images": (
            "Images",
            "Bilder",
            "Immagini",
            "Immagine",
            "Imágenes",
            "Afbeeldingen",
            "Imagens",
            "Obrazki",
            "Bilder",
            "Billeder",
        ),
        "parent": (
            *("Parent", "Übergeordnetes Produkt", "Übergeordnet", "Genitore", "Superior", "Hoofd", "Bovenliggend"),
            *("Ascendente", "Nadrzędny", "Överordnad", "Overordnet"),
        ),
    },
    patterns={
        "attributeName": r"attribute(\d+)name|attribut(\d+)name|(?:nomdel|nomdell?)?attribut(\d+)(?:nom)?"
        r"|nomedell?attributo(\d+)|nombredelatributo(\d+)|nomedoatributo(\d+)|nazwaatrybutu(\d+)|naameigenschap(\d+)|attribut(\d+)nom",
        "attributeValue": r"attribute(\d+)values|attribut(\d+)werte?|valeursdelattribut(\d+)"
        r"|valor[ei]dell?attributo(\d+)\w*|valoresd[eo]l?atributo(\d+)|wartosciatrybutu(\d+)|waardeneigenschap(\d+)|attribut(\d+)valeurs",
    },
    lists=",",
    joiner=_Parents,
    escapes=True,
)
