"""The audits of graphql-http and the clients that people use, over HTTP, against a real server process.

Needs Node and npm; the packages are those of package-lock.json, installed on first use.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from gql import Client, GraphQLRequest, gql
from gql.transport.aiohttp import AIOHTTPTransport
from gql.transport.exceptions import TransportQueryError

from harness.serving import Serving
from harness.waiting import HANG

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


@pytest.fixture(scope="session")
def url() -> Iterator[str]:
    """A server of its own process."""
    arguments = [sys.executable, "-m", "tests.conformance.server"]
    with subprocess.Popen(arguments, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.stdin.close()
        process.wait(HANG)


def node(script: str, url: str) -> list[dict[str, Any]]:
    """Run a script of this folder and read the JSON lines that it prints."""
    done = subprocess.run(["node", script, url], cwd=HERE, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.usefixtures("node_modules")
def test_every_audit_of_graphql_http_passes(url: str) -> None:
    """All 61 audits, MUST, SHOULD and MAY, hold."""
    results = node("audit.mjs", url)
    assert [one for one in results if one["status"] != "ok"] == []
    assert len(results) == 61


@pytest.mark.usefixtures("node_modules")
def test_every_audit_passes_on_the_product(tmp_path: Path) -> None:
    """The same holds for ``graph serve``, page for browsers, sessions and limiter included."""
    with Serving(tmp_path, GRAPH_RATE_LIMIT_ANONYMOUS="100000") as server:
        server.ready()
        results = node("audit.mjs", f"{server.url}/graphql")
    assert [one for one in results if one["status"] != "ok"] == []
    assert len(results) == 61


@pytest.mark.usefixtures("node_modules")
def test_apollo_client_urql_and_graphql_request_work(url: str) -> None:
    """On their defaults, with persisted documents and by GET they query, mutate and see errors."""
    results = node("clients.mjs", url)
    assert [one for one in results if not one["ok"]] == []
    assert {one["client"] for one in results} == {"apollo", "urql", "graphql-request"}
    assert len(results) == 20


async def test_gql_works(url: str) -> None:
    """Python's gql fetches the schema, queries, mutates and sees errors with their codes."""
    transport = AIOHTTPTransport(url)
    async with Client(transport=transport, fetch_schema_from_transport=True) as session:
        question = GraphQLRequest("query A($t: String) { echo(text: $t) }", variable_values={"t": "x"})
        assert await session.execute(question) == {"echo": "x"}
        assert await session.execute(gql('mutation { note(text: "c") }')) == {"note": "c"}
        with pytest.raises(TransportQueryError) as failed:
            await session.execute(gql("query B { forbidden }"))
    assert failed.value.errors is not None
    assert failed.value.errors[0]["extensions"] == {"code": "FORBIDDEN", "needs": "ADMIN"}
