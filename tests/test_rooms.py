"""Each room of the house is entered by its door: the package and what it names in ``__all__``."""

from __future__ import annotations

import ast
import importlib
import re
from collections import Counter
from functools import cache
from graphlib import CycleError, TopologicalSorter
from types import ModuleType
from typing import TYPE_CHECKING, NamedTuple

import pytest

from harness.serving import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    Imports = Callable[[Path], Sequence[tuple[str, str]]]

IMPORT = re.compile(r"^ *(?:from|import) +tests\b(?:[^(\n]*$|[^(\n]*\([^)]*\))", re.MULTILINE)
"""An import from the tests, over as many lines as it takes."""
HOUSES = {"graph.patterns", "graph.endpoint", "graph.api", "graph.engines"}
"""Packages whose modules are open, and whose sub-packages are rooms."""
PACKAGES = {
    ".".join(path.parent.relative_to(ROOT).parts): path
    for path in sorted((ROOT / "graph").rglob("__init__.py"))
    if path.parent != ROOT / "graph"
}
ROOMS = [name for name, path in PACKAGES.items() if "\n__all__ = " in path.read_text() and name not in HOUSES]
PRODUCT = sorted(path for folder in ("graph", "examples") for path in (ROOT / folder).rglob("*.py"))
MAX_LINES = 320
MAX_MODULES = 15
"""What somebody can look through at one go."""


class Outline(NamedTuple):
    """What tests here ask of a file."""

    imports: Sequence[tuple[str, str]]
    classes: Sequence[str]


@pytest.fixture(scope="module")
def outline() -> Callable[[Path], Outline]:
    """Gives what a file imports and its classes: each file is parsed once."""

    @cache
    def read(path: Path) -> Outline:
        tree = ast.parse(path.read_text())
        found: list[tuple[str, str]] = []
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module is not None:
                found += [(node.module, alias.name) for alias in node.names]
            elif isinstance(node, ast.Import):
                found += [(alias.name, "") for alias in node.names]
        return Outline(found, [node.name for node in tree.body if isinstance(node, ast.ClassDef)])

    return read


@pytest.fixture(scope="module")
def imports(outline: Callable[[Path], Outline]) -> Imports:
    """Gives every module that a file imports, with each name it takes from it (empty for a plain import)."""
    return lambda path: outline(path).imports


def test_every_package_is_a_room() -> None:
    """Those of the product and those of a house are rooms; within a room there may be more."""
    wanted = {name for name in PACKAGES if name.rpartition(".")[0] in ("graph", *HOUSES)} - {
        *HOUSES,
        "graph.engines.migrations",
    }
    assert wanted - set(ROOMS) == set()


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_says_what_it_is_for_and_names_what_is_public(room: str) -> None:
    """Its docstring is more than a line, and every name of its ``__all__`` is there."""
    package = importlib.import_module(room)
    assert package.__doc__ is not None
    assert "\n\n" in package.__doc__.strip()
    assert len(set(package.__all__)) == len(package.__all__) > 0
    assert [name for name in package.__all__ if not hasattr(package, name)] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_no_module_takes_the_place_of_what_a_package_names(package: str, imports: Imports) -> None:
    """To import a submodule sets it in its package, over a function of the same name that was imported there before."""
    door = importlib.import_module(package)
    taken = {
        name for name in getattr(door, "__all__", ()) if (PACKAGES[package].parent / name).with_suffix(".py").exists()
    }
    taken |= {name for name in getattr(door, "__all__", ()) if f"{package}.{name}" in PACKAGES}
    shown = {name for module, name in imports(PACKAGES[package]) if module == package}
    for name in taken - shown:
        importlib.import_module(f"{package}.{name}")
    assert [name for name in taken - shown if isinstance(getattr(door, name), ModuleType)] == []


def test_only_the_package_of_a_room_is_imported_from_outside(imports: Imports) -> None:
    """Nobody reaches past the door, not even for a type."""
    reached: list[str] = []
    for path in PRODUCT:
        here = _name(path)
        for module, name in imports(path):
            if not module.startswith("graph."):
                continue
            passed = [room for room in ROOMS if _is_in(module, room) and not _is_in(here, room)]
            if passed and (module != max(passed) or name not in importlib.import_module(module).__all__):
                reached.append(f"{path.relative_to(ROOT)}: {module} {name}")
    assert reached == []


def test_no_module_imports_itself_in_a_circle(imports: Imports) -> None:
    """Whatever is imported for its types alone counts as well."""
    graph: dict[str, set[str]] = {}
    modules = {_name(path): path for path in PRODUCT}
    for here, path in modules.items():
        for module, name in imports(path):
            there = f"{module}.{name}" if f"{module}.{name}" in modules else module
            if there in modules:
                graph.setdefault(here, set()).add(there)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_no_test_imports_another(imports: Imports) -> None:
    """What tests share is a fixture, or lies in ``tests/support`` or ``harness``."""
    named = re.compile(r"\b(test_|conftest\b)")
    taken = {
        f"{path.relative_to(ROOT)}: {module}"
        for path in (ROOT / "tests").rglob("*.py")
        if any(named.search(one) for one in IMPORT.findall(path.read_text()))  # else there is nothing to parse it for
        for module, name in imports(path)
        for part in (module.rpartition(".")[2], name)
        if module.startswith("tests") and (part.startswith("test_") or part == "conftest")
    }
    assert taken == set()


def test_no_file_and_no_folder_is_too_large() -> None:
    """A module has at most `MAX_LINES` lines, a folder at most `MAX_MODULES` modules."""
    files = [path for path in PRODUCT if path.is_relative_to(ROOT / "graph")]
    assert [str(path) for path in files if len(path.read_text().splitlines()) > MAX_LINES] == []
    full = Counter(path.parent for path in files if path.name != "__init__.py")
    assert {str(folder): number for folder, number in full.items() if number > MAX_MODULES} == {}


@pytest.mark.parametrize("schema", [False, True], ids=["house", "schema"])
def test_a_name_means_one_thing(outline: Callable[[Path], Outline], *, schema: bool) -> None:
    """No two classes have one name, but for a GraphQL type that shows what a record or a table of that name holds."""
    homes: dict[str, list[str]] = {}
    for path in (ROOT / "graph").rglob("*.py"):
        if path.is_relative_to(ROOT / "graph/api") == schema:
            for name in outline(path).classes:
                homes.setdefault(name, []).append(_name(path))
    assert {name: found for name, found in homes.items() if len(found) > 1} == {}


def _name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _is_in(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")
