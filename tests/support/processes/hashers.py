"""Starts processes that hash passwords as forks of a small one that has loaded what they need.

A test that hashes one password in a process of its own would else spend ten times as long on the start.
"""

from __future__ import annotations

import gc
import os
import runpy
import sys
from functools import cache
from pathlib import Path

from harness.folders import socket_folder
from tests.support.processes import forks

NAME = "tests.support.processes.hashers"


def launch(threads: int, requests: int) -> forks.Fork:
    """Start one, as `graph.accounts.passwords.launch` does."""
    with Path(os.devnull).open("wb") as nothing:
        files = (requests, nothing.fileno(), nothing.fileno())
        return forks.Fork(_server(), (str(threads),), Path.cwd(), os.environ, files)


@cache
def _server() -> str:
    return forks.started(NAME) or forks.start(NAME, folder=socket_folder("ha"))


if __name__ == "__main__":
    gc.disable()
    loaded = runpy.run_path(str(Path(__file__).parents[3] / "graph/accounts/hashing.py"))  # not the whole package
    forks.serve(int(sys.argv[1]))
    forks.end_after(lambda: loaded["main"](int(sys.argv[1])))
