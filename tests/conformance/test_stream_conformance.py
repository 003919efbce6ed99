"""The clients that people use, over everything that streams, against `graph serve` itself."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from gql import Client, GraphQLRequest, gql
from gql.transport.exceptions import TransportQueryError
from gql.transport.websockets import WebsocketsTransport

from harness.serving import Serving, environment
from harness.waiting import within

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
PASSWORD = "correct horse battery staple"
CLIENTS = {
    "graphql-ws",
    "graphql-sse",
    "apollo over WebSocket",
    "apollo over HTTP and multipart",
    "urql over HTTP and WebSocket",
    "urql over HTTP and SSE",
}


class Shop(NamedTuple):
    """A running server, an ADMIN's token, and a product."""

    url: str
    token: str
    product: str


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """`graph serve` on data of its own, with wide limits."""
    folder = tmp_path_factory.mktemp("shop")
    limits = {"GRAPH_RATE_LIMIT_ANONYMOUS": "10000", "GRAPH_RATE_LIMIT_AUTHENTICATED": "10000"}
    with Serving(folder, **limits) as server:
        server.ready()
        add = [sys.executable, "-m", "graph", "user", "add", "ops@example.com", "--role", "ADMIN"]
        subprocess.run(add, env=environment(folder), input=f"{PASSWORD}\n", text=True, check=True, timeout=60)
        login = "mutation ($input: LoginInput!) { login(input: $input) { ... on AuthPayload { token } } }"
        signed_in = server.query(login, input={"email": "ops@example.com", "password": PASSWORD})
        page = server.query("{ products(first: 1) { nodes { id } } }")
        yield Shop(
            f"{server.url}/graphql", signed_in["data"]["login"]["token"], page["data"]["products"]["nodes"][0]["id"]
        )


@pytest.mark.usefixtures("node_modules")
def test_clients_that_stream_work(shop: Shop) -> None:
    """graphql-ws, graphql-sse, Apollo and urql query, mutate, see errors and follow events over each transport.

    The first two follow a live query, too, whose patches npm's graphql-live-query-patch-json-patch applies.
    """
    done = subprocess.run(
        ["node", "streams.mjs", shop.url],
        cwd=HERE,
        env={**os.environ, "TOKEN": shop.token, "PRODUCT": shop.product},
        check=False,
        capture_output=True,
        text=True,
        timeout=170,
    )
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one for one in results if not one["ok"]] == [], done.stderr
    assert {one["client"] for one in results} == CLIENTS
    assert len(results) == 4 * len(CLIENTS) + 2


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
            async with within("the change"):
                async for event in session.subscribe(GraphQLRequest(follow, variable_values={"ids": [shop.product]})):
                    assert event["productChanged"] == {"kind": "UPDATED", "product": {"stock": 77}}
                    break
        finally:
            changing.cancel()
            await asyncio.wait([changing])
