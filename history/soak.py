"""``python -m history.soak``: use one ``graph serve`` for long, and tell whether anything of it grows.

First a crowd of strangers, each from an address of its own and with a question of its own, about a product and about a
page of them, fills every cache of the server to its bound. Then clients of all kinds come and go at a steady pace, on a
fixed set of products, users, boards and files, so that nothing has a reason to grow: what is used in the last third of
the time is compared with the middle third. Then SIGTERM has to leave no process, no socket and no temporary file. The
exit status is 1 if something grew, something was left, or a client got an answer that nobody should get.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from harness.serving import Serving
from history.everyday import Addressed, Repeating, Returning, Staff, Visitors
from history.record import History, Operation
from history.rig import make_key
from history.usage import Samples, sample
from history.workloads import Boards, Catalog, Limits, Subscriptions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from history.client import Client
    from history.workloads import Workload

_PAUSE = 0.1  # seconds between two operations of a client
_SAMPLES = 120


_STRANGERS = 12_000
"""More than the questions, and the callers, that any cache of the server has room for."""
_PRODUCTS = 6_000
"""Of the catalog that a new server has."""
_ASK = (
    "query ($id: ID!) { node(id: $id) { ... on Product { name } } }",
    "query ($id: ID!) { node(id: $id) { ... on Product { name stock } } }",
)
_PAGE = "{ page%d: products(first: 50) { nodes { id sku name description price { amount currency } } } }"
_PAGES = 8_000
"""Different enough for more bytes, compressed, than the server keeps of those."""
_AT_ONCE = 16


class Counted(History):
    """Counts operations, and keeps those alone that no client should ever see."""

    def __init__(self) -> None:
        """Begin with none."""
        super().__init__()
        self.counts: Counter[tuple[str, str]] = Counter()

    def add(self, workload: str, kind: str, subject: str, value: Any, began: float, **more: Any) -> Operation:
        """Count one."""
        made = super().add(workload, kind, subject, value, began, **more)
        if kind != "improper":
            self.operations.pop()
            self.counts[workload, made.outcome] += 1
        return made


async def _crowd(client: Client) -> None:
    """Every stranger asks three times, what comes once only is not remembered; then each page is asked for twice."""

    async def ask(address: str, document: str, **variables: str) -> None:
        answer = await client.ask(0, document, address=address, **variables)
        client.history.add("strangers", "ask", document, None, time.monotonic(), outcome=answer.outcome)

    async def ask_for_products(strangers: Iterator[int]) -> None:
        for number in strangers:
            product = base64.b64encode(b"Product:%d" % (1 + number % _PRODUCTS)).decode()
            for _ in range(3):
                await ask(_address(number), _ASK[number // _PRODUCTS], id=product)

    async def ask_for_pages(strangers: Iterator[int]) -> None:
        for number in strangers:
            for _ in range(2):
                await ask(_address(number), _PAGE % number)

    for asking, most in ((ask_for_products, _STRANGERS), (ask_for_pages, _PAGES)):
        strangers = iter(range(most))
        await asyncio.gather(*(asking(strangers) for _ in range(_AT_ONCE)))


def _address(number: int) -> str:
    return f"10.{2 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"


class Watched(Serving):
    """A server that says what it has in use."""

    module = "history.watched"


async def _use(
    server: Serving, folder: Path, key: str, admin: tuple[str, str, str], seconds: float
) -> tuple[Counted, Samples]:
    history, samples = Counted(), Samples()
    client = Addressed([server.url], history)
    kinds = (Catalog, Returning, Boards, Subscriptions, Limits, Visitors)
    work: list[Workload] = [kind(client, key, pause=_PAUSE) for kind in kinds]
    work += [Repeating(client, key, folder / "in", pause=_PAUSE), Staff(client, *admin, pause=_PAUSE)]
    try:
        samples.before = await asyncio.to_thread(sample, server.process.pid, folder)
        await _crowd(client)
        for one in work:
            await one.prepare()
        running = [asyncio.create_task(one.run()) for one in work]
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            await asyncio.wait(running, timeout=seconds / _SAMPLES, return_when=asyncio.FIRST_COMPLETED)
            for task in running:
                if task.done():
                    task.result()
            samples.append(await asyncio.to_thread(sample, server.process.pid, folder))
        for one in work:
            one.stopped.set()
            if isinstance(one, Subscriptions):
                one.leaving.set()
        await asyncio.gather(*running)
    finally:
        await client.close()
    return history, samples


def _left(server: Serving, family: list[psutil.Process], folder: Path, temporary: Path) -> list[str]:
    """What is still there after SIGTERM."""
    found = [f"the exit status {status}"] if (status := server.stop()) else []
    found += [f"the process {one.pid}" for one in family if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]
    found += [f"the socket {one.relative_to(folder)}" for one in folder.rglob("*") if one.is_socket()]
    found += [f"the temporary file {one.name}" for one in temporary.iterdir()]
    found += [f"the file {one.name}" for one in folder.glob("*.db-*")]
    return [*found, *(f"the file {one.relative_to(folder)}" for one in folder.rglob("*") if one.match("*temp*"))]


def main() -> int:
    """Run it; 1 if something grew or was left."""
    parser = argparse.ArgumentParser(prog="python -m history.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0, help="of use")
    minutes: float = parser.parse_args().minutes
    with tempfile.TemporaryDirectory(prefix="soak") as made, tempfile.TemporaryDirectory(prefix="soak") as other:
        folder, temporary = Path(made), Path(other)
        (folder / "in").mkdir()
        settings = {
            "GRAPH_TRUSTED_PROXIES": "127.0.0.1",
            "GRAPH_RATE_LIMIT_AUTHENTICATED": "1000000",
            "GRAPH_ACCESS_LOG": "false",
            "GRAPH_JOBS_IMPORTS": str(folder / "in"),
            "TMPDIR": str(temporary),
        }
        with Watched(folder, **settings) as server:
            server.ready()
            key, admin = make_key(folder, settings), server.admin()
            history, samples = asyncio.run(_use(server, folder, key, admin, minutes * 60))
            family = psutil.Process(server.process.pid).children(recursive=True)
            left = _left(server, family, folder, temporary)
        log = server.log.read_text(errors="replace")
    return _tell(history, samples, left, log, minutes)


def _tell(history: Counted, samples: Samples, left: list[str], log: str, minutes: float) -> int:
    done: Counter[str] = Counter()
    for (workload, outcome), count in history.counts.items():
        done[workload] += count if outcome == "ok" else 0
    print(f"{minutes:g} minutes: {', '.join(f'{name} {count:,}' for name, count in sorted(done.items()))}")
    print("| | new | first third | middle third | last third | |\n| --- | ---: | ---: | ---: | ---: | --- |")
    rows = samples.rows()
    for row in rows:
        print(row)
    print(f"after SIGTERM: {', '.join(left) or 'nothing is left'}")
    traces = log.count("Traceback")
    print(f"log: {log.count(chr(10)):,} lines, {traces} tracebacks")
    for one in history.operations[:10]:
        print(f"improper answer to {one.subject}: {one.value}")
    wrong = left or traces or history.operations or any(row.grew for row in rows)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
