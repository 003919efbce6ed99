"""The console where something is amiss or different, in headless Chromium against ``graph serve``."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.serving import Serving
from harness.valkey import ValkeyServer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

HERE = Path(__file__).parent
USERS = "{ users(first: 1) { nodes { user { id } } } }"
REVOKE = "mutation ($user: ID!) { revokeUserSessions(user: $user) }"
LIMITS = {"GRAPH_RATE_LIMIT_ANONYMOUS": "10000", "GRAPH_RATE_LIMIT_AUTHENTICATED": "10000"}


def visit(
    server: Serving, password: str, what: str, steps: Mapping[str, Callable[[], object]] | None = None
) -> dict[str, Any]:
    """What `what` of ways.mjs saw; at each word that it says the step of that name is taken."""
    command = ["node", "ways.mjs", server.url, what, os.environ.get("GRAPHIQL_SHOTS", "")]
    with subprocess.Popen(
        command, cwd=HERE, env={**os.environ, "ADMIN_PASSWORD": password}, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True,
    ) as browser:  # fmt: skip
        assert browser.stdin is not None
        assert browser.stdout is not None
        try:
            while not (line := browser.stdout.readline()).startswith("{"):
                assert line, "the visit has ended early"
                (steps or {})[line.strip()]()
                browser.stdin.write("done\n")
                browser.stdin.flush()
        finally:
            browser.kill()
    seen: dict[str, Any] = json.loads(line)
    assert seen["errors"] == []
    return seen


@pytest.fixture(autouse=True)
def browser(playwright: None) -> None:
    """What drives it is installed."""
    del playwright


def test_redis_goes_and_comes_back(tmp_path: Path) -> None:
    """While it is away the page says so, wherever one is, and afterwards it goes on without being loaded again."""
    with (
        ValkeyServer(aof=True) as valkey,
        Serving(tmp_path, GRAPH_REDIS_URL=valkey.url, GRAPH_JOBS_BESIDE="false", **LIMITS) as server,
    ):
        server.ready()
        _, password, _ = server.admin()
        seen = visit(server, password, "redis", {"kill": valkey.kill, "start": valkey.start})
        assert seen["away"]


def test_a_session_that_ends_is_told(tmp_path: Path) -> None:
    """The page asks to sign in again and says why, and shows then what was open; it can be used by keyboard alone."""
    with Serving(tmp_path, GRAPH_JOBS_BESIDE="false", **LIMITS) as server:
        server.ready()
        _, password, token = server.admin()

        def revoke() -> None:
            bearer = {"Authorization": f"Bearer {token}"}
            user = server.query(USERS, bearer)["data"]["users"]["nodes"][0]["user"]["id"]
            assert server.query(REVOKE, bearer, user=user)["data"]["revokeUserSessions"] >= 2

        assert (
            "Your session has ended: sign in again." in visit(server, password, "session", {"revoke": revoke})["ended"]
        )
        keyboard = visit(server, password, "keyboard")
        assert (keyboard["inDialog"], keyboard["after"]) == (True, "New category")


def test_where_only_trusted_documents_run(tmp_path: Path) -> None:
    """The console's and the board page's are among them, and nothing else is."""
    with Serving(tmp_path, GRAPH_JOBS_BESIDE="false", **LIMITS) as server:
        server.ready()
        _, password, _ = server.admin()
    with Serving(tmp_path, GRAPH_JOBS_BESIDE="false", GRAPH_TRUSTED_DOCUMENTS="only", **LIMITS) as server:
        server.ready()
        visit(server, password, "trusted")
        answer = server.get("/graphql?query=query%20ConsoleViewer%7B__typename%7D", **{"Apollo-Require-Preflight": "1"})
        assert b"PERSISTED_QUERY_NOT_FOUND" in answer[2]


def test_another_application_has_the_sections_that_it_lists(tmp_path: Path) -> None:
    """Its features are accounts and its own: users and API keys are shown, and each section works."""
    place = "tests.support.apps.own.app:APP"
    with Serving(tmp_path, GRAPH_APP=place, GRAPH_JOBS_BESIDE="false", **LIMITS) as server:
        server.ready()
        _, password, _ = server.admin()
        assert visit(server, password, "own")["sections"] == ["Users", "API keys"]
