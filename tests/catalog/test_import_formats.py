"""Other programs' exports: each file becomes the right products, and whatever is left out is reported."""

from __future__ import annotations

import csv
import io
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from graph.catalog.exporting import Export
from graph.catalog.importing.formats import FORMATS
from graph.catalog.importing.importer import Report, Told, import_products
from graph.catalog.importing.reading import ImportOptions
from graph.catalog.records import decimal_of

if TYPE_CHECKING:
    from graph.catalog.exporting import Form
    from graph.catalog.importing.problems import Problem
    from graph.catalog.service import CatalogService

FILES = Path(__file__).with_name("imports")
NUMBERED = ImportOptions(columns={"sku": "1", "name": "2", "price": "3", "stock": "4"})
D = Decimal


async def taken(
    catalog: CatalogService, name: str | Path, options: ImportOptions | None = None
) -> tuple[Report, list[Problem]]:
    """Import a file; gives how it went and what was complained of."""
    problems: list[Problem] = []
    told = Told(problem=problems.append)
    return await import_products(catalog, FILES / name, options, told=told), problems


async def stored(catalog: CatalogService) -> dict[str, dict[str, Any]]:
    """All products by sku, with what tests look at."""
    found: dict[str, dict[str, Any]] = {}
    shelves = {one.category.id: one.category for one in await catalog.categories()}

    def path(number: int | None) -> str:
        if number is None:
            return ""
        above = path(shelves[number].parent_id)
        return f"{above} > {shelves[number].name}" if above else shelves[number].name

    out = io.StringIO((b"".join([piece async for piece in Export(catalog.database, "csv").pieces()])).decode())
    skus = [row["sku"] for row in csv.DictReader(out)]
    for sku, product in (await catalog.products_by_sku(skus)).items():
        found[sku] = {
            "name": product.name,
            "price": product.price,
            "currency": product.currency,
            "former": product.compare_at_price,
            "stock": product.stock,
            "there": product.in_stock,
            "active": product.active,
            "group": product.group_id,
            "options": dict(product.options),
            "images": [image.url.rpartition("/")[2] for image in product.images],
            "category": path(product.category.id if product.category else None),
            "brand": product.brand,
            "gtin": product.gtin,
            "attributes": [tuple(pair) for pair in product.attributes],
            "description": product.description,
        }
    return found


def expected(name: str, price: str, **told: Any) -> dict[str, Any]:
    """A product that has what is told, and else nothing."""
    return {
        "name": name,
        "price": D(price),
        "currency": "USD",
        "former": None,
        "stock": None,
        "there": True,
        "active": True,
        "group": None,
        "options": {},
        "images": [],
        "category": "",
        "brand": None,
        "gtin": None,
        "attributes": [],
        "description": "",
        **told,
    }


