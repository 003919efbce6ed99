"""docs/clients.md: every block of it, copied from the page, run against `graph serve` on its defaults."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.serving import Serving

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PAGE = (ROOT / "docs/clients.md").read_text()
BLOCK = re.compile(r"```\w+\n(?://|#) (\S+)\n(.*?)```", re.DOTALL)
ADDRESS = "127.0.0.1:8000"
SCRIPTS = ["apollo.mjs", "urql.mjs", "graphql-request.mjs", "websocket.mjs", "events.mjs"]


class Copied:
    """The page's blocks as files of a folder, with the address of a running server."""

    def __init__(self, server: Serving, folder: Path) -> None:
        self.server = server
        self.folder = folder
        (folder / "node_modules").symlink_to(HERE / "node_modules")
        (folder / "package.json").write_text('{"type": "module"}')
        shutil.copy(ROOT / "schema.graphql", folder)
        for name, text in BLOCK.findall(PAGE):
            file = folder / name
            file.parent.mkdir(exist_ok=True)
            file.write_text(text.replace(ADDRESS, f"127.0.0.1:{server.port}"))

    def run(self, *command: str) -> str:
        """What a command in the folder prints; it must end well."""
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=150, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory, node_modules: None) -> Iterator[Copied]:
    """The page, copied; but for the limits, which the tests of a page would meet, all is as it comes."""
    limits = {"GRAPH_RATE_LIMIT_ANONYMOUS": "1000", "GRAPH_RATE_LIMIT_AUTHENTICATED": "1000"}
    with Serving(tmp_path_factory.mktemp("data"), **limits) as server:
        yield Copied(server.ready(), tmp_path_factory.mktemp("page"))


def test_no_block_is_left_out() -> None:
    """Each block of the page has a name, and each but the one for a browser is run below."""
    names = {name for name, _ in BLOCK.findall(PAGE)}
    assert len(names) == PAGE.count("```") / 2
    known = {*SCRIPTS, "relay.config.json", "relay/Products.js", "relay.mjs", "client.py", "codegen.ts", "typed.ts"}
    assert names == known | {"browser.js"}


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_works_as_it_stands(copied: Copied, script: str) -> None:
    """Each client, on the options that the page gives it and no others, gets its two products."""
    assert copied.run("node", script).strip() == "2"


def test_relay_works_with_its_compiler(copied: Copied) -> None:
    """What the compiler makes of fragments on an abstract type is not too much for the server."""
    copied.run("node_modules/.bin/relay-compiler")
    artifact = (copied.folder / "relay/__generated__/ProductsQuery.graphql.js").read_text()
    assert "__isNode" in artifact
    assert copied.run("node", "relay.mjs").strip() == "2"


def test_the_types_of_codegen_compile(copied: Copied) -> None:
    """graphql-codegen with strict scalars, and TypeScript's strict mode over what it makes."""
    copied.run("node_modules/.bin/graphql-codegen", "--config", "codegen.ts")
    options = ["--strict", "--noEmit", "--skipLibCheck", "--module", "esnext", "--moduleResolution", "bundler"]
    copied.run("node_modules/.bin/tsc", *options, "typed.ts")


def test_gql_works_over_http_websocket_and_multipart(copied: Copied) -> None:
    """Python's gql queries over HTTP and WebSocket, and follows events over multipart."""
    server = copied.server
    password = re.search(r"with the password (\S+)", server.log.read_text())
    assert password is not None
    login = "mutation ($input: LoginInput!) { login(input: $input) { ... on AuthPayload { token } } }"
    signed_in = server.query(login, input={"email": "admin@example.com", "password": password[1]})
    token = signed_in["data"]["login"]["token"]
    change = [sys.executable, "-c", CHANGE, server.url, token]
    with subprocess.Popen(change) as changing:
        try:
            assert copied.run(sys.executable, "client.py").split() == ["2", "UPDATED", "2"]
        finally:
            changing.terminate()


CHANGE = """
import json, sys, time, urllib.request
url, token = sys.argv[1:]
def ask(query, **variables):
    body = json.dumps({"query": query, "variables": variables}).encode()
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    return json.load(urllib.request.urlopen(urllib.request.Request(f"{url}/graphql", body, headers)))["data"]
key = ask("{ products(first: 1) { nodes { id } } }")["products"]["nodes"][0]["id"]
for stock in range(600):
    ask("mutation ($id: ID!, $n: Int!) { updateProduct(input: {id: $id, stock: $n}) { __typename } }", id=key, n=stock)
    time.sleep(0.3)
"""
