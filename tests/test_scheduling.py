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
import time
from pathlib import Path
import pytest

UNTIL = time.monotonic() + 30

@pytest.mark.parametrize("number", range(12))
def test_alone(number):
    Path(f"alone {os.getpid()}").touch()
    while len(list(Path().glob("alone *"))) < 2 and time.monotonic() < UNTIL:  # the other process may be slow to begin
        time.sleep(0.01)
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


DYING = """
import os
import signal
import pytest

@pytest.mark.parametrize("number", range(12))
def test_dying(number):
    if number == 5:
        os.kill(os.getpid(), signal.SIGKILL)
"""


def run(folder: Path, **files: str) -> str:
    """What pytest says of these tests in two processes."""
    for name, text in {"conftest": CONFTEST, **files}.items():
        (folder / f"{name}.py").write_text(text)
    (folder / "pytest.ini").write_text("[pytest]")
    words = (sys.executable, "-m", "pytest", "-q", "-n", "2", "-p", "no:schemathesis", "-p", "no:randomly")
    variables = {name: value for name, value in environment(folder).items() if not name.startswith("PYTEST_")}
    done = subprocess.run(words, cwd=folder, env=variables, timeout=HANG, check=False, capture_output=True, text=True)
    return done.stdout + done.stderr


@pytest.mark.heavy
def test_a_fixture_of_a_file_is_made_in_one_process(tmp_path: Path) -> None:
    """The tests of such a file are run by one process; those of another by all of them."""
    told = run(tmp_path, test_alone=ALONE, test_shared=SHARED)
    assert "24 passed" in told, told
    assert "loadscopesched" not in told, "xdist tells how it deals out tests"
    assert len(list(tmp_path.glob("shared *"))) == 1
    assert len(list(tmp_path.glob("alone *"))) == 2


@pytest.mark.heavy
def test_a_process_that_dies_fails_one_test(tmp_path: Path) -> None:
    """The test during which it died has failed, and the others are run by the rest; nothing waits for ever."""
    told = run(tmp_path, test_dying=DYING)
    assert "1 failed, 11 passed" in told, told
