"""``python -m history.soak``: use one ``graph serve`` for long, and tell whether anything of it grows.

Clients of all kinds come and go at a steady pace, on a fixed set of products, users, boards and files, so that nothing
has a reason to grow once every cache is full: what is used in the last third of the time is compared with the middle
third. Then SIGTERM has to leave no process, no socket and no temporary file. The exit status is 1 if something grew,
something was left, or a client got an answer that nobody should get.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import secrets
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import psutil
from websockets.exceptions import WebSocketException

from harness.serving import Serving
from harness.subscriber import subscriber
from history.client import Client
from history.record import History, Operation
from history.rig import make_key
from history.usage import Samples, sample
from history.workloads import Boards, Catalog, Jobs, Limits, SignIns, Subscriptions, Workload

if TYPE_CHECKING:
    from collections.abc import Awaitable

_PAUSE = 0.1  # seconds between two operations of a client
_SAMPLES = 120
_LIVE = "query @live { products(first: 5, sort: NEWEST) { nodes { id name price { amount } } totalCount } }"
_PAGE = "{ products(first: %d, sort: %s) { nodes { id sku name stock %s price { amount currency } } } }"
_JUNK = (b"", b"{", b"[]", b'{"query": 1}', b'{"query": "{"}', b'{"query": "{ nothing }"}', b"\xff\xfe")
_RESUME = "mutation ($secret: String!) { resumeGuest(secret: $secret) { ... on AuthPayload { token } } }"
_GUEST = "mutation { playAsGuest { ... on GuestPayload { secret auth { token } } } }"


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


class Addressed(Client):
    """Asks from three hundred addresses, again and again."""

    def new_address(self) -> str:
        """The next of them."""
        number = next(self._addresses) % 300
        return f"10.1.{number >> 8}.{number & 255}"


class Returning(SignIns):
    """The same twenty guests sign in and out."""

    async def prepare(self) -> None:
        """Make the guests."""
        await super().prepare()
        self.guests: list[str] = []
        for _ in range(20):
            made = await self.insist(lambda: self.client.ask(0, _GUEST))
            self.guests.append(made["playAsGuest"]["secret"])
            await self.client.ask(0, "mutation { logout }", token=made["playAsGuest"]["auth"]["token"])

    async def _come_and_go(self) -> None:
        while not self.stopped.is_set():
            secret, subject = self.client.random.choice(self.guests), secrets.token_hex(4)
            resumed = await self.client.ask(0, _RESUME, secret=secret)
            if resumed.outcome == "ok" and (token := resumed.data["resumeGuest"].get("token")):
                await self._check(subject, token)
                left = await self.client.ask(0, "mutation { logout }", token=token)
                self.history.add(self.name, "end", subject, None, time.monotonic(), outcome=left.outcome)
                self.over = [*self.over[-50:], (subject, token)]
            await self.rest()


class Repeating(Jobs):
    """The same ten files are imported, with other prices each time."""

    async def _queue(self) -> None:
        for number in itertools.count():
            if self.stopped.is_set():
                return
            name = f"soak-{number % 10}"
            (self.imports / f"{name}.csv").write_text(f"sku,name,price\n{name},Imported,{number % 90 + 1}.00\n")
            document = "mutation ($p: String!) { importProducts(input: {path: $p}) { ... on Job { id } } }"
            answer = await self.client.ask(0, document, token=self.key, p=f"{name}.csv")
            job = answer.data["importProducts"].get("id", "") if answer.outcome == "ok" else ""
            if job:
                self.accepted = [*self.accepted[-20:], job]
            self.history.add(self.name, "queue", job, None, time.monotonic(), outcome=answer.outcome)
            await self.rest(15)


class Visitors(Workload):
    """Live queries, pages of all kinds, bytes that make no sense, and clients that hang up."""

    name = "visitors"

    def clients(self) -> list[Awaitable[None]]:
        """One of each."""
        return [self._live(), self._live(), self._browse(), self._talk_nonsense(), self._hang_up(), self._scrape()]

    async def _live(self) -> None:
        port = int(self.client.urls[0].rpartition(":")[2])
        while not self.stopped.is_set():
            with contextlib.suppress(OSError, WebSocketException, TimeoutError):
                async with asyncio.timeout(60), subscriber(port, self.key) as socket:
                    following = await socket.follow(_LIVE)
                    await following.until(1 + self.client.random.randrange(10))
                    self.history.add(self.name, "live", "page", len(following.results), time.monotonic())
            await self.rest()

    async def _browse(self) -> None:
        for number in itertools.count():
            if self.stopped.is_set():
                return
            order = ("PRICE_ASC", "PRICE_DESC", "NEWEST")[number % 3]
            document = _PAGE % (1 + number % 50, order, "description" if number % 2 else "")
            began = time.monotonic()
            answer = await self.client.ask(0, document)
            self.history.add(self.name, "page", document, None, began, outcome=answer.outcome)
            await self.rest(0.3)

    async def _talk_nonsense(self) -> None:
        async with aiohttp.ClientSession() as http:
            for body in itertools.cycle(_JUNK):
                if self.stopped.is_set():
                    return
                with contextlib.suppress(aiohttp.ClientError):
                    headers = {"Content-Type": "application/json"}
                    async with http.post(f"{self.client.urls[0]}/graphql", data=body, headers=headers) as answer:
                        await answer.read()
                        self.history.add(self.name, "nonsense", "", answer.status, time.monotonic())
                await self.rest(3)

    async def _hang_up(self) -> None:
        port = int(self.client.urls[0].rpartition(":")[2])
        body = b'{"query": "{ products(first: 50) { nodes { name description } } }"}'
        head = b"POST /graphql HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        whole = head % len(body) + body
        while not self.stopped.is_set():
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(whole[: self.client.random.randrange(1, len(whole) + 1)])
                await asyncio.sleep(self.client.random.uniform(0, 0.05))
                writer.transport.abort()
                self.history.add(self.name, "hang up", "", None, time.monotonic())
            await self.rest(3)

    async def _scrape(self) -> None:
        async with aiohttp.ClientSession() as http:
            while not self.stopped.is_set():
                for path in ("healthz", "readyz", "metrics"):
                    with contextlib.suppress(aiohttp.ClientError):
                        async with http.get(f"{self.client.urls[0]}/{path}") as answer:
                            await answer.read()
                await self.rest(50)


async def _use(server: Serving, folder: Path, key: str, seconds: float) -> tuple[Counted, Samples]:
    history, samples = Counted(), Samples()
    client = Addressed([server.url], history)
    kinds = (Catalog, Returning, Boards, Subscriptions, Limits, Visitors)
    work = [*(kind(client, key, pause=_PAUSE) for kind in kinds), Repeating(client, key, folder / "in", pause=_PAUSE)]
    try:
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
        with Serving(folder, **settings) as server:
            server.ready()
            history, samples = asyncio.run(_use(server, folder, make_key(folder, settings), minutes * 60))
            family = psutil.Process(server.process.pid).children(recursive=True)
            left = _left(server, family, folder, temporary)
        log = server.log.read_text(errors="replace")
    return _tell(history, samples, left, log, minutes)


def _tell(history: Counted, samples: Samples, left: list[str], log: str, minutes: float) -> int:
    done: Counter[str] = Counter()
    for (workload, outcome), count in history.counts.items():
        done[workload] += count if outcome == "ok" else 0
    print(f"{minutes:g} minutes: {', '.join(f'{name} {count:,}' for name, count in sorted(done.items()))}")
    print("| | first third | middle third | last third | |\n| --- | ---: | ---: | ---: | --- |")
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
