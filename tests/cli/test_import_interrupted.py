"""``graph import`` is interrupted: it says what is in, and the rest can be imported."""

from __future__ import annotations

import contextlib
import re
import signal
import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from harness.waiting import HANG, eventually
from tests.support.patience import environment
from tests.support.processes.fork_server import command

if TYPE_CHECKING:
    from pathlib import Path

    from harness.valkey import ValkeyServer


GRAPH = """
import runpy, signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever starts the tests in the background ignores it
runpy.run_module("graph", run_name="__main__")
"""


@pytest.mark.heavy
def test_an_interrupted_import_says_what_is_in(tmp_path: Path, valkey: ValkeyServer) -> None:
    """Ctrl-C after the first rows: it exits with 130 and tells the count; these rows stay, and the others follow."""
    rows, status, told = 15_000, 0, ""
    data = path = tmp_path
    while not status:  # an import that is done before the signal comes is repeated with more rows
        rows *= 2
        data, path = tmp_path / str(rows), tmp_path / f"{rows}.csv"
        with path.open("w") as file:
            file.write("sku,name,price\n")
            file.writelines(f"S{number},Product {number},5\n" for number in range(rows))
        status, told = interrupted(data, path, GRAPH_REDIS_URL=valkey.url)
    assert status == 130, told
    found = re.search(r"Interrupted: of the rows so far ([\d,]+) were created", told)
    assert found is not None, told
    kept = products(data)
    assert int(found[1].replace(",", "")) <= kept < rows
    again = command(data, "import", str(path), GRAPH_REDIS_URL=valkey.url)
    assert again.returncode == 0, again.stderr
    assert f"{rows:,} rows: {rows - kept:,} created, 0 updated, {kept:,} unchanged" in again.stdout
    assert products(data) == rows


def interrupted(data: Path, path: Path, **settings: str) -> tuple[int, str]:
    """Import a file until the first rows are in, and interrupt that; gives the exit status and what was told."""
    importing = subprocess.Popen(
        [sys.executable, "-c", GRAPH, "import", str(path)],
        env=environment(data, **settings),
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        eventually(lambda: importing.poll() is not None or products(data) > 0)
        importing.send_signal(signal.SIGINT)
        _, told = importing.communicate(timeout=HANG)
    finally:
        importing.kill()
    return importing.returncode, told


def products(data: Path) -> int:
    """How many products the database has, if there is one."""
    try:
        with contextlib.closing(sqlite3.connect(f"file:{data / 'graph.db'}?mode=ro", uri=True)) as database:
            return database.execute("SELECT count(*) FROM product").fetchone()[0]
    except sqlite3.OperationalError:
        return 0
