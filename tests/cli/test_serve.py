"""``graph serve`` as a user meets it: starts at once, stops cleanly, survives what is killed under it."""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import socket
import sys
import threading
from pathlib import Path

import psutil
import pytest

from harness.serving import Serving, valkey_of
from harness.waiting import HANG, eventually
from tests.support.engines.stocked import stocked
from tests.support.patience import environment
from tests.support.processes.fork_server import command, forked, python

HELLO = "{ __typename }"


class Lean(Serving):
    """A server without a job worker beside it."""

    def __init__(self, folder: Path, *arguments: str, **settings: str) -> None:
        super().__init__(folder, *arguments, GRAPH_JOBS_BESIDE="false", **settings)


def said(server: Serving) -> list[str]:
    """What `server`, which is started for that, logs until it says that it serves."""
    before = len(server.lines()) if server.log.exists() else 0
    with server:
        eventually(lambda: any(line["message"].startswith("Serving") for line in server.ready().lines()[before:]))
        return [line["message"] for line in server.lines()[before:]]


@pytest.fixture(scope="module")
def first_start(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A data directory in which a server has been, and what it said there."""
    folder = tmp_path_factory.mktemp("data")
    return folder, said(Lean(folder))


@pytest.fixture(scope="module")
def data(first_start: tuple[Path, list[str]]) -> Path:
    """One data directory for the tests that do not need a fresh one."""
    return first_start[0]


def answers(serving: Serving) -> bool:
    """Whether a query is answered now."""
    with contextlib.suppress(OSError):
        return serving.query(HELLO) == {"data": {"__typename": "Query"}}
    return False


def test_a_first_start_says_what_it_is_at(first_start: tuple[Path, list[str]]) -> None:
    """While it fills an empty database it says how far it is; a later start has nothing of that to say."""
    folder, at_first = first_start
    for start, told in ((1, at_first), (2, said(Lean(folder)))):
        ready = next(place for place, line in enumerate(told) if line.startswith("Serving"))
        filling = [line for line in told[:ready] if line.startswith("filling the")]
        assert [line.rpartition(": ")[2] for line in filling if "catalog" in line] == (
            ["0 of 6,000", "5,000 of 6,000", "6,000 of 6,000"] if start == 1 else []
        )
        assert len([line for line in filling if "leaderboard" in line]) == (3 if start == 1 else 0)


def test_it_starts_answers_and_stops(tmp_path: Path) -> None:
    """From nothing: it migrates, makes an admin, answers, logs JSON, ends with 0 on SIGTERM, and leaves nothing."""
    with Serving(tmp_path) as serving:
        serving.ready()
        assert serving.query(HELLO) == {"data": {"__typename": "Query"}}
        assert len(valkey_of(tmp_path)) == 1
        started = sum(psutil.Process(serving.process.pid).cpu_times()[:2])
        assert serving.stop(signal.SIGTERM) == 0
    assert valkey_of(tmp_path) == []
    # What the first start does, seeding included, is a few times the work of loading the product, which a fork need not
    # do, on whatever machine.
    with (tmp_path / "loading").open("w+b") as out:
        assert python("-c", "import sys; print(sys.modules['__main__'].loading)", out=out).wait(HANG) == 0
        out.seek(0)
        assert started < 4 * float(out.read())
    told, *_ = [line for line in serving.lines() if "url" in line]
    assert told["url"] == serving.url
    access = [line for line in serving.lines() if line["logger"] == "access"]
    assert [(line["method"], line["path"], line["status"]) for line in access] == [("POST", "/graphql", 200)]
    assert {line["level"] for line in serving.lines()} == {"info"}
    assert serving.log.read_text().count("First start: sign in as admin@example.com") == 1
    password = tmp_path / "first-admin-password"
    assert password.stat().st_mode & 0o777 == 0o600
    assert password.read_text().strip() not in serving.log.read_text()


@pytest.mark.parametrize("workers", ["1", pytest.param("2", marks=pytest.mark.heavy)])
def test_a_request_under_way_finishes(data: Path, workers: str) -> None:
    """A request whose body is still arriving when SIGTERM comes is read to its end and answered."""
    body = b'{"query":"{ __typename }"}'
    with Lean(data, GRAPH_WORKERS=workers) as serving:
        serving.ready()
        with socket.create_connection(("127.0.0.1", serving.port)) as connection:
            head = b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
            connection.sendall(head % len(body) + body[:5])
            eventually(lambda: under_way(serving) == 2)  # this one, and the request for the metrics
            serving.process.send_signal(signal.SIGTERM)
            eventually(lambda: not _accepts(serving.port))
            connection.sendall(body[5:])
            connection.settimeout(HANG)
            answer = b""
            while chunk := connection.recv(4096):
                answer += chunk
        assert answer.startswith(b"HTTP/1.1 200")
        assert answer.endswith(b'{"data":{"__typename":"Query"}}')
        assert serving.process.wait(HANG) == 0


def under_way(serving: Serving) -> float:
    """How many requests the metrics say are being answered."""
    return sum(value for _, value in series(serving, "graph_http_requests_in_progress"))


def series(serving: Serving, name: str) -> list[tuple[str, float]]:
    """Labels and value of each time series of a metric."""
    lines = serving.get("/metrics")[2].decode().splitlines()
    found = [line.rpartition(" ") for line in lines if line.startswith((f"{name}{{", f"{name} "))]
    return [(labels.removeprefix(name), float(value)) for labels, _, value in found]


def _accepts(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def test_a_stuck_request_does_not_hold_it_for_ever(data: Path) -> None:
    """After GRAPH_GRACE seconds it goes, whoever still waits."""
    with Lean(data, GRAPH_GRACE="1") as serving:
        serving.ready()
        with socket.create_connection(("127.0.0.1", serving.port)) as connection:
            connection.sendall(b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n")
            connection.sendall(b"Content-Length: 100\r\n\r\n{")
            eventually(lambda: under_way(serving) == 2)
            assert serving.stop() == 0
    assert valkey_of(data) == []
    assert "Traceback" not in serving.log.read_text()


@pytest.mark.parametrize("workers", ["1", pytest.param("2", marks=pytest.mark.heavy)])
def test_a_second_ctrl_c_waits_for_nobody(tmp_path: Path, workers: str) -> None:
    """It ends with 0 although a request is under way, and tells of no error: whoever pressed the keys meant it."""
    with Lean(stocked(tmp_path), GRAPH_GRACE="3600", GRAPH_WORKERS=workers) as serving:
        serving.ready()
        with socket.create_connection(("127.0.0.1", serving.port)) as connection:
            connection.sendall(b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n")
            connection.sendall(b"Content-Length: 100\r\n\r\n{")
            eventually(lambda: under_way(serving) == 2)
            press_ctrl_c(serving)
            eventually(lambda: not _accepts(serving.port))
            assert serving.process.poll() is None
            press_ctrl_c(serving)
            assert serving.process.wait(HANG) == 0
    assert valkey_of(tmp_path) == []
    assert {line["level"] for line in serving.lines()} == {"info"}


def press_ctrl_c(serving: Serving) -> None:
    """Send SIGINT to the processes that a terminal would send it to."""
    server = psutil.Process(serving.process.pid)
    for process in (server, *server.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
            if os.getpgid(process.pid) == os.getpgid(server.pid):
                process.send_signal(signal.SIGINT)


def test_a_killed_valkey_comes_back(data: Path) -> None:
    """SIGKILL of its Valkey: queries go on being answered, and it is ready again by itself."""
    with Lean(data) as serving:
        serving.ready()
        os.kill(valkey_of(data)[0], signal.SIGKILL)
        assert answers(serving)
        eventually(lambda: b'"ok"' in serving.get("/readyz")[2] and b"degraded" not in serving.get("/readyz")[2])
        assert len(valkey_of(data)) == 1
        assert serving.stop() == 0


def test_a_killed_server_leaves_no_valkey_and_starts_again(data: Path) -> None:
    """SIGKILL of the server: its Valkey goes with it, and the next start has the data and the port."""
    with Lean(data) as serving:
        serving.ready()
        serving.process.kill()
        serving.process.wait()
        eventually(lambda: not valkey_of(data))
        with Lean(data) as again:
            assert again.ready().query(HELLO) == {"data": {"__typename": "Query"}}


def test_workers_share_one_valkey_and_end_with_their_parent(data: Path) -> None:
    """Two workers share a Valkey that belongs to their parent; a killed worker is replaced; metrics are of all.

    SIGKILL of the parent ends the workers and the Valkey too, so that the port is free again.
    """
    with Lean(data, "--workers", "2") as serving:
        serving.ready()
        eventually(lambda: len(_workers(serving)) == 2)
        assert len(valkey_of(data)) == 1
        for _ in range(20):
            assert answers(serving)
        asked = '{method="POST",route="/graphql",status="200"}'
        eventually(lambda: (asked, 20) in series(serving, "graph_http_requests_total"))
        assert b'pid="' not in serving.get("/metrics")[2], "a series of one process is no sum"
        victim = _workers(serving)[0]
        gauges = data / "metrics" / str(serving.port) / f"gauge_livesum_{victim}.db"
        assert gauges.exists()
        os.kill(victim, signal.SIGKILL)
        eventually(lambda: len(_workers(serving)) == 2 and victim not in _workers(serving))
        eventually(lambda: answers(serving))
        assert len(valkey_of(data)) == 1
        eventually(lambda: not gauges.exists())  # what a dead worker had under way is over
        if sys.platform != "linux":  # needs PR_SET_PDEATHSIG
            return
        workers = _workers(serving)
        serving.process.kill()
        serving.process.wait()
        eventually(lambda: not any(psutil.pid_exists(pid) for pid in workers))
        eventually(lambda: not valkey_of(data))
        assert not _accepts(serving.port)


def _workers(serving: Serving) -> list[int]:
    found: list[int] = []
    for child in psutil.Process(serving.process.pid).children():
        with contextlib.suppress(psutil.Error):
            if "spawn_main" in " ".join(child.cmdline()):
                found.append(child.pid)
    return found


@pytest.mark.heavy
def test_a_second_server_shares_the_data_directory(data: Path) -> None:
    """Two servers on one directory share its Valkey; when the first is killed the second goes on."""
    with Lean(data) as first, Lean(data) as second:
        first.ready()
        second.ready()
        assert len(valkey_of(data)) == 1
        first.process.kill()
        first.process.wait()
        eventually(lambda: answers(second))
        eventually(lambda: b"degraded" not in second.get("/readyz")[2] and len(valkey_of(data)) == 1)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"GRAPH_PORT": "tcp://10.0.0.1:80"}, "GRAPH_PORT"),
        ({"GRAPH_REDIS_URL": "redis://127.0.0.1:1"}, "Redis"),
        ({"GRAPH_REDIS_URL": "gopher://x"}, "GRAPH_REDIS_URL"),
        ({"GRAPH_DATABASE_URL": "oracle://x"}, "GRAPH_DATABASE_URL"),
        ({"GRAPH_DATABASE_URL": "postgresql+asyncpg://nobody:hunter2@127.0.0.1:1/x"}, "database"),
        ({"GRAPH_HOST": "not.a.host.invalid"}, "cannot listen"),
        ({"GRAPH_TLS_CERTIFICATE": "/nowhere.pem", "GRAPH_TLS_KEY": "/nowhere.key"}, "GRAPH_TLS_CERTIFICATE"),
    ],
)
def test_what_cannot_work_is_told_in_a_sentence(tmp_path: Path, settings: dict[str, str], words: str) -> None:
    """A wrong setting ends it with 1 and a message that names the matter: no traceback, no password."""
    done = command(tmp_path, "serve", **settings)
    assert done.returncode == 1, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert "hunter2" not in done.stderr


def test_a_port_in_use_is_told_with_another(tmp_path: Path) -> None:
    """The message says which port is taken and how to use another."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = command(tmp_path, "serve", "--port", str(port))
    assert done.returncode == 1
    assert f"127.0.0.1:{port}" in done.stderr
    assert f"GRAPH_PORT={port + 1}" in done.stderr


AT_A_TERMINAL = """
import fcntl, os, runpy, sys, termios
os.setsid()
os.dup2(1, 0)
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
sys.stdout, sys.stderr = open(1, "w"), open(2, "w")  # those of before were no terminal
sys.argv = ["graph", "serve", "--port", "0"]
runpy.run_module("graph", run_name="__main__", alter_sys=True)
"""
"""``graph serve`` in a session of its own, whose terminal is where its output goes."""


def test_on_a_terminal_it_shows_a_table(tmp_path: Path) -> None:
    """On a terminal: a table of addresses, no JSON, no admin where none is wanted; Ctrl-C is a clean end with 0."""
    ours, theirs = pty.openpty()
    variables = environment(
        stocked(tmp_path), TERM="xterm", GRAPH_ACCOUNTS_FIRST_ADMIN="none", GRAPH_JOBS_BESIDE="false"
    )
    with os.fdopen(theirs, "wb", buffering=0) as terminal:
        process = forked(("-c", AT_A_TERMINAL), variables, terminal, terminal)
    shown = _read_terminal(ours, "Ctrl-C")
    os.write(ours, b"\x03")  # what the key sends
    assert process.wait(HANG) == 0
    with contextlib.suppress(OSError):
        shown += os.read(ours, 65536).decode(errors="replace")
    os.close(ours)
    assert "/graphql" in shown
    assert "Valkey" in shown
    assert "graph.db" in shown
    assert '{"time"' not in shown
    assert "First start" not in shown
    assert "Traceback" not in shown


def _read_terminal(descriptor: int, until: str) -> str:
    seen: list[bytes] = []
    done = threading.Event()

    def read() -> None:
        with contextlib.suppress(OSError):
            while until.encode() not in b"".join(seen):
                seen.append(os.read(descriptor, 4096))
        done.set()

    threading.Thread(target=read, daemon=True).start()
    assert done.wait(HANG), b"".join(seen)
    return b"".join(seen).decode(errors="replace")


def doctor(folder: Path, **settings: str) -> tuple[int, str]:
    """Exit status and output of ``graph doctor``."""
    done = command(folder, "doctor", **settings)
    return done.returncode, done.stdout + done.stderr


def test_doctor_finds_a_fresh_directory_well(tmp_path: Path) -> None:
    """The embedded Valkey passes every check; a database not made yet is worth a note, not an error."""
    status, text = doctor(tmp_path)
    assert status == 0, text
    assert "volatile-lru" in text
    assert "not created yet" in text


def test_doctor_says_what_is_wrong() -> None:
    """An unreachable Redis and an unreachable database fail it, each with advice."""
    status, text = doctor(
        Path("/nonexistent"),
        GRAPH_REDIS_URL="redis://:hunter2@127.0.0.1:1",
        GRAPH_DATABASE_URL="postgresql+asyncpg://u:hunter2@127.0.0.1:1/x",
    )
    assert status == 1
    assert "correct GRAPH_REDIS_URL" in text
    assert "correct GRAPH_DATABASE_URL" in text
    assert "hunter2" not in text
    assert "Traceback" not in text
