"""docs/adding-a-feature.md is true: the feature that it adds, built from the page, works in a copy of the package."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from graph.engines.revisions import head_revision
from harness.serving import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from harness.valkey import ValkeyServer

PAGE = (ROOT / "docs/adding-a-feature.md").read_text()
BLOCKS = re.findall(r"^```(python|diff)\n# (\S+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
FILES = {path: text for kind, path, text in BLOCKS if kind == "python"}
CHANGES = [(path, text.splitlines()) for kind, path, text in BLOCKS if kind == "diff"]


def test_the_page_touches_no_more_than_it_says() -> None:
    """Two folders, one migration, and in two files one line (with its name in the import)."""
    folders = ("graph/wishlist/", "graph/api/wishlist/", "graph/engines/migrations/versions/")
    assert [path for path in FILES if not path.startswith(folders)] == []
    assert sum(path.startswith(folders[2]) for path in FILES) == 1
    for changed in ("graph/services.py", "graph/product.py"):
        lines = [line for path, text in CHANGES if path == changed for line in text if line.startswith("+")]
        imports = [line for line in lines if "import" in line]
        assert (len(lines), len(imports)) == (2, 1)
    assert {path for path, _ in CHANGES} == {"graph/services.py", "graph/product.py"}


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """A copy of the package with the feature of the page in it."""
    shutil.copytree(ROOT / "graph", tmp_path / "graph", ignore=shutil.ignore_patterns("__pycache__", "static"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    head = head_revision()
    number = int(head[:4]) + 1
    for path, text in FILES.items():
        if "/versions/" in path:  # the page names the newest migration of the day on which it was written
            text = re.sub(r'(?m)^down_revision = ".*"$', f'down_revision = "{head}"', text)  # noqa: PLW2901 - as it is
            text = text.replace('"0005_wishes"', f'"{number:04}_wishes"')  # noqa: PLW2901 - as above
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    for path, lines in CHANGES:
        file = tmp_path / path
        old = "".join(f"{line[1:]}\n" for line in lines if not line.startswith("+"))
        new = "".join(f"{line[1:]}\n" for line in lines if not line.startswith("-"))
        whole = file.read_text()
        assert whole.count(old) == 1, (path, old)
        file.write_text(whole.replace(old, new))
    return tmp_path


@pytest.mark.heavy
def test_the_feature_works(built: Path, valkey: ValkeyServer, client: object) -> None:
    """A list is read from the cache the second time, seen changed after a mutation, and followed."""
    script = ROOT / "tests/support/processes/wishlist_user.py"
    done = subprocess.run(
        [sys.executable, "-P", script, valkey.url, str(built)],
        cwd=built,
        env={**os.environ, "PYTHONPATH": str(built)},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seen: dict[str, Any] = json.loads(done.stdout)
    with_it: dict[str, Any] = {"products": [{"sku": seen["sku"]}]}
    without: dict[str, Any] = {"products": []}
    assert seen["before"] == {"wishlist": without}
    assert seen["added"] == {"addToWishlist": {"__typename": "Wishlist"} | with_it}
    assert seen["after"] == seen["again"] == {"wishlist": with_it}
    assert seen["statements"] == [], "the second look comes from the cache"
    assert seen["followed"] == [{"wishlistChanged": without}, {"wishlistChanged": with_it}]
    assert seen["missing"] == {"addToWishlist": {"__typename": "NotFound"}}
    assert seen["removed"] == {"removeFromWishlist": without}


def test_the_code_of_the_page_passes_the_linter(built: Path) -> None:
    """What a reader copies is as clean as the rest."""
    ruff = [sys.executable, "-m", "ruff"]
    for words in (["check", "--no-cache"], ["format", "--check", "--no-cache"]):
        files = [str(built / path) for path in FILES]
        done = subprocess.run([*ruff, *words, *files], cwd=built, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout
