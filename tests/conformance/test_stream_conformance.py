"""The clients that people use, over everything that streams, against `graph serve` itself."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from gql import Client, GraphQLRequest, gql
from gql.transport.exceptions import TransportQueryError
from gql.transport.websockets import WebsocketsTransport

from tests.support.servers import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PASSWORD = "correct horse battery staple"
CLIENTS = {
    "graphql-ws",
    "graphql-sse",
    "apollo over WebSocket",
    "apollo over HTTP and multipart",
    "urql over WebSocket",
    "urql over HTTP and SSE",
}


class Shop:
    """A running server, an ADMIN's token, and a product."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.token = ""
        self.product = ""

    def ask(self, query: str, **variables: Any) -> Any:
        headers = {"content-type": "application/json"}
        if self.token:
            headers["authorization"] = f"Bearer {self.token}"
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(self.url, body, headers)
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)["data"]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """`graph serve` on data of its own, with wide limits."""
    port, folder = free_port(), tmp_path_factory.mktemp("shop")
    environment = {
        **os.environ,
        "GRAPH_PORT": str(port),
        "GRAPH_DATA_DIR": str(folder),
        "GRAPH_RATE_LIMIT_ANONYMOUS": "10000",
        "GRAPH_RATE_LIMIT_AUTHENTICATED": "10000",
    }
    graph = [sys.executable, "-m", "graph"]
    with subprocess.Popen([*graph, "serve"], cwd=ROOT, env=environment, stderr=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline:
                with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5):
                    break
                time.sleep(0.1)
            added = [*graph, "user", "add", "ops@example.com", "--role", "ADMIN"]
            subprocess.run(added, cwd=ROOT, env=environment, input=f"{PASSWORD}\n", text=True, check=True, timeout=60)
            shop = Shop(f"http://127.0.0.1:{port}/graphql")
            login = "mutation ($input: LoginInput!) { login(input: $input) { ... on AuthPayload { token } } }"
            shop.token = shop.ask(login, input={"email": "ops@example.com", "password": PASSWORD})["login"]["token"]
            shop.product = shop.ask("{ products(first: 1) { nodes { id } } }")["products"]["nodes"][0]["id"]
            yield shop
        finally:
            process.terminate()
            process.wait(30)


@pytest.mark.usefixtures("node_modules")
def test_clients_that_stream_work(shop: Shop) -> None:
    """graphql-ws, graphql-sse, Apollo and urql query, mutate, see errors and follow events over each transport."""
    environment = {**os.environ, "TOKEN": shop.token, "PRODUCT": shop.product}
    done = subprocess.run(
        ["node", "streams.mjs", shop.url],
        cwd=HERE,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=170,
    )
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one for one in results if not one["ok"]] == [], done.stderr
    assert {one["client"] for one in results} == CLIENTS
    assert len(results) == 4 * len(CLIENTS)


async def test_gql_works_over_websocket(shop: Shop) -> None:
    """Python's gql, which offers the legacy subprotocol too, queries, mutates, sees errors and follows events."""
    transport = WebsocketsTransport(
        shop.url.replace("http", "ws"), init_payload={"authorization": f"Bearer {shop.token}"}
    )
    update = "mutation ($id: ID!, $stock: Int!) { updateProduct(input: {id: $id, stock: $stock}) { __typename } }"
    follow = "subscription ($ids: [ID!]) { productChanged(ids: $ids) { kind product { stock } } }"
    async with Client(transport=transport, fetch_schema_from_transport=True) as session:
        question = GraphQLRequest("query ($id: ID!) { node(id: $id) { id } }", variable_values={"id": shop.product})
        assert await session.execute(question) == {"node": {"id": shop.product}}
        with pytest.raises(TransportQueryError):
            await session.execute(gql('{ product(by: {id: "x", sku: "y"}) { id } }'))

        async def change() -> None:
            while True:
                change = GraphQLRequest(update, variable_values={"id": shop.product, "stock": 77})
                await session.execute(change)
                await asyncio.sleep(0.2)

        changing = asyncio.create_task(change())
        try:
            async with asyncio.timeout(20):
                async for event in session.subscribe(GraphQLRequest(follow, variable_values={"ids": [shop.product]})):
                    assert event["productChanged"] == {"kind": "UPDATED", "product": {"stock": 77}}
                    break
        finally:
            changing.cancel()
            await asyncio.wait([changing])
