"""The same requests to two servers, the fast lane on in one and off in the other: not a byte may differ."""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import json
import shutil
import time
import urllib.parse
from typing import IO, TYPE_CHECKING, Any

from harness.serving import Serving
from tests.support.clients.raw_http import exchange
from tests.support.engines.stocked import stocked
from tests.support.models.abuse import CASES, ask, get, post, request
from tests.support.processes.fork_server import forked

if TYPE_CHECKING:
    from pathlib import Path

    from harness.serving import Process

PAGE = "{ products(first: 5) { nodes { id sku name price { amount } } pageInfo { endCursor hasNextPage } totalCount } }"
KEYED = "query One($sku: String!) { product(by: {sku: $sku}) { sku name stock category { name productCount } } }"
TYPES = [
    "Accept: application/json",
    "Accept: application/graphql-response+json",
    "Accept: */*",
    "Accept: application/json;q=0.5, application/graphql-response+json",
    "Accept: text/html",
    "Accept: image/png",
    "Origin: https://elsewhere.example",
    "Authorization: Bearer nonsense",
    "Authorization: Basic eDp5",
    "Cookie: session=nonsense",
    "If-None-Match: *",
    "Last-Event-ID: 1",
]
DOCUMENTS: list[dict[str, Any]] = [
    {"query": PAGE},
    {"query": PAGE, "variables": {}},
    {"query": PAGE, "variables": None, "operationName": None, "extensions": None},
    {"query": PAGE, "variables": {"unknown": 1}},
    {"query": PAGE, "operationName": "Nobody"},
    {"query": f" {PAGE}\n"},
    {"query": KEYED, "variables": {"sku": "BOK-0000061"}},
    {"query": KEYED, "variables": {"sku": "no such sku"}},
    {"query": KEYED, "variables": {"sku": 5}},
    {"query": KEYED, "variables": {"sku": None}},
    {"query": KEYED},
    {"query": KEYED, "variables": []},
    {"query": KEYED, "operationName": "One", "variables": {"sku": "BOK-0000061", "more": [1, {"a": None}]}},
    {"query": f"{KEYED} query Two {{ categories {{ slug }} }}", "operationName": "Two"},
    {"query": f"{KEYED} query Two {{ categories {{ slug }} }}"},
    {"query": "{ categories { id slug name productCount } }"},
    {"query": "{ a: categories { slug } b: categories { slug } }"},
    {"query": "query ($yes: Boolean!) { categories { slug name @include(if: $yes) } }", "variables": {"yes": True}},
    {"query": "query ($yes: Boolean!) { categories { slug name @include(if: $yes) } }", "variables": {"yes": False}},
    {"query": "{ viewer { user { email } } }"},
    {"query": "{ categories { slug } viewer { user { email } } }"},
    {"query": "{ categories { slug } rateLimit { limit windowSeconds } }"},
    {"query": '{ node(id: "UHJvZHVjdDox") { id __typename ... on Product { sku } } }'},
    {"query": "{ products(first: 3, filter: {includeInactive: true}) { nodes { sku } } }"},
    {"query": "{ products(first: 101) { nodes { sku } } }"},
    {"query": '{ products(first: 1, after: "garbage") { nodes { sku } } }'},
    {"query": '{ products(first: 2, filter: {search: "lamp"}) { nodes { name } } }'},
    {"query": "{ products(first: 2, sort: NEWEST) { edges { cursor node { sku } } } }"},
    {"query": '{ leaderboard(slug: "all-time") { name size top(first: 2) { nodes { rank score } } } }'},
    {"query": "{ __schema { queryType { name } } categories { slug } }"},
    {"query": "mutation { logout }"},
    {"query": "subscription { productChanged { kind } }"},
    {"query": "{ nothing }"},
    {"query": "{"},
]


def _requests() -> list[bytes]:
    """Every request of the suite of abuse, and those that the lane may take, in every guise."""
    shown = [case.raw for case in CASES]
    shown += [post(json.dumps(members)) for members in DOCUMENTS]
    shown += [post(json.dumps({"query": PAGE}), kind) for kind in TYPES]
    shown += [get(urllib.parse.urlencode({"query": PAGE}), kind) for kind in TYPES]
    shown += [get(urllib.parse.urlencode({"query": KEYED, "variables": '{"sku":"BOK-0000061"}'}))]
    shown += [request(b"", method="GET", target=f"/graphql?{urllib.parse.urlencode({'query': PAGE})}")]
    shown += [post(json.dumps([members, members])) for members in DOCUMENTS[:8]]
    shown += [ask(PAGE, variables={"first": number}) for number in range(3)]
    return shown


def _lasting(headers: dict[str, str]) -> dict[str, str]:
    """The headers that depend neither on Redis's clock nor on how often the same was asked before."""
    return {name: value for name, value in headers.items() if name not in ("x-ratelimit-reset", "age")}


class Still(Serving):
    """A server whose clock stands still."""

    def _start(self, log: IO[bytes]) -> Process:
        return forked(["-m", "tests.support.processes.still", *self._words], self._environment, log, log)


async def _answers(server: Serving, raw: bytes) -> list[tuple[int, dict[str, str], bytes] | str]:
    """What one server answers to the same request three times: the first times it may have to be resolved."""
    answers: list[tuple[int, dict[str, str], bytes] | str] = []
    for _ in range(3):
        try:
            status, headers, body = await exchange(server.port, raw)
            answers.append((status, _lasting(headers), body))
        except asyncio.IncompleteReadError:
            answers.append("hung up")
    return answers


def _comparable(answer: tuple[int, dict[str, str], bytes] | str) -> Any:
    """An answer without what each server counts or invents for itself."""
    if isinstance(answer, str):
        return answer
    status, headers, body = answer
    counted = {name: value for name, value in headers.items() if not name.endswith(("ratelimit", "remaining"))}
    return status, counted, body


async def test_the_lane_changes_no_byte(tmp_path: Path) -> None:
    """Each request gets the same status, headers and body, however often it is sent, with the lane and without it."""
    now = int(time.time())
    settings = {
        "GRAPH_RATE_LIMIT_ANONYMOUS": "1000000",
        "GRAPH_RATE_LIMIT_AUTHENTICATED": "1000000",
        "GRAPH_JOBS_BESIDE": "false",
        "GRAPH_ACCESS_LOG": "false",
        "STANDS_AT": str(now),
    }
    first, second = stocked(tmp_path / "on", players=20), tmp_path / "off"
    second.mkdir()
    shutil.copy(first / "graph.db", second / "graph.db")  # both sell the same goods
    with contextlib.ExitStack() as stack:
        on = stack.enter_context(Still(first, **settings)).ready()
        off = stack.enter_context(Still(second, **settings, GRAPH_CACHE_RESPONSES="false")).ready()
        for raw in _requests():
            with_lane, without = await asyncio.gather(_answers(on, raw), _answers(off, raw))
            assert [_comparable(one) for one in with_lane] == [_comparable(one) for one in without], raw[:400]
        _, headers, kept = on.get("/metrics")
    assert b'graph_responses_total{outcome="hit"}' in kept
    assert headers["date"] == email.utils.formatdate(now, usegmt=True)
