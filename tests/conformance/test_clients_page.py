"""docs/clients.md: every block of it, copied from the page, run against `graph serve` on its defaults."""

from __future__ import annotations

import os
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
SHELL = re.compile(r"```sh\n(.*?)```", re.DOTALL)
ADDRESS = "127.0.0.1:8000"
EMAIL = "admin@example.com"
SEEN = ["2", EMAIL, "UPDATED"]
"""What each prints: how many products there are, who asks, what happened to one of them."""
FOLLOWING = ["apollo.mjs", "apollo-websocket.mjs", "urql.mjs", "websocket.mjs", "events.mjs"]


class Copied:
    """The page's blocks as files of a folder, with the address of a running server."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.variables = dict(os.environ)
        (folder / "node_modules").symlink_to(HERE / "node_modules")
        (folder / "package.json").write_text('{"type": "module"}')
        shutil.copy(ROOT / "schema.graphql", folder)
        (folder / "persisted.json").write_text("{}")
        self.write("")

    def write(self, address: str) -> None:
        """Write the files with the server's address in them."""
        for name, text in BLOCK.findall(PAGE):
            file = self.folder / name
            file.parent.mkdir(exist_ok=True)
            file.write_text(text.replace(ADDRESS, address))

    def run(self, *command: str) -> str:
        """What a command in the folder prints; it must end well."""
        done = subprocess.run(
            command, cwd=self.folder, env=self.variables, capture_output=True, text=True, timeout=150, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory, node_modules: None) -> Iterator[Copied]:
    """The page, copied, and a server with the manifest that Relay's compiler made; a product changes all the while.

    But for the limits, which the tests of a page would meet, all is as it comes.
    """
    copied = Copied(tmp_path_factory.mktemp("page"))
    copied.run("node_modules/.bin/relay-compiler")
    settings = {
        "GRAPH_RATE_LIMIT_ANONYMOUS": "10000",
        "GRAPH_RATE_LIMIT_AUTHENTICATED": "10000",
        "GRAPH_JOBS_IMPORTS": str(tmp_path_factory.mktemp("imports")),
        "GRAPH_TRUSTED_MANIFEST": str(copied.folder / "persisted.json"),
    }
    with Serving(tmp_path_factory.mktemp("data"), **settings) as server:
        _, password, _ = server.ready().admin()
        copied.write(f"127.0.0.1:{server.port}")
        token = copied.run("node", "sign-in.mjs", EMAIL, password).strip()
        copied.variables |= {"TOKEN": token, "EMAIL": EMAIL, "PASSWORD": password, "URL": server.url}
        with subprocess.Popen([sys.executable, "-c", CHANGE, server.url, token]) as changing:
            try:
                yield copied
            finally:
                changing.terminate()


