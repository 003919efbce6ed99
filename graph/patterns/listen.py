"""Pub/sub on a connection of its own, with an account of when it was live.

`on_up(channels)` says that from now on every message of these channels arrives; `on_down(channels)` that messages may
be missed from now on. What happened in between is the listener's owner to heal (a stream, a reload): pub/sub itself
forgets. The connection is supervised: it sends its own PING and gives itself up when the PONG is late, so that a
frozen server or a dead line is noticed within interval + deadline (8 s by default), then reconnects with backoff and
subscribes again by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any

from graph.patterns.link import BACKOFF_CAP, COMMAND_DEADLINE, LOCAL_BACKOFF_CAP, backoff
from graph.patterns.pending import Pending, Replies, Unavailable, pack
from graph.patterns.script import Command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from graph.patterns.dial import Address, Dialer
    from graph.patterns.wire import Wire

_log = logging.getLogger(__name__)
_PING = Command(("PING",), None, retry=False)


class Listener:
    """Subscriptions to any number of channels over one connection, until `close`.

    The callbacks run in the event loop and must not block; an exception they raise is logged.
    """

    def __init__(
        self,
        dialer: Dialer,
        on_message: Callable[[str, bytes], None],
        on_up: Callable[[Sequence[str]], None],
        on_down: Callable[[Sequence[str]], None],
        *,
        ping_interval: float = 3.0,
        pong_deadline: float = 5.0,
        address: Address | None = None,
        sharded: bool = False,
    ) -> None:
        """Prepare to call `on_message(channel, payload)`, `on_up(channels)` and `on_down(channels)`.

        A PING leaves every `ping_interval` seconds and is answered within `pong_deadline`. `sharded` uses SSUBSCRIBE.
        """
        self._dialer = dialer
        self._address = address
        self._on_message, self._on_up, self._on_down = on_message, on_up, on_down
        self._interval, self._deadline = ping_interval, pong_deadline
        self._verb = "SSUBSCRIBE" if sharded else "SUBSCRIBE"
        self._loop = asyncio.get_running_loop()
        self._wire: Wire | None = None
        self._wanted: set[str] = set()
        self._live: set[str] = set()
        self._asked: dict[str, int] = {}  # confirmations under way
        self._waiters: dict[str, asyncio.Future[None]] = {}
        self._lost = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def live(self) -> frozenset[str]:
        """The channels whose messages arrive at the moment."""
        return frozenset(self._live)

    async def subscribe(self, channel: str) -> None:
        """Listen to `channel`; on return it is live.

        Raises `Unavailable` when the server does not confirm within 5 s. The wish stands all the same until
        `unsubscribe`: `on_up` tells when it has come true.
        """
        if self._task is None:
            self._task = asyncio.create_task(self._supervise(), name="redis-listener")
        if channel not in self._wanted:
            self._wanted.add(channel)
            self._ask([channel])
        if channel in self._live:
            return
        waiter = self._waiters.get(channel)
        if waiter is None:
            waiter = self._waiters[channel] = self._loop.create_future()
        try:
            async with asyncio.timeout(COMMAND_DEADLINE):
                await asyncio.shield(waiter)
        except TimeoutError:
            raise Unavailable(f"the subscription to {channel} was not confirmed in time") from None

    async def unsubscribe(self, channel: str) -> None:
        """Stop listening to `channel`; nothing of it is delivered any more."""
        self._wanted.discard(channel)
        self._live.discard(channel)
        self._release(channel)
        if self._wire is not None:
            self._wire.push(pack((f"{self._verb[:-9]}UNSUBSCRIBE", channel)))

    async def close(self) -> None:
        """End the connection and every subscription, without calling `on_down`."""
        self._wanted.clear()
        self._live.clear()
        for channel in list(self._waiters):
            self._release(channel)
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        if self._wire is not None:
            self._wire.abort()

    def _release(self, channel: str) -> None:
        if (waiter := self._waiters.pop(channel, None)) is not None and not waiter.done():
            waiter.set_result(None)

    # --- the server's side ---

    def _ask(self, channels: Iterable[str]) -> None:
        if self._wire is None:
            return
        for channel in channels:
            self._asked[channel] = self._asked.get(channel, 0) + 1
            self._wire.push(pack((self._verb, channel)))

    def _on_push(self, push: list[Any]) -> None:
        kind: bytes = push[0]
        channel: str = push[1].decode() if isinstance(push[1], bytes) else ""
        if kind.endswith(b"message"):
            if channel in self._live:
                self._call(self._on_message, channel, push[2])
        elif kind in (b"subscribe", b"ssubscribe"):
            self._asked[channel] -= 1
            if self._asked[channel]:
                return  # an unsubscribe and another subscribe are on their way
            del self._asked[channel]
            if channel in self._wanted:
                self._live.add(channel)
                self._release(channel)
                self._call(self._on_up, [channel])
        elif channel in self._live and channel not in self._asked:
            self._moved(channel)

    def _moved(self, channel: str) -> None:
        """Notice that the server dropped a subscription by itself: its slot went to another node."""
        self._live.discard(channel)
        self._call(self._on_down, [channel])
        if self._wire is not None:
            self._wire.abort()

    def _call(self, callback: Callable[..., None], *args: object) -> None:
        try:
            callback(*args)
        except Exception:  # noqa: BLE001 - whatever it is, the connection and the other channels go on
            _log.exception("a pub/sub callback failed")

    # --- the connection ---

    def _on_lost(self, _wire: Wire, sent: list[Pending], unsent: list[Pending], error: Exception | None) -> None:
        self._wire = None
        self._asked.clear()
        for ping in (*sent, *unsent):
            ping.fail(Unavailable(f"the connection to Redis was lost: {error}"))
        live, self._live = self._live, set()
        self._lost.set()
        if live:
            self._call(self._on_down, sorted(live))

    async def _supervise(self) -> None:
        cap = LOCAL_BACKOFF_CAP if self._dialer.local else BACKOFF_CAP
        attempt = 0
        while True:
            with contextlib.suppress(Unavailable):
                wire = await self._dialer.dial(address=self._address)
                self._lost.clear()
                wire.adopt(on_lost=self._on_lost, on_push=self._on_push)
                self._wire = wire
                self._ask(sorted(self._wanted))
                attempt = 0
                await self._watch(wire)
            await asyncio.sleep(backoff(attempt, cap))
            attempt += 1

    async def _watch(self, wire: Wire) -> None:
        """Send a PING now and then until the connection is lost; the wire itself gives up on a late PONG."""
        while not wire.closed:
            future: asyncio.Future[Replies] = self._loop.create_future()
            wire.submit(Pending((_PING,), self._loop.time() + self._deadline, future))
            await future
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._lost.wait(), self._interval)
