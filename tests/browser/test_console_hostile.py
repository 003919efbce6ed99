"""The console with names that are markup, scripts, very long, or written from right to left: all of it is text."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.serving import Serving

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A server with limits that the browser does not meet."""
    folder = tmp_path_factory.mktemp("data")
    limits = {"GRAPH_RATE_LIMIT_ANONYMOUS": "10000", "GRAPH_RATE_LIMIT_AUTHENTICATED": "10000"}
    with Serving(folder, GRAPH_JOBS_IMPORTS=str(folder / "imports"), **limits) as serving:
        yield serving.ready()


def test_nothing_that_is_named_runs_or_breaks_the_page(server: Serving, playwright: None) -> None:
    """Products, categories, boards, keys, users, files and what their rows say: no script, no violation of the CSP."""
    del playwright
    password = (server.log.parent / "first-admin-password").read_text().strip()
    done = subprocess.run(
        ["node", "hostile.mjs", server.url, os.environ.get("GRAPHIQL_SHOTS", "")],
        env={**os.environ, "ADMIN_PASSWORD": password},
        cwd=HERE,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seen: dict[str, Any] = json.loads(done.stdout)
    assert seen["ran"] is False
    assert seen["errors"] == []
    assert "/x" not in seen["asked"], "nothing of a name was asked for"
    assert '<img src=x onerror="window.ran=1">' in seen["edited"]
    for name in ("Products", "a preview", "Jobs", "Categories", "Users", "API keys"):
        assert "<img src=x onerror=" in seen["shown"][name], name
    assert {name: wide for name, wide in seen["widths"].items() if wide > 0} == {}
    bent = {f"{one} 2" for one in ("createLeaderboard", "createApiKey", "renameMe", "register")}
    assert set(seen["refused"]) == {"createProduct 9", *bent}, "10,000 characters; invisible ones"
