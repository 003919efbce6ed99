"""Importing files: what is read, what is refused, and what it costs."""

from __future__ import annotations

import asyncio
import gzip
import io
import itertools
import json
import os
import subprocess
import sys
import threading
import zipfile
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.engine import make_url

from graph.catalog import writing
from graph.catalog.importing import bulk, importer
from graph.catalog.importing.batches import Batches
from graph.catalog.importing.files import container, documents
from graph.catalog.importing.formats.plain import PLAIN
from graph.catalog.importing.importer import Report, Told, import_products
from graph.catalog.importing.meaning import Reading
from graph.catalog.importing.problems import Problem, Row, Unreadable
from graph.catalog.importing.reading import Products
from graph.catalog.models import EVENTS, PRODUCTS
from graph.catalog.reading.paging import Filter, PageRequest
from graph.catalog.service import CatalogService
from graph.patterns.cache import Cache
from graph.patterns.client import RedisUnavailable, open_client
from harness.valkey import ValkeyServer
from harness.waiting import HANG, until
from tests.support.apps.products import START, add_categories, new
from tests.support.engines.statements import statements

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from graph.catalog.records import ProductRecord
    from graph.engines.database import Database

HEADER = "sku,name,description,category,price,currency,stock,active\n"


class Import:
    """Imports texts and keeps the complaints."""

    def __init__(self, catalog: CatalogService, folder: Path) -> None:
        self.catalog = catalog
        self.folder = folder
        self.problems: list[Problem] = []

    async def __call__(
        self,
        content: str | bytes,
        kind: str = "csv",
        on_progress: Callable[[Report], None] = lambda _: None,
        **options: Any,
    ) -> Report:
        """Import a file of this content."""
        path = self.folder / f"products.{kind}"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        self.problems = []
        told = Told(on_progress, self.problems.append)
        return await import_products(self.catalog, path, told=told, **options)

    async def product(self, sku: str) -> ProductRecord:
        """A product that must be there."""
        return (await self.catalog.products_by_sku([sku]))[sku]

    @property
    def reasons(self) -> dict[int, str]:
        """The complaints by line."""
        return {problem.line: problem.reason for problem in self.problems}


@pytest.fixture
def imported(catalog: CatalogService, tmp_path: Path) -> Import:
    """Import into an empty catalog."""
    return Import(catalog, tmp_path)


def numbers(report: Report) -> tuple[int, int, int, int]:
    """What was created, updated, left alone, refused."""
    return report.created, report.updated, report.unchanged, report.bad


LAMP = {
    "sku": "A",
    "name": "Lamp",
    "description": 'Warm, "soft"\nlight',
    "category": "home-decor",
    "price": "19.90",
    "currency": "EUR",
    "stock": 7,
    "active": False,
}


@pytest.mark.parametrize("kind", ["csv", "tsv", "ndjson", "json"])
async def test_the_formats_say_the_same(imported: Import, kind: str) -> None:
    """One product means the same in every format, with or without a byte order mark, and categories are made."""
    cells = [str(value) for value in LAMP.values()]
    cells[2] = '"Warm, ""soft""\nlight"'
    comma = "\t" if kind == "tsv" else ","
    content = {
        "ndjson": json.dumps(LAMP) + "\n\n",
        "json": json.dumps([LAMP], indent=2),
    }.get(kind, comma.join(LAMP) + "\n" + comma.join(cells) + "\n")
    assert numbers(await imported(content, kind)) == (1, 0, 0, 0)
    product = await imported.product("A")
    assert (product.name, product.description, product.stock) == ("Lamp", LAMP["description"], 7)
    assert (product.price, product.currency, product.active) == (Decimal("19.90"), "EUR", False)
    assert product.category is not None
    assert (product.category.slug, product.category.name) == ("home-decor", "Home decor")
    assert numbers(await imported(b"\xef\xbb\xbf" + content.encode(), kind)) == (0, 0, 1, 0)


