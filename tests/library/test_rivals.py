"""docs/rivals.md is true: the lines are as many as it says, ours run, and none takes much more than the other's."""

from __future__ import annotations

import ast
import re
from textwrap import indent
from typing import TYPE_CHECKING, Annotated, Any

import pytest
import strawberry
from fastapi import Depends, Response

from graph.library import Redis
from harness.serving import ROOT

if TYPE_CHECKING:
    from harness.valkey import ValkeyServer

PAGE = (ROOT / "docs/rivals.md").read_text()
PARTS: dict[str, dict[str, str]] = {}
for section in PAGE.split("\n## ")[1:]:
    blocks = re.findall(r"^```python\n# (\S+)\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    PARTS[section.partition("\n")[0].lower()] = dict(blocks)
MOST = 1.5


@strawberry.type
class Query:
    """What the snippets know as the schema."""

    hello: str = "world"


def program(snippet: str) -> str:
    """The snippet within a coroutine, as it stands within an app."""
    return f"async def main():\n{indent(snippet, '    ')}"


def lines(snippet: str) -> int:
    """Lines with something on them."""
    return sum(bool(line.strip()) for line in snippet.splitlines())


def test_the_table_counts_what_is_on_the_page() -> None:
    """A row for each part, with both numbers; ours are at most one and a half times the other's."""
    rows = re.findall(r"^\| ([\w -]+) \| (\d+) \| ([\w-]+) \| (\d+) \|", PAGE, re.MULTILINE)
    told = {part: {"ours": int(ours), other: int(theirs)} for part, ours, other, theirs in rows}
    assert told == {part: {name: lines(text) for name, text in both.items()} for part, both in PARTS.items()}
    for part, both in told.items():
        assert len(both) == 2, part
        (theirs,) = (number for name, number in both.items() if name != "ours")
        assert both["ours"] <= MOST * theirs, part


@pytest.mark.parametrize("part", PARTS)
async def test_what_is_shown_of_ours_runs(part: str, valkey: ValkeyServer, client: object) -> None:
    """To its end, on a real server; the other's is Python at least."""
    for name, text in PARTS[part].items():
        ast.parse(program(text))
        if name != "ours":
            continue
        # A topic is followed for ever; what was published is the first that is seen.
        shown = text.replace("redis://localhost:6379", valkey.url).replace("print(event.data)", "return event.data")
        known: dict[str, Any] = {
            "strawberry": strawberry,
            "Query": Query,
            "Annotated": Annotated,
            "Depends": Depends,
            "response": Response(),
            "book": {},
            "bake": lambda: None,
            "cursor": str(await Redis(valkey.url, prefix="app").topic("room").publish("before")),
        }
        exec(compile(program(shown), f"docs/rivals.md, {part}", "exec", dont_inherit=True), known)
        await known["main"]()
