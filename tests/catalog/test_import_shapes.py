"""What exports and API answers tell in their own ways: currencies in names, several skus in a cell, pages, feeds."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from graph.catalog.importing.formats.plain import PLAIN
from graph.catalog.importing.headers import named
from graph.catalog.importing.problems import Problem, Unreadable
from graph.catalog.importing.reading import ImportOptions, Products
from graph.catalog.records import decimal_of
from graph.errors import Invalid

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def read(path: Path) -> tuple[str, dict[str, dict[str, Any]], list[tuple[int, str]]]:
    """Return the format, what each product of a file has, by sku, and what is left out, by line."""
    found: dict[str, dict[str, Any]] = {}
    left_out: list[tuple[int, str]] = []
    with Products(path, ImportOptions()) as products:
        products.reading.now = NOW
        for draft in products:
            if isinstance(draft, Problem):
                left_out.append((draft.line, draft.value))
                assert draft.raw is not None or not draft.value, "it can be mended"
                continue
            try:
                product = products.reading.change_of(draft.told)
            except Invalid as error:
                left_out.append((draft.line, error.field or ""))
                continue
            values = product.values
            assert product.sku not in found
            told: dict[str, Any] = {
                "name": values.get("name"),
                "group": values.get("group_id"),
                "options": dict(json.loads(values.get("options") or "[]")),
                "images": [url for url, _ in json.loads(values.get("images") or "[]")],
                "attributes": [tuple(pair) for pair in json.loads(values.get("attributes") or "[]")],
                "active": values.get("active", True),
                "there": values.get("in_stock"),
                "stock": values.get("stock") if values.get("tracked") else None,
                "category": " > ".join(product.path),
            }
            if "price" in values:
                told["price"] = f"{decimal_of(values['price'], values['currency'])} {values['currency']}"
                former = values.get("compare_at_price")
                told["former"] = None if former is None else decimal_of(former, values["currency"])
            found[product.sku] = told
        return products.found.format, found, left_out


@pytest.fixture
def says(tmp_path: Path) -> Any:
    """Read a file with this name and text."""

    def write(name: str, text: str) -> Any:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return read(path)

    return write


def has(product: dict[str, Any], **told: Any) -> None:
    """The product has what is told."""
    assert {name: product[name] for name in told} == told


@pytest.mark.parametrize(
    ("header", "currency"),
    [
        *(("Price (EUR)", "EUR"), ("price_eur", "EUR"), ("Price EUR", "EUR"), ("Preis in €", "€"), ("Preis (€)", "€")),
        *(("Price [GBP]", "GBP"), ("Price / USD", "USD"), ("price.chf", "CHF"), ("Prix TTC (CHF)", "CHF")),
        *(("Price", None), ("VK 1", None), ("Price (net)", None), ("price try", None), ("Prix TTC", None)),
    ],
)
def test_a_column_of_prices_names_their_currency(header: str, currency: str | None) -> None:
    """In any of the usual ways; a word that is no currency is none."""
    found = named(PLAIN, header)
    assert (found and found.currency) == currency


def test_each_price_has_the_currency_of_its_column_or_its_own(says: Any) -> None:
    """Of several columns the first one that is not blank counts; what a cell says goes before what the column says."""
    _, found, _ = says(
        "a.csv",
        "SKU;Name;Price (EUR);Sale price (EUR);Price (USD);Image URL\nA;Apple;1,20;0,90;1,50;https://x.org/a.jpg\n"
        "B;Pear;;;2,50;https://x.org/b.jpg\nC;Fig;3,00 CHF;;;\n",
    )
    has(found["A"], price="0.90 EUR", former=Decimal("1.20"), images=["https://x.org/a.jpg"])
    has(found["B"], price="2.50 USD", images=["https://x.org/b.jpg"])
    has(found["C"], price="3.00 CHF")


@pytest.mark.parametrize("above", ["", "Artikelliste;;;;\nStand: 01.11.2025;;;;\n;;;;\n", "sep=;\n"])
def test_lines_above_the_names_of_the_columns_are_skipped(says: Any, above: str) -> None:
    """Titles and dates; the lines are counted from the beginning of the file."""
    text = f"{above}Art.-Nr.;Bezeichnung;VK-Preis;Bestand\n100;Brötchen;0,35;\n101;Brot;drei;\n"
    _, found, left_out = says("kasse.csv", text)
    has(found["100"], name="Brötchen", price="0.35 USD")
    assert left_out == [(above.count("\n") + 3, "price")]


ETSY = (
    "TITLE,DESCRIPTION,PRICE,CURRENCY_CODE,QUANTITY,TAGS,MATERIALS,IMAGE1,VARIATION 1 TYPE,VARIATION 1 NAME,"
    "VARIATION 1 VALUES,VARIATION 2 TYPE,VARIATION 2 NAME,VARIATION 2 VALUES,SKU\n"
)


def test_skus_of_variations_in_one_cell(says: Any) -> None:
    """A product each, with the values of its variation; as many skus as values of one, of both, or of nothing."""
    kind, found, left_out = says(
        "etsy.csv",
        f"{ETSY}"
        'Dress,x,89.00,EUR,6,,,https://i.org/1.jpg,Custom,Size,"S,M",,,,"D-S,D-M"\n'
        'Ring,x,120.50,EUR,0,,,,Custom,Size,"16,17",Custom,Metal,"Gold,Silver","R1,R2,R3,R4"\n'
        'Bag,x,20,EUR,1,,,,Custom,Size,"L,XL",Custom,Strap,"Long,Short","B-L,B-XL"\n'
        'Mug,x,18.00,EUR,1,,,,Custom,Color,"Red,Blue,Green",,,,"M-1,M-2"\n'
        'Two,x,18.00,EUR,1,,,,,,,,,,"T-1,T-2"\n'
        'Cup,x,18.00,EUR,4,,,,Custom,Color,"Red,Blue",,,,C-1\n',
    )
    assert kind == "etsy"
    has(found["D-M"], group="D-S", options={"Size": "M"}, price="89.00 EUR", stock=None, there=True)
    has(found["R3"], group="R1", options={"Size": "17", "Metal": "Gold"}, there=False)
    has(found["B-XL"], options={"Size": "XL"})
    has(found["C-1"], group=None, stock=4, attributes=[("Color", "Red"), ("Color", "Blue")])
    assert left_out == [(5, "M-1,M-2"), (6, "T-1,T-2")]


def test_magento_answers_with_custom_attributes(says: Any) -> None:
    """They mean what columns of these names mean; a configurable product is the group of those it links."""
    child: dict[str, Any] = {"attribute_set_id": 9, "type_id": "simple", "price": 52, "status": 2}
    items = [
        {
            "id": 1, "sku": "BAG", "name": "Bag", "price": 34, "status": 1, "type_id": "simple",
            "attribute_set_id": 15,
            "extension_attributes": {"stock_item": {"qty": 100, "is_in_stock": True, "manage_stock": True}},
            "media_gallery_entries": [{"label": "Front", "file": "/m/b.jpg"}, {"file": "/m/c.jpg", "disabled": True}],
            "custom_attributes": [
                {"attribute_code": "description", "value": "<p>Sporty</p>"},
                {"attribute_code": "special_price", "value": "29.0000"},
                {"attribute_code": "special_from_date", "value": "2026-01-01 00:00:00"},
                {"attribute_code": "category_ids", "value": ["3", "4"]},
                {"attribute_code": "tax_class_id", "value": "2"},
                {"attribute_code": "material", "value": "Nylon"},
            ],
        },
        {"id": 2, "sku": "H-XS", "name": "Hoodie-XS", **child, "custom_attributes": [
            {"attribute_code": "size", "value": "XS"}]},
        {"id": 3, "sku": "H", "name": "Hoodie", "attribute_set_id": 9, "type_id": "configurable", "price": 0,
         "status": 1, "extension_attributes": {"configurable_product_links": [2],
         "configurable_product_options": [{"attribute_id": "93", "label": "Size", "values": [{"value_index": 1}]}]}},
    ]  # fmt: skip
    kind, found, left_out = says("m.json", json.dumps({"items": items, "total_count": 3}))
    assert (kind, set(found), left_out) == ("magento", {"BAG", "H-XS"}, [])
    has(found["BAG"], price="29.00 USD", former=Decimal(34), stock=100, images=["/m/b.jpg"], category="")
    has(found["BAG"], attributes=[("material", "Nylon")])
    has(found["H-XS"], group="H", options={"Size": "XS"}, active=False, attributes=[])


def test_variants_in_json(says: Any) -> None:
    """Shopify's answers by REST and by GraphQL: each variant has its picture, its options and a sku of its own."""
    rest = {
        "id": 1, "title": "Sock", "handle": "sock", "vendor": "V", "product_type": "Socks", "tags": "a, b",
        "options": [{"name": "Size", "values": ["L", "M"]}],
        "images": [{"id": 8, "src": "https://x.org/8.jpg"}, {"id": 9, "src": "https://x.org/9.jpg"}],
        "variants": [
            {"id": 2, "sku": "S-L", "price": "9.00", "option1": "L", "image_id": 9, "inventory_quantity": 0,
             "inventory_policy": "continue", "inventory_management": "shopify"},
            {"id": 3, "sku": "", "price": "8.00", "option1": "M", "image_id": None, "inventory_quantity": 5,
             "inventory_management": None},
        ],
    }  # fmt: skip
    _, found, _ = says("rest.json", json.dumps({"products": [rest]}))
    has(found["S-L"], options={"Size": "L"}, images=["https://x.org/9.jpg", "https://x.org/8.jpg"], stock=0, there=True)
    has(found["sock-m"], group="sock", options={"Size": "M"}, stock=None, there=True, price="8.00 USD")

    def page(*nodes: Any) -> Any:
        return {"edges": [{"cursor": "c", "node": node} for node in nodes]}

    node = {
        "id": "gid://1", "title": "Hoodie", "handle": "hoodie", "status": "DRAFT", "tags": ["new"],
        "images": page({"url": "https://x.org/1.jpg", "altText": "front"}),
        "variants": page(
            {"sku": "H-S", "price": "45.00", "selectedOptions": [{"name": "Size", "value": "S"}]},
            {"sku": "H-M", "price": "46.00", "selectedOptions": [{"name": "Size", "value": "M"}],
             "image": {"url": "https://x.org/m.jpg"}},
        ),
    }  # fmt: skip
    _, found, _ = says("graphql.json", json.dumps({"data": {"products": page(node)}}))
    has(found["H-S"], options={"Size": "S"}, group="hoodie", images=["https://x.org/1.jpg"], active=False)
    has(found["H-M"], price="46.00 USD", images=["https://x.org/m.jpg", "https://x.org/1.jpg"])