async def test_an_import_can_be_repeated(imported: Import) -> None:
    """Importing again changes nothing: no row, no time, no event, and nothing that is cached."""
    rows = "".join(f"S{i},Product {i},,books,{i}.50,USD,1,true\n" for i in range(30))
    assert numbers(await imported(HEADER + rows)) == (30, 0, 0, 0)
    before = await imported.product("S7")
    assert numbers(await imported(HEADER + rows)) == (0, 0, 30, 0)
    assert await imported.product("S7") == before
    assert numbers(await imported(HEADER + rows.replace("S7,Product", "S7,Renamed"))) == (0, 1, 29, 0)
    after = await imported.product("S7")
    assert after.name == "Renamed 7"
    assert after.updated_at > before.updated_at
    async with imported.catalog.database.session() as session:
        assert await session.scalar(select(func.count()).select_from(EVENTS)) == 31


async def test_what_a_file_does_not_say_stays(imported: Import) -> None:
    """A column that is absent or blank keeps its value, JSON's null ends a category, unknown columns are ignored."""
    await imported(HEADER + "A,Lamp,Warm,books,5,EUR,3,false\n")
    assert numbers(await imported("SKU ;Stock;colour\nA;9;red\n")) == (0, 1, 0, 0)
    product = await imported.product("A")
    assert (product.stock, product.name, product.currency, product.active) == (9, "Lamp", "EUR", False)
    assert numbers(
        await imported('{"sku": "A", "category": null}\n{"sku": "B", "name": "B", "price": 1}', "ndjson")
    ) == (*(1, 1, 0, 0),)
    assert (await imported.product("A")).category is None
    assert ((await imported.product("B")).stock, (await imported.product("B")).in_stock) == (None, True)
    assert numbers(await imported(HEADER + "B,,,,,,,\n")) == (0, 0, 1, 0)
    assert numbers(await imported('[{"sku": "A", "price": {"amount": "7.5", "currency": "USD"}}]', "json")) == (
        0,
        1,
        0,
        0,
    )
    assert (await imported.product("A")).price == Decimal("7.50")


async def test_each_event_of_an_import(imported: Import) -> None:
    """Every created or changed product leaves an event with its shelves, marked as one of a bulk write."""
    await imported("sku,name,price,category\nA,A,1,books\nB,B,1,\n")
    await imported("sku,category\nA,toys\nB,books\n")
    await imported("sku,category\nA,toys\nB,books\n")
    columns = (EVENTS.c.kind, EVENTS.c.category, EVENTS.c.previous_category)
    async with imported.catalog.database.session() as session:
        found = [tuple(row) for row in await session.execute(select(*columns).order_by(EVENTS.c.id))]
        assert set(await session.scalars(select(EVENTS.c.bulk))) == {True}
    assert found == [
        ("CREATED", "books", None),
        ("CREATED", None, None),
        ("UPDATED", "toys", "books"),
        ("UPDATED", "books", None),
    ]


async def test_bad_rows_are_named(imported: Import) -> None:
    """Each bad row is reported with its line and its reason; the good rows around it go in."""
    content = (
        HEADER.encode()
        + "A,Gööööööööööööööood,,,1.50,USD,1,true\n".encode()
        + b"B,,,,1,USD,1,true\n"
        + b"C,Cheap,,,-1,USD,1,true\n"
        + b"D,Dear,,,1.999,USD,1,true\n"
        + b"E,Few,,,1,USD,x,true\n"
        + b"F,Maybe,,,1,USD,1,maybe\n"
        + b"G,Short\n"
        + b"H,\xff\xfe,,,1,USD,1,true\n"
        + b"A,Again,,,2,USD,1,true\n"
        + b"I,Shelf,,"
        + b"x" * 201
        + b" y,1,USD,1,true\n"
        + b'J,"Two\nlines",,,1,USD,1,true\n'
        + b'K,"Quo"te,,,1,USD,1,true\n'
        + b"\n"
        + b'"L,M",Two,,,1,USD,1,true\n'
        + b"N,Nul\0,,,1,USD,1,true\n"
        + b"Z,Last,,,1,USD,1,true\n"
        + b'Y,"never closed,,,1,USD,1,true\n'
    )
    report = await imported(content)
    assert numbers(report) == (3, 0, 0, 13)
    assert report.rows == 16
    assert (await imported.product("A")).name.startswith("Gö")
    assert (await imported.product("J")).name == "Two lines"
    assert (await imported.product("Z")).name == "Last"
    assert list(imported.reasons) == [3, 4, 5, 6, 7, 8, 9, 10, 11, 14, 16, 17, 19]
    for line, piece in {
        3: "needs a name",
        4: "not negative",
        5: "at most 2 decimals",
        6: "whole number",
        7: "true or false",
        8: "needs a price",
        9: "not valid UTF-8",
        10: "was on line 2 already",
        11: "category's name",
        14: "Not CSV",
        16: "A sku has at most",
        17: "U+0000",
        19: "Not CSV",
    }.items():
        assert piece in imported.reasons[line]


