"""Where the command is called: in directories of any name, in any locale."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.serving import command as start
from tests.support.processes.fork_server import command

if TYPE_CHECKING:
    from pathlib import Path

    from harness.valkey import ValkeyServer

STRANGE = "ü #1%41?x=1& [old]:@;'\"\\*"


def test_a_data_directory_may_have_any_name(tmp_path_factory: pytest.TempPathFactory) -> None:
    """SQLite and the embedded Valkey keep their files there and nowhere else, and what is printed names it."""
    above = tmp_path_factory.mktemp("d")  # short: there is room for a socket's address
    data = above / STRANGE
    listed = command(data, "user", "list")
    assert listed.returncode == 0, listed.stderr
    assert [path.name for path in above.iterdir()] == [STRANGE]
    assert {"graph.db", "valkey"} <= {path.name for path in data.iterdir()}
    examined = command(data, "doctor")
    assert examined.returncode == 0, examined.stdout
    (where,) = (line for line in examined.stdout.splitlines() if "SQLite" in line)
    assert STRANGE.replace("%", "%25").replace("?", "%3F") in where
    (where,) = (line for line in command(data, "settings").stdout.splitlines() if line.startswith("GRAPH_DATA_DIR"))
    assert STRANGE in where


ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def test_output_is_in_utf8_whatever_the_locale(tmp_path: Path) -> None:
    """Where Python would write ASCII, lines and boxes are what they are elsewhere."""
    shown = start(tmp_path, "--help", **ASCII)
    assert shown.stderr == ""
    assert "╭─" in shown.stdout


@pytest.mark.heavy
def test_a_long_command_is_in_utf8_whatever_the_locale(valkey: ValkeyServer, tmp_path: Path) -> None:
    """Its marks, and the paths of files."""
    examined = start(tmp_path / "ü", "doctor", GRAPH_REDIS_URL=valkey.url, **ASCII)
    assert examined.stderr == ""
    assert "✓ Redis" in examined.stdout
    assert "/ü/graph.db" in examined.stdout
