"""Any other table or JSON: the column names that shops, tills and programs use, in the commonest languages.

It also reads REST responses of shops and demo APIs, whose fields are named by their path (``price.salePrice``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from graph.catalog.importing.formats.base import Draft, Joiner, KnownFormat

if TYPE_CHECKING:
    from collections.abc import Iterable

    from graph.catalog.importing.problems import Problem

_LEVELS = tuple(f"categoryLevel{number}" for number in range(1, 10))


class _Levels(Joiner):
    """Makes one path of the levels of a category that have a column each."""

    def feed(self, draft: Draft) -> Iterable[Draft | Problem]:
        told = draft.told
        if "categoryLevel1" not in told and "categoryLevel2" not in told:
            return (draft,)
        levels = [told.get("category"), *(told.get(level) for level in _LEVELS)]
        path = " > ".join(str(level) for level in levels if level)
        return (draft._replace(told={**told, "category": path}),)


PLAIN = KnownFormat(
    name="plain",
    title="plain tables, German tills (JTL and others), demo APIs",
    columns={
        "sku": (
            *("sku", "article number", "article no", "article", "item number", "item no", "item sku", "seller sku"),
            "Händler-SKU",
            *("variant sku", "product sku", "product code", "product number", "part number", "part no", "stock code"),
            *("Artikelnummer", "Artikelnr", "Artikel-Nr.", "Art.-Nr.", "ArtNr", "Artikel Nr", "Bestellnummer"),
            *("référence", "réf", "ref", "UGS", "code article", "référence produit", "reference", "reference number"),
            *("codice", "codice articolo", "codice prodotto", "COD", "riferimento", "cod. articolo"),
            *("referencia", "código", "código de producto", "código artículo", "artikelcode", "productcode", "PLU"),
            *("model", "Modell", "modelo", "modèle", "modello", "code", "item", "Artikel-ID"),
        ),
        "id": (
            *("id", "_id", "product id", "item id", "uid", "uuid", "Produkt-ID", "ID produit", "ID prodotto"),
            *("Nummer", "Nr", "Nr.", "No.", "número", "numéro", "numero", "asin"),
        ),
        "handle": ("handle", "slug", "url key", "permalink"),
        "name": (
            *("name", "title", "product name", "product title", "item name", "product", "label"),
            *(
                "Bezeichnung",
                "Artikelbezeichnung",
                "Artikelname",
                "Artikelname (Deutsch)",
                "Produktname",
                "Artikeltext",
                "Artikeltext1",
                "Titel",
            ),
            *("Bezeichnung 1", "Kurztext", "Artikel", "Produkt", "Kassentext", "Bontext"),
            *("nom", "nom du produit", "titre", "désignation", "libellé", "intitulé", "produit"),
            *("nome", "nome prodotto", "titolo", "denominazione", "prodotto", "articolo"),
            *("nombre", "nombre del producto", "título", "producto", "artículo", "denominación"),
            *("naam", "productnaam", "artikelnaam", "omschrijving", "content.productName", "content.name"),
        ),
        "description": (
            *(
                "description",
                "long description",
                "body",
                "body html",
                "full description",
                "details",
                "product description",
            ),
            *(
                "Beschreibung",
                "Beschreibung (Deutsch)",
                "Artikelbeschreibung",
                "Langtext",
                "Produktbeschreibung",
                "Artikeltext2",
            ),
            *("descriptif", "description longue", "descrizione", "descrizione prodotto", "descripción", "detalle"),
            "descriptionHtml",
            *("beschrijving", "productomschrijving", "content.productDescription", "content.description"),
        ),
        "shortDescription": (
            *("short description", "summary", "Kurzbeschreibung", "description courte", "résumé", "descrizione breve"),
            *("breve descrizione", "descripción corta", "resumen", "korte beschrijving"),
            *("content.productShortDescription", "content.shortDescription"),
        ),
        "price": (
            *(
                "price",
                "unit price",
                "sales price",
                "selling price",
                "retail price",
                "list price",
                "gross price",
                "amount",
            ),
            *("offers.price", "offers.lowPrice", "offers.priceSpecification.price", "prices.amount"),
            "prices.value.amount",
            *("price.amount", "price.value", "price.price", "prices.price", "price.current", "pricing.price"),
            *("VK-Preis", "VK", "VKPreis", "VK Brutto", "Brutto-VK", "VK-Preis brutto", "VK 1", "VK1", "Verkaufspreis"),
            *("Preis", "Bruttopreis", "Endpreis", "Einzelpreis", "Preis brutto", "Verkaufspreis brutto", "Netto-VK"),
            *("Std. VK Brutto", "price gross", "Std. VK Netto"),
            *("prix", "prix TTC", "prix de vente", "prix unitaire", "tarif", "PVP", "prezzo", "prezzo di vendita"),
            *("prezzo unitario", "precio", "precio de venta", "precio unitario", "prijs", "verkoopprijs"),
        ),
        "regularPrice": (
            *("regular price", "normal price", "Normalpreis", "Regulärer Preis", "prix normal", "prix régulier"),
            *("prezzo di listino", "precio normal", "normale prijs", "price.regular", "price.original"),
        ),
        "salePrice": (
            *("sale price", "special price", "discount price", "discounted price", "offer price", "promo price"),
            *("Angebotspreis", "Sonderpreis", "Aktionspreis", "prix promo", "prix soldé", "prix remisé"),
            *("prezzo scontato", "prezzo in offerta", "precio rebajado", "precio de oferta", "actieprijs"),
            *("price.salePrice", "price.sale", "prices.salePrice"),
        ),
        "compareAtPrice": (
            *(
                "compare at price",
                "compareAtPrice",
                "msrp",
                "rrp",
                "recommended price",
                "UVP",
                "old price",
                "was price",
            ),
            *("original price", "strike price", "Streichpreis", "Statt-Preis", "prix barré", "prix conseillé"),
            *("prezzo barrato", "prezzo consigliato", "precio tachado", "precio anterior", "adviesprijs"),
            *("price.compareAt", "price.listPrice", "compareAtPrice.amount"),
        ),
        "currency": (
            *(
                "currency",
                "currency code",
                "price currency",
                "Währung",
                "devise",
                "monnaie",
                "valuta",
                "moneda",
                "divisa",
            ),
            *("offers.priceCurrency", "prices.currency_code", "price.currency_code"),
            "prices.value.currencyCode",
            *("price.currency", "price.currencyCode", "price.isoCurrencyCode", "prices.currency", "isoCurrencyCode"),
        ),
        "stock": (
            *("stock", "quantity", "qty", "inventory", "stock level", "stock quantity", "on hand", "quantity in stock"),
            *("inventory quantity", "available quantity", "units in stock", "stock qty", "in stock quantity"),
            *("Lagerbestand", "Bestand", "Menge", "Lager", "Lagermenge", "Anzahl", "Stückzahl", "Verfügbarer Bestand"),
            *("Lagerbestand Gesamt", "quantité", "quantité en stock", "giacenza", "quantità", "disponibilità"),
            *("existencias", "cantidad", "inventario", "unidades", "voorraad", "aantal"),
            *("Bestand gesamt", "offers.inventoryLevel.value", "availability.availableQuantity"),
            *("stock.available", "stock.quantity", "inventory.quantity", "inventory.available", "stock.qty"),
        ),
        "inStock": (
            *("in stock", "inStock", "is in stock", "availability", "availability status", "available", "stock status"),
            *("offers.availability", "availability.isOnStock"),
            *("Verfügbarkeit", "vorrätig", "lieferbar", "en stock", "disponible", "disponibile", "op voorraad"),
        ),
        "tracked": ("tracked", "track inventory", "manage inventory", "manage stock"),
        "backorder": ("inventory policy", "allow backorder", "allow backorders", "backorders", "Überverkauf"),
        "active": (
            *("active", "is active", "enabled", "visible", "published", "aktiv", "sichtbar", "veröffentlicht", "actif"),
            *("publié", "attivo", "pubblicato", "activo", "publicado", "actief", "gepubliceerd"),
        ),
        "hidden": (
            "hidden",
            "hide",
            "is hidden",
            "disabled",
            "ausgeblendet",
            "versteckt",
            "masqué",
            "nascosto",
            "oculto",
        ),
        "status": ("status", "product status", "statut", "stato", "estado", "Artikelstatus"),
        "category": (
            *(
                "category",
                "categories",
                "category path",
                "category name",
                "product category",
                "product type",
                "department",
            ),
            *(
                "Kategorie",
                "Kategorien",
                "Warengruppe",
                "Artikelgruppe",
                "Produktgruppe",
                "Kategoriepfad",
                "Hauptwarengruppe",
            ),
            *("catégorie", "catégories", "rayon", "famille", "categoria", "categorie", "reparto", "categoría"),
            *("categorías", "familia", "productgroep", "artikelgroep", "category.name", "category.title", "collection"),
        ),
        "categoryLevel2": ("Unterkategorie", "subcategory", "sub category", "sous-catégorie", "sottocategoria"),
        "groupId": (
            *("groupId", "group id", "item group id", "parent sku", "parent id", "parent", "Vaterartikel", "style"),
            *("Vaterartikelnummer", "Identifizierungsspalte Vaterartikel", "model number", "style number"),
        ),
        "options": ("options",),
        "brand": (
            *(
                "brand",
                "vendor",
                "manufacturer",
                "maker",
                "supplier brand",
                "Marke",
                "Hersteller",
                "marque",
                "fabricant",
            ),
            *(
                "marca",
                "produttore",
                "fabricante",
                "merk",
                "fabrikant",
                "brand.name",
                "manufacturer.name",
                "vendor.name",
            ),
        ),
        "gtin": (
            *(
                "gtin",
                "ean",
                "ean13",
                "ean-13",
                "upc",
                "isbn",
                "barcode",
                "gtin13",
                "gtin14",
                "ean code",
                "EAN/Barcode",
            ),
            *(
                "Strichcode",
                "EAN-Code",
                "code-barres",
                "code EAN",
                "codice a barre",
                "código de barras",
                "meta.barcode",
            ),
        ),
        "image": (
            *("image", "image url", "image link", "image src", "picture", "photo", "thumbnail", "img", "main image"),
            *("Bild", "Bild-URL", "Artikelbild", "Bildpfad", "immagine", "imagen", "foto", "afbeelding", "image.url"),
            *("image.contentUrl", "image.src", "photo url", "picture url", "URL image"),
        ),
        "images": (
            *("images", "image urls", "pictures", "photos", "gallery", "additional images", "Bilder", "immagini"),
            *("imágenes", "afbeeldingen", "media"),
        ),
        "tags": ("tags", "keywords", "Schlagwörter", "étiquettes", "mots-clés", "etiquetas", "Stichworte"),
        "attributes": ("attributes",),
        "saleFrom": ("sale price from", "sale from", "special price from"),
        "saleTo": ("sale price to", "sale to", "special price to"),
    },
    patterns={
        "image": r"(?:image(?:url|link)?|picture(?:url)?|photo|bild(?:url)?|immagine|imagen|foto|afbeelding)(\d+)",
        "optionName": r"option(\d+)name|optionname(\d+)|variationsname(\d+)",
        "optionValue": r"option(\d+)value|optionvalue(\d+)|variationswert(\d+)",
        "attributeName": r"attribute(\d+)name|attributename(\d+)|merkmal(\d+)name",
        "attributeValue": r"attribute(\d+)values?|attributevalues?(\d+)|merkmal(\d+)wert",
        "categoryLevel": r"(?:kategorieebene|categorylevel|categorylvl|warengruppenebene)(\d+)",
    },
    joiner=_Levels,
)
