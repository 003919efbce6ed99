"""Commands while no Redis can be reached: a sentence, never a traceback, and a worker that ends when it is told to."""

from __future__ import annotations

import re
import signal
from typing import TYPE_CHECKING

import pytest

from harness.serving import Working
from harness.valkey import free_port
from harness.waiting import eventually
from tests.support.processes.fork_server import command

if TYPE_CHECKING:
    from pathlib import Path


AWAY = {
    "server": ("redis://u:secret@127.0.0.1:{0}", "cannot connect to Redis: "),
    "sentinels": (
        "redis+sentinel://u:secret@127.0.0.1:{0},127.0.0.1:{1}/main",
        "cannot connect to Redis: no Sentinel of 127.0.0.1:{0}, 127.0.0.1:{1} answers, or none knows a primary of main",
    ),
    "cluster": ("redis+cluster://u:secret@127.0.0.1:{0},127.0.0.1:{1}", "no node tells the slots of the cluster: "),
}
"""URLs where nothing listens, and what is said of each."""


@pytest.fixture
def away(request: pytest.FixtureRequest) -> tuple[str, str]:
    """One of them: the Sentinels, if nothing else is wanted."""
    ports = free_port(), free_port()
    url, told = AWAY[getattr(request, "param", "sentinels")]
    return url.format(*ports), told.format(*ports)


@pytest.mark.parametrize(
    ("away", "words"),
    [("sentinels", ("serve",)), *((name, ("jobs", "list")) for name in AWAY)],
    indirect=["away"],
)
def test_a_command_says_in_a_sentence_that_redis_is_away(
    tmp_path: Path, away: tuple[str, str], words: tuple[str, ...]
) -> None:
    """Neither a traceback nor an object of the library, nor the password; the status is 1."""
    url, told = away
    done = command(tmp_path, *words, GRAPH_REDIS_URL=url, GRAPH_PORT=str(free_port()))
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"graph: Redis: {told}"), done.stderr
    assert_plain(done.stderr)
    assert (done.stdout, done.returncode) == ("", 1)


def test_the_doctor_says_that_redis_is_away(tmp_path: Path, away: tuple[str, str]) -> None:
    """As a finding, with advice; what it finds besides is told as well."""
    url, told = away
    done = command(tmp_path, "doctor", GRAPH_REDIS_URL=url)
    assert told in done.stdout
    assert "GRAPH_REDIS_URL" in done.stdout
    assert "SQL" in done.stdout
    assert_plain(done.stdout)
    assert (done.stderr, done.returncode) == ("", 1)


def test_a_worker_that_waits_for_redis_ends_when_it_is_told_to(
    tmp_path: Path, away: tuple[str, str], sqlite_template: Path
) -> None:
    """It says once what it waits for; SIGTERM ends it with status 0."""
    url, told = away
    (tmp_path / "graph.db").write_bytes(sqlite_template.read_bytes())
    with Working(tmp_path, GRAPH_REDIS_URL=url) as worker:
        eventually(lambda: told in worker.log.read_text())
        assert worker.stop(signal.SIGTERM) == 0
    lines = worker.lines()
    assert sum("waiting for it" in line["message"] for line in lines) == 1
    assert lines[-1]["message"] == "No job left running here; stopped"
    assert_plain(worker.log.read_text())


def assert_plain(text: str) -> None:
    """It was written for people."""
    assert not re.search(r"Traceback|<[\w.]+ (object|\w+=)|secret|Error\(", text), text