def test_schema_org_and_stripe(says: Any) -> None:
    """Offers have the price and the availability; Stripe's amounts are in the smallest unit of their currency."""
    graph = [
        {"@type": "Product", "name": "Anvil", "sku": "A", "image": {"@type": "ImageObject", "url": "https://x.org/1"},
         "offers": {"price": 119.99, "priceCurrency": "EUR", "availability": "https://schema.org/InStock"}},
        {"@type": "Product", "name": "Two", "sku": "B",
         "offers": [{"price": "5.00", "priceCurrency": "USD", "availability": "http://schema.org/OutOfStock"}]},
    ]  # fmt: skip
    _, found, _ = says("ld.json", json.dumps({"@context": "https://schema.org", "@graph": graph}))
    has(found["A"], price="119.99 EUR", there=True, images=["https://x.org/1"])
    has(found["B"], price="5.00 USD", there=False)
    made = [
        {"id": f"prod_{code}", "object": "product", "name": "T", "active": True, "metadata": {"color": "red"},
         "default_price": {"currency": code, "unit_amount": 1999}}
        for code in ("eur", "jpy")
    ]  # fmt: skip
    kind, found, _ = says("stripe.json", json.dumps({"object": "list", "data": made}))
    assert kind == "stripe"
    has(found["prod_eur"], price="19.99 EUR", attributes=[("color", "red")])
    has(found["prod_jpy"], price="1999 JPY")


