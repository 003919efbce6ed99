"""What an import costs beside a bare ``executemany`` of the same rows, in time, processor time and memory.

The same products are written as this project's own CSV and as Shopify's export, whose columns are mapped, whose rows
are joined by handle and whose HTML becomes text. Each import runs in a process of its own on an empty database, and
again with a tenth of the rows, which shows whether memory is flat. The last one goes the way of `uploadProducts`: a
gzip file by multipart to a ``graph serve``, imported by its worker. The peer inserts prepared rows into the same tables
with the same indexes, with sqlite3 alone, in one transaction.

`IMPORT_ROWS=100000` imports so many products instead of a million. Processor time is the import's process's (for the
upload the worker's) without its start and without Valkey's.
"""

from __future__ import annotations

import asyncio
import csv
import gzip
import json
import os
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson
import uvloop

from bench.report import Report
from graph.catalog import seed
from graph.catalog.importing.importer import import_products
from graph.catalog.models import PRODUCTS
from graph.catalog.service import CatalogService
from graph.engines.database import Database, migrate
from graph.patterns.cache import Cache, JsonCodec
from graph.patterns.client import open_client
from harness.serving import Serving
from harness.valkey import ValkeyServer

if TYPE_CHECKING:
    from collections.abc import Iterator

ROWS = int(os.environ.get("IMPORT_ROWS", "1000000"))
AIM = "≤ 2.5×"
FORMATS = ("own", "shopify")
WATCHED = 0.5
"""Seconds between two looks at a job."""
_UPLOAD = """mutation ($file: Upload!) { uploadProducts(input: {file: $file}) {
  __typename ... on Job { id } ... on UserError { message } } }"""
_JOB = "query ($id: ID!) { node(id: $id) { ... on Job { state error } } }"


class Cost(NamedTuple):
    """Seconds, seconds of processor time, megabytes at the peak."""

    wall: float
    cpu: float
    peak: float


def _write(path: Path, kind: str, count: int) -> None:
    """Write `count` products as CSV."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        if kind == "own":
            writer.writerow(("sku", "name", "description", "category", "price", "currency", "stock", "active"))
        else:
            writer.writerow(
                ("Handle", "Title", "Body (HTML)", "Type", "Variant SKU", "Variant Price", "Variant Inventory Qty")
            )
        for row in seed.products(count):
            price = f"{row['price'] / 10_000:.2f}"
            told = (row["sku"], row["name"], row["description"], row["category"], price)
            if kind == "own":
                writer.writerow((*told, row["currency"], row["stock"], row["active"]))
            else:
                sku, name, text, shelf, _ = told
                writer.writerow((sku.lower(), name, f"<p>{text}</p>", shelf, sku, price, row["stock"]))


# --- the peer ---


def _prepared(count: int, numbers: dict[str, int], names: list[str]) -> Iterator[tuple[Any, ...]]:
    moment = "2026-01-01 00:00:00.000000"
    for row in seed.products(count):
        told = {**row, "category_id": numbers[row["category"]], "created_at": moment, "updated_at": moment}
        yield tuple(told[name] for name in names)


def _insert(path: Path, count: int) -> Cost:
    """Insert the rows, prepared beforehand."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous = FULL")
    shelves = [(shelf.slug, shelf.name) for shelf in seed.words().shelves]
    connection.executemany("INSERT INTO category (slug, name) VALUES (?, ?)", shelves)
    numbers = dict(connection.execute("SELECT slug, id FROM category"))
    told = {*next(seed.products(1)), "category_id", "created_at", "updated_at"}
    names = [column.name for column in PRODUCTS.columns if column.name in told]
    ready = list(_prepared(count, numbers, names))
    statement = f"INSERT INTO product ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
    began, spent = time.perf_counter(), time.process_time()
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany(statement, ready)
    connection.execute("COMMIT")
    connection.close()
    return Cost(time.perf_counter() - began, time.process_time() - spent, 0)


