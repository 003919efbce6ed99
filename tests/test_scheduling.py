"""How the tests themselves are divided between processes."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from harness.serving import environment
from harness.waiting import HANG

if TYPE_CHECKING:
    from pathlib import Path

CONFTEST = "from tests.conftest import pytest_xdist_make_scheduler"
ALONE = """
import os
from pathlib import Path
import pytest

@pytest.mark.parametrize("number", range(12))
def test_alone(number):
    Path(f"alone {os.getpid()}").touch()
"""
SHARED = """
import os
from pathlib import Path
import pytest

@pytest.fixture(scope="module")
def made():
    Path(f"shared {os.getpid()}").touch()

@pytest.mark.parametrize("number", range(12))
def test_shared(made, number):
    pass
"""


@pytest.mark.heavy
def test_a_fixture_of_a_file_is_made_in_one_process(tmp_path: Path) -> None:
    """The tests of such a file are run by one process; those of another by all of them."""
    files = {"conftest.py": CONFTEST, "test_alone.py": ALONE, "test_shared.py": SHARED, "pytest.ini": "[pytest]"}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    words = (sys.executable, "-m", "pytest", "-q", "-n", "2", "-p", "no:schemathesis", "-p", "no:randomly")
    variables = {name: value for name, value in environment(tmp_path).items() if not name.startswith("PYTEST_")}
    done = subprocess.run(words, cwd=tmp_path, env=variables, timeout=HANG, check=False, capture_output=True, text=True)
    assert "24 passed" in done.stdout, done.stdout + done.stderr
    assert "loadscopesched" not in done.stdout, "xdist tells how it deals out tests"
    assert len(list(tmp_path.glob("shared *"))) == 1
    assert len(list(tmp_path.glob("alone *"))) == 2