FEED = """<?xml version="1.0" encoding="ISO-8859-1"?>
<rss xmlns:g="http://base.google.com/ns/1.0" version="2.0"><channel><title>Shop</title><link>https://x.org</link>
<item><g:id>TV</g:id><g:title>Größe &amp; more</g:title><g:description><![CDATA[<p>Big</p>]]></g:description>
<g:link>https://x.org/tv</g:link><g:image_link>https://x.org/1.png</g:image_link>
<g:additional_image_link>https://x.org/2.png</g:additional_image_link>
<g:additional_image_link>https://x.org/3.png</g:additional_image_link><g:availability>in_stock</g:availability>
<g:price>159.00 EUR</g:price><g:sale_price>149.00 EUR</g:sale_price>
<g:sale_price_effective_date>{dates}</g:sale_price_effective_date>
<g:shipping><g:price>4.95 EUR</g:price></g:shipping><g:product_type>A &gt; B</g:product_type></item>
<item><g:id>BAD</g:id><g:title>x</g:title><g:price>x</g:price></item>
"""


def test_a_merchant_feed_in_xml(says: Any) -> None:
    """The elements are what the columns are; a lower price counts within its dates; what breaks off is said."""
    current = FEED.format(dates="2026-05-01T00:00+0100/2026-07-01T00:00+0100")
    kind, found, left_out = says("feed.xml", f"{current}</channel></rss>")
    assert (kind, left_out) == ("merchant", [(10, "price")])
    has(found["TV"], name="Größe & more", price="149.00 EUR", former=Decimal(159), category="A > B", there=True)
    has(found["TV"], images=["https://x.org/1.png", "https://x.org/2.png", "https://x.org/3.png"])
    past = FEED.format(dates="2025-05-01T00:00+0100/2025-07-01T00:00+0100")
    has(says("feed.txt", f"{past}</channel></rss>")[1]["TV"], price="159.00 EUR", former=None)
    with pytest.raises(Unreadable, match="Not XML"):
        says("cut.xml", f"{current}</chan")
    with pytest.raises(Unreadable, match="entities"):
        says("bomb.xml", '<!DOCTYPE r [<!ENTITY a "b">]><r><item><id>&a;</id></item></r>')
    _, found, left_out = says(
        "long.xml",
        f"<list><product id='1'><name>{'x' * (1 << 20)}y</name></product>"
        "<product id='2'><name>B</name><price currency='CHF'>5</price></product></list>",
    )
    has(found["2"], name="B", price="5.00 CHF")
    assert left_out == [(1, "")]


