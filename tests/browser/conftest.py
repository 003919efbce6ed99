"""The locked npm packages of the browser's tests."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def npm_install() -> Callable[[Path], None]:
    """Installs the locked packages of a folder, unless they are there."""

    def install(folder: Path) -> None:
        if not (folder / "node_modules" / ".package-lock.json").exists():
            subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--silent"], cwd=folder, check=True, timeout=170)

    return install


@pytest.fixture(scope="session")
def playwright(npm_install: Callable[[Path], None]) -> None:
    """What drives the browser."""
    npm_install(HERE)
