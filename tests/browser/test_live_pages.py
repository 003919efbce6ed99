"""The pages of examples/live in headless Chromium, served as their README says, against ``graph serve``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.serving import ROOT, Serving
from harness.valkey import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent


@pytest.fixture
def pages() -> Iterator[str]:
    """The address at which Python's own web server serves the folder."""
    port = free_port()
    words = ["-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", str(ROOT / "examples/live")]
    with subprocess.Popen([sys.executable, "-u", *words], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as serving:
        assert serving.stdout is not None
        assert b"Serving HTTP" in serving.stdout.readline()
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            serving.kill()


def test_both_pages_show_what_changes(pages: str, tmp_path: Path, playwright: None) -> None:
    """A price and a score show up after an unknown error, a reload, and the death and restart of the server."""
    del playwright
    settings = {
        "GRAPH_CORS_ORIGINS": pages,
        "GRAPH_RATE_LIMIT_ANONYMOUS": "1000",
        "GRAPH_RATE_LIMIT_AUTHENTICATED": "1000",
    }
    with Serving(tmp_path, **settings) as server:
        _, _, token = server.ready().admin()
        command = ["node", "live.mjs", server.url, pages, os.environ.get("GRAPHIQL_SHOTS", "")]
        with subprocess.Popen(
            command, cwd=HERE, env={**os.environ, "TOKEN": token}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True,
        ) as browser:  # fmt: skip
            try:
                assert browser.stdin is not None
                assert browser.stdout is not None
                assert browser.stdout.readline() == "restart\n"
                server.process.kill()
                server.process.wait()
                server.__enter__()
                server.ready()
                seen: dict[str, Any] = json.loads(browser.communicate("go\n", timeout=240)[0])
            finally:
                browser.kill()
    assert seen == {"errors": [], "states": ["live", "live"], "widths": [400, 400]}
