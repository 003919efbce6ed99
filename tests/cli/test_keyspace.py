"""What a busy session leaves in Redis: keys of declared shapes, with a lifetime unless they are declared durable."""

from __future__ import annotations

import json
import re
import time
import urllib.request
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import redis

from graph.cli.permissions import declared, key_shapes
from graph.engines.embedded import socket_path
from harness.serving import HANG, Serving, Working
from tests.support.engines.stocked import stocked

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def glob(pattern: str) -> str:
    """The pattern for fnmatch, to which brackets mean something."""
    return re.sub(r"[\[\]]", lambda one: f"[{one[0]}]", pattern)


def shaped(key: str, patterns: Iterable[str]) -> bool:
    """Whether one of the patterns, all of them below the prefix, is the key's."""
    return any(fnmatchcase(key, f"busy:{glob(one)}") for one in patterns)


class Caller:
    """Somebody who asks the server."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving
        self._token = ""

    def ask(self, document: str, **variables: Any) -> dict[str, Any]:
        headers = {"Content-Type": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        body = json.dumps({"query": document, "variables": variables}).encode()
        request = urllib.request.Request(f"{self._serving.url}/graphql", body, headers)
        with urllib.request.urlopen(request, timeout=HANG) as answer:
            found: dict[str, Any] = json.loads(answer.read())
        assert "errors" not in found, found
        return found["data"]

    def sign_in(self, email: str, password: str) -> None:
        document = "mutation ($i: LoginInput!) { login(input: $i) { ... on AuthPayload { token } } }"
        self._token = self.ask(document, i={"email": email, "password": password})["login"]["token"]


REGISTER = "mutation ($i: RegisterInput!) { register(input: $i) { ... on AuthPayload { token } } }"
SUBMIT = "mutation ($i: SubmitScoreInput!) { submitScore(input: $i) { ... on ScoreSubmitted { rank } } }"
REPRICE = "mutation ($i: UpdateProductInput!) { updateProduct(input: $i) { ... on Product { id } } }"
IMPORT = "mutation ($p: String!) { importProducts(input: {path: $p}) { ... on Job { id } } }"
JOB = "query ($id: ID!) { node(id: $id) { ... on Job { state } } }"
BOARDS = "{ leaderboards { slug top(first: 3) { nodes { rank } } } }"
PASSWORD = "correct horse battery staple"


def be_busy(serving: Serving, imports: Path) -> None:
    """Use everything that keeps something in Redis."""
    admin, player, nobody = Caller(serving), Caller(serving), Caller(serving)
    email, password, _ = serving.admin()
    admin.sign_in(email, password)
    player.ask(REGISTER, i={"email": "ada@example.com", "password": PASSWORD, "displayName": "Ada"})
    player.sign_in("ada@example.com", PASSWORD)
    products = [
        nobody.ask("query ($n: Int!) { products(first: $n) { nodes { id sku } } }", n=number)["products"]["nodes"]
        for number in (1, 3)
    ][1]
    for product in products:
        nobody.ask("query ($id: ID!) { product(by: {id: $id}) { name category { name } } }", id=product["id"])
        admin.ask(REPRICE, i={"id": product["id"], "price": {"amount": "2.00"}})
    boards = admin.ask(BOARDS)["leaderboards"]
    for number, board in enumerate(boards):
        player.ask(SUBMIT, i={"board": board["slug"], "score": 5.0, "key": f"once-{number}"})
    jobs: list[str] = []
    for name, rows in (("good", "A,Good,1.00"), ("bad", "B,Bad,-1.00")):
        (imports / f"{name}.csv").write_text(f"sku,name,price\n{rows}\n")
        jobs.append(admin.ask(IMPORT, p=f"{name}.csv")["importProducts"]["id"])
    deadline = time.monotonic() + HANG
    while not all(admin.ask(JOB, id=job)["node"]["state"] in ("SUCCEEDED", "FAILED") for job in jobs):
        assert time.monotonic() < deadline
        time.sleep(0.5)
    player.ask("mutation { logoutEverywhere }")


def test_every_key_is_declared_and_one_without_a_lifetime_as_durable(tmp_path: Path) -> None:
    """The whole keyspace is looked at, after everything that keeps something in Redis was used."""
    patterns, shapes = declared("DURABLE_KEYS"), key_shapes()
    assert all(len(why) > 20 for why in patterns.values())
    imports = tmp_path / "imports"
    imports.mkdir()
    shared = {"GRAPH_DATA_DIR": str(tmp_path), "GRAPH_JOBS_IMPORTS": str(imports), "GRAPH_REDIS_PREFIX": "busy"}
    with (
        Serving(stocked(tmp_path), **shared, GRAPH_JOBS_BESIDE="false") as serving,
        Working(tmp_path / "worker", **shared),
    ):
        be_busy(serving.ready(), imports)
        with redis.Redis(unix_socket_path=str(socket_path(tmp_path / "valkey"))) as client:
            untyped: Any = client
            keys: list[str] = [key.decode(errors="replace") for key in untyped.scan_iter()]
            stay = [key for key in keys if untyped.ttl(key) == -1]
    assert len(keys) > 30
    assert [key for key in stay if not shaped(key, patterns)] == []
    assert [key for key in keys if not shaped(key, shapes)] == []