SHIRT = {
    "former": D("59.90"),
    "group": "linen-shirt",
    "brand": "Northwind",
    "category": "Apparel & Accessories > Clothing > Shirts",
    "attributes": [("tag", "summer"), ("tag", "linen")],
    "description": "Light linen,\nwashed & soft.",
}
PICTURES = ["ls-1.jpg", "ls-2.jpg", "ls-3.jpg"]
HOODIE = {"group": "HOODIE", "category": "Clothing > Hoodies", "description": "Warm.\nHeavy cotton."}
WOO = {
    "HOODIE-BLUE": expected(
        *("Hoodie - Blue", "42.00"), former=D(45), stock=12, options={"Colour": "Blue"}, images=["hb.jpg"], **HOODIE
    ),
    "HOODIE-GREEN": expected(
        *("Hoodie - Green", "45.00"), options={"Colour": "Green"}, images=["h1.jpg", "h2.jpg"], **HOODIE
    ),
    "CAP": expected(
        "Cap", "15.50", there=False, active=False, category="Clothing > Accessories", description="One size"
    ),
}
WANTED: dict[str, dict[str, dict[str, Any]]] = {
    "shopify.csv": {
        "LS-S-W": expected(
            *("Linen Shirt", "49.90"), stock=7, options={"Size": "S", "Colour": "White"}, images=PICTURES, **SHIRT
        ),
        "LS-M-W": expected(
            *("Linen Shirt", "49.90"),
            stock=0,
            there=False,
            options={"Size": "M", "Colour": "White"},
            images=PICTURES,
            **SHIRT,
        ),
        "GC-25": expected("Gift Card", "25.00", category="Gift", brand="Northwind"),
        "MUG-01": expected(
            *("Old Mug", "8.50"),
            stock=0,
            there=False,
            active=False,
            category="Mug",
            brand="Northwind",
            description="- 350 ml",
        ),
        "no-sku": expected("Sticker", "1.00", active=False),
    },
    "shopify_aligned.csv": {
        "LS-S-W": expected(
            *("Linen Shirt", "49.90"), stock=7, options={"Size": "S", "Colour": "White"}, images=PICTURES[:2], **SHIRT
        ),
        "LS-M-W": expected(
            *("Linen Shirt", "49.90"),
            stock=0,
            there=False,
            options={"Size": "M", "Colour": "White"},
            images=PICTURES[:2],
            **SHIRT,
        ),
    },
    "woocommerce.csv": WOO,
    "woocommerce.csv.gz": WOO,
    "woocommerce_utf16.csv": WOO,
    "magento.csv": {
        "24-MB01": expected(
            *("Day Bag", "34.00"),
            stock=100,
            category="Gear > Bags",
            images=["mb01.jpg"],
            description="Carries it all.",
            attributes=[("material", "Nylon"), ("style_bags", "Messenger")],
        ),
        "WSH12-28-Red": expected(
            *("Run Short-28-Red", "45.00"),
            stock=12,
            group="WSH12",
            options={"size": "28", "color": "Red"},
            category="Women > Shorts",
        ),
    },
    "prestashop.csv": {
        "demo_11": expected(
            *("Ceramic Cup", "11.90"),
            stock=300,
            category="Accessories",
            gtin="4006381333931",
            description="Glazed.",
            images=["c1.jpg", "c2.jpg"],
        ),
        "demo_8": expected("Notebook", "12.90", active=False, category="Stationery"),
    },
    "bigcommerce.csv": {
        "OTL": expected(
            *("Oak Tray", "49.00"),
            former=D(60),
            stock=15,
            group="OTL",
            brand="Common Good",
            category="Kitchen > Trays",
            gtin="4006381333931",
            images=["tray.jpg"],
            description="Oak, oiled.",
        ),
        "OTL-L": expected(
            *("Oak Tray", "59.00"),
            stock=3,
            group="OTL",
            options={"Size": "Large"},
            brand="Common Good",
            category="Kitchen > Trays",
            images=["tray.jpg"],
            description="Oak, oiled.",
        ),
        "SOAP": expected("Soap", "9.50", active=False, category="Bath"),
    },
    "merchant.tsv": {
        "TDDY123": expected(
            *("Teddy Bear", "252.00"),
            currency="AED",
            former=D(352),
            brand="Plush",
            category="Toys > Bears",
            images=["t.jpg", "t2.jpg", "t3.jpg"],
            attributes=[("condition", "new")],
            description="Soft, brown.",
        ),
        "SHOE-42": expected(
            *("Trail Shoe", "1480.50"),
            there=False,
            brand="Ridge",
            category="Shoes > Trail",
            group="SHOE",
            options={"color": "Black", "size": "42"},
        ),
        "SHOE-43": expected(
            *("Trail Shoe", "1480.50"),
            there=False,
            brand="Ridge",
            category="Shoes > Trail",
            group="SHOE",
            options={"color": "Black", "size": "43"},
            attributes=[("availability", "preorder")],
        ),
    },
    "etsy_it.csv": {
        "VASO-1": expected(
            *("Vaso in ceramica", "65.00"),
            currency="EUR",
            stock=1,
            images=["v1.jpg"],
            description="Fatto a mano,\ncotto a legna.",
            attributes=[("material", "gres"), ("tag", "vaso"), ("tag", "ceramica")],
        ),
    },
    "kasse_cp1252.csv": {
        "1001": expected("Käsespätzle, groß", "8.90", stock=12, category="Küche"),
        "1002": expected("Pfand 0,25 €", "0.25", stock=0, there=False, category="Pfand"),
        "1003": expected("Großgebinde Öl", "1249.00", stock=0, there=False, category="Vorrat"),
    },
    "demo_api.json": {
        "BEA-1": expected(
            *("Mascara", "9.99"),
            stock=99,
            brand="Essence",
            category="Beauty",
            images=["m1.webp", "m0.webp"],
            attributes=[("tag", "beauty")],
            description="Black.",
        ),
        "BEA-2": expected("Palette", "1480.00", stock=0, there=False, category="men's clothing"),
    },
    "nested.jsonl": {
        "KB-1": expected("Sofa", "1199.00", former=D(1222), stock=4, description="Grey."),
        "KB-2": expected("Lamp", "22.50"),
    },
    "square.csv": {
        "TEA-S": expected(
            *("Green Tea", "4.50"),
            stock=15,
            group="tea",
            options={"Size": "Small"},
            category="Drinks",
            gtin="4006381333931",
            description="Fine tea",
        ),
        "TEA-L": expected(
            *("Green Tea", "6.50"),
            former=D(8),
            stock=0,
            there=False,
            group="tea",
            options={"Size": "Large"},
            category="Drinks",
            description="Fine tea",
        ),
        "TOKEN3": expected("Mug", "12.00", active=False, category="Kitchen", description="A mug"),
    },
    "ebay.csv": {
        "CAM-1": expected(
            *("Old camera", "139.99"),
            currency="GBP",
            stock=3,
            category="Film Cameras",
            gtin="036000291452",
            attributes=[("condition", "Used")],
        ),
        "TS-M-R": expected(
            *("Shirt", "15.00"),
            currency="GBP",
            stock=2,
            group="110000000002",
            options={"Size": "M", "Colour": "Red"},
            category="Shirts",
            gtin="4006381333931",
        ),
        "TS-L-R": expected(
            *("Shirt", "16.00"),
            currency="GBP",
            stock=0,
            there=False,
            group="110000000002",
            options={"Size": "L", "Colour": "Red"},
            category="Shirts",
        ),
        "110000000003": expected(
            "Lens", "25.00", currency="GBP", stock=1, category="Lenses", attributes=[("condition", "New")]
        ),
    },
    "amazon_flat.txt": {
        "SH-R": expected(
            *("Shirt Red", "19.99"),
            stock=4,
            group="SH",
            options={"color": "Red"},
            images=["r.jpg"],
            category="Shirt",
            brand="Acme",
            gtin="4006381333931",
            description="Nice",
        ),
        "CAP": expected(
            "Cap", "9.50", stock=0, there=False, category="Cap", brand="Acme", attributes=[("color", "Blue")]
        ),
    },
    "amazon_listings.txt": {
        "YM-1": expected("Yoga Mat", "19.99", stock=10, description="Soft"),
        "YB-1": expected("Block", "9.99", active=False, description="Cork"),
    },
    "bigcommerce_v3.csv": {
        "APR-R": expected(
            *("Apron", "49"),
            stock=12,
            group="APR",
            options={"Colour": "Red"},
            images=["apron.jpg"],
            category="Kitchen > Linen",
            description="Linen",
        ),
    },
    "jtl.csv": {
        "JT-1": expected(
            *("Schal", "29.95"),
            former=D("39.95"),
            stock=12,
            images=["s1.jpg", "s2.jpg"],
            category="Kleidung > Winter > Schals",
            brand="Wollwerk",
            gtin="4006381333931",
            description="Weich",
        ),
        "JT-2-R": expected(
            *("Mütze rot", "1019.90"),
            stock=0,
            there=False,
            group="JT-2",
            options={"Farbe": "Rot"},
            category="Kleidung > Winter",
            brand="Wollwerk",
        ),
    },
    "orderbird.csv": {
        "101": expected("Espresso", "2.40", currency="EUR", category="Getränke > Heiß"),
        "102": expected("Brezel", "0.85", currency="EUR", category="Backwaren"),
    },
    "woocommerce_api.json": {
        "WR-1": expected(
            *("Ship", "18.00"),
            former=D("21.99"),
            stock=4,
            active=False,
            images=["ship.jpg"],
            category="Posters",
            attributes=[("Color", "Black"), ("Color", "Green"), ("tag", "new")],
            description="A ship",
        ),
    },
    "pipes.csv": {
        "P-1": expected("Bolt M8", "0.12", stock=5000),
        "P-2": expected("Nut | M8", "0.08", stock=9000),
    },
    "headerless.csv": {
        "ARTICLE-127": expected("Trousers", "19.99", stock=0, there=False),
        "ARTICLE-128": expected("Shirt", "29.99", stock=50),
    },
}
LEFT_OUT = {
    "etsy_it.csv": [(4, "A sku is needed")],
    "square.csv": [(5, "A price is a number")],
    "amazon_flat.txt": [(6, "A price is a number")],
    **{key: [(6, "needs a price")] for key in ("woocommerce.csv", "woocommerce.csv.gz", "woocommerce_utf16.csv")},
}
OPTIONS = {"headerless.csv": NUMBERED}


