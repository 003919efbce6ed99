"""GraphiQL in headless Chromium, against ``graph serve``.

Needs Node, npm and Chromium (``/usr/bin/chromium``, or where CHROMIUM points); ``.ci/run`` sees to them.
"""

from __future__ import annotations

import filecmp
import json
import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from harness.serving import ROOT, Serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A server on its seeded catalog, with limits that the browser does not meet."""
    limits = {"GRAPH_RATE_LIMIT_ANONYMOUS": "1000", "GRAPH_RATE_LIMIT_AUTHENTICATED": "1000"}
    with Serving(tmp_path_factory.mktemp("data"), **limits) as serving:
        yield serving.ready()


@pytest.fixture(scope="module")
def seen(server: Serving, playwright: None) -> dict[str, Any]:
    """What a visit to GraphiQL showed; screenshots go where GRAPHIQL_SHOTS says."""
    del playwright
    command = ["node", "graphiql.mjs", f"{server.url}/graphql", os.environ.get("GRAPHIQL_SHOTS", "")]
    _, password, _ = server.admin()
    variables = {**os.environ, "ADMIN_PASSWORD": password}
    done = subprocess.run(command, env=variables, cwd=HERE, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) | {"password": password}


def test_nothing_is_asked_of_anybody_else(seen: dict[str, Any]) -> None:
    """Every request of the page goes to the server it came from; none fails, and the page reports no error."""
    requests: list[str] = seen["requests"]
    hosts = {urlsplit(url).hostname for url in requests if not url.startswith(("data:", "blob:"))}
    assert hosts == {"127.0.0.1"}
    assert seen["failures"] == []
    assert seen["errors"] == []


def test_the_first_query_answers_from_the_catalog(seen: dict[str, Any]) -> None:
    """The query that stands in the editor runs as it is and shows products."""
    products = seen["catalog"]["data"]["products"]
    assert products["totalCount"] > 0
    assert len(products["nodes"]) == 5
    assert all(product["stock"] > 0 for product in products["nodes"])


def test_the_docs_show_the_schema(seen: dict[str, Any]) -> None:
    """The documentation panel lists the root types and the product's own types."""
    shown = set(re.findall(r"\w+", seen["docs"]))
    assert {"Query", "Mutation", "Product", "ProductConnection", "Category", "RateLimit"} <= shown


def test_the_explorer_knows_the_fields(seen: dict[str, Any]) -> None:
    """The query builder offers the fields of Query."""
    assert {"products", "product", "categories", "node"} <= set(seen["explorer"].split())


def test_the_sign_in_shows_where_the_password_goes(seen: dict[str, Any]) -> None:
    """The tab that signs in shows its variables, the password among them, without a click."""
    assert '"password"' in seen["variables"].replace("\xa0", " ")


def test_a_link_opens_its_query(seen: dict[str, Any]) -> None:
    """``?query=`` in the address stands in the editor and runs; one the schema refuses shows the reason."""
    assert seen["linked"]["data"]["__typename"] == "Query"
    assert seen["refused"]["errors"][0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"


def test_a_link_states_the_whole_tab(seen: dict[str, Any]) -> None:
    """It has no variables but its own, runs the operation that it names, and leaves the other tabs as they are."""
    assert seen["stated"]["data"] == {"two": "Query"}
    assert seen["sent"] == ["Two", {}]
    assert seen["tabs"] == ["Catalog", "Search", "Leaderboard", "Storefront", "Changes", "SignIn", "Linked"]
    assert seen["again"]["data"] == {"__typename": "Query"}  # the page again, without the link


def test_signing_in_holds_for_the_next_page(seen: dict[str, Any]) -> None:
    """A login in one page sets the cookie by which another page is signed in."""
    assert seen["login"]["data"]["login"]["__typename"] == "AuthPayload"
    assert seen["viewer"]["data"]["viewer"]["user"] == {"email": "admin@example.com", "role": "ADMIN"}


def test_a_subscription_shows_what_changes(seen: dict[str, Any]) -> None:
    """A subscription runs over a WebSocket to this server and shows a change that the cookie's admin made."""
    socket = urlsplit(str(seen["socket"]))
    assert (socket.scheme, socket.hostname, socket.path) == ("ws", "127.0.0.1", "/graphql")
    assert '"kind": "UPDATED"' in seen["changed"]


def test_no_password_is_kept(seen: dict[str, Any]) -> None:
    """Neither tabs nor history hold it: as a variable, as a variable of another name, as a literal; nor any header."""
    assert [seen["literal"]["data"][name]["__typename"] for name in "ab"] == ["AuthPayload", "InvalidCredentials"]
    assert "mutation Lit" in seen["stored"]
    assert "mutation In" in seen["stored"]
    assert seen["password"] not in seen["stored"]
    assert "for-nobody-else" not in seen["stored"]


def test_the_header_tells_who_and_how_much(seen: dict[str, Any]) -> None:
    """After the sign-in it names the user and the role, and what is left of the budget."""
    assert re.search(r"Admin · ADMIN\s+\d+ of 1000 left", seen["status"])


def test_a_subscription_shows_a_log(seen: dict[str, Any]) -> None:
    """Its events are numbered and stay, the newest first."""
    shown = seen["log"].replace("\xa0", " ")
    assert '"received":' in shown
    assert '"events": [' in shown


@pytest.mark.parametrize(("how", "stock"), [("whole", 8001), ("patched", 8002)])
def test_a_live_query_shows_its_answer_and_a_log(seen: dict[str, Any], how: str, stock: int) -> None:
    """Above the log of what came stands the answer as it is now, made of patches where they were asked for."""
    shown = re.sub(r"\s+", " ", seen[how])
    answer, log = shown.split('"events":')
    assert f'"stock": {stock} }} }}, ' in answer
    assert ('"patch": [ { "op": "replace", "path": "/product/stock"' in log) == (how == "patched")


def test_it_is_usable_on_a_telephone(seen: dict[str, Any]) -> None:
    """400 pixels are enough: nothing lies beside the screen, editor and answer are below one another."""
    assert seen["phone"]["page"] == [400, 800]
    assert min(seen["phone"]["widths"]) > 340


def test_the_history_leaves_the_editor_alone(seen: dict[str, Any]) -> None:
    """A long history moves neither the editor nor the page."""
    top, after, scrolled = seen["history"]
    assert top == after
    assert scrolled == 0


def test_the_committed_files_are_what_the_sources_build(tmp_path: Path, npm_install: Callable[[Path], None]) -> None:
    """Building GraphiQL again from its locked packages gives the committed files, byte for byte."""
    folder = ROOT / "graphiql"
    npm_install(folder)
    subprocess.run(["node", "build.mjs", str(tmp_path)], cwd=folder, check=True, timeout=120)
    built = filecmp.dircmp(tmp_path, ROOT / "graph" / "static" / "graphiql")
    assert (built.left_only, built.right_only, built.diff_files) == ([], [], [])
    assert built.common_files
