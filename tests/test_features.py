"""Every feature keeps the rules that hold for features, one that comes tomorrow as well; each module has a layer."""

from __future__ import annotations

import ast
import tomllib
from typing import TYPE_CHECKING

import pytest

from graph.product import APP
from harness.serving import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GRAPH = ROOT / "graph"
FEATURES = sorted(path.parent.name for path in GRAPH.glob("*/feature.py") if path.parent.name != "api")
BELOW = {"engines", "errors", "feature", "jobs", "patterns"}
"""What a feature may import of ``graph``, beside itself."""
WEB = {"fastapi", "graphql", "starlette", "strawberry"}


def imported(path: Path) -> Iterator[str]:
    """The modules that a file imports, with the names it takes from them."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def test_every_feature_is_wired() -> None:
    """There are features, and the services open at least one of each package."""
    assert len(FEATURES) >= 3
    assert {feature.name for feature in APP.features} >= set(FEATURES)


@pytest.mark.parametrize("name", FEATURES)
def test_a_feature_knows_no_web_and_no_other_feature(name: str) -> None:
    """It imports what lies below it and itself, whatever it is called."""
    allowed = {f"graph.{part}" for part in (*BELOW, name)}
    wrong: list[str] = []
    for path in (GRAPH / name).rglob("*.py"):
        for module in imported(path):
            outside = module.startswith("graph.") and ".".join(module.split(".")[:2]) not in allowed
            if outside or module.partition(".")[0] in WEB:
                wrong.append(f"{path.relative_to(ROOT)}: {module}")
    assert wrong == []


@pytest.mark.parametrize("name", FEATURES)
def test_a_feature_has_the_files_of_a_feature(name: str) -> None:
    """Those that every feature has are there, each under the name that it has everywhere."""
    there = {path.stem for path in (GRAPH / name).glob("*.py")}
    assert there >= {"__init__", "models", "rules", "keys", "service", "feature"}
    shown = {path.stem for path in (GRAPH / "api" / name).glob("*.py")}
    assert shown >= {"__init__", "types", "resolvers"}


def test_every_module_has_a_layer() -> None:
    """What lies directly below ``graph`` stands in the contract of the layers, or is a feature."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = {part for layer in contracts[0]["layers"] for part in layer.split(" | ")}
    there = {path.stem for path in GRAPH.glob("*.py")} | {path.parent.name for path in GRAPH.glob("*/__init__.py")}
    assert there - {"__init__"} - set(FEATURES) - layers == set()
