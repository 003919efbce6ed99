"""The documents say what is: tables made from the code, queries that are valid, links that lead somewhere."""

from __future__ import annotations

import os
import pkgutil
import re
import subprocess
from functools import cache
from itertools import chain
from pathlib import Path

import pytest
from graphql import build_schema, parse, validate

from graph.cli import importing, metrics
from graph.cli.settings import rewrite
from graph.settings import Settings
from harness import pictures
from harness.serving import ROOT

README = ROOT / "README.md"
LAYOUT = ROOT / "docs/layout.md"
DOCUMENTS = sorted([README, ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])
PAGES = [path for path in DOCUMENTS if path.name != "CHANGELOG.md"]  # which tells of what was, too


def test_the_import_formats_are_current() -> None:
    """docs/importing.md has the tables that ``make formats`` would write."""
    document = (ROOT / "docs" / "importing.md").read_text(encoding="utf-8")
    assert importing.rewrite(document) == document


def test_the_settings_table_is_current() -> None:
    """README.md has the table that ``make settings`` would write."""
    text = README.read_text()
    assert rewrite(text) == text


def test_each_picture_is_made_by_a_command() -> None:
    """A document shows what ``make pictures`` takes, or the plot of the benchmarks, and all that is taken is shown."""
    shown = {
        (document.parent / name).resolve()
        for document in DOCUMENTS
        for name in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", document.read_text())
        if not name.startswith("https://")
    }
    assert {picture for picture in shown if picture.name != "bench.png"} == {
        ROOT / "docs" / one for one in pictures.PAGES
    }
    for picture in shown:
        assert picture.read_bytes().startswith(b"\x89PNG")
        assert picture.stat().st_size < 200_000


def test_the_metrics_are_current() -> None:
    """docs/metrics.md and the dashboard are as ``make metrics`` would write them, and tell every metric there is."""
    page, board = ROOT / "docs/metrics.md", ROOT / "deploy/grafana/graph.json"
    assert metrics.rewrite(page.read_text()) == page.read_text()
    assert metrics.dashboard() == board.read_text()
    declared = {
        name
        for path in (ROOT / "graph").rglob("*.py")
        for name in re.findall(r'\b(?:Counter|Gauge|Histogram)\(\s*"(graph_\w+)"', path.read_text())
    }
    assert len(declared) >= 50
    assert {one.name for one in metrics.metrics()} == declared


def test_alerts_name_only_metrics_that_are_there() -> None:
    """Every metric in a rule is one of the code, with labels that it has."""
    there = {one.name: {*one.labels, "le"} for one in metrics.metrics()}
    text = (ROOT / "deploy/prometheus/alerts.yml").read_text()
    named = re.findall(r"\b(graph_\w+?(?:_total|_seconds|_cost))(?:_bucket|_count|_sum)?(?:\{([^}]*)\})?[\[ )]", text)
    assert len(named) >= 10
    for name, labels in named:
        assert name in there, name
        assert set(re.findall(r"(\w+)=", labels)) <= there[name], (name, labels)


def test_every_query_in_the_readme_is_valid() -> None:
    """Whatever a reader may paste is valid on the schema: GraphQL blocks, curl commands, pages to try."""
    text = README.read_text() + (ROOT / "docs/live.md").read_text()
    schema = build_schema((ROOT / "schema.graphql").read_text(), assume_valid=True)
    queries = re.findall(r"```graphql\n(.*?)```", text, re.DOTALL) + re.findall(r'"query": "(.*?)"\}', text)
    queries += re.findall(r"const query = '(.*)';", text)
    pages = "".join(path.read_text() for path in sorted((ROOT / "examples/live").glob("*.html")))
    queries += re.findall(r"const query = `(.*?)`;", pages, re.DOTALL)
    assert len(queries) >= 4
    for query in queries:
        assert validate(schema, parse(query)) == [], query


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_documents_name_only_what_exists(document: Path) -> None:
    """Links lead to files, variables are settings, ``make`` targets are in the Makefile."""
    text = document.read_text()
    for link in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", text):
        assert (document.parent / link).exists(), link
    known = {variable for variable, *_ in Settings.fields()}
    for name in re.findall(r"GRAPH_[A-Z_]+[…*]?", text):  # one that ends in … stands for several
        assert name in known or (name[-1] in "…*" and any(one.startswith(name[:-1]) for one in known)), name
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z]+)", text)) <= targets


