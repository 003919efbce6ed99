"""Runs the command line in forks of a process that has loaded it.

`command` is `harness.serving.command` for tests of what a command says, `launch` starts a `harness.serving.Serving`.
"""

from __future__ import annotations

import gc
import os
import runpy
import subprocess
import sys
import tempfile
import time
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import IO, TYPE_CHECKING

from graph import product
from graph.accounts import passwords
from harness.folders import socket_folder
from harness.serving import ROOT, environment
from harness.waiting import HANG
from tests.support import patience
from tests.support.processes import forks, hashers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LOADED = (
    *("graph.cli.commands", "graph.cli.serve", "graph.cli.doctor", "graph.cli.settings", "graph.app"),
    *("graph.background", "graph.library.serving", "graph.endpoint.execution.compiled", "graph.cli.listening"),
    *("alembic.command", "alembic.config", "uvloop", "uvicorn.lifespan.on", "uvicorn.loops.uvloop", "pydantic.v1"),
    *("rich.console", "rich.table", "rich.markdown", "rich.traceback", "typer.rich_utils"),
)
NAME = "tests.support.processes.fork_server"


def forked(
    words: Sequence[str], environment: Mapping[str, str], out: IO[bytes], err: IO[bytes], cwd: Path | str = ROOT
) -> forks.Fork:
    """Start ``graph WORDS`` in that directory and environment, with `out` and `err` as its output."""
    with Path(os.devnull).open("rb") as nothing:
        files = (nothing.fileno(), out.fileno(), err.fileno())
        return forks.Fork(server(), words, cwd, patience.given(environment), files)


def command(folder: Path, *words: str, cwd: Path | str = ROOT, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run ``graph WORDS`` to its end, in the `environment` of `folder` and `settings`."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        fork = forked(words, environment(folder, **settings), out, err, cwd)
        try:
            status = fork.wait(HANG)
        finally:
            fork.kill()
        return subprocess.CompletedProcess(words, status, _read(out), _read(err))


def python(*words: str, out: IO[bytes]) -> forks.Fork:
    """Start ``python WORDS``, which are ``-c CODE`` or ``-m MODULE ARGUMENTS``, here; errors go where `out` goes."""
    return forked(words, {**os.environ, "PYTHONPATH": str(ROOT)}, out, out)


def launch(words: Sequence[str], environment: Mapping[str, str], log: IO[bytes]) -> forks.Fork:
    """Start ``graph WORDS`` for a `Serving`."""
    return forked(words, environment, log, log)


def _read(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()


@cache
def server() -> str:
    """Start the server of this process, unless there is one; the path of its socket."""
    return forks.started(NAME) or forks.start(NAME, folder=socket_folder("fs"))


def _run() -> None:
    """Be ``python`` with these arguments, or ``graph``."""
    if patience.VARIABLE in os.environ:
        patience.of_links()
    if forks.started(hashers.NAME):
        passwords.launch = hashers.launch
    if sys.argv[1:2] == ["-c"]:
        exec(sys.argv[2], {"__name__": "__main__"})
    elif sys.argv[1:2] == ["-m"]:
        del sys.argv[:2]
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv[0] = "graph"
        runpy.run_module("graph", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    gc.disable()
    for name in (*LOADED, *(feature.schema.partition(":")[0] for feature in product.APP.features if feature.schema)):
        import_module(name)
    loading = time.process_time()
    """Seconds of the processor that it took."""
    forks.serve(int(sys.argv[1]))
    forks.end_after(_run)
