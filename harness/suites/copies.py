"""``python -m harness.suites.copies CHECKOUT``: copy Strawberry's tests into ``vendor/strawberry``.

No release of Strawberry carries its tests. What `harness.suites` runs of them is therefore copied from a checkout of
its repository, file by file as it is there, with the licence that allows it and a note of the version. Nothing else may
be written there.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

VENDORED = Path(__file__).parents[2] / "vendor" / "strawberry"
PARTS = (
    "tests/__init__.py", "tests/conftest.py", "tests/plugins", "tests/views",
    "tests/schema", "tests/federation", "tests/relay", "tests/http", "tests/websockets",
    "docs/errors",  # a test that expects an error asks for its page
)  # fmt: skip
_VERSION = VENDORED / "VERSION"


def vendored() -> str:
    """The version of the tests that are here."""
    return _VERSION.read_text().split()[0]


def lay(source: Path, into: Path) -> None:
    """Copy the parts of a checkout, or of what is here, into another folder."""
    for part in PARTS:
        (into / part).parent.mkdir(parents=True, exist_ok=True)
        if (source / part).is_dir():
            shutil.copytree(source / part, into / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(source / part, into / part)


def copy(checkout: Path) -> None:
    """Replace what is here by what is in a checkout of Strawberry's repository."""
    git = ["git", "-C", str(checkout)]
    if subprocess.run([*git, "status", "--porcelain"], check=True, capture_output=True, text=True).stdout:
        sys.exit("Something in the checkout was changed.")
    commit = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    version = tomllib.loads((checkout / "pyproject.toml").read_text())["project"]["version"]
    for folder in ("tests", "docs"):
        shutil.rmtree(VENDORED / folder, ignore_errors=True)
    lay(checkout, VENDORED)
    shutil.copyfile(checkout / "LICENSE", VENDORED / "LICENSE")
    _VERSION.write_text(f"{version} {commit}\n")


if __name__ == "__main__":
    copy(Path(sys.argv[1]))
