"""The console in headless Chromium, against ``graph serve``: what it does, and what axe says of every section."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from harness.serving import Serving

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent

REGISTER = """mutation ($input: RegisterInput!) { register(input: $input) { ... on AuthPayload { user { role } } } }"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A server on its seeded catalog, with limits that the browser does not meet."""
    limits = {"GRAPH_RATE_LIMIT_ANONYMOUS": "10000", "GRAPH_RATE_LIMIT_AUTHENTICATED": "10000"}
    folder = tmp_path_factory.mktemp("data")
    with Serving(folder, GRAPH_JOBS_IMPORTS=str(folder / "imports"), **limits) as serving:
        yield serving.ready()


@pytest.fixture(scope="module")
def seen(server: Serving, playwright: None) -> dict[str, Any]:
    """What a visit showed; screenshots go where GRAPHIQL_SHOTS says."""
    del playwright
    player = {"email": "player@example.com", "password": "the phrase of a player", "displayName": "Player"}
    assert server.query(REGISTER, input=player)["data"]["register"]["user"] == {"role": "PLAYER"}
    variables = {
        **os.environ,
        "PLAYER_PASSWORD": player["password"],
        "ADMIN_PASSWORD": (server.log.parent / "first-admin-password").read_text().strip(),
    }
    command = ["node", "console.mjs", server.url, os.environ.get("GRAPHIQL_SHOTS", "")]
    done = subprocess.run(command, env=variables, cwd=HERE, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_nothing_is_asked_of_anybody_else(seen: dict[str, Any]) -> None:
    """Every request goes to the server that the page came from; none fails, and the page reports no error."""
    requests: list[str] = seen["requests"]
    assert {urlsplit(url).hostname for url in requests} == {"127.0.0.1"}
    assert seen["failures"] == []
    assert seen["errors"] == []


def test_it_is_for_an_admin(seen: dict[str, Any]) -> None:
    """Another user is told so, a wrong password too; nothing of the session is where a script finds it."""
    assert "You are signed in as Player (PLAYER)." in seen["refused"]
    assert seen["wrong"] == "The email or the password is wrong."
    assert seen["stored"] == [0, 0, ""]


def test_a_key_is_shown_once(seen: dict[str, Any]) -> None:
    """A key needs a scope; it is shown when it is made, and gone from the list once it is revoked."""
    assert seen["scopeless"] == "scopes: A key needs at least one scope."
    assert seen["key"].startswith("key-")


def test_the_overview_tells_what_is_asked(seen: dict[str, Any]) -> None:
    """What is asked while somebody looks is told of by its name (the visit waits for that); engines answer."""
    assert seen["tiles"][:2] == ["Requests a second", "Kept answers"]
    assert seen["engines"].count("answers") == 2
    assert "Valkey" in seen["engines"]
    assert "SQLite" in seen["engines"]
    assert "server" in seen["fleet"]


def test_a_product_is_found_and_changed(seen: dict[str, Any]) -> None:
    """A search finds it; a price with too many decimals is refused at its field, another one is saved and shown."""
    assert "lamp" in seen["product"].lower()
    assert seen["badPrice"].startswith("price.amount: ")


def test_a_file_is_shown_before_it_is_imported(seen: dict[str, Any]) -> None:
    """Its columns, and what is not read; then its job is followed, and one that failed is retried, discarded."""
    assert "1 new" in seen["preview"]
    assert "Not read: shelf." in seen["preview"]
    assert "console-1" in seen["preview"]


def test_the_last_admin_stays_one(seen: dict[str, Any]) -> None:
    """A user gets a role, is disabled and enabled (the visit waits for each); the only ADMIN is not let go."""
    assert seen["lastAdmin"] == "This is the last ADMIN that can sign in: make another one first."


def test_a_page_that_stays_open_does_not_grow(seen: dict[str, Any], server: Serving) -> None:
    """As many updates as in an hour leave elements and listeners as they were after a third of them, and the memory.

    What stands between page and server keeps some bytes of each frame; they are the same where the page ignores them.
    """
    assert seen["errors"] == []
    command = ["node", "hour.mjs", server.url]
    environ = {**os.environ, "ADMIN_PASSWORD": "the phrase of an admin"}
    done = subprocess.run(command, env=environ, cwd=HERE, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr
    hour: dict[str, Any] = json.loads(done.stdout)
    assert hour["errors"] == []
    assert hour["updates"] >= 3600
    first, _, last = hour["sizes"]
    assert last["nodes"] <= first["nodes"] + 50
    assert last["listeners"] <= first["listeners"] + 10
    assert last["bytes"] - first["bytes"] < 300_000


def test_everybody_can_use_it(seen: dict[str, Any]) -> None:
    """Axe finds nothing in any section, in the light and in the dark; 400 pixels are wide enough."""
    assert len(seen["violations"]) >= 28
    assert {name: found for name, found in seen["violations"].items() if found} == {}
    assert set(seen["widths"].values()) == {400}
