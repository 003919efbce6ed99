"""A lock over processes, with a fencing number, a watchdog and a bounded wait.

What it promises: a token that is still alive in Redis belongs to one holder; a fence is greater than every fence
before it, even when Redis lost its data; the holder's task is cancelled when the lock is lost.

What no such lock can promise: that the holder of an expired lock stops in time. A process that is frozen (a long
garbage collection, SIGSTOP, a paused virtual machine) wakes up believing that it holds the lock and may write before
the watchdog runs. So every write that must be exclusive carries `Held.fence`, and the store refuses a fence lower than
one it has seen, in the same statement or transaction as the write::

    UPDATE season SET state = 'closed', fence = :fence WHERE id = :id AND fence <= :fence

Without such a check, use the lock only to avoid work that may harmlessly be done twice. The lock also does not survive
a failover to a replica that had not received it: then two holders are possible, and again the fence decides.

Failure: `LockTimeout` when the lock could not be had in time, `RedisUnavailable` while Redis is away, `LockLost` when
it was lost while held. A holder that dies leaves a lock that expires after its time to live.

Source of fencing: M. Kleppmann, "How to do distributed locking", 2016.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from redis.exceptions import RedisError

from graph.patterns.client import RedisUnavailable, Script

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from types import TracebackType

    from graph.patterns.client import Client, Listener

POLL = 1.0
"""Seconds between two attempts of a waiter that was not woken."""
FENCE_TTL_MS = 30 * 86_400_000
"""How long the last fence is remembered; after that the clock alone keeps fences rising."""

_ACQUIRE = Script(__name__, "acquire", idempotent=True)
_EXTEND = Script(__name__, "extend", idempotent=True)
_RELEASE = Script(__name__, "release")

EXPIRING_KEYS = {"lock:{*}": "the holder", "lock:{*}:*": "the last fence"}
"""Keys with a TTL, below the prefix, and what they hold."""

CHANNELS = {"lock:{*}": "that the lock is free"}
"""Channels below the prefix, and what they tell."""


class LockTimeout(Exception):
    """The lock was held by others for as long as the caller was ready to wait."""


class LockLost(Exception):
    """The lock was lost while it was held; what the holder's task was doing has been cancelled."""


@dataclass(frozen=True, slots=True)
class Held:
    """A held lock: pass `fence` along with every write made under it."""

    name: str
    fence: int