@pytest.mark.parametrize(
    "database_url", ["sqlite", pytest.param("postgres", marks=pytest.mark.heavy)], indirect=True
)  # what is exported below was imported from the same files, into both
@pytest.mark.parametrize("name", WANTED)
async def test_each_file_becomes_its_products(catalog: CatalogService, name: str) -> None:
    """Prices, currencies, stocks, groups, images and categories are those of the file; bad rows are reported."""
    report, problems = await taken(catalog, name, OPTIONS.get(name))
    assert await stored(catalog) == WANTED[name]
    left_out = LEFT_OUT.get(name, [])
    assert [
        (problem.line, reason in problem.reason) for problem, (_, reason) in zip(problems, left_out, strict=True)
    ] == [(line, True) for line, _ in left_out]
    assert report.rows == report.created + report.merged + report.bad
    again, _ = await taken(catalog, name, OPTIONS.get(name))
    assert (again.created, again.updated, again.unchanged) == (0, 0, report.created)


async def written(catalog: CatalogService, form: Form) -> bytes:
    """The catalog as a file."""
    return b"".join([piece async for piece in Export(catalog.database, form).pieces()])


async def test_what_is_exported_is_imported(catalog: CatalogService, tmp_path: Path) -> None:
    """What the files gave is exported and imported again: nothing changes, an empty catalog gives the same bytes."""
    for name in WANTED:
        await taken(catalog, name, OPTIONS.get(name))
    before = await stored(catalog)
    forms: tuple[Form, ...] = ("csv", "json", "ndjson")
    for form in forms:
        content = await written(catalog, form)
        path = tmp_path / f"products.{form}"
        path.write_bytes(content)
        report, problems = await taken(catalog, path)
        assert report.found is not None
        assert report.found.format == "graph"
        assert (report.created, report.updated, problems) == (0, 0, [])
        assert await written(catalog, form) == content
        assert await stored(catalog) == before

        async with catalog.database.transaction() as session:
            for table in ("product", "category"):
                await session.execute(text(f"DELETE FROM {table}"))
        await catalog.outdate()
        report, problems = await taken(catalog, path)
        assert (report.created, problems) == (len(before), [])
        assert await written(catalog, form) == content
        assert await stored(catalog) == before


def test_the_formats_are_told_apart() -> None:
    """No sign of a format is a sign of another one, so that the order in which they are tried does not matter."""
    for known in FORMATS.values():
        for sign in known.signs:
            keys = frozenset(column for column in sign)
            best = max(FORMATS.values(), key=lambda one: one.recognises(frozenset(map(_key, keys))))
            assert best is known, sign


def _key(column: str) -> str:
    from graph.catalog.importing.formats.base import key

    return key(column)


def test_prices_are_kept_exactly() -> None:
    """What is stored of a price is told with the decimals of its currency."""
    assert str(decimal_of(12_490_000, "EUR")) == "1249.00"