@pytest.fixture(scope="module")
def generated(copied: Copied, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with ariadne-codegen, which has made its package of the page's operations."""
    folder = tmp_path_factory.mktemp("ariadne") / "venv"
    uv, python = Path(sys.executable).with_name("uv"), folder / "bin/python"
    locked = ["--require-hashes", "--requirement", str(HERE / "ariadne.txt")]
    copied.run(str(uv), "venv", "--quiet", "--python", sys.executable, str(folder))
    copied.run(str(uv), "pip", "install", "--quiet", "--python", str(python), *locked)
    copied.run(str(folder / "bin/ariadne-codegen"), "--config", "ariadne.toml")
    return python


def test_no_block_is_left_out() -> None:
    """Each block of the page has a name or is a shell's, and each is run below."""
    names = {name for name, _ in BLOCK.findall(PAGE)}
    assert len(names) + len(SHELL.findall(PAGE)) == PAGE.count("```") / 2
    others = {"upload.mjs", "sign-in.mjs", "graphql-request.mjs", "browser.js", "client.py"}
    relay = {"relay.config.json", "relay/Products.js", "relay.mjs"}
    generators = {"ariadne.toml", "queries.graphql", "shopping.py", "codegen.ts", "typed.ts"}
    assert names == {*FOLLOWING, *others, *relay, *generators}


@pytest.mark.parametrize("script", FOLLOWING)
def test_a_script_works_as_it_stands(copied: Copied, script: str) -> None:
    """Each client, on the options that the page gives it and no others, is signed in, queries and follows."""
    assert copied.run("node", script).split() == SEEN


def test_graphql_request_works(copied: Copied) -> None:
    """The same without subscriptions."""
    assert copied.run("node", "graphql-request.mjs").split() == SEEN[:2]


def test_a_file_goes_to_the_server(copied: Copied) -> None:
    """apollo-upload-client sends a file of products, whose import is queued as a job."""
    assert copied.run("node", "upload.mjs").split() == ["importUpload"]


def test_the_command_that_uploads_works(copied: Copied) -> None:
    """curl, as docs/importing.md calls it."""
    page = (ROOT / "docs/importing.md").read_text().replace(ADDRESS, copied.variables["URL"].removeprefix("http://"))
    (command,) = SHELL.findall(page)
    (copied.folder / "products.csv").write_text("sku,name,price\nZZ-2,Zebu,9.50\n")
    assert (
        copied.run("sh", "-c", f"curl --silent --show-error {command.removeprefix('curl')}").count('"importUpload"')
        == 1
    )


def test_relay_works_with_its_compiler_and_persisted_documents(copied: Copied) -> None:
    """What the compiler makes of fragments on an abstract type is not too much for the server; only ids are sent."""
    assert "__isNode" in (copied.folder / "persisted.json").read_text()
    assert '"text": null' in (copied.folder / "relay/__generated__/ProductsQuery.graphql.js").read_text()
    assert copied.run("node", "relay.mjs").split() == SEEN


def test_a_page_works_without_any_library(copied: Copied) -> None:
    """Chromium's own fetch and EventSource, with the cookie of a sign-in."""
    url = f"{copied.variables['URL']}/healthz"
    assert copied.run("node", str(HERE / "page.mjs"), url, "browser.js").split() == SEEN


def test_the_types_of_codegen_compile(copied: Copied) -> None:
    """graphql-codegen with strict scalars, and TypeScript's strict mode over what it makes."""
    copied.run("node_modules/.bin/graphql-codegen", "--config", "codegen.ts")
    options = ["--strict", "--noEmit", "--skipLibCheck", "--module", "esnext", "--moduleResolution", "bundler"]
    copied.run("node_modules/.bin/tsc", *options, "typed.ts")


def test_gql_works_over_http_multipart_and_websocket(copied: Copied) -> None:
    """Python's gql queries over HTTP and WebSocket, and follows events over multipart and WebSocket."""
    assert copied.run(sys.executable, "client.py").split() == SEEN * 2


def test_the_command_of_gql_works(copied: Copied) -> None:
    """gql-cli, as the page calls it, and printing the schema."""
    _, command = SHELL.findall(PAGE.replace(ADDRESS, copied.variables["URL"].removeprefix("http://")))
    copied.variables["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{copied.variables['PATH']}"
    assert copied.run("sh", "-c", command).count('"sku"') == 2
    assert "type Subscription" in copied.run("gql-cli", f"{copied.variables['URL']}/graphql", "--print-schema")


def test_ariadne_codegen_makes_a_client_that_works(copied: Copied, generated: Path) -> None:
    """Its client queries, reads decimals, and follows over WebSocket."""
    printed = copied.run(str(generated), "shopping.py").split()
    assert printed[:2] + printed[4:] == SEEN
    assert float(printed[3]) > 0


def test_the_types_of_ariadne_codegen_hold(copied: Copied, generated: Path) -> None:
    """pyright, strict, accepts a program that uses the client, and refuses a field that was not asked for."""
    pyright = [str(Path(sys.executable).with_name("pyright")), "--pythonpath", str(generated)]
    (copied.folder / "pyrightconfig.json").write_text('{"strict": ["shopping.py", "wrong.py"]}')
    copied.run(*pyright, "shopping.py")
    program = (copied.folder / "shopping.py").read_text()
    (copied.folder / "wrong.py").write_text(program.replace("product.price.amount", "product.stock"))
    with pytest.raises(AssertionError, match=r"\"stock\""):
        copied.run(*pyright, "wrong.py")


CHANGE = """
import json, sys, time, urllib.request
url, token = sys.argv[1:]
def ask(query, **variables):
    body = json.dumps({"query": query, "variables": variables}).encode()
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    return json.load(urllib.request.urlopen(urllib.request.Request(f"{url}/graphql", body, headers)))["data"]
key = ask("{ products(first: 1) { nodes { id } } }")["products"]["nodes"][0]["id"]
for stock in range(3000):
    ask("mutation ($id: ID!, $n: Int!) { updateProduct(input: {id: $id, stock: $n}) { __typename } }", id=key, n=stock)
    time.sleep(0.3)
"""