def test_ebay_reports_of_every_country(says: Any) -> None:
    """The currency is in the name of the column or declared for the file; variations have their listing's number."""
    kind, found, _ = says(
        "ebay.csv",
        "Item number,Title,Variation details,Custom label (SKU),Available quantity,Format,Currency,Start price (EUR),"
        "Current price (EUR),eBay category 1 name,C:Brand,C:Material\n"
        '1,Lamp,,LAMP,3,FIXED_PRICE,,"24,99","24,99",Lamps,Lux,Steel\n'
        '2,Shirt,,,20,FIXED_PRICE,,"9,90","9,90",Shirts,,\n'
        '2,Shirt,[Size=M|Colour=Red],S-M,12,FIXED_PRICE,,"9,90","9,90",Shirts,,\n'
        '2,Shirt,[Size=L|Colour=Red],S-L,8,FIXED_PRICE,,"10,90","10,90",Shirts,,\n',
    )
    assert (kind, set(found)) == ("ebay", {"LAMP", "S-M", "S-L"})
    has(found["LAMP"], price="24.99 EUR", attributes=[("Material", "Steel")])
    has(found["S-L"], price="10.90 EUR", group="2", options={"Size": "L", "Colour": "Red"}, stock=8)
    _, found, _ = says(
        "vorlage.csv",
        "*Action(SiteID=Germany|Country=DE|Currency=EUR|Version=1193),CustomLabel,*Title,*Quantity,*StartPrice\n"
        "Add,HAT,Hut,2,19.90\n",
    )
    has(found["HAT"], price="19.90 EUR")
    kind, found, _ = says(
        "bericht.csv",
        "Artikelnummer;Titel;Variantendetails;Bestandseinheit;Verfügbare Stückzahl;Währung;Startpreis;Aktueller Preis\n"
        "1;Lampe;;L-1;3;EUR;24,99;24,99\n",
    )
    assert kind == "ebay"
    has(found["L-1"], name="Lampe", price="24.99 EUR", stock=3)


