"""Hashing passwords with Argon2id, beside the event loop and behind everything else.

The parameters are those of the OWASP Password Storage Cheat Sheet (19 MiB, two passes, one lane); a hash carries its
own, so that older ones go on being verified and are replaced at the next sign-in (`Hasher.is_outdated`).

Hashing runs on few threads of low priority. Whoever signs in takes a turn first (`Hasher.turn`) and does the rest of
the work within it, look-ups included: so a storm of logins queues up here, and the event loop meets them one by one
between everybody else's requests. The queue is bounded: past it `Overloaded` is raised at once. A caller that gives up
leaves the queue.

Verifying against no hash at all takes as long as against a real one, so that time does not tell who has an account.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Self, TypeVar

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError
from prometheus_client import Gauge, Histogram

from graph.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

T = TypeVar("T")

MEMORY_KIB = 19 * 1024
PASSES = 2
LANES = 1

_LOW_PRIORITY = 10
_WAITING = Gauge("graph_password_hashes_waiting", "Callers who are at their passwords or wait for their turn.")
_SECONDS = Histogram("graph_password_hash_seconds", "Seconds that one password took on its thread.")


class Overloaded(Unavailable):
    """More passwords wait to be checked than can be within a sensible time."""


class Hasher:
    """Threads that hash. Use it as a context manager, or `close` it."""

    def __init__(
        self,
        *,
        memory_kib: int = MEMORY_KIB,
        passes: int = PASSES,
        lanes: int = LANES,
        threads: int | None = None,
        waiting: int = 256,
    ) -> None:
        """Hash on `threads` threads (default: half the processors); at most `waiting` callers have or await a turn."""
        threads = threads or max(1, (os.cpu_count() or 1) // 2)
        self._argon2 = PasswordHasher(
            time_cost=passes, memory_cost=memory_kib, parallelism=lanes, hash_len=32, salt_len=16, type=Type.ID
        )
        self._nobody = self._argon2.hash(secrets.token_bytes(32))
        self._most = waiting
        self._in_hand = 0
        self._turns = asyncio.Semaphore(threads + 1)  # one looks things up while the others hash
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="argon2", initializer=_step_back)

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncGenerator[None]:
        """Wait for a turn, first come, first served; raises `Overloaded`."""
        if self._in_hand >= self._most:
            raise Overloaded("Too many people are signing in at once; try again in a moment.")
        self._in_hand += 1
        _WAITING.inc()
        try:
            async with self._turns:
                yield
        finally:
            self._in_hand -= 1
            _WAITING.dec()

    async def hash(self, password: bytes) -> str:
        """Hash a new password with a new salt."""
        return await self._run(lambda: self._argon2.hash(password))

    async def verify(self, password: bytes | None, hashed: str | None) -> bool:
        """Say whether `password` belongs to `hashed`, taking as long when either is None."""

        def verify() -> bool:
            try:
                self._argon2.verify(hashed or self._nobody, password or b"")
            except (VerificationError, InvalidHashError):
                return False
            return password is not None and hashed is not None

        return await self._run(verify)

    def is_outdated(self, hashed: str) -> bool:
        """Whether `hashed` was made with other parameters than today's."""
        return self._argon2.check_needs_rehash(hashed)

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, _timed, work)

    def close(self) -> None:
        """Drop what waits and stop the threads, after the password each of them is at."""
        self._pool.shutdown(cancel_futures=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _timed(work: Callable[[], T]) -> T:
    with _SECONDS.time():
        return work()


def _step_back() -> None:
    """Give this thread a low priority; only Linux can for a thread alone."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _LOW_PRIORITY)
