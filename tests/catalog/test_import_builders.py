"""Exports of site builders, tills and feeds in other languages: variants, options, reductions, stocks by place."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from graph.catalog.exporting import Export
from graph.catalog.importing.batches import Batches
from graph.catalog.importing.importer import Told, import_products
from graph.catalog.importing.reading import ImportOptions, Products

if TYPE_CHECKING:
    from graph.catalog.importing.problems import Problem
    from graph.catalog.service import CatalogService

FILES = Path(__file__).with_name("imports")
SHIRT = {"name": "Linen Shirt", "description": "Soft", "brand": "Lino"}
CLOTHING = "Clothing > Shirts"
WANTED: dict[str, tuple[str, dict[str, dict[str, Any]]]] = {
    "wix.csv": (
        "wix",
        {
            "LS-S-R": {
                **SHIRT,
                "description": "Soft & light",
                "price": "44.91",
                "former": "49.9",
                "stock": 5,
                "group": "product_1",
                "category": "Shirts",
                "options": {"Size": "S", "Color": "Red"},
                "images": ["a1.jpg", "a2.jpg"],
            },
            "LS-M-B": {
                **SHIRT,
                "description": "Soft & light",
                "price": "49.41",
                "former": "54.9",
                "there": False,
                "group": "product_1",
                "category": "Shirts",
                "options": {"Size": "M", "Color": "Blue"},
                "images": ["a1.jpg", "a2.jpg"],
            },
            "MUG-1": {
                "name": "Mug",
                "description": "A mug",
                "price": "10",
                "former": "12",
                "stock": 7,
                "active": False,
                "category": "Kitchen",
                "images": ["m.jpg"],
            },
        },
    ),
    "squarespace.csv": (
        "squarespace",
        {
            "SQ100": {
                "name": "Linen Shirt",
                "description": "Soft",
                "price": "39.9",
                "former": "49.9",
                "stock": 5,
                "group": "5f1",
                "options": {"Size": "S"},
                "images": ["a.jpg", "b.jpg"],
                "category": "shirts",
                "attributes": [["tag", "linen"]],
            },
            "SQ101": {
                "name": "Linen Shirt",
                "description": "Soft",
                "price": "49.9",
                "stock": 0,
                "there": False,
                "group": "5f1",
                "options": {"Size": "M"},
                "images": ["a.jpg", "b.jpg"],
                "category": "shirts",
                "attributes": [["tag", "linen"]],
            },
            "SQ200": {
                "name": "Mug",
                "description": "A mug",
                "price": "12",
                "active": False,
                "images": ["m.jpg"],
                "category": "kitchen",
            },
        },
    ),
    "ecwid.csv": (
        "ecwid",
        {
            "EC-1-S": {
                **SHIRT,
                "price": "49.9",
                "former": "59.9",
                "stock": 5,
                "group": "EC-1",
                "category": CLOTHING,
                "options": {"Size": "S", "Color": "Red"},
                "images": ["a.jpg", "b.jpg"],
            },
            "EC-1-M": {
                **SHIRT,
                "price": "54.9",
                "former": "59.9",
                "stock": 0,
                "there": False,
                "group": "EC-1",
                "category": CLOTHING,
                "options": {"Size": "M", "Color": "Blue"},
                "images": ["a.jpg", "b.jpg"],
            },
            "EC-2": {
                "name": "Mug",
                "description": "A mug",
                "price": "12",
                "stock": 3,
                "active": False,
                "category": "Kitchen",
                "images": ["m.jpg"],
            },
        },
    ),
    "lightspeed.csv": (
        "lightspeed",
        {
            "10001": {
                **SHIRT,
                "price": "49.9",
                "stock": 8,
                "group": "linen-shirt",
                "options": {"Size": "S", "Color": "Red"},
                "category": CLOTHING,
                "attributes": [["tag", "linen"], ["tag", "new"]],
            },
            "10002": {
                **SHIRT,
                "price": "49.9",
                "stock": 0,
                "there": False,
                "group": "linen-shirt",
                "options": {"Size": "M", "Color": "Blue"},
                "category": CLOTHING,
                "attributes": [["tag", "linen"], ["tag", "new"]],
            },
            "10003": {"name": "Mug", "description": "A mug", "price": "12", "active": False, "category": "Kitchen"},
        },
    ),
    "opencart.csv": (
        "opencart",
        {
            "OC-1": {**SHIRT, "price": "49.9", "stock": 5, "gtin": "4006381333931", "images": ["a.jpg"]},
            "OC-2": {
                "name": "Mug",
                "description": "A mug",
                "price": "12",
                "stock": 0,
                "there": False,
                "active": False,
                "images": ["m.jpg"],
            },
        },
    ),
    "shift4shop.csv": (
        "shift4shop",
        {
            "S4-1": {
                **SHIRT,
                "price": "39.9",
                "former": "49.9",
                "stock": 5,
                "gtin": "4006381333931",
                "category": CLOTHING,
                "images": ["a.jpg", "b.jpg"],
            },
            "S4-2": {
                "name": "Mug",
                "description": "A mug",
                "price": "12",
                "stock": 3,
                "active": False,
                "category": "Kitchen",
                "images": ["m.jpg"],
            },
        },
    ),
    "merchant_de.tsv": (
        "merchant",
        {
            "G1": {
                "name": "Leinenhemd",
                "description": "Weich",
                "price": "39.9",
                "former": "49.9",
                "currency": "EUR",
                "brand": "Lino",
                "gtin": "4006381333931",
                "group": "HEMD",
                "images": ["a.jpg"],
                "options": {"color": "Rot", "size": "S"},
                "category": "Bekleidung > Hemden",
                "attributes": [["condition", "neu"]],
            },
            "G2": {
                "name": "Becher",
                "description": "Ein Becher",
                "price": "12",
                "currency": "EUR",
                "there": False,
                "category": "Küche",
                "images": ["m.jpg"],
                "attributes": [["condition", "neu"]],
            },
        },
    ),
    "amazon_flat_de.txt": (
        "amazon",
        {
            "HEMD-S": {
                "name": "Leinenhemd S",
                "price": "49.9",
                "stock": 5,
                "brand": "Lino",
                "gtin": "4006381333931",
                "group": "HEMD",
                "options": {"color": "Rot", "size": "S"},
                "images": ["s.jpg"],
                "category": "shirt",
            },
            "BECHER": {
                "name": "Becher",
                "price": "12",
                "stock": 0,
                "there": False,
                "images": ["m.jpg"],
                "category": "mug",
            },
        },
    ),
    "commercetools.json": (
        "plain",
        {
            "CT-S": {
                "name": "Linen Shirt",
                "description": "Soft",
                "price": "49.9",
                "currency": "EUR",
                "stock": 5,
                "group": "c1",
                "images": ["a.jpg"],
                "attributes": [["size", "S"], ["color", "Red"]],
            },
            "CT-M": {
                "name": "Linen Shirt",
                "description": "Soft",
                "price": "54.9",
                "currency": "EUR",
                "stock": 0,
                "there": False,
                "group": "c1",
                "attributes": [["size", "M"]],
            },
        },
    ),
}
LEFT_OUT = {"wix.csv": [(2, "The product that it belongs to is not above it.")]}
ABSENT = {"description": "", "currency": "USD", "former": None, "stock": None, "there": True, "active": True}


def read(path: Path) -> tuple[str, dict[str, dict[str, Any]], list[Problem]]:
    """The format of a file, its products with what differs from `ABSENT`, and its problems."""
    with Products(path, ImportOptions()) as products:
        batches = Batches(products)
        batch = batches.next()
        assert batch is not None
        assert batches.next() is None
        found = {change.sku: shown(change.values, change.path or (change.category,)) for change in batch.changes}
        return products.found.format, found, batch.problems


def shown(values: dict[str, Any], path: tuple[str | None, ...]) -> dict[str, Any]:
    """A product as the tests tell it."""
    former = values.get("compare_at_price")
    told = {
        **{name: values.get(name, "") for name in ("name", "description", "currency")},
        "price": f"{(Decimal(values['price']) / 10_000).normalize():f}",
        "former": None if former is None else f"{(Decimal(former) / 10_000).normalize():f}",
        "stock": values["stock"] if values.get("tracked") else None,
        "there": values.get("in_stock", True),
        "active": values.get("active", True),
        "group": values.get("group_id"),
        "brand": values.get("brand"),
        "gtin": values.get("gtin"),
        "options": dict(json.loads(values.get("options", "[]"))),
        "images": [url.rpartition("/")[2] for url, _ in json.loads(values.get("images", "[]"))],
        "attributes": json.loads(values.get("attributes", "[]")),
        "category": " > ".join(name for name in path if name),
    }
    absent = ABSENT | dict.fromkeys(("group", "brand", "gtin"))
    return {name: value for name, value in told.items() if (value or name in ABSENT) and absent.get(name, ...) != value}


@pytest.mark.parametrize("name", WANTED)
def test_each_file_becomes_its_products(name: str) -> None:
    """The format is recognised; the products are those of the file, and rows that cannot be taken are reported."""
    form, products, problems = read(FILES / name)
    assert (form, products) == WANTED[name]
    assert [(problem.line, problem.reason) for problem in problems] == LEFT_OUT.get(name, [])


async def test_what_they_give_is_exported_and_imported_again(catalog: CatalogService, tmp_path: Path) -> None:
    """Neither the same files again nor the exported one change anything."""
    problems: list[Problem] = []
    for name, (_, products) in WANTED.items():
        for again in (False, True):
            done = await import_products(catalog, FILES / name)
            assert (done.created, done.updated) == (0 if again else len(products), 0)
    path = tmp_path / "products.csv"
    path.write_bytes(b"".join([piece async for piece in Export(catalog.database, "csv").pieces()]))
    done = await import_products(catalog, path, told=Told(problem=problems.append))
    assert (done.created, done.updated, problems) == (0, 0, [])
    assert done.unchanged == sum(len(products) for _, products in WANTED.values())
