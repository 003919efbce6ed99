"""docs/library.md shows the examples as they are, and names what there is. tests/test_examples.py runs them."""

from __future__ import annotations

import re

import graph.library
from harness.serving import ROOT

PAGE = (ROOT / "docs/library.md").read_text()
BLOCKS = re.findall(r"^```python\n# (.*?)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_the_programs_are_those_that_are_run() -> None:
    """Every example is on the page, to the letter, but for two that build on the parts below the library."""
    shown = {name: text for name, text in BLOCKS if name.startswith("examples/")}
    there = {f"examples/{path.name}": path.read_text() for path in (ROOT / "examples").glob("*_app.py")}
    assert shown == {name: text for name, text in there.items() if not re.search("keyspace|endpoint", name)}


def test_all_that_is_public_is_on_the_page() -> None:
    """Each name stands somewhere."""
    assert [name for name in graph.library.__all__ if not re.search(rf"\b{name}\b", PAGE)] == []


def test_the_names_of_the_library_are_there() -> None:
    """The lazy imports lead somewhere."""
    for name in graph.library.__all__:
        assert getattr(graph.library, name) is not None
