"""``graph seed`` and ``graph import`` as a person runs them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from graph.catalog.importing.problems import Problem
from graph.cli.importing import Screen
from tests.support.processes.fork_server import command

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from harness.valkey import ValkeyServer


@pytest.fixture
def graph(tmp_path: Path, valkey: ValkeyServer) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command on a new database and an empty Redis."""
    valkey.command("FLUSHALL")

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return command(tmp_path / "data", *words, GRAPH_REDIS_URL=valkey.url)

    return run


def test_import_says_how_it_went(graph: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path) -> None:
    """The exit status is 0 when all is in, 3 when bad rows were left out, 1 when nothing is."""
    path = tmp_path / "products.csv"
    path.write_text("sku,name,price\nA,Lamp,5\nB,,5\nC,Chair,-1\n")
    strict = graph("import", "--strict", str(path))
    assert strict.returncode == 1
    assert "2 of 3 rows are bad; nothing was changed" in strict.stderr
    lenient = graph("import", str(path))
    assert lenient.returncode == 3
    assert lenient.stderr.splitlines()[:2] == [
        f"{path}:3: A new product needs a name.",
        f"{path}:4: A price is not negative. (price.amount: '-1')",
    ]
    assert lenient.stdout == "3 rows: 1 created, 0 updated, 0 unchanged, 2 bad.\n"
    assert "1 × A price is not negative. First: line 4, price.amount: '-1'" in lenient.stderr
    rejects = tmp_path / "products.csv.rejects.csv"
    assert rejects.read_text().splitlines() == [
        "sku,name,price,problem",
        "B,,5,A new product needs a name.",
        "C,Chair,-1,A price is not negative. (price.amount: '-1')",
    ]
    rejects.write_text(rejects.read_text().replace("-1,", "12,").replace("B,,", "B,Bed,"))
    mended = graph("import", "--default", "currency=USD", str(rejects))
    assert (mended.returncode, mended.stdout) == (0, "2 rows: 2 created, 0 updated, 0 unchanged, 0 bad.\n")
    path.write_text('{"sku": "A", "name": "Lamp", "price": 6}\n')
    good = graph("import", "--format", "ndjson", str(path))
    assert (good.returncode, good.stdout) == (0, "1 rows: 0 created, 1 updated, 0 unchanged, 0 bad.\n")
    assert good.stderr == "  No currency is told: prices are taken as USD (--default currency=EUR says otherwise).\n"
    path.write_text("[1")
    broken = graph("import", "--format", "json", str(path))
    assert broken.returncode == 1
    assert f"{path}: line 1: Expected a comma" in broken.stderr


def test_seed_fills_a_new_database(graph: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    """`graph seed` migrates, adds what is missing and says how much that was, in plain lines off a terminal."""
    first = graph("seed", "--products", "60")
    assert (first.returncode, first.stdout) == (0, "60 products added, 0 were there already.\n")
    again = graph("seed", "--products", "61")
    assert (again.returncode, again.stdout) == (0, "1 products added, 60 were there already.\n")


def test_rejected_objects_keep_every_field(tmp_path: Path) -> None:
    """Rows that are objects have different fields, even if all of them are texts; a table's have the same."""
    for tabular, ending in ((False, "ndjson"), (True, "csv")):
        screen = Screen(tmp_path / "feed.xml", None, dry_run=False)
        for raw in ({"id": "1"}, {"id": "2", "name": "B"} if not tabular else {"id": "2"}):
            screen.problem(Problem(1, "No.", raw=raw, tabular=tabular))
        screen.close()
        text = (tmp_path / f"feed.xml.rejects.{ending}").read_text()
        assert ('"name": "B"' in text) is not tabular