class Locks:
    """The locks of one Redis, below `prefix`; an async context manager that ends its pub/sub connection."""

    def __init__(self, client: Client, *, prefix: str = "graph") -> None:
        """Keep locks as ``{prefix}:lock:{name}``."""
        self._client = client
        self._prefix = prefix
        self._listener: Listener | None = None
        self._waiting: dict[str, set[asyncio.Event]] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening for releases."""
        if self._listener is not None:
            await self._listener.close()

    def hold(self, name: str, *, ttl: float = 10.0, wait: float = 5.0) -> Hold:
        """Hold the lock `name` for the length of an ``async with`` block.

        `ttl` (seconds) is how long it outlives a holder that died; a living one extends it every third of that. `wait`
        (seconds) is how long to wait for it; 0 tries once. The block's task is cancelled when the lock is lost.
        """
        return Hold(self, name, ttl, wait)

    # --- what a Hold is made of ---

    def keys(self, name: str) -> tuple[str, str]:
        """The lock and its last fence, under one hash tag."""
        key = f"{self._prefix}:lock:{{{name}}}"
        return key, f"{key}:fence"

    async def acquire(self, name: str, token: str, ttl: float) -> tuple[int | None, float]:
        """Try once: the fence, or None and the seconds until the lock expires."""
        key, fence = self.keys(name)
        got, value = await self._client.run(_ACQUIRE, [key, fence], [token, int(ttl * 1000), FENCE_TTL_MS])
        return (value, 0.0) if got else (None, max(value, 0) / 1000)

    async def extend(self, name: str, token: str, ttl: float) -> bool:
        """Whether the lock was still held by `token`, and lives on now."""
        return bool(await self._client.run(_EXTEND, [self.keys(name)[0]], [token, int(ttl * 1000)]))

    async def release(self, name: str, token: str) -> bool:
        """Whether the lock was still held by `token`; it is free now. Wakes the waiters."""
        verb = "SPUBLISH" if self._client.clustered else "PUBLISH"
        key = self.keys(name)[0]
        return bool(await self._client.run(_RELEASE, [key, self._client.channel(key)], [token, verb]))

    @contextlib.asynccontextmanager
    async def woken(self, name: str) -> AsyncGenerator[asyncio.Event]:
        """An event that is set whenever the lock is released while the block runs."""
        channel, event = self._client.channel(self.keys(name)[0]), asyncio.Event()
        if self._listener is None:
            self._listener = self._client.listen(self._on_release, self._wake, self._wake)
        waiters = self._waiting.setdefault(channel, set())
        waiters.add(event)
        try:
            with contextlib.suppress(RedisUnavailable):  # polling works without it
                await self._listener.subscribe(channel)
            yield event
        finally:
            waiters.discard(event)
            if not waiters and self._waiting.pop(channel, None) is not None:
                await self._listener.unsubscribe(channel)

    def _on_release(self, channel: str, _payload: bytes) -> None:
        self._wake([channel])

    def _wake(self, channels: Sequence[str]) -> None:
        # A connection that comes or goes may have missed a release: look at once.
        for channel in channels:
            for event in self._waiting.get(channel, ()):
                event.set()


class Hold:
    """One acquisition; see `Locks.hold`."""

    def __init__(self, locks: Locks, name: str, ttl: float, wait: float) -> None:
        """Prepare to acquire; entering the block does it."""
        self._locks, self._name, self._ttl, self._wait = locks, name, ttl, wait
        self._token = secrets.token_hex(16)
        self._watchdog: asyncio.Task[None] | None = None
        self._lost = False

    async def __aenter__(self) -> Held:
        """Acquire within the wait, or raise `LockTimeout` or `RedisUnavailable`."""
        task = asyncio.current_task()
        assert task is not None
        try:
            fence, until = await self._acquire()
        except BaseException:
            # The attempt that was cut short may have succeeded; without this the lock would idle for its whole TTL.
            await asyncio.shield(self._give_back())
            raise
        self._watchdog = asyncio.create_task(self._watch(task, until), name=f"lock-{self._name}")
        return Held(self._name, fence)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Release; raise `LockLost` when the lock had been lost, whatever the block made of it."""
        assert self._watchdog is not None
        self._watchdog.cancel()
        await asyncio.wait([self._watchdog])
        if not self._lost:
            await asyncio.shield(self._give_back())
            return
        task = asyncio.current_task()
        if task is not None and task.uncancel() > 0 and kind is asyncio.CancelledError:
            return  # somebody else cancelled the task as well: that takes precedence
        if kind is None or issubclass(kind, asyncio.CancelledError):
            raise LockLost(f"the lock {self._name!r} was lost while it was held") from error

    async def _acquire(self) -> tuple[int, float]:
        """The fence, and when the lock expires on this process's monotonic clock."""
        deadline = time.monotonic() + self._wait
        asked = time.monotonic()
        fence, expires = await self._locks.acquire(self._name, self._token, self._ttl)
        if fence is not None:
            return fence, asked + self._ttl
        async with self._locks.woken(self._name) as woken:
            while (left := deadline - time.monotonic()) > 0:
                with contextlib.suppress(TimeoutError):
                    # wait_for() of Python 3.11 loses a cancellation that meets what was waited for.
                    async with asyncio.timeout(min(left, POLL, expires + 0.001)):
                        await woken.wait()
                woken.clear()
                asked = time.monotonic()
                fence, expires = await self._locks.acquire(self._name, self._token, self._ttl)
                if fence is not None:
                    return fence, asked + self._ttl
        raise LockTimeout(f"the lock {self._name!r} was held by others for {self._wait:g} s")

    async def _give_back(self) -> None:
        with contextlib.suppress(RedisError):  # it expires by itself
            await self._locks.release(self._name, self._token)

    async def _watch(self, holder: asyncio.Task[object], until: float) -> None:
        """Extend the lock every third of its life; cancel the holder once it is not ours any more."""
        while True:
            await asyncio.sleep(min(self._ttl / 3, max(0.0, until - time.monotonic())))
            asked = time.monotonic()
            try:
                # Without an answer in time the lock has expired: there is no point in waiting longer.
                async with asyncio.timeout(until - asked):
                    ours = await self._locks.extend(self._name, self._token, self._ttl)
            except TimeoutError:
                ours = False
            except Exception:  # noqa: BLE001 - whatever it is, it does not confirm that the lock is ours
                if asked < until:
                    await asyncio.sleep(min(0.05, self._ttl / 10))
                    continue
                ours = False
            if not ours:
                self._lost = True
                holder.cancel()
                return
            until = asked + self._ttl