async def _import(database_path: Path, redis: str, file: Path, count: int) -> Cost:
    """Import the file in this process."""
    async with open_client(redis) as client, Database(f"sqlite:///{database_path}") as database:
        cache = Cache(client, codec=JsonCodec(orjson.dumps, orjson.loads))
        catalog = CatalogService(database, cache)
        began, spent = time.perf_counter(), time.process_time()
        report = await import_products(catalog, file)
        cost = time.perf_counter() - began, time.process_time() - spent
        await cache.close()
    if (report.created, report.bad) != (count, 0):
        raise RuntimeError(f"{report.created} of {count} rows were imported, {report.bad} were bad")
    return Cost(*cost, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def _alone(folder: Path, name: str, *words: str) -> Cost:
    """Do it in a process of its own, on an empty database."""
    database = folder / f"{name}.db"
    asyncio.run(migrate(f"sqlite:///{database}"))
    done = subprocess.run(
        [sys.executable, "-m", "bench.imports", str(database), *words], check=True, capture_output=True, text=True
    )
    database.unlink()
    return Cost(*json.loads(done.stdout))


# --- by upload ---


def _ask(server: Serving, token: str, content: str, body: bytes) -> Any:
    wire = {"Authorization": f"Bearer {token}", "Content-Type": content, "GraphQL-Require-Preflight": "1"}
    asked = urllib.request.Request(f"{server.url}/graphql", body, wire)
    with urllib.request.urlopen(asked, timeout=120) as answer:
        found = json.loads(answer.read())
    if "errors" in found:
        raise RuntimeError(found["errors"])
    return found["data"]


def _form(name: str, content: bytes) -> bytes:
    operations = json.dumps({"query": _UPLOAD, "variables": {"file": None}})
    parts = [
        b'name="operations"\r\n\r\n' + operations.encode(),
        b'name="map"\r\n\r\n{"0": ["variables.file"]}',
        b'name="0"; filename="' + name.encode() + b'"\r\n\r\n' + content,
    ]
    form = b"".join(b"--b\r\nContent-Disposition: form-data; " + part + b"\r\n" for part in parts)
    return form + b"--b--\r\n"


def _worker(server: Serving) -> int:
    """Return the process id of the worker beside the server: its child that has used most time."""
    children = [
        int(stat.parent.name)
        for stat in Path("/proc").glob("[0-9]*/stat")
        if stat.read_text().rpartition(")")[2].split()[1] == str(server.process.pid)
    ]
    return max((pid for pid in children if b"valkey" not in _command(pid)), key=_seconds)


def _command(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def _seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _uploaded(folder: Path, file: Path) -> Cost:
    """Upload the file and wait for its job."""
    packed = gzip.compress(file.read_bytes(), 6)
    settings = {
        "GRAPH_MAX_FILE": str(1 << 30),
        "GRAPH_MAX_FORM": str(1 << 30),
        "GRAPH_JOBS_IMPORTS": str(folder / "imports"),
        "GRAPH_RATE_LIMIT_AUTHENTICATED": "1000000",
    }
    (folder / "imports").mkdir()
    with Serving(folder / "server", **settings) as server:
        server.ready()
        *_, token = server.admin()
        began = time.perf_counter()
        body = _form(f"{file.name}.gz", packed)
        made = _ask(server, token, "multipart/form-data; boundary=b", body)["uploadProducts"]
        if made["__typename"] != "Job":
            raise RuntimeError(made["message"])
        asked = json.dumps({"query": _JOB, "variables": {"id": made["id"]}}).encode()
        state = ""
        while state != "SUCCEEDED":
            time.sleep(WATCHED)
            job = _ask(server, token, "application/json", asked)["node"]
            state = job["state"]
            if state == "FAILED":
                raise RuntimeError(job["error"])
        wall = time.perf_counter() - began
        worker = _worker(server)
        status = Path(f"/proc/{worker}/status").read_text()
        peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
        return Cost(wall, _seconds(worker), peak / 1024)


def _told(report: Report, name: str, cost: Cost, raw: Cost, tenth: Cost | None = None) -> None:
    report.add(name, cost.wall, "s", peer="sqlite3 executemany", ratio=cost.wall / raw.wall, aim=AIM)
    report.add(f"{name}, processor time", cost.cpu, "s", peer="the same", ratio=cost.cpu / raw.cpu, aim=AIM)
    peer = "" if tenth is None else f"{ROWS // 10:,} rows: {tenth.peak:.0f} MB"
    ratio = None if tenth is None else cost.peak / tenth.peak
    report.add(f"{name}, peak memory", cost.peak, "MB", peer=peer, ratio=ratio, aim="" if tenth is None else "≤ 1.1×")


def run() -> Report:
    """Measure all of it: with a million rows in some minutes."""
    report = Report(f"Imports of {ROWS:,} products")
    with ValkeyServer() as server, tempfile.TemporaryDirectory(prefix="bench") as name:
        folder = Path(name)
        raw = _alone(folder, "raw", "raw", str(ROWS))
        for kind in FORMATS:
            costs: list[Cost] = []
            for count in (ROWS // 10, ROWS):
                file = folder / f"{kind}.csv"
                _write(file, kind, count)
                costs.append(_alone(folder, kind, "import", str(count), server.url, str(file)))
            _told(report, f"from {kind} CSV", costs[1], raw, costs[0])
        _told(report, "by upload, Shopify's CSV", _uploaded(folder, folder / "shopify.csv"), raw)
    report.notes.append("The worker's processor time includes its start.")
    return report


def _main() -> None:
    database, what, count, *more = sys.argv[1:]
    if what == "raw":
        cost = _insert(Path(database), int(count))
    else:
        cost = uvloop.run(_import(Path(database), more[0], Path(more[1]), int(count)))
    print(json.dumps(cost))


if __name__ == "__main__":
    _main()
