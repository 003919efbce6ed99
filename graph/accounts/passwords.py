"""Hashes passwords with Argon2id, in another process and at a low priority.

The parameters are those of the OWASP Password Storage Cheat Sheet (19 MiB, two passes, one lane); a hash carries its
own parameters, so older hashes can still be verified and are replaced at the next sign-in (`Hasher.is_outdated`).

Hashing runs in a process of low priority (`graph.accounts.hashing`), started with the first password and restarted when
it dies. A login first waits for a turn (`Hasher.turn`) and does the rest of its work within it, look-ups included: so a
burst of logins queues up here instead of crowding out other requests on the event loop. The queue is bounded: when it
is full, `Overloaded` is raised at once. A caller that gives up leaves the queue.

Verifying without a hash takes as long as with a real one, so timing does not reveal who has an account.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
from itertools import count
from typing import TYPE_CHECKING, Self, cast

from prometheus_client import Gauge, Histogram

from graph.accounts import hashing
from graph.errors import Unavailable
from graph.patterns.fair_queue import FairQueue
from graph.patterns.tasks import to_its_end

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

MEMORY_KIB = 19 * 1024
PASSES = 2
LANES = 1

_ATTEMPTS = 3  # how many processes may die over one password
_AWAY = "Passwords cannot be checked at the moment."
_WAITING = Gauge(
    "graph_password_hashes_waiting",
    "Callers that have a turn at the hasher or wait for one.",
    multiprocess_mode="livesum",
)
_SECONDS = Histogram("graph_password_hash_seconds", "Seconds that hashing one password took, without the wait.")


class Overloaded(Unavailable):
    """More passwords are waiting than can be checked in a reasonable time."""


class Hasher:
    """The process that hashes. Use it as a context manager, or `close` it; both in the event loop that uses it."""

    def __init__(
        self,
        *,
        memory_kib: int = MEMORY_KIB,
        passes: int = PASSES,
        lanes: int = LANES,
        threads: int | None = None,
        waiting: int = 256,
    ) -> None:
        """Hash `threads` at a time (default: half the processors); at most `waiting` callers have or await a turn.

        `memory_kib` (KiB), `passes` and `lanes` are Argon2id's memory size, iterations and parallelism (RFC 9106).
        """
        threads = threads or max(1, (os.cpu_count() or 1) // 2)
        self._parameters = (memory_kib, passes, lanes)
        self._argon2 = hashing.hasher(*self._parameters)
        self._nobody = hashing.of_nobody(*self._parameters)
        self._most = waiting
        self._in_hand = 0
        self._turns = FairQueue(threads + 1, threads + 1)  # one more, which does its look-ups while the others hash
        self._threads = threads
        self._process: _Process | None = None
        self._closed = False
        self._starting = asyncio.Lock()

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncGenerator[None]:
        """Wait for a turn, as callers take them in turn, and have it for the block; raises `Overloaded`."""
        if self._in_hand >= self._most:
            raise Overloaded("Too many people are signing in at once; try again in a moment.")
        self._in_hand += 1
        _WAITING.inc()
        try:
            async with self._turns.place():
                yield
        finally:
            self._in_hand -= 1
            _WAITING.dec()

    async def hash(self, password: bytes) -> str:
        """Hash a new password with a new salt."""
        return str(await self._ask(password, None))

    async def verify(self, password: bytes | None, hashed: str | None) -> bool:
        """Say whether `password` belongs to `hashed`, taking as long when either is None."""
        right = await self._ask(password or b"", hashed or self._nobody)
        return right is True and password is not None and hashed is not None

    def is_outdated(self, hashed: str) -> bool:
        """Whether `hashed` was made with parameters other than the current ones."""
        return self._argon2.check_needs_rehash(hashed)

    async def _ask(self, password: bytes, hashed: str | None) -> str | bool:
        for _ in range(_ATTEMPTS):
            process = await self._running()
            try:
                return await process.ask(self._parameters, password, hashed)
            except _Died:
                continue
        raise Unavailable(_AWAY)

    async def _running(self) -> _Process:
        """Return the running process, starting one if there is none."""
        async with self._starting:
            if not self._closed and (self._process is None or self._process.dead):
                self._process = await _Process.start(self._threads)
            if self._closed or self._process is None:
                self.close()
                raise Unavailable(_AWAY)
            return self._process

    def close(self) -> None:
        """Cancel all waiting requests and end the process."""
        self._closed = True
        if self._process is not None:
            self._process.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def launch(threads: int, requests: int) -> subprocess.Popen[bytes]:
    """Start a process that hashes with that many threads; `requests` is the descriptor of its end of the socket."""
    command = (sys.executable, "-P", hashing.__file__, str(threads))
    return subprocess.Popen(command, stdin=requests)  # noqa: S603 - nothing of it comes from outside


class _Died(Exception):
    """The process died before it answered."""


class _Process(asyncio.Protocol):
    """One process that hashes, and the requests that it has not answered yet."""

    def __init__(self) -> None:
        self.dead = False
        self._popen: subprocess.Popen[bytes]
        self._transport: asyncio.Transport
        self._numbers = count()
        self._asked: dict[int, asyncio.Future[str | bool]] = {}
        self._read = b""

    @classmethod
    async def start(cls, threads: int) -> _Process:
        """Start one, in a thread because that takes some milliseconds. It ends when our end of its socket is closed."""
        ours, theirs = socket.socketpair()
        self = cls()
        await asyncio.get_running_loop().create_connection(lambda: self, sock=ours)
        with theirs:
            starting = asyncio.ensure_future(asyncio.to_thread(launch, threads, theirs.fileno()))
            try:
                self._popen = await to_its_end(starting)
            except asyncio.CancelledError:
                self._popen = starting.result()
                self.close()
                raise
        return self

    async def ask(self, parameters: tuple[int, ...], password: bytes, hashed: str | None) -> str | bool:
        """Send a request; returns the new hash or whether the password is right. Raises `_Died`."""
        if self.dead:
            raise _Died
        number = next(self._numbers)
        answer = self._asked[number] = asyncio.get_running_loop().create_future()
        request = json.dumps((number, parameters, password.decode("latin-1"), hashed))
        self._transport.write(request.encode() + b"\n")
        try:
            return await answer
        finally:
            del self._asked[number]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the transport, over which requests are sent."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Resolve the futures that these answers belong to."""
        *lines, self._read = (self._read + data).split(b"\n")
        for line in lines:
            number, answer, seconds = json.loads(line)
            _SECONDS.observe(seconds)
            waiting = self._asked.get(number)
            if waiting is not None and not waiting.done():  # otherwise the caller has given up
                waiting.set_result(answer)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - signature
        """Fail all requests that have no answer yet."""
        self.close(_Died())

    def close(self, error: _Died | None = None) -> None:
        """End the process; waiting requests fail with the error if there is one, and are cancelled otherwise."""
        if self.dead:
            return
        self.dead = True
        self._transport.abort()
        self._popen.kill()
        self._popen.wait()
        for waiting in self._asked.values():
            if error is not None and not waiting.done():
                waiting.set_exception(error)
            waiting.cancel()
