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
from typing import TYPE_CHECKING, Any, NamedTuple

from graph.patterns.client.batch import Batch, RedisUnavailable, Replies, pack, settle
from graph.patterns.client.commands import Command
from graph.patterns.client.connection import BACKOFF_CAP, COMMAND_DEADLINE, LOCAL_BACKOFF_CAP, backoff
from graph.patterns.client.refusals import BLOCKING, WRITES, error_word

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from graph.patterns.client.connection import Address, Dialer, Wire

logger = logging.getLogger(__name__)
_PING = Command(("PING",), None, retry=False)
_OF_PING = BLOCKING | WRITES | {"LOADING"}


class Listener:
    """Subscriptions to any number of channels, until `close`.

    The callbacks run in the event loop and must not block; an exception they raise is logged. In a cluster it keeps a
    connection to each node that holds one of its channels, and messages go by SPUBLISH, else by PUBLISH.
    """

    def __init__(
        self,
        dialer: Dialer,
        hear: Hear,
        *,
        locate: Callable[[str], Address | None] | None = None,
        on_trouble: Callable[[], None] | None = None,
    ) -> None:
        """Use `Client.listen` instead.

        In a cluster `locate` says where a channel's node is, and `on_trouble` hears that it may not be there any more.
        """
        self._dialer = dialer
        self._hear = hear
        self._locate = locate
        self._on_trouble = on_trouble
        self._wanted: dict[str, Address | None] = {}
        self._ears: dict[Address | None, _Ear] = {}
        self._closed = False

    @property
    def live(self) -> frozenset[str]:
        """The channels whose messages arrive at the moment."""
        return frozenset(channel for ear in self._ears.values() for channel in ear.live)

    async def subscribe(self, channel: str) -> None:
        """Listen to `channel`; on return it is live.

        Raises `RedisUnavailable` when the server does not confirm within 5 s. The subscription is still retried until
        `unsubscribe`: `on_up` tells when it is live. Also raised if it is unsubscribed or closed meanwhile.
        """
        if self._closed:
            raise RedisUnavailable("the listener was closed")
        if channel not in self._wanted:
            self._wanted[channel] = self._locate(channel) if self._locate is not None else None
        try:
            async with asyncio.timeout(COMMAND_DEADLINE):
                while channel in self._wanted:
                    waiter = self._ear(self._wanted[channel]).add(channel)
                    if waiter is None or await waiter:
                        return  # else the channel went to another node meanwhile
        except TimeoutError:
            raise RedisUnavailable(f"the subscription to {channel} was not confirmed in time") from None
        raise RedisUnavailable(f"the subscription to {channel} was given up meanwhile")

    async def unsubscribe(self, channel: str) -> None:
        """Stop listening to `channel`; none of its messages is delivered any more."""
        if channel in self._wanted:
            self._ear(self._wanted.pop(channel)).remove(channel)

    async def close(self) -> None:
        """End the connections and every subscription, without calling `on_down`."""
        self._closed = True
        self._wanted.clear()
        ears, self._ears = self._ears, {}
        for ear in ears.values():
            await ear.close()

    def relocate(self) -> None:
        """Follow the channels whose slots have gone to other nodes."""
        assert self._locate is not None
        for channel, before in self._wanted.items():
            now = self._locate(channel)
            if now != before:
                self._wanted[channel] = now
                if self._ear(before).remove(channel):
                    self._hear.down([channel])
                self._ear(now).add(channel)

    def _ear(self, address: Address | None) -> _Ear:
        ear = self._ears.get(address)
        if ear is None:
            ear = self._ears[address] = _Ear(
                self._dialer, self._hear, address, sharded=self._locate is not None, on_trouble=self._on_trouble
            )
        return ear


class Hear(NamedTuple):
    """The callbacks of a listener, and how it watches its connection (seconds)."""

    on_message: Callable[[str, bytes], None]
    on_up: Callable[[Sequence[str]], None]
    on_down: Callable[[Sequence[str]], None]
    ping_interval: float
    pong_deadline: float

    def message(self, channel: str, payload: bytes) -> None:
        """Deliver a message."""
        self._call(self.on_message, channel, payload)

    def up(self, channels: Sequence[str]) -> None:
        """Say that every message of `channels` arrives from now on."""
        self._call(self.on_up, channels)

    def down(self, channels: Sequence[str]) -> None:
        """Say that messages of `channels` may be missed from now on."""
        self._call(self.on_down, channels)

    def _call(self, callback: Callable[..., None], *args: object) -> None:
        try:
            callback(*args)
        except Exception:  # whatever it is, the connection and the other channels go on
            logger.exception("a pub/sub callback failed")


