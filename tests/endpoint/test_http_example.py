"""The endpoint lifted into somebody else's app."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import httpx

from examples import endpoint_app
from examples.endpoint_app import create_app
from tests.support.apps.lifespan import Lifespan

if TYPE_CHECKING:
    from graph.patterns.client import Client
    from harness.valkey import ValkeyServer


async def test_the_example_serves_a_foreign_schema_within_its_limits(client: Client, valkey: ValkeyServer) -> None:
    """A plain Strawberry schema gets bounds, codes and the rate limit by being mounted."""
    del client  # it emptied the server
    app = create_app(valkey.url)
    async with (
        Lifespan(app) as running,
        httpx.AsyncClient(transport=httpx.ASGITransport(running.app), base_url="http://t") as http,
    ):
        answers = [
            await http.post("/graphql", json={"query": query})
            for query in (
                "{entries(first:1)}",
                'mutation{sign(text:"Hi")}',
                "{entries(first:101)}",
                "{nothing}",
                "{entries}",
                "{entries}",
            )
        ]
    assert [answer.json().get("data") for answer in answers] == [
        {"entries": ["Welcome!"]},
        {"sign": "Hi (127.0.0.1)"},
        None,
        None,
        {"entries": ["Welcome!", "Hi (127.0.0.1)"]},
        None,
    ]
    codes = [answer.json()["errors"][0]["extensions"]["code"] for answer in answers if "errors" in answer.json()]
    assert codes == ["BAD_USER_INPUT", "GRAPHQL_VALIDATION_FAILED", "RATE_LIMITED"]
    assert answers[-1].status_code == 429


async def test_the_line_that_the_example_tells_to_type_is_answered(client: Client, valkey: ValkeyServer) -> None:
    """The ``curl`` of its docstring, sent as it stands, gets an answer of the schema at once: no redirect."""
    del client  # it emptied the server
    words = shlex.split(
        next(line for line in str(endpoint_app.__doc__).splitlines() if line.strip().startswith("curl "))
    )
    name, _, value = words[words.index("-H") + 1].partition(": ")
    async with (
        Lifespan(create_app(valkey.url)) as running,
        httpx.AsyncClient(transport=httpx.ASGITransport(running.app)) as http,
    ):
        answer = await http.post(f"http://{words[1]}", content=words[words.index("-d") + 1], headers={name: value})
    assert answer.status_code == 200
    assert answer.json()["data"]
