"""Strangers fill whatever a client can reach, and what must live is all there afterwards (--full)."""

from __future__ import annotations

import concurrent.futures
import hashlib
import http.client
import json
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import redis

from graph.engines.embedded import socket_path
from harness.serving import Serving
from harness.waiting import HANG, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MEMORY = 48 << 20
SETTINGS = {
    "GRAPH_REDIS_MAX_MEMORY": str(MEMORY),
    "GRAPH_CACHE_SHARED_BYTES": str(8 << 20),
    "GRAPH_RATE_LIMIT_WINDOW_SECONDS": "3600",  # no budget comes back before the end
    "GRAPH_RATE_LIMIT_AUTHENTICATED": "100000",
}
PASSWORD = "correct horse battery staple"
REGISTER = "mutation($i: RegisterInput!) { register(input: $i) { __typename ... on AuthPayload { token } } }"
LOGIN = "mutation($i: LoginInput!) { login(input: $i) { __typename } }"
GUEST = "mutation { playAsGuest { __typename } }"
IMPORT = 'mutation { importProducts(input: {path: "one.csv"}) { ... on Job { id } } }'
JOB = "query($id: ID!) { node(id: $id) { ... on Job { state } } }"
PAGE = "query($f: ProductFilter, $n: Int) { products(first: $n, filter: $f) { nodes { id sku name description } } }"
VIEWER = "{ viewer { user { email } } }"


class Stranger:
    """A client at an address of its own."""

    def __init__(self, server: Serving, address: str, token: str | None = None) -> None:
        self._server = server
        self._address = address
        self._token = token

    def ask(self, query: str, extensions: Any = None, **variables: Any) -> tuple[int, dict[str, str], Any]:
        """Status, headers and body."""
        connection = http.client.HTTPConnection(
            "127.0.0.1", self._server.port, timeout=HANG, source_address=(self._address, 0)
        )
        told = {"Content-Type": "application/json"}
        if self._token is not None:
            told["Authorization"] = f"Bearer {self._token}"
        asked = {"query": query, "variables": variables, "extensions": extensions}
        connection.request("POST", "/graphql", json.dumps(asked), told)
        answer = connection.getresponse()
        body = json.loads(answer.read())
        connection.close()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, body

    def left(self) -> int:
        """The units that are left after one more query."""
        return int(self.ask("{ categories { name } }")[1]["x-ratelimit-remaining"])


def attacks(number: int) -> Iterator[dict[str, Any]]:
    """What one address sends: documents to be kept, pages to be kept, accounts, guests, guesses."""
    for turn in range(9):
        text = f"{{ categories {{ slug }} }} # {number} {turn} " + "x" * 28_000
        named = {"persistedQuery": {"version": 1, "sha256Hash": hashlib.sha256(text.encode()).hexdigest()}}
        yield {"query": text, "extensions": named}
    for turn in range(6):
        yield {"query": PAGE, "n": 100, "f": {"minPrice": f"0.{number:04}{turn}"}}
    email = f"stranger{number}@example.com"
    yield {"query": REGISTER, "i": {"email": email, "password": PASSWORD, "displayName": "Stranger"}}
    yield {"query": GUEST}
    yield {"query": LOGIN, "i": {"email": f"{number}@example.org", "password": "wrong"}}


def attack(server: Serving, number: int) -> int:
    """Do all of it from one address, until its budget is gone; how much was answered."""
    stranger = Stranger(server, f"127.7.{number // 250}.{1 + number % 250}")
    answered = [stranger.ask(**asked)[0] for asked in attacks(number)]
    assert set(answered) <= {200, 429, 503}  # a busy machine may answer that it has no time
    return answered.count(200)


@pytest.mark.heavy
def test_nothing_that_must_live_is_evicted(tmp_path: Path) -> None:
    """Sessions, budgets, guesses and jobs are as they were, after more was sent than Redis may hold."""
    strangers = 80
    imports = tmp_path / "imports"
    imports.mkdir()
    (imports / "one.csv").write_text("sku,name,price\nONE,One,1.00\n")
    with Serving(tmp_path, GRAPH_JOBS_IMPORTS=str(imports), **SETTINGS) as server:
        server.ready()
        *_, token = server.admin()
        admin = Stranger(server, "127.0.0.1", token)
        job = admin.ask(IMPORT)[2]["data"]["importProducts"]["id"]
        eventually(lambda: admin.ask(JOB, id=job)[2]["data"]["node"]["state"] == "SUCCEEDED")
        nobody = Stranger(server, "127.8.0.1")
        made = nobody.ask(REGISTER, i={"email": "ada@example.com", "password": PASSWORD, "displayName": "Ada"})
        owner = Stranger(server, "127.8.0.1", made[2]["data"]["register"]["token"])
        guesser = Stranger(server, "127.9.0.1")
        wrong = {"email": "ada@example.com", "password": "wrong"}
        outcomes = [guesser.ask(LOGIN, i=wrong)[2]["data"]["login"]["__typename"] for _ in range(9)]
        assert outcomes == ["InvalidCredentials"] * 9
        before = owner.left(), nobody.left(), guesser.left()

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            answered = sum(pool.map(partial(attack, server), range(strangers)))
        assert answered > 15 * strangers

        with redis.Redis(unix_socket_path=str(socket_path(tmp_path / "valkey"))) as client:
            untyped: Any = client
            facts = untyped.info()
        assert facts["evicted_keys"] == 0
        assert facts["used_memory"] < MEMORY
        assert owner.ask(VIEWER)[2]["data"]["viewer"]["user"]["email"] == "ada@example.com"
        assert (owner.left(), nobody.left(), guesser.left()) == (before[0] - 2, before[1] - 1, before[2] - 1)
        outcomes = [guesser.ask(LOGIN, i=wrong)[2]["data"]["login"]["__typename"] for _ in range(2)]
        assert outcomes == ["InvalidCredentials", "TooManyAttempts"]
        assert admin.ask(JOB, id=job)[2]["data"]["node"]["state"] == "SUCCEEDED"
        for number in (0, strangers // 2, strangers - 1):  # each has spent what it had
            stranger = Stranger(server, f"127.7.{number // 250}.{1 + number % 250}")
            assert [stranger.ask("{ categories { name } }")[0] for _ in range(3)][-1] == 429
        assert server.query("{ __typename }") == {"data": {"__typename": "Query"}}
