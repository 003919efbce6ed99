"""``graph new`` makes a project, or says why it does not; what it makes is as clean as the rest."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING

import pytest

import graph
from graph.cli.new import BadName, check_name, make_project
from harness.serving import ROOT
from tests.support.processes.fork_server import command

if TYPE_CHECKING:
    from pathlib import Path


def test_a_project_is_made(tmp_path: Path) -> None:
    """By the command: with its own name everywhere, and for this version of the server."""
    done = command(tmp_path, "new", "bakery", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    made = tmp_path / "bakery"
    assert done.stdout.startswith("Made bakery: ")
    files = {str(path.relative_to(made)): path.read_text() for path in made.rglob("*") if path.is_file()}
    assert {".env", ".gitignore", "Makefile", "bakery/app.py", "bakery/notes/migrations/0001_notes.py"} <= set(files)
    assert [name for name, text in files.items() if "newproject" in name + text or "@version@" in text] == []
    assert "GRAPH_APP=bakery.app:APP" in files[".env"].splitlines()
    project = tomllib.loads(files["pyproject.toml"])["project"]
    assert (project["name"], project["dependencies"]) == ("bakery", [f"graph-server[server]~={graph.__version__}"])
    assert made.stat().st_mode & 0o777 == 0o755
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".bakery")) == []


def test_the_code_of_a_project_passes_the_linter(tmp_path: Path) -> None:
    """The formatter, too, whatever the project is called."""
    make_project("bakery", tmp_path / "bakery")
    ruff = [sys.executable, "-m", "ruff"]
    config = ["--no-cache", "--config", str(ROOT / "pyproject.toml")]
    # The order of imports depends on the name; Alembic loads migrations by path.
    for words in (["check", *config, "--ignore", "I001,INP001,TC,PLR2004,S"], ["format", "--check", *config]):
        done = subprocess.run([*ruff, *words, "bakery"], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("Bakery", "no name of a Python package"),
        ("my-bakery", "no name of a Python package"),
        ("../bakery", "no name of a Python package"),
        ("class", "no name of a Python package"),
        ("b" * 41, "no name of a Python package"),
        ("graph", "a Python package graph already"),
        ("json", "a Python package json already"),
        ("tests", "a Python package tests already"),
    ],
)
def test_a_name_that_would_not_work_is_refused(name: str, told: str, tmp_path: Path) -> None:
    """Nothing is written."""
    with pytest.raises(BadName, match=told):
        check_name(name)
    with pytest.raises(BadName, match=told):
        make_project(name, tmp_path / "folder")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    """Whatever is in it."""
    (tmp_path / "bakery").mkdir()
    with pytest.raises(FileExistsError, match="there already"):
        make_project("bakery", tmp_path / "bakery")
    assert list((tmp_path / "bakery").iterdir()) == []