@pytest.mark.parametrize("document", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_pages_name_only_modules_that_are_there(document: Path) -> None:
    """Paths below the packages lead somewhere, ``name.py`` and ``name.lua`` are files, ``graph.x.Y`` imports."""
    text = document.read_text()
    quoted = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE))
    made = {Path(path).parent for path in re.findall(r"^# (graph/\S+)$", text, re.MULTILINE)}  # by following the page
    wrong = {
        path
        for one in quoted
        for path in re.findall(r"(?<![\w./-])(?:graph|tests|harness|bench|examples)/[\w/.*-]*[\w*]", one)
        if Path(path) not in made and not list(ROOT.glob(path))
    }
    shown = set(re.findall(r"^# (\S+\.py)$", text, re.MULTILINE))
    wrong |= {
        one for one in quoted if re.fullmatch(r"[\w/]+\.(py|lua)", one) and one not in shown and not _is_file(one)
    }
    for one in quoted:
        if re.fullmatch(r"graph(\.\w+){2,}", one):
            pkgutil.resolve_name(one)
    assert wrong == set()


def _is_file(name: str) -> bool:
    """Whether some file of ours has this name, or a path that ends so."""
    return (ROOT / name).is_file() or any(path.endswith(f"/{name}") for path in _files())


@cache
def _files() -> list[str]:
    """Our modules and scripts."""
    tops = ("graph", "tests", "harness", "bench", "examples")
    walked = [os.walk(ROOT / top) for top in tops]
    found: list[str] = []
    for folder, inside, names in chain.from_iterable(walked):
        inside[:] = [one for one in inside if one != "node_modules"]
        found += [f"{folder}/{one}" for one in names if one.endswith((".py", ".lua"))]
    return found


def test_every_code_is_documented() -> None:
    """Whatever ``extensions.code`` a client may meet stands in the table of refusals."""
    sources = [ROOT / "graph/errors.py", *(ROOT / "graph/endpoint").rglob("*.py")]
    text = "".join(path.read_text() for path in sources)
    codes = {*re.findall(r'(?i)refusal\(\s*"([A-Z_]+)"', text), *re.findall(r'\bcode\b.* = "([A-Z_]+)"', text)}
    assert len(codes) >= 20
    told = (ROOT / "docs/endpoint.md").read_text()
    assert {code for code in codes if f"`{code}`" not in told} == set()


def test_the_map_shows_the_house() -> None:
    """docs/layout.md names every module directly below ``graph/``, and nothing that is not there."""
    text = LAYOUT.read_text()
    named = set(re.findall(r"`(graph/[\w/.]+)`", text))
    assert {path for path in named if not (ROOT / path).exists()} == set()
    there = {
        f"graph/{path.name}{'/' if path.is_dir() else ''}"
        for path in (ROOT / "graph").iterdir()
        if path.is_dir() or (path.suffix == ".py" and path.name != "__init__.py")
    }
    assert there - {"graph/__pycache__/"} - named == set()


def test_the_map_shows_every_room_of_the_endpoint() -> None:
    """docs/layout.md has a table for each room of the endpoint, which names every module and nothing else."""
    inside = LAYOUT.read_text().partition("## Inside the endpoint")[2].partition("\n## ")[0]
    named: set[str] = set()
    for table in inside.split("\n\n"):
        head, _, rows = table.partition("\n")
        rooms = re.findall(r"`(\w+/)`", head)
        if not head.startswith("| room"):
            continue
        prefix = rooms[0] if len(rooms) == 1 else ""
        named |= {f"{prefix}{path}" for path in re.findall(r"`([\w/]+\.py)`", rows) if "compiled/" not in path}
    endpoint = ROOT / "graph/endpoint"
    there = {str(path.relative_to(endpoint)) for path in endpoint.glob("*/*.py") if path.name != "__init__.py"}
    assert named == there


def test_a_part_can_be_lifted_as_the_map_says() -> None:
    """A part imports no other rooms of ``graph.patterns`` than the map says to take along."""
    rows = re.findall(r"^\| [\w ]+ \| `(\w+)/` \| (.*) \| \[", LAYOUT.read_text(), re.MULTILINE)
    assert {room for room, _ in rows} == {path.parent.name for path in (ROOT / "graph/patterns").glob("*/__init__.py")}
    for room, told in rows:
        taken = set(re.findall(r"`(\w+)(?:/|\.py)`", told))
        needed = _needs(room)
        while needed != (more := needed.union(*map(_needs, needed))):
            needed = more
        assert needed - {room} == taken, room


def _needs(room: str) -> set[str]:
    """What the modules of a room import of ``graph.patterns``, for types alone or to run."""
    text = "".join(path.read_text() for path in (ROOT / "graph/patterns" / room).rglob("*.py"))
    return set(re.findall(r"from graph\.patterns\.(\w+)", text))


def test_make_help_tells_every_target() -> None:
    """Each target that is meant for people is described."""
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert phony is not None
    for target in phony[1].split():
        assert re.search(rf"^{target}: \w", shown, re.MULTILINE), target