class _Ear:
    """The subscriptions on one server."""

    def __init__(
        self,
        dialer: Dialer,
        hear: Hear,
        address: Address | None,
        *,
        sharded: bool,
        on_trouble: Callable[[], None] | None,
    ) -> None:
        self._dialer = dialer
        self._hear = hear
        self._address = address
        self._prefix = "S" if sharded else ""
        self._on_trouble = on_trouble
        self._loop = asyncio.get_running_loop()
        self._wire: Wire | None = None
        self._wanted: set[str] = set()
        self.live: set[str] = set()
        self._asked: dict[str, int] = {}  # confirmations in progress
        self._waiters: dict[str, list[asyncio.Future[bool]]] = {}
        self._lost = asyncio.Event()
        self._task = asyncio.create_task(self._supervise(), name="redis-listener")

    def add(self, channel: str) -> asyncio.Future[bool] | None:
        """Subscribe; None if `channel` is live, else what will say True when it is, False when it is removed."""
        if channel in self.live:
            return None
        if channel not in self._wanted:
            self._wanted.add(channel)
            self._ask([channel])
        waiter: asyncio.Future[bool] = self._loop.create_future()
        self._waiters.setdefault(channel, []).append(waiter)
        return waiter

    def remove(self, channel: str) -> bool:
        """Unsubscribe; say whether it was live."""
        live = channel in self.live
        self._wanted.discard(channel)
        self.live.discard(channel)
        self._release(channel, confirmed=False)
        if self._wire is not None:
            self._wire.push(pack((f"{self._prefix}UNSUBSCRIBE", channel)))
        return live

    async def close(self) -> None:
        self._wanted.clear()
        self.live.clear()
        for channel in list(self._waiters):
            self._release(channel, confirmed=False)
        self._task.cancel()
        await asyncio.wait([self._task])
        if self._wire is not None:
            self._wire.abort()

    def _release(self, channel: str, *, confirmed: bool) -> None:
        for waiter in self._waiters.pop(channel, ()):
            if not waiter.done():
                waiter.set_result(confirmed)

    # --- the server's side ---

    def _ask(self, channels: Iterable[str]) -> None:
        if self._wire is None:
            return
        for channel in channels:
            self._asked[channel] = self._asked.get(channel, 0) + 1
            self._wire.push(pack((f"{self._prefix}SUBSCRIBE", channel)))

    def _on_push(self, push: list[Any]) -> None:
        kind: bytes = push[0]
        channel: str = push[1].decode() if isinstance(push[1], bytes) else ""
        if kind.endswith(b"message"):
            if channel in self.live:
                self._hear.message(channel, push[2])
        elif kind in (b"subscribe", b"ssubscribe"):
            self._asked[channel] -= 1
            if self._asked[channel]:
                return  # an unsubscribe and another subscribe are on their way
            del self._asked[channel]
            if channel in self._wanted:
                self.live.add(channel)
                self._release(channel, confirmed=True)
                self._hear.up([channel])
        elif channel in self.live and channel not in self._asked:
            self._moved(channel)

    def _moved(self, channel: str) -> None:
        """Notice that the server dropped a subscription by itself: its slot went to another node."""
        self.live.discard(channel)
        self._hear.down([channel])
        if self._wire is not None:
            self._wire.abort()

    # --- the connection ---

    def _on_lost(self, _wire: Wire, sent: list[Batch], unsent: list[Batch], error: Exception | None) -> None:
        self._wire = None
        self._asked.clear()
        if self._on_trouble is not None:
            self._on_trouble()
        why = RedisUnavailable(f"the connection to Redis was lost: {error}")
        settle((*sent, *unsent), lambda ping: ping.fail(why), why)
        live, self.live = self.live, set()
        self._lost.set()
        if live:
            self._hear.down(sorted(live))

    async def _supervise(self) -> None:
        cap = LOCAL_BACKOFF_CAP if self._dialer.local else BACKOFF_CAP
        attempt = 0
        while True:
            with contextlib.suppress(RedisUnavailable):
                wire = await self._dialer.dial(address=self._address)
                self._lost.clear()
                wire.adopt(on_lost=self._on_lost, on_push=self._on_push)
                self._wire = wire
                self._ask(sorted(self._wanted))
                if await self._watch(wire):
                    attempt = 0
            if self._on_trouble is not None:
                self._on_trouble()
            await asyncio.sleep(backoff(attempt, cap))
            attempt += 1

    async def _has_moved(self, wire: Wire) -> bool:
        """Whether the Sentinels name another primary; not while they do not answer."""
        if wire.view is None:
            return False
        try:
            return (await self._dialer.view())[:2] != wire.view[:2]
        except RedisUnavailable:
            return False

    async def _watch(self, wire: Wire) -> bool:
        """Send a PING now and then until the connection is lost; the wire itself gives up on a late PONG.

        Returns whether the server answered at all.
        """
        answered = False
        while not wire.closed:
            future: asyncio.Future[Replies] = self._loop.create_future()
            wire.submit(Batch((_PING,), self._loop.time() + self._hear.pong_deadline, future))
            reply = (await future)[0]
            # A server that takes no writes may refuse PING, too (MISCONF, MASTERDOWN, BUSY); messages still come.
            # Any other error is the reply to an SSUBSCRIBE: the slot is elsewhere.
            alive = not isinstance(reply, Exception) or error_word(reply) in _OF_PING
            answered = answered or alive
            if not alive or await self._has_moved(wire):
                wire.abort()
            with contextlib.suppress(TimeoutError):
                # wait_for() of Python 3.11 loses a cancellation that meets what was waited for.
                async with asyncio.timeout(self._hear.ping_interval):
                    await self._lost.wait()
        return answered
