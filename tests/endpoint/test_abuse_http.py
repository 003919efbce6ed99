"""Malformed, oversized, nested, recursive, mistyped, mis-encoded, slow and truncated requests over a real socket.

None gets a 5xx, anything but JSON, a trace, much work or more than 50 MB; and after each the server answers.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from harness.waiting import HANG
from tests.support.clients.raw_http import exchange
from tests.support.models.abuse import CASES, HELLO, SLOW, Case, ask, post
from tests.support.processes import fork_server
from tests.support.processes.forks import Fork

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]


@dataclass
class Server:
    """The server process under attack."""

    port: int
    pid: int

    def worked(self) -> float:
        """Seconds that the server's thread has had a core."""
        return int(Path(f"/proc/{self.pid}/task/{self.pid}/schedstat").read_text().split()[0]) / 1e9

    def memory(self) -> int:
        """Bytes of memory that the process has."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert found is not None
        return int(found[1]) * 1024


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server process of its own, with a body timeout short enough to wait for."""
    (stdin, held), (heard, stdout) = os.pipe(), os.pipe()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "BODY_TIMEOUT": "0.5"}
    words = ("-m", "tests.conformance.server")
    fork = Fork(fork_server.server(), words, ROOT, environment, (stdin, stdout, 2))
    os.close(stdin)
    os.close(stdout)
    with os.fdopen(heard) as lines, os.fdopen(held, "wb"):
        yield Server(int(lines.readline().split(":")[2].split("/")[0]), fork.pid)
    fork.wait(HANG)


def check(case: Case, status: int, headers: dict[str, str], body: bytes) -> None:
    """Hold one answer to what every answer must be."""
    assert status in case.statuses, (case.name, status, body[:300])
    assert b"Traceback" not in body
    if status in {400, 413} and not headers.get("content-type", "").startswith("application/"):
        assert case.code is None, (case.name, "answered by the HTTP parser")
        return
    assert headers["content-type"].startswith(("application/json; charset=utf-8", "application/graphql-response+json"))
    assert len(body) < 50_000, (case.name, len(body))
    if not body:
        assert case.raw.startswith(b"HEAD")
        return
    answer: Any = json.loads(body)
    if case.code is not None:
        assert answer["errors"][0]["extensions"]["code"] == case.code, (case.name, answer)
        assert "data" not in answer
    every = cast("list[Any]", answer if isinstance(answer, list) else [answer])
    for one in every:
        for error in one.get("errors", ()):
            assert error["extensions"]["code"] != "INTERNAL_SERVER_ERROR", (case.name, error)


async def test_no_request_makes_the_server_fail(server: Server) -> None:
    """Each abuse is answered as it should be, with little work and memory, and the next request is answered too.

    Little work is at most what some hundreds of small queries take, measured a moment before.
    """
    assert len({case.name for case in CASES}) == len(CASES) >= 80
    await exchange(server.port, ask("{hello}"))
    began = server.worked()
    for _ in range(20):
        await exchange(server.port, ask("{hello}"))
    small = (server.worked() - began) / 20
    before = server.memory()
    most = ("", 0.0)
    for case in CASES:
        began = server.worked()
        status, headers, body = await exchange(server.port, case.raw)
        most = max(most, (case.name, (server.worked() - began) / small), key=lambda one: one[1])
        check(case, status, headers, body)
        assert server.memory() - before < 50_000_000, case.name
        assert (await exchange(server.port, ask("{hello}")))[2] == b'{"data":{"hello":"world"}}', case.name
    assert most[1] < 300, most


async def test_a_slow_body_is_given_up(server: Server) -> None:
    """A client that does not send its body in time is told so, and holds nothing up meanwhile."""
    answers = asyncio.gather(*(exchange(server.port, case.raw) for case in SLOW))
    assert (await exchange(server.port, ask("{hello}")))[0] == 200
    for case, (status, headers, body) in zip(SLOW, await answers, strict=True):
        check(case, status, headers, body)
        assert headers["connection"] == "close"


async def test_a_client_that_hangs_up_is_no_error(server: Server) -> None:
    """Connections cut in the middle of a head, a body or an answer leave the server as it was."""
    for raw in (b"POST /gra", post('{"query"', length=50), ask("{slow(seconds:0.05)}"), post(HELLO) * 50):
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(raw)
        await writer.drain()
        writer.transport.abort()
    assert (await exchange(server.port, ask("{hello}")))[2] == b'{"data":{"hello":"world"}}'
