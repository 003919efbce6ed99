"""Disks that are full, read-only, or have kept less than they said: a sentence, and as much as can be had."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import random
import shutil
import sqlite3
import subprocess
import threading
import urllib.error
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from graph.cli.doctor import check_sql
from graph.engines.database import Database, migrate
from graph.engines.disk import DiskError, check_directory
from graph.engines.embedded import EmbeddedError, embedded_valkey
from graph.engines.sqlite import driver
from graph.errors import Unavailable
from graph.patterns.client import open_client
from graph.settings import DatabaseSettings, Settings, sqlite_url
from harness.serving import Serving, Working
from harness.valkey import ValkeyServer, free_port
from harness.waiting import eventually, until
from tests.support.processes.fork_server import command

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from pathlib import Path


@pytest.fixture
def small(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A file system of its own of 4 MiB, or as many as asked for, where this process may mount one."""
    size: int = getattr(request, "param", 4)
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}m", "none", folder], capture_output=True, check=False
    ).returncode
    if mounted != 0:
        pytest.skip("only root may mount a file system")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def fill(folder: Path) -> None:
    """Leave no room in the file system of `folder`."""
    with (folder / "ballast").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(1 << 12))
        except OSError:
            pass


def remount(folder: Path) -> None:
    """Make the file system of `folder` read-only."""
    subprocess.run(["mount", "-o", "remount,ro", folder], check=True)


@pytest.mark.parametrize("words", [("serve",), ("worker",), ("jobs", "list")], ids=" ".join)
@pytest.mark.parametrize("how", ["full", "read-only"])
def test_a_disk_that_takes_no_data_is_told_in_a_sentence(small: Path, how: str, words: tuple[str, ...]) -> None:
    """Whatever needs the embedded Valkey or the SQLite file there ends at once, and says where the trouble is."""
    (small / "data").mkdir()
    fill(small) if how == "full" else remount(small)
    done = command(small / "data", *words, GRAPH_PORT="0")
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert f"cannot keep data in {small / 'data'}" in done.stderr


@pytest.mark.heavy
@pytest.mark.parametrize("small", [64], indirect=True)
def test_a_disk_that_fills_up_refuses_what_needs_a_write_and_nothing_else(small: Path) -> None:
    """Pages that nobody asked for before are answered, a write is UNAVAILABLE; with room again it is as before."""
    register = """mutation ($e: String!) {
      register(input: {email: $e, password: "correct horse battery staple", displayName: "Ada"}) { __typename }
    }"""
    page = "query ($n: Int!) { products(first: $n) { nodes { sku } } }"
    with Serving(small / "data") as serving:
        serving.ready()
        fill(small)
        for number in range(1, 13):
            found = serving.query(page, n=number)
            assert len(found["data"]["products"]["nodes"]) == number
        try:
            answer = serving.query(register, e="ada@example.com")
        except urllib.error.HTTPError as refused:
            answer = json.loads(refused.read())
        assert [error["extensions"]["code"] for error in answer.get("errors", [])] == ["UNAVAILABLE"], answer
        (small / "ballast").unlink()

        def written() -> bool:
            try:
                return serving.query(register, e="ada@example.com")["data"]["register"]["__typename"] == "AuthPayload"
            except urllib.error.HTTPError:
                return False

        eventually(written)


