"""The page of a board in headless Chromium, against ``graph serve``."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from harness.serving import Serving

HERE = Path(__file__).parent


def test_a_board_is_shown_as_it_changes(tmp_path: Path, playwright: None) -> None:
    """The best twenty, and one's own place, at once and after the server was killed; axe finds nothing."""
    del playwright
    limits = {"GRAPH_RATE_LIMIT_ANONYMOUS": "10000", "GRAPH_RATE_LIMIT_AUTHENTICATED": "10000"}
    with Serving(tmp_path, **limits) as server:
        server.ready()
        command = ["node", "board.mjs", server.url, os.environ.get("GRAPHIQL_SHOTS", "")]
        with subprocess.Popen(
            command, cwd=HERE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
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
    assert seen["errors"] == []
    requests: list[str] = seen["requests"]
    assert {urlsplit(url).hostname for url in requests} == {"127.0.0.1"}
    assert seen["missing"] == [404, "There is no such leaderboard"]
    assert (seen["rows"], seen["place"], seen["player"]) == (21, "", "Ada <b>")
    assert len(seen["violations"]) == 6
    assert {name: found for name, found in seen["violations"].items() if found} == {}
    assert set(seen["widths"].values()) == {400}
