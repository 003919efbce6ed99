"""Each room of the house is entered by its door: the package and what it names in ``__all__``."""

from __future__ import annotations

import ast
import importlib
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING

import pytest

from harness.serving import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOUSES = ["graph.patterns", "graph.endpoint"]
"""Packages whose sub-packages are rooms."""

ROOMS = sorted(
    f"{house}.{path.parent.name}" for house in HOUSES for path in ROOT.glob(f"{house.replace('.', '/')}/*/__init__.py")
)
PRODUCT = sorted(path for folder in ("graph", "examples") for path in (ROOT / folder).rglob("*.py"))


def test_there_are_rooms() -> None:
    """Every house has some, so that the tests below look at something."""
    assert {room.rpartition(".")[0] for room in ROOMS} == set(HOUSES)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_says_what_it_is_for_and_names_what_is_public(room: str) -> None:
    """Its docstring is more than a line, and every name of its ``__all__`` is there."""
    package = importlib.import_module(room)
    assert package.__doc__ is not None
    assert "\n\n" in package.__doc__.strip()
    assert len(set(package.__all__)) == len(package.__all__) > 0
    assert [name for name in package.__all__ if not hasattr(package, name)] == []


def test_only_the_package_of_a_room_is_imported_from_outside() -> None:
    """Nobody reaches past the door, not even for a type."""
    reached: list[str] = []
    for path in PRODUCT:
        here = _name(path)
        for module, name in _imports(path):
            room = next((room for room in ROOMS if module == room or module.startswith(f"{room}.")), None)
            if room is None or here == room or here.startswith(f"{room}."):
                continue
            if module != room or name not in importlib.import_module(room).__all__:
                reached.append(f"{path.relative_to(ROOT)}: {module} {name}")
    assert reached == []


@pytest.mark.parametrize("house", HOUSES)
def test_no_module_imports_itself_in_a_circle(house: str) -> None:
    """Whatever is imported for its types alone counts as well."""
    graph: dict[str, set[str]] = {}
    modules = {_name(path): path for path in PRODUCT if _name(path).startswith(house)}
    for here, path in modules.items():
        for module, name in _imports(path):
            there = f"{module}.{name}" if f"{module}.{name}" in modules else module
            if there in modules:
                graph.setdefault(here, set()).add(there)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


@pytest.mark.parametrize("schema", [False, True], ids=["house", "schema"])
def test_a_name_means_one_thing(*, schema: bool) -> None:
    """No two classes have one name, but for a GraphQL type that shows what a record or a table of that name holds."""
    homes: dict[str, list[str]] = {}
    for path in (ROOT / "graph").rglob("*.py"):
        if path.is_relative_to(ROOT / "graph/api") == schema:
            for node in ast.parse(path.read_text()).body:
                if isinstance(node, ast.ClassDef):
                    homes.setdefault(node.name, []).append(_name(path))
    assert {name: found for name, found in homes.items() if len(found) > 1} == {}


def _name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imports(path: Path) -> Iterator[tuple[str, str]]:
    """Every module that a file imports, with each name it takes from it (empty for a plain import)."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            for alias in node.names:
                yield node.module, alias.name
        elif isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, ""