@pytest.mark.parametrize("how", ["full", "read-only"])
async def test_who_opens_a_file_that_cannot_be_written_does_not_try_again(
    small: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only for another process that is making the same file there is something to wait for."""
    path = small / "graph.db"
    path.touch()
    fill(small) if how == "full" else remount(small)
    pauses: list[float] = []
    before = threading.active_count()
    monkeypatch.setattr(driver.time, "sleep", pauses.append)
    async with Database(sqlite_url(path)) as database:
        with pytest.raises(Unavailable):
            await database.execute(text("SELECT 1"))
    await until(lambda: threading.active_count() == before)  # the driver's still tells this loop of its end
    assert pauses == []


def test_a_directory_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    """A file in its place is named with the reason."""
    (tmp_path / "file").touch()
    with pytest.raises(DiskError, match="Not a directory"):
        check_directory(tmp_path / "file" / "data")


# --- the append-only file ---

TAILS = {
    "zeros": bytes(5000),
    "garbage": random.Random(1).randbytes(5000),
    "half a command": b"*3\r\n$3\r\nSET\r\n$1\r\nx\r\n$100\r\nabc",
    "zeros after half a command": b"*3\r\n$3\r\nSET\r\n" + bytes(5000),
}


async def spoil(folder: Path, tail: bytes) -> Path:
    """An embedded Valkey that was told one thing, and the end of its file spoilt."""
    async with embedded_valkey(folder) as server, open_client(server.url) as client:
        await client.execute("SET", "kept", "1", retry=False)
    file = folder / "valkey" / "appendonlydir" / "appendonly.aof.1.incr.aof"
    with file.open("ab") as opened:
        opened.write(tail)
    return file


@pytest.mark.parametrize("tail", TAILS)
async def test_the_end_of_the_append_only_file_may_be_spoilt(
    tmp_path: Path, tail: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Zeros or garbage behind the last write: it starts all the same with all before, says so, and keeps a copy."""
    file = await spoil(tmp_path, TAILS[tail])
    spoilt = file.read_bytes()
    with caplog.at_level(logging.WARNING):
        async with embedded_valkey(tmp_path) as server, open_client(server.url) as client:
            assert await client.execute("GET", "kept") == b"1"
    if tail == "half a command":
        return  # the server itself cuts off what is merely short
    (copy,) = file.parent.glob("*.damaged-*")
    assert copy.read_bytes() == spoilt
    assert str(copy) in caplog.text


async def test_much_is_not_cut_off_without_being_asked(tmp_path: Path) -> None:
    """More than a power loss leaves stops the start with a sentence; `graph doctor --repair` does what it says."""
    folder = tmp_path / "whose name is longer than a line of eighty columns has room for"
    folder.mkdir()
    file = await spoil(folder, bytes(2 << 20))
    with pytest.raises(EmbeddedError, match=r"2,097,152 bytes.*graph doctor --repair"):
        async with embedded_valkey(folder):
            pass
    done = await asyncio.to_thread(command, folder, "doctor", "--repair")
    assert (done.returncode, "cut off 2,097,152 of" in done.stdout) == (0, True), done.stdout + done.stderr
    assert len(list(file.parent.glob("*.damaged-*"))) == 1
    async with embedded_valkey(folder) as server, open_client(server.url) as client:
        assert await client.execute("GET", "kept") == b"1"
    done = await asyncio.to_thread(command, folder, "doctor", "--repair")
    assert f"in {folder / 'valkey'} is whole\n" in done.stdout


# --- SQLite ---


async def test_damaged_pages_are_told(sqlite_template: Path, tmp_path: Path) -> None:
    """Reads say that the database is damaged, not that there is a bug, and the doctor finds it."""
    path = tmp_path / "graph.db"
    shutil.copyfile(sqlite_template, path)
    with sqlite3.connect(path) as opened:
        opened.executemany(
            "INSERT INTO category (slug, name) VALUES (?, ?)", [(f"s{n}", "x" * 500) for n in range(2000)]
        )
    opened.close()
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size // 2)
        file.write(os.urandom(size // 4))
    url = sqlite_url(path)
    async with Database(url) as database:
        with pytest.raises(Unavailable, match="damaged"):
            await database.execute(text("SELECT sum(length(name)) FROM category"))
    findings = [finding async for finding in check_sql(Settings(database=DatabaseSettings(url=url)))]
    assert [finding.about for finding in findings if finding.verdict == "wrong"] == ["pages"]


# --- a worker whose Redis is away ---


@contextlib.contextmanager
def working(folder: Path, url: str) -> Generator[Callable[[bytes], None]]:
    """A worker on the Redis at `url`, and a wait until it has said something; it ends with 0 on SIGTERM."""
    with Working(folder, GRAPH_REDIS_URL=url, GRAPH_LOG="text") as worker:

        def says(word: bytes) -> None:
            eventually(lambda: word in worker.log.read_bytes() or worker.process.poll() is not None)
            assert worker.process.poll() is None, worker.log.read_text()

        yield says
        assert worker.stop() == 0, worker.log.read_text()
        assert "Traceback" not in worker.log.read_text()
        assert "<redis" not in worker.log.read_text()


@pytest.mark.parametrize("when", ["from the start", "later"])
def test_a_worker_without_redis_ends_well_when_told(tmp_path: Path, sqlite_template: Path, when: str) -> None:
    """SIGTERM ends it with status 0, whether it never found Redis or lost it."""
    shutil.copy(sqlite_template, tmp_path / "graph.db")
    with ValkeyServer() as server:
        url = server.tcp_url if when == "later" else f"redis+sentinel://127.0.0.1:{free_port()}/main"
        with working(tmp_path, url) as says:
            says(b"Working on jobs" if when == "later" else b"Redis is away")
            if when == "later":
                server.kill()
                says(b"cannot be re")  # read, or recorded: it may be at work on the jobs that are due at a start


def test_a_worker_waits_for_the_tables(tmp_path: Path, valkey: ValkeyServer) -> None:
    """Started before any server, it says what it waits for, in one line, and begins by itself."""
    with working(tmp_path, valkey.url) as says:
        says(b"The database has no tables yet")
        asyncio.run(migrate(sqlite_url(tmp_path / "graph.db")))
        says(b"Working on jobs")
        assert (tmp_path / "log").read_bytes().count(b"no tables") == 1