def test_shopware_medusa_and_saleor(says: Any) -> None:
    """Variants take from their product what they leave out, and are one group."""
    kind, found, _ = says(
        "shopware.csv",
        "id;parent_id;product_number;active;stock;name;price_gross;manufacturer_name;category_names;media_url\n"
        "a2;a1;SW1.1;1;5;;;;;\na1;;SW1;1;10;Haupt;19.99;Acme;Kleidung|Hemden;https://x.org/1.jpg\n",
    )
    assert (kind, set(found)) == ("shopware", {"SW1.1"})
    has(found["SW1.1"], name="Haupt", price="19.99 USD", group="SW1", stock=5, images=["https://x.org/1.jpg"])
    kind, found, _ = says(
        "medusa.csv",
        "Product Handle,Product Title,Product Status,Variant SKU,Variant Inventory Quantity,Variant Manage Inventory,"
        "Price EUR,Price USD,Option 1 Name,Option 1 Value,Image 1 Url\n"
        "mug,Mug,published,MUG-1,100,true,10,12.5,Size,One,https://x.org/m.png\n"
        "mug,Mug,published,MUG-2,5,false,,18,Size,Big,\n",
    )
    assert kind == "medusa"
    has(found["MUG-1"], group="mug", options={"Size": "One"}, price="10.00 EUR", stock=100)
    has(found["MUG-2"], price="18.00 USD", stock=None, there=True)
    kind, found, _ = says(
        "saleor.csv",
        "id;name;product type;variant id;variant sku;main (warehouse quantity);web (channel currency code);"
        "web (channel variant price amount);size (variant attribute)\nx;Juice;Juice;y;JU-1;100;EUR;5.99;1l\n",
    )
    assert kind == "saleor"
    has(found["JU-1"], price="5.99 EUR", stock=100, attributes=[("size", "1l")])


@pytest.mark.parametrize(
    ("amount", "percent", "dates", "price"),
    [
        *(("2", "", "2026-01-01;2026-12-31", "7.90"), ("", "20", "2026-01-01;2026-12-31", "7.92")),
        *(("", "", ";", "9.90"), ("2", "", "2024-01-01;2024-12-31", "9.90"), ("20", "", ";", "9.90")),
    ],
)
def test_prestashop_reductions_and_features(says: Any, amount: str, percent: str, dates: str, price: str) -> None:
    """A price that is lower for a time, by an amount or a percentage; features are attributes."""
    kind, found, left_out = says(
        "presta.csv",
        "ID;Active (0/1);Name *;Categories (x,y,z...);Price tax excluded;Discount amount;Discount percent;"
        "Discount from (yyyy-mm-dd);Discount to (yyyy-mm-dd);Reference #;Feature (Name:Value:Position)\n"
        f"1;1;Mug;Home,Kitchen;9,90;{amount};{percent};{dates};M-1;Material:Clay:1,Size:M:2\n",
    )
    assert (kind, left_out) == ("prestashop", [])
    former = Decimal("9.90") if price != "9.90" else None
    has(found["M-1"], price=f"{price} USD", former=former, attributes=[("Material", "Clay"), ("Size", "M")])


PORTUGUESE = (
    "ID,Tipo,SKU,Nome,Publicado,Descrição,Em estoque?,Estoque,Preço promocional,Preço,Categorias,Imagens,"
    'Nome do atributo 1,Valores do atributo 1\n1,simple,X,Caneca,1,x,1,10,"19,90","29,90",Casa > Cozinha,'
    "https://x.org/1.jpg,Cor,Azul\n"
)
POLISH = (
    "ID,Rodzaj,SKU,Nazwa,Opublikowano,Opis,W magazynie?,Stan magazynowy,Cena promocyjna,Cena,Kategorie,Obrazki,"
    'Nazwa atrybutu 1,Wartości atrybutu 1\n1,simple,X,Kubek,1,d,1,10,"19,90","29,90",Dom > Kuchnia,'
    "https://x.org/1.jpg,Kolor,Niebieski\n"
)


@pytest.mark.parametrize(
    ("text", "category", "attribute"),
    [(PORTUGUESE, "Casa > Cozinha", ("Cor", "Azul")), (POLISH, "Dom > Kuchnia", ("Kolor", "Niebieski"))],
)
def test_woocommerce_in_more_languages(says: Any, text: str, category: str, attribute: tuple[str, str]) -> None:
    """Like the others."""
    kind, found, _ = says("woo.csv", text)
    assert kind == "woocommerce"
    has(found["X"], price="19.90 USD", former=Decimal("29.90"), stock=10, category=category)
    has(found["X"], attributes=[attribute], images=["https://x.org/1.jpg"])


def test_another_systems_numbers_are_no_categories(says: Any) -> None:
    """BigCommerce's new export names categories by their ids."""
    _, found, _ = says(
        "big.csv",
        "Item,ID,Name,SKU,Inventory Tracking,Current Stock,Price,Categories\nProduct,1,Tee,TEE,none,0,20,18;19\n",
    )
    has(found["TEE"], category="", price="20.00 USD")
