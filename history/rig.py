"""Three servers and a worker on one engine: what faults happen to, and what clients talk to."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import time
import urllib.error
from typing import TYPE_CHECKING, Any, Self

from harness.serving import HANG, Serving, Working, command

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from history.engines import Engine

SERVERS = 3


def make_key(folder: Path, settings: Mapping[str, str]) -> str:
    """The API key of somebody who may do everything that a program may."""
    words = ("key", "add", "history", "--limit", "100000")
    scopes = [word for scope in ("scores", "boards", "catalog") for word in ("--scope", scope)]
    made = command(folder, *words, *scopes, **settings)
    found = re.search(r"key-\S+", made.stdout)
    assert found is not None, made.stderr + made.stdout
    return found[0]


class Rig:
    """The processes of the product on an engine, with their data below `folder`."""

    def __init__(self, folder: Path, engine: Engine) -> None:
        """Prepare them; they run once entered."""
        self.folder = folder
        self.engine = engine
        self.imports = folder / "imports"
        self.imports.mkdir(parents=True)
        common = {
            "GRAPH_TRUSTED_PROXIES": "127.0.0.1",
            "GRAPH_RATE_LIMIT_AUTHENTICATED": "1000000",
            "GRAPH_ACCESS_LOG": "false",
            "GRAPH_JOBS_IMPORTS": str(self.imports),
            "GRAPH_JOBS_BESIDE": "false",
            **engine.settings,
        }
        self._common = common
        self._data = engine.folder or folder
        self.servers = [Serving(self._data, **{**common, **engine.settings_of(number)}) for number in range(SERVERS)]
        self.worker = Working(self._data, **common)
        for process in (*self.servers, self.worker):
            process.log = folder / "log"  # not where the disk may be full
        self.key = ""
        self._open = contextlib.ExitStack()

    @property
    def urls(self) -> list[str]:
        """Where the servers listen."""
        return [server.url for server in self.servers]

    def __enter__(self) -> Self:
        with self._open:
            self._open.enter_context(self.servers[0])
            self.servers[0].ready()  # it makes the tables, and what the others find there
            for other in (*self.servers[1:], self.worker):
                self._open.enter_context(other)
            for server in self.servers:
                server.ready()
            self.key = make_key(self._data, self._common)
            self._open = self._open.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        for process in (*self.servers, self.worker):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.process.pid, signal.SIGCONT)
        self._open.close()

    def restart(self, process: Serving) -> None:
        """Start a process again that was killed, on its old port."""
        process.process.wait(HANG)
        process.__enter__()

    def well(self) -> None:
        """Wait until every server says that nothing is away; whatever ended is started again."""
        deadline = time.monotonic() + HANG
        for process in (*self.servers, self.worker):
            if process.process.poll() is not None:
                self.restart(process)
        for server in self.servers:
            state: Any = None
            while state != "ok":
                assert time.monotonic() < deadline, (server.url, state)
                with contextlib.suppress(OSError, ValueError, KeyError, urllib.error.URLError):
                    state = json.loads(server.get("/readyz")[2])["status"]
                time.sleep(0.1)