async def test_bad_json_rows_are_named(imported: Import) -> None:
    """JSON rows that are no objects, do not parse, nest too deep or hold the wrong types are reported by line."""
    good = '{"sku": "A", "name": "A", "price": 1}'
    lines = [
        good,
        "[1]",
        "{",
        '{"sku": "B", "name": "B", "price": NaN}',
        '{"sku": "C", "name": 7, "price": 1}',
        "[" * 100_000,
    ]
    lines += ['{"sku": "D", "name": "\\ud800", "price": 1}', '{"sku": "E", "name": "E", "price": 1e999999}']
    lines += ['{"sku": "F", "name": "F", "price": ' + "9" * 5000 + "}", '{"sku": "G", "name": "G", "price": true}']
    lines += ['{"sku": 12, "name": "Twelve", "price": 0.1}', "null", '{"sku": "H", "name": "H", "price": "a lot"}']
    assert numbers(await imported("\n".join(lines), "ndjson")) == (2, 0, 0, 11)
    assert list(imported.reasons) == [2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 13]
    assert (await imported.product("12")).price == Decimal("0.10")

    array = f'[\n{good.replace("A", "Q")},\n7,\n{{"sku": oops}},\n{{"sku": "R",\n "name": "R", "price": -1}},\n{good}]'
    assert numbers(await imported(array, "json")) == (1, 0, 1, 3)
    assert list(imported.reasons) == [3, 4, 5]


