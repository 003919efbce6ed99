"""A ``graph serve`` of its own for a test: real process, real port, data in a directory of its own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, ClassVar, Protocol, Self

import psutil

from harness.valkey import free_port
from harness.waiting import HANG, pauses

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = Path(__file__).parents[1]
_START = 3 * HANG
"""Seconds for a start, which makes and fills a database: seconds of the processor, minutes where others have that."""


def environment(folder: Path, **settings: str) -> dict[str, str]:
    """The variables of this process with no setting of the server's but `settings`, and data in `folder`.

    The port is a free one: somebody else may use the default. All else is as the product has it.
    """
    plain = {name: value for name, value in os.environ.items() if not name.startswith("GRAPH_")}
    ours = {"GRAPH_DATA_DIR": str(folder), "GRAPH_PORT": "0"}
    return {**plain, "PYTHONPATH": str(ROOT), **ours, **settings}


class Process(Protocol):
    """What is used of a process that was started, as `subprocess.Popen` has it."""

    @property
    def pid(self) -> int:
        """Its process id."""
        ...

    def poll(self) -> int | None:
        """Its exit status, None while it runs."""
        ...

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it has ended; its exit status."""
        ...

    def send_signal(self, sig: int) -> None:
        """Send it a signal, unless it has ended."""
        ...

    def kill(self) -> None:
        """SIGKILL."""
        ...


class Launch(Protocol):
    """Starts ``graph WORDS`` in that environment, with `log` as its standard output and error."""

    def __call__(self, words: Sequence[str], environment: Mapping[str, str], log: IO[bytes]) -> Process:
        """Start it; there is nothing to read on its standard input."""
        ...


def command(folder: Path, *words: str, cwd: Path | str = ROOT, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run ``graph WORDS`` to its end, in the `environment` of `folder` and `settings`."""
    return subprocess.run(
        [sys.executable, "-m", "graph", *words],
        cwd=cwd,
        env=environment(folder, **settings),
        capture_output=True,
        encoding="utf-8",
        timeout=HANG,
        check=False,
    )


def valkey_of(folder: Path) -> list[int]:
    """The process ids of the Valkey servers whose data lies in `folder`: it is their working directory."""
    found: list[int] = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.name().startswith("valkey") and Path(process.cwd()) == folder.resolve() / "valkey":
                found.append(process.pid)
    return found


class Serving:
    """The server as a process. Its standard error goes to ``{folder}/log``."""

    module = "graph"
    """What is run as ``python -m``, unless `launch` starts it."""
    launch: ClassVar[Launch | None] = None
    """How it is started, if not as a process that loads everything itself; a test suite may set it."""

    def __init__(self, folder: Path, *arguments: str, **settings: str) -> None:
        """Run ``graph serve ARGUMENTS`` with `settings` (``GRAPH_…``) once entered."""
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.trusting: ssl.SSLContext | None = None
        self.log = folder / "log"
        self._words = ["serve", *arguments]
        self._environment = environment(folder, GRAPH_PORT=str(self.port), **settings)
        self.process: Process

    def __enter__(self) -> Self:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self.process = self._start(log)
        return self

    def _start(self, log: IO[bytes]) -> Process:
        launch = type(self).launch
        if launch is not None and self.module == "graph":
            return launch(self._words, self._environment, log)
        line = [sys.executable, "-m", self.module, *self._words]
        return subprocess.Popen(line, env=self._environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(HANG)
            finally:
                self.process.kill()

    def over_tls(self, cert: Path) -> Self:
        """Ask it over TLS from now on, trusting `cert`."""
        self.url = f"https://127.0.0.1:{self.port}"
        self.trusting = ssl.create_default_context(cafile=str(cert))
        return self

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send it a signal and wait; its exit status."""
        self.process.send_signal(number)
        return self.process.wait(HANG)

    def get(self, path: str, **headers: str) -> tuple[int, Mapping[str, str], bytes]:
        """Status, headers and body of one GET."""
        request = urllib.request.Request(self.url + path, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=HANG, context=self.trusting) as answer:
                return answer.status, dict(answer.headers), answer.read()
        except urllib.error.HTTPError as error:
            return error.code, dict(error.headers), error.read()

    def query(self, document: str, headers: Mapping[str, str] | None = None, **variables: Any) -> dict[str, Any]:
        """The answer to one operation."""
        body = json.dumps({"query": document, "variables": variables}).encode()
        told = {"Content-Type": "application/json", **(headers or {})}
        request = urllib.request.Request(f"{self.url}/graphql", body, told)
        with urllib.request.urlopen(request, timeout=HANG, context=self.trusting) as answer:
            return json.loads(answer.read())

    def admin(self, new: str = "the phrase of an admin") -> tuple[str, str, str]:
        """Sign in as the first admin and change the password, as it must be: email, the new password, a token."""
        email, password = "admin@example.com", (self.log.parent / "first-admin-password").read_text().strip()
        document = "mutation($e: String!, $p: String!) { login(input: {email: $e, password: $p}) {"
        signed_in = self.query(document + " ... on AuthPayload { token } } }", e=email, p=password)
        document = (
            "mutation($p: String!, $n: String!) { changePassword(input: {currentPassword: $p, newPassword: $n}) {"
        )
        bearer = {"Authorization": f"Bearer {signed_in['data']['login']['token']}"}
        changed = self.query(document + " ... on PasswordChanged { token } } }", headers=bearer, p=password, n=new)
        return email, new, changed["data"]["changePassword"]["token"]

    def ready(self) -> Self:
        """Wait until it answers; what it logged is told when it does not."""
        deadline, pause = time.monotonic() + _START, pauses(0.01, 0.1)
        while True:
            try:
                if self.get("/readyz")[0] == 200:
                    return self
            except OSError:
                pass
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(self.log.read_text(errors="replace"))
            time.sleep(next(pause))

    def lines(self) -> list[dict[str, Any]]:
        """Its JSON log so far."""
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]


class Working(Serving):
    """A ``graph worker``: it answers nothing, and its log says what it does."""

    def __init__(self, folder: Path, **settings: str) -> None:
        """Run ``graph worker`` with `settings` once entered."""
        super().__init__(folder, **settings)
        self._words = ["worker"]
