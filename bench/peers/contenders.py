"""Starts the servers to be compared, each on the core for servers, and knows what each of them does for a request."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import httpx

from harness.valkey import free_port

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FOLDER = Path(__file__).parent
ROOT = FOLDER.parent.parent

SERVER_CORE, LOAD_CORE = 0, 1
PINNED = shutil.which("taskset") is not None and (os.cpu_count() or 1) > 1


@dataclass(frozen=True, slots=True)
class Contender:
    """A server: the command that starts it, and which scenarios it can answer."""

    name: str
    title: str
    command: tuple[str, ...]
    scenarios: frozenset[str]
    checked: bool = True
    """Whether it asks Redis for the session and the limit, as ours does."""


_ALL = frozenset({"page", "traced", "product", "viewer", "around", "uncached", "submit"})
_CATALOG = frozenset({"page", "traced", "product", "uncached"})


def _node(script: str) -> tuple[str, ...]:
    return ("node", str(FOLDER / script))


def _uvicorn(module: str) -> tuple[str, ...]:
    return (
        *(sys.executable, "-m", "uvicorn", "--factory", f"bench.peers.{module}:app", "--port", "$PORT"),
        *("--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"),
    )


OURS = Contender("graph", "graph serve", (sys.executable, "-m", "graph", "serve"), _ALL)
MERCURIUS = Contender("mercurius", "Mercurius", _node("mercurius.mjs"), _ALL)
YOGA = Contender("yoga", "GraphQL Yoga", _node("yoga.mjs"), _ALL)
APOLLO = Contender("apollo", "Apollo Server", _node("apollo.mjs"), _ALL)
STRAWBERRY = Contender(
    "strawberry", "Strawberry on FastAPI, stock", _uvicorn("strawberry_stock"), _CATALOG, checked=False
)
ARIADNE = Contender("ariadne", "Ariadne, stock", _uvicorn("ariadne_stock"), _CATALOG, checked=False)
BARE = Contender("bare", "uvicorn, constant bytes", _uvicorn("bare"), frozenset({"page", "traced"}), checked=False)
CONTENDERS = (OURS, MERCURIUS, YOGA, APOLLO, STRAWBERRY, ARIADNE, BARE)


def pinned(core: int, command: Sequence[str]) -> list[str]:
    """The command, kept on `core` where this machine can."""
    return ["taskset", "-c", str(core), *command] if PINNED else list(command)


class Running:
    """A contender's process, from `with` to its end."""

    def __init__(self, contender: Contender, environment: Mapping[str, str], log: Path) -> None:
        """Start `contender` with these variables; what it says goes to `log`."""
        self.contender = contender
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/graphql"
        self._log = log
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("GRAPH_")},
            **environment,
            "PORT": str(self.port),
            "GRAPH_PORT": str(self.port),
            "NAME": contender.name,
            "NODE_ENV": "production",
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process."""
        assert self._process is not None
        return self._process.pid

    def __enter__(self) -> Self:
        command = [word.replace("$PORT", str(self.port)) for word in self.contender.command]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                pinned(SERVER_CORE, command), cwd=ROOT, env=self._environment, stdout=log, stderr=log
            )
        deadline = time.monotonic() + 60
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self._end()
                raise RuntimeError(f"{self.contender.title} did not start: {self._log.read_text()[-2000:]}")
            time.sleep(0.05)
        return self

    def _answers(self) -> bool:
        try:
            return httpx.post(self.url, json={"query": "{ __typename }"}).is_success
        except httpx.TransportError:
            return False

    def ask(self, body: str, token: str) -> dict[str, Any]:
        """The JSON that it answers to `body`; AssertionError for another status than 200."""
        headers = {"content-type": "application/json", "accept": "application/json", "authorization": f"Bearer {token}"}
        answer = httpx.post(self.url, content=body, headers=headers, timeout=30)
        assert answer.status_code == 200, f"{self.contender.title}: {answer.status_code} {answer.text[:500]}"
        return answer.json()

    def __exit__(self, *_: object) -> None:
        self._end()

    def _end(self) -> None:
        assert self._process is not None
        self._process.terminate()
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
