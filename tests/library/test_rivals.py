"""docs/rivals.md is true: its lines are counted right, both snippets run, and ours are not much longer."""

from __future__ import annotations

import re
from textwrap import indent
from types import SimpleNamespace
from typing import TYPE_CHECKING, Annotated, Any

import pytest
import strawberry
from fastapi import Depends, FastAPI, Request, Response

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
    """The snippet within a coroutine, as it stands within an app; what it makes is in `made`, to be closed."""
    return f"async def main():\n  try:\n{indent(snippet, '    ')}\n  finally:\n    made.update(locals())\n"


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


SHOWN = [(part, name) for part, both in PARTS.items() for name in both]
NEEDS = {"redis-py": "redis", "taskiq": "taskiq_redis"}
"""What a snippet imports, where it has another name than the library."""
CLOSED = ("redis", "aclose"), ("broker", "shutdown"), ("broadcast", "disconnect"), ("cache", "close")
"""What a snippet leaves open, and how it is closed."""


@pytest.mark.filterwarnings("ignore:Call to deprecated close:DeprecationWarning")  # cashews closes so
@pytest.mark.parametrize(("part", "name"), SHOWN)
async def test_what_is_shown_runs(part: str, name: str, valkey: ValkeyServer, client: object) -> None:
    """To its end, on a real server; the other's where its library is, which `make check` installs."""
    if name != "ours":
        pytest.importorskip(NEEDS.get(name, name))
    # A topic is followed for ever; what was published is the first that is seen.
    shown = re.sub(r"print\(event\.\w+\)", "return", PARTS[part][name]).replace(
        "redis://localhost:6379", valkey.tcp_url
    )
    if name == "broadcaster":
        first = 'async with broadcast.subscribe(channel="first"):'
        connected = "await broadcast.connect()\n"
        before, _, after = shown.partition(connected)
        shown = f"{before}{connected}{first}\n{indent(after, '    ')}"
    made: dict[str, Any] = {}
    known: dict[str, Any] = {
        "__name__": __name__,
        "strawberry": strawberry,
        "Query": Query,
        "Annotated": Annotated,
        "Depends": Depends,
        "Request": Request,
        "app": FastAPI(),
        "request": SimpleNamespace(session={}),
        "response": Response(),
        "book": {},
        "bake": lambda: None,
        "made": made,
        "cursor": str(await Redis(valkey.url, prefix="app").topic("room").publish("before")),
    }
    exec(compile(program(shown), f"docs/rivals.md, {part}", "exec", dont_inherit=True), known)
    try:
        await known["main"]()
    finally:
        for end in (getattr(made[one], how) for one, how in CLOSED if hasattr(made.get(one), how)):
            await end()
