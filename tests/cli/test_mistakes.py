"""The command called wrongly: one sentence on standard error, a status that says so, never a traceback."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.processes.fork_server import command

if TYPE_CHECKING:
    from pathlib import Path

MISTAKES: dict[str, tuple[list[str], dict[str, str], str]] = {
    "port": (["serve", "--port", "99999"], {}, "--port=99999: input should be less than or equal to 65535"),
    "workers": (["serve", "--workers", "0"], {}, "--workers=0: input should be greater than or equal to 1"),
    "host": (["serve", "--host", "999.1.1.1"], {}, "cannot listen on 999.1.1.1"),
    "data": (["serve"], {"GRAPH_DATA_DIR": "/dev/null/data"}, "cannot keep data in /dev/null/data: "),
    "redis port": (["doctor"], {"GRAPH_REDIS_URL": "redis://u:secret@h:99999"}, "GRAPH_REDIS_URL='redis://u:***@h"),
    "redis port name": (["doctor"], {"GRAPH_REDIS_URL": "redis://h:port"}, "GRAPH_REDIS_URL='redis://h:port': "),
    "redis password": (
        ["doctor"],
        {"GRAPH_REDIS_URL": "redis://u:secret#x@h:1"},
        "GRAPH_REDIS_URL='redis://u:***@h",
    ),
    "cluster password": (
        ["jobs", "list"],
        {"GRAPH_REDIS_URL": "redis+cluster://u:secret/x@h:1,i:1"},
        "GRAPH_REDIS_URL: a port makes no sense; in a password",
    ),
    "sql password": (
        ["serve"],
        {"GRAPH_DATABASE_URL": "postgresql://u:secret/x@h:1/d"},
        "GRAPH_DATABASE_URL='postgresql://u:***@h:1/d': ",
    ),
    "sql option": (
        ["serve"],
        {"GRAPH_DATABASE_URL": "postgresql://u:secret@h:1/d?statement_cache_size=x"},
        "GRAPH_DATABASE_URL: statement_cache_size=x: a number is wanted",
    ),
    "sentinel": (
        ["serve"],
        {"GRAPH_REDIS_URL": "redis+sentinel://u:secret@h:1"},
        "GRAPH_REDIS_URL: a Sentinel URL names",
    ),
    "map": (["jobs", "list"], {"GRAPH_REDIS_URL": "redis://h?address_map=x"}, "GRAPH_REDIS_URL: address_map is "),
    "no table": (["settings", "--into", "other.md"], {}, "other.md: the document has no "),
    "noise": (["import", "noise.csv"], {}, "noise.csv: line 1: Not CSV: "),
    "no name": (["import", "none.csv"], {}, "none.csv: The first line must name the columns"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told_in_a_sentence(tmp_path: Path, name: str) -> None:
    """Each mistake ends the command with status 1 and names what is wrong, without passwords."""
    arguments, variables, told = MISTAKES[name]
    (tmp_path / "noise.csv").write_bytes(b"sku,na\rme\xff\x00\n\x01")
    (tmp_path / "none.csv").write_bytes(b"")
    (tmp_path / "other.md").write_text("# A document\n")
    done = command(tmp_path / "data", *arguments, cwd=tmp_path, **variables)
    assert done.stderr.startswith(f"graph: {told}"), done.stderr
    assert done.stderr.count("\n") == 1
    assert "secret" not in done.stderr
    assert done.returncode == 1