@pytest.mark.parametrize("kind", ["csv", "ndjson", "json"])
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # no engine is given any of it
async def test_giant_cells(imported: Import, kind: str, scaled: Callable[[int, int], int]) -> None:
    """A cell of megabytes, on one line or many, is one bad row; rows after it are read, and memory is not filled."""
    size = scaled(10, 2) << 20
    for filler in ("x" * size, 'line "" of text\n' * (size // 16), "y" * 200_000):
        bad = {"sku": "BIG", "name": "Big", "price": "1", "description": filler}
        good = {"sku": "A", "name": "Good", "price": "1", "description": ""}
        if kind == "csv":
            cell = '"' + filler + '"'
            content = f"sku,name,price,description\nA,Good,1,\nBIG,Big,1,{cell}\nB,Good,1,\n"
        elif kind == "ndjson":
            content = "\n".join(json.dumps(row) for row in (good, bad, good | {"sku": "B"}))
        else:
            content = json.dumps([good, bad, good | {"sku": "B"}])
        report = await imported(content, kind)
        assert (report.bad, report.rows) == (1, 3)
        assert report.created + report.unchanged == 2
        assert list(imported.reasons) == [3 if kind == "csv" else 2 if kind == "ndjson" else 1]
        assert "longer than" in imported.problems[0].reason or "at most 10,000" in imported.problems[0].reason


@pytest.mark.parametrize(
    ("content", "kind", "reason"),
    [
        ("", "csv", "must name the columns"),
        ("name,price\nA,1\n", "csv", "it has name, price"),
        ("colour,size\nred,1\n", "csv", "must name the columns"),
        ("", "json", "must hold a JSON array"),
        ('{"sku": "A"}', "json", "holds no array of objects"),
        ('[{"sku": "A"}', "json", "line 1: Expected a comma"),
        ('[{"sku": "A"} {"sku": "B"}]', "json", "Expected a comma"),
        ('[{"sku": "A"},\n', "json", "line 2: Not JSON"),
        ("[]\n[]", "json", "line 2: Something follows"),
        ("[nope]", "json", "line 1: Not JSON"),
    ],
)
async def test_files_that_cannot_be_read(imported: Import, content: str | bytes, kind: str, reason: str) -> None:
    """What is no product file at all is refused with the reason."""
    with pytest.raises(Unreadable, match=reason):
        await imported(content, kind)


@cache
def bomb(kind: str, line: bytes) -> bytes:
    """A gzip or zip file that unpacks to 16 MiB of `line`."""
    piece = line * ((1 << 18) // len(line))
    return packed(kind, itertools.chain([b"sku,name,price\n"], itertools.repeat(piece, 64)))


def packed(kind: str, parts: Iterable[bytes]) -> bytes:
    """A gzip or zip file that unpacks to `parts`."""
    out = io.BytesIO()
    if kind == "gz":
        with gzip.GzipFile(fileobj=out, mode="wb") as file:
            file.writelines(parts)
    else:
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("products.csv", "w") as member:
            member.writelines(parts)
    return out.getvalue()


@pytest.mark.parametrize("kind", ["gz", "zip"])
@pytest.mark.parametrize("line", [b"A,Lamp,5\n", b" ", b'"'], ids=["rows", "a cell", "a quote that never ends"])
async def test_a_small_file_that_unpacks_to_an_enormous_one_is_refused(
    imported: Import, monkeypatch: pytest.MonkeyPatch, kind: str, line: bytes
) -> None:
    """It is read no further than a file of products of its size could be long, whatever it unpacks to."""
    monkeypatch.setattr(container, "_GRACE", 1 << 20)
    with pytest.raises(Unreadable, match="too much for a file of products"):
        await imported(bomb(kind, line), f"csv.{kind}")
    for bad in (b"\x1f\x8b" + b"x" * 100, packed(kind, [b"sku,name,price\nA,Lamp,5\n"])[:-12]):
        with pytest.raises(Unreadable):
            await imported(bad, f"csv.{kind}")


async def test_a_file_is_not_closed_under_the_thread_that_reads_it(
    imported: Import, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cancelled while the next rows are read, however often, an import ends when these are read."""
    reading, go = threading.Event(), threading.Event()
    order: list[str] = []
    read, close = Batches.next, Products.close

    def slowly(self: Batches) -> Any:
        reading.set()
        go.wait(HANG)
        try:
            return read(self)
        finally:
            order.append("read")

    def noted(self: Products) -> None:
        order.append("closed")
        close(self)

    monkeypatch.setattr(Batches, "next", slowly)
    monkeypatch.setattr(Products, "close", noted)
    importing = asyncio.create_task(imported("sku,name,price\nA,Lamp,5\n"))
    try:
        await until(reading.is_set)
        for _ in range(3):
            importing.cancel()
            await asyncio.wait((importing,), timeout=0.02)
    finally:
        go.set()
    await asyncio.gather(importing, return_exceptions=True)
    assert importing.cancelled()
    await until(lambda: len(order) == 2)
    assert order == ["read", "closed"]


async def test_what_came_before_the_break_is_in(imported: Import) -> None:
    """A file that ends in the middle gives what it has; with strict it gives nothing."""
    broken = '[{"sku": "A", "name": "A", "price": 1},\n{"sku": "B"'
    with pytest.raises(Unreadable):
        await imported(broken, "json", strict=True)
    assert await imported.catalog.products_by_sku(["A"]) == {}
    with pytest.raises(Unreadable, match="line 2"):
        await imported(broken, "json")
    assert (await imported.product("A")).name == "A"


async def test_strict_is_all_or_nothing(imported: Import, monkeypatch: pytest.MonkeyPatch) -> None:
    """With strict one bad row anywhere, be it in the last batch, leaves the catalog as it was."""
    monkeypatch.setattr(bulk, "BATCH", 10)
    rows = "".join(f"S{i},Product {i},,new-shelf,1,USD,1,true\n" for i in range(35))
    for bad in ("S1,Again,,,1,USD,1,true\n", "X,,,,1,USD,1,true\n"):
        report = await imported(HEADER + rows + bad, strict=True)
        assert (report.refused, report.bad, report.rows) == (True, 1, 36)
        assert list(imported.reasons) == [37]
    assert await imported.catalog.count(Filter(include_inactive=True)) == 0
    assert await imported.catalog.categories() == ()
    assert (await imported("sku,price\nS0,1\n", strict=True)).refused  # a new product without a name
    report = await imported(HEADER + rows, strict=True)
    assert (report.refused, numbers(report)) == (False, (35, 0, 0, 0))


async def seen_after_each_batch(imported: Import, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int, int]]:
    """Import 35 products, ten a batch; how many a page, skus and shelves show before, after each batch, and after."""
    monkeypatch.setattr(bulk, "BATCH", 10)
    catalog = imported.catalog
    await add_categories(catalog.database, "books")
    seen: list[tuple[int, int, int]] = []
    sku_page = PageRequest.of(first=100)

    async def look() -> None:
        page, shelves = await catalog.page(sku_page), await catalog.categories()
        there = await catalog.products_by_sku([f"S{i}" for i in range(35)])
        assert await catalog.count(Filter()) == len(page.edges) == len(there)
        seen.append((len(page.edges), len(there), shelves[0].products))

    await look()
    write = bulk.write
    previous = 0

    async def write_and_look(*arguments: Any, **options: Any) -> bulk.BatchOutcome:
        nonlocal previous
        if previous:
            await look()
        outcome = await write(*arguments, **options)
        previous = outcome.created
        return outcome

    monkeypatch.setattr(bulk, "write", write_and_look)
    await imported(HEADER + "".join(f"S{i},Product {i},,books,1,USD,1,true\n" for i in range(35)))
    await look()
    return seen


async def test_an_import_is_seen_when_it_ends(imported: Import, monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches leave what is cached alone; once it has ended, pages, counts and missing skus are the database's."""
    assert await seen_after_each_batch(imported, monkeypatch) == [*[(0, 0, 0)] * 4, (35, 35, 35)]


async def test_a_long_import_is_seen_on_its_way(imported: Import, monkeypatch: pytest.MonkeyPatch) -> None:
    """At each milestone what is cached becomes what is committed by then."""
    monkeypatch.setattr(bulk, "MILESTONE", 0.0)
    seen = await seen_after_each_batch(imported, monkeypatch)
    assert seen == [(0, 0, 0), (10, 10, 10), (20, 20, 20), (30, 30, 30), (35, 35, 35)]


async def test_a_repeated_import_outdates_what_it_finds_done(imported: Import) -> None:
    """The second attempt finds every row written by the first, which was killed: readers see them after it."""
    assert await imported.catalog.products_by_sku(["A"]) == {}
    change = Reading(PLAIN, {"sku", "name", "price"}).change_of({"sku": "A", "name": "A", "price": "1"})
    await bulk.write(imported.catalog, [change])  # committed by somebody who died then
    assert await imported.catalog.products_by_sku(["A"]) == {}
    assert numbers(await imported("sku,name,price\nA,A,1\n")) == (0, 0, 1, 0)
    assert "A" in await imported.catalog.products_by_sku(["A"])


async def test_a_failed_import_shows_what_it_has_written(imported: Import, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that breaks off, or a cancellation, ends the write like success does: what is in is seen."""
    monkeypatch.setattr(bulk, "BATCH", 2)
    rows = [json.dumps({"sku": sku, "name": "P", "price": 1}) for sku in "ABCD"]
    assert await imported.catalog.products_by_sku(list("ABCD")) == {}
    with pytest.raises(Unreadable):
        await imported("[" + ",".join(rows[:2]) + ', {"sku"', "json")
    assert set(await imported.catalog.products_by_sku(list("ABCD"))) == {"A", "B"}

    async with imported.catalog.database.transaction() as session:
        await session.execute(PRODUCTS.delete())
    outdate = imported.catalog.outdate
    await outdate()
    assert await imported.catalog.products_by_sku(list("ABCD")) == {}

    def stop(_: Report) -> None:
        importing.cancel()

    async def outdate_cancelled() -> None:
        importing.cancel()  # once more, just now
        await asyncio.sleep(0.01)
        await outdate()

    monkeypatch.setattr(imported.catalog, "outdate", outdate_cancelled)
    importing = asyncio.create_task(imported("[" + ",".join(rows) + "]", "json", on_progress=stop))
    with pytest.raises(asyncio.CancelledError):
        await importing
    assert set(await imported.catalog.products_by_sku(list("ABCD"))) == {"A", "B"}


async def test_what_changes_nothing_outdates_nothing(imported: Import) -> None:
    """A strict import that is refused leaves what is cached as it is."""
    await imported("sku,name,price\nA,A,1\n")
    await imported.product("A")
    assert (await imported("sku,price\nA,2\nB,-1\n", strict=True)).refused
    with statements(imported.catalog.database) as seen:
        await imported.product("A")
    assert seen == []


async def test_two_imports_at_once(catalog: CatalogService, tmp_path: Path) -> None:
    """Two imports of the same new products at the same time make each of them once."""
    paths: list[Path] = []
    for i in range(2):
        paths.append(tmp_path / f"{i}.csv")
        paths[i].write_text(HEADER + "".join(f"S{n},P,,books,1,USD,1,true\n" for n in range(200)))
    reports = await asyncio.gather(*(import_products(catalog, path) for path in paths))
    assert sum(report.created for report in reports) == 200
    assert await catalog.count(Filter()) == 200


async def test_a_product_created_meanwhile(imported: Import) -> None:
    """A product that somebody else creates between the import's look and its insert is updated after all."""
    database = imported.catalog.database
    if database.dialect != "postgresql":
        pytest.skip("SQLite lets one writer in at a time")
    async with database.transaction() as session:
        await writing.insert_product(
            session,
            writing.row_of(new("A", name="Theirs")) | {"category_id": None, "created_at": START, "updated_at": START},
        )
        importing = asyncio.create_task(imported(HEADER + "A,Ours,,,1,USD,1,true\nB,B,,,1,USD,1,true\n"))
        waiting = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'INSERT%'")
        seen = 0
        while not seen:  # what a session sees of the others stands still
            async with database.session() as watching:
                seen = await watching.scalar(waiting)
    assert numbers(await importing) == (1, 1, 0, 0)
    assert (await imported.product("A")).name == "Ours"


async def test_a_refused_row_makes_no_category(imported: Import) -> None:
    """A category that only a refused row names is not made."""
    assert numbers(await imported("sku,category\nA,nowhere\n")) == (0, 0, 0, 1)
    assert imported.reasons == {2: "A new product needs a name."}
    assert await imported.catalog.categories() == ()


def test_json_is_read_the_same_in_any_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However the file falls into pieces, through escapes and characters, the rows and their lines are the same."""
    path = tmp_path / "products.json"
    rows = [
        '{"sku": "A\\u00e9\\\\", "name": "\\"[{"}',
        '{"sku": oops, "x": "\\\\\\"}]"}',
        '{"sku": "日本",\n "n": [1, {"a": -1.5e3}]}',
    ]
    path.write_text("\n[ " + " ,\n".join(rows) + "\n]\n", encoding="utf-8")
    want = [
        Row(2, [], {"sku": "Aé\\", "name": '"[{'}),
        Problem(3, "Not JSON: Expecting value."),
        Row(4, [], {"sku": "日本", "n": [1, {"a": Decimal("-1.5e3")}]}),
    ]
    for size in (*range(1, 40), 1 << 18):
        monkeypatch.setattr(documents, "_CHUNK", size)
        with path.open("rb") as file:
            assert list(documents.array(file)) == want, size


async def test_progress_is_told(imported: Import, monkeypatch: pytest.MonkeyPatch) -> None:
    """The callback learns after each batch how far the file is read."""
    monkeypatch.setattr(bulk, "BATCH", 10)
    told: list[tuple[int, int]] = []
    rows = "".join(f"S{i},Product {i},,,1,USD,1,true\n" for i in range(25))

    def note(report: Report) -> None:
        told.append((report.rows, report.bytes))

    report = await imported(HEADER + rows, on_progress=note)
    assert [done for done, _ in told] == [10, 20, 25]
    assert told[-1][1] == report.size == len(HEADER + rows)


async def test_a_batch_tells_how_far_it_is(imported: Import, monkeypatch: pytest.MonkeyPatch) -> None:
    """A report handed in moves on within a batch, too."""
    monkeypatch.setattr(bulk, "_STEP", 10)
    told: list[int] = []
    advance = importer._advance  # pyright: ignore[reportPrivateUsage] - called within the transaction

    def tell(report: Report, *arguments: Any) -> None:
        assert report.rows == 0
        advance(report, *arguments)
        told.append(report.bytes)

    monkeypatch.setattr(importer, "_advance", tell)
    text = HEADER + "".join(f"S{i},Product {i},,,1,USD,1,true\n" for i in range(25))
    await imported(text, report=Report())
    assert told == [len(text) * 10 // 25, len(text) * 20 // 25, len(text)]


@pytest.mark.heavy
async def test_the_log_of_sqlite_does_not_grow(imported: Import, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite moves its log into the database as batches go in: the log is not as long as the file."""
    if imported.catalog.database.dialect != "sqlite":
        pytest.skip("about SQLite's log")
    monkeypatch.setattr(bulk, "BATCH", 300)
    lengths: list[int] = []
    log = Path(f"{make_url(imported.catalog.database.url).database}-wal")

    def note(_: Report) -> None:
        lengths.append(log.stat().st_size)

    await imported(HEADER + "".join(f"S{i},Product {i},,,1,USD,1,true\n" for i in range(9000)), on_progress=note)
    assert max(lengths) < (1000 << 12) + 4 * lengths[1]  # 1,000 pages, then a batch or two


async def test_without_redis_an_import_changes_nothing(database: Database, tmp_path: Path) -> None:
    """An import that could not tell readers of its end is refused before its first batch."""
    with ValkeyServer() as server:
        async with open_client(server.url) as client:
            cache = Cache(client)
            imported = Import(CatalogService(database, cache), tmp_path)
            await imported.catalog.create(new("A"))
            server.kill()
            with pytest.raises(RedisUnavailable):
                await imported(HEADER + "B,B,,,1,USD,1,true\n")
            assert await imported.catalog.products_by_sku(["B"]) == {}
            await cache.close()


MEASURE = """
import asyncio, sys
from pathlib import Path
from graph.catalog.importing.batches import Batches
from graph.catalog.importing.reading import ImportOptions, Products
for path in sys.argv[1:]:
    with Products(Path(path), ImportOptions()) as products:
        batches = Batches(products)
        while batches.next() is not None:
            pass
    print(int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) // 1024)
"""
"""Prints the peak in MB after each file. To `resource` it begins with that of the process that started this one."""


@pytest.mark.heavy
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_memory_stays_flat(tmp_path: Path) -> None:
    """Reading 200,000 rows peaks at most 10 MB above ten thousand: 50 bytes each."""

    def made(kind: str, count: int) -> Path:
        path = tmp_path / f"{count}.{kind}"
        with path.open("w") as file:
            file.write("sku,name,price\n" if kind == "csv" else "[" if kind == "json" else "")
            for i in range(count):
                row = f"S{i},Product number {i},1.50\n"
                if kind != "csv":
                    row = f'{{"sku": "S{i}", "name": "Product number {i}", "price": 1.50}}'
                    row += "\n" if kind == "ndjson" else ",\n" if i < count - 1 else "]"
                file.write(row)
        return path

    kinds = ("csv", "ndjson", "json")
    sizes = (10_000, 200_000)
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, *(made(kind, size) for size in sizes for kind in kinds)],
        check=True,
        capture_output=True,
        env={**os.environ, "PYTHONPATH": "."},
    )
    _, _, small, *large = map(int, done.stdout.split())
    assert dict(zip(kinds, large, strict=True)) == {kind: pytest.approx(small, abs=10) for kind in kinds}
