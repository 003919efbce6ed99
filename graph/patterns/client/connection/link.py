"""A connection to one server that is replaced whenever it is lost.

A lost connection is replaced at once; while the first attempt runs, batches wait for it. Once an attempt has failed
they fail at once with `RedisUnavailable`, and the attempts go on in the background with full jitter between them (AWS
Architecture Blog, "Exponential Backoff and Jitter"), 2 s at most, so that the link is back soon after the server is.

What may be sent twice: a command that never left, always; a command whose reply was lost, only when it is harmless
(`Command.retry`), else it fails with `OutcomeUnknown`; a command that the server refused before doing anything
(NOSCRIPT, and in a cluster `cluster.Cluster`'s redirections), always, until its deadline is near, and one that was
refused for the moment (LOADING, BUSY, READONLY, MASTERDOWN) for as long as `Circuit.is_passing`.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from graph.patterns.client.batch import Batch, OutcomeUnknown, RedisUnavailable, Replies, settle
from graph.patterns.client.connection.circuit import Circuit
from graph.patterns.client.connection.newcomers import Newcomers
from graph.patterns.client.connection.primary import FOLLOW_INTERVAL, Primary
from graph.patterns.client.connection.retries import BACKOFF_CAP, LOCAL_BACKOFF_CAP, MARGIN, PAUSE, Retries, backoff
from graph.patterns.client.connection.trial import key_of, try_write
from graph.patterns.client.connection.waitlist import Waitlist
from graph.patterns.client.connection.wire import Wire
from graph.patterns.client.refusals import BLOCKING, DEPOSED, error_word, refusal_of
from graph.patterns.client.traffic import TRAFFIC
from graph.patterns.outage import Outage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from graph.patterns.client.batch import Receiver, ServerConnection
    from graph.patterns.client.commands import Argument, Command, Script
    from graph.patterns.client.connection.dialer import Address, Dialer

COMMAND_DEADLINE = 5.0
"""Seconds within which a command is answered or fails."""

_DEPOSED_PAUSE = 0.05  # seconds in place of `PAUSE`, where another server has to be found
_SHORT = 0.1  # seconds; a connection that lasted less is not replaced at once: its server may be hanging up on all


class Link:
    """Sends batches to one server for as long as it is open."""

    def __init__(
        self,
        dialer: Dialer,
        *,
        address: Address | None = None,
        scripts: set[Script] | None = None,
        reroute: Callable[[Link, Batch, int, str], bool] | None = None,
        on_trouble: Callable[[], None] | None = None,
        newcomers: Newcomers | None = None,
        outage: Outage | None = None,
    ) -> None:
        """Prepare for the server that `dialer` finds, or the one at `address`, and tell `outage` while it is away.

        `scripts` are loaded on every connection; more are added as they are used. `newcomers` welcomes each server
        process before it is used. `reroute` is asked first about each command that failed, with its place and its
        error's first word, and returns whether it took it over; `on_trouble` hears of every failed attempt to connect.
        """
        self._dialer = dialer
        self.address = address
        self._reroute = reroute
        self._on_trouble = on_trouble
        self._newcomers = newcomers or Newcomers(None)
        self._loop = asyncio.get_running_loop()
        self._wire: Wire | None = None
        self._down = False
        self._outage = outage or Outage("Redis is away")
        self._doubted: Argument | None = None  # a key of what a server let wait until it was given up
        self._waiting = Waitlist()
        self._retries = Retries(self.put)
        self._scripts: set[Script] = scripts if scripts is not None else set()
        self._tasks: list[asyncio.Task[None]] = []
        self._lost = asyncio.Event()
        self._circuit = Circuit(self._probe)
        self._retired: set[Wire] = set()
        self._primary = Primary(dialer) if dialer.kind == "sentinel" else None

    @property
    def run_id(self) -> bytes:
        """The id of the server process behind the current connection; empty while there is none."""
        return self._wire.run_id if self._wire is not None else b""

    @property
    def connected(self) -> bool:
        """Whether a connection stands."""
        return self._wire is not None

    @property
    def mode(self) -> bytes:
        """What the server said it is: standalone or cluster."""
        return self._wire.mode if self._wire is not None else b""

    async def open(self) -> None:
        """Connect once, raising `RedisUnavailable` when that fails, then keep connected in the background."""
        await self._connect()
        self.start()

    def start(self) -> None:
        """Keep connected in the background, from now on; batches wait for the first attempt."""
        if self._wire is None:
            self._lost.set()
        self._tasks = [asyncio.create_task(self._supervise(), name="redis-link")]
        if self._primary is not None:
            self._tasks.append(asyncio.create_task(self._follow(self._primary), name="redis-follow"))

    async def leave(self) -> list[Batch]:
        """Stop gently: commands in progress may still be answered; return the unsent ones, for another link."""
        await self._stop()
        self._replace(self._wire)
        self._down = True
        return self._waiting.take()

    async def _stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def close(self) -> None:
        """Stop; whatever still waits fails with `RedisUnavailable`, or `OutcomeUnknown` if it may have run."""
        self._down = True
        await self._stop()
        await self._circuit.close()
        self._waiting.close()
        for wire in (self._wire, *self._retired):
            if wire is not None:
                wire.abort()
        self._retries.close()
        self._outage.close()
        self._waiting.fail(RedisUnavailable("the client was closed"))

    # --- sending ---

    def submit(self, commands: Sequence[Command], seconds: float = COMMAND_DEADLINE) -> asyncio.Future[Replies]:
        """Send a batch; the future never fails: errors stand in their command's place."""
        future: asyncio.Future[Replies] = self._loop.create_future()
        self.deliver(future, commands, seconds)
        return future

    def deliver(self, receiver: Receiver, commands: Sequence[Command], seconds: float = COMMAND_DEADLINE) -> None:
        """Send a batch for `receiver`."""
        for one in commands:
            if one.script is not None:
                self._scripts.add(one.script)
        self.put(Batch(commands, self._loop.time() + seconds, receiver))

    @property
    def links(self) -> Sequence[Link]:
        """The link itself: it is the only one."""
        return (self,)

    def link_for(self, key: Argument | None) -> Link:  # noqa: ARG002 - a cluster asks for it
        """Return itself: it serves every key."""
        return self

    def put(self, pending: Batch) -> None:
        """Send it over the current connection or, while there is none, keep it for the next or fail it."""
        if not pending.commands:
            pending.finish()
        elif self._circuit.blocks:
            pending.fail(self._circuit.blocked())
        elif self._wire is not None and (self._primary is None or self._loop.time() < self._primary.until):
            self._wire.submit(pending)
        else:
            if self._wire is not None and self._primary is not None:
                self._replace(self._wire)  # its lease is over
                self._down = self._primary.silent  # or this process stood still, and they answer in a moment
            if self._down:
                pending.fail(RedisUnavailable(str(self._outage)))
            else:
                self._waiting.put(pending)

    # --- replies that need a second look ---

    def _settle(self, pending: Batch) -> None:
        """Send again what the server refused without doing anything; the rest keeps its reply."""
        pending.hold()
        missing: list[int] = []
        for place, reply in enumerate(pending.replies):
            word = error_word(reply)
            if not word or (self._reroute is not None and self._reroute(self, pending, place, word)):
                continue
            if word == "NOSCRIPT" and pending.commands[place].script is not None:
                missing.append(place)
            elif word in BLOCKING and self.is_passing(word):
                if word in DEPOSED:
                    self._replace(pending.replies.wire)
                self.again(pending.part([place]), _DEPOSED_PAUSE if word in DEPOSED else PAUSE)
            elif (refused := refusal_of(reply)) is not None:
                pending.replies[place] = refused
                if word == "NOAUTH":  # this connection is not signed in any more; the next one will be
                    self._replace(pending.replies.wire)
                self._circuit.note(refused, pending.commands[place])
        if missing:
            self._retries.teach(pending, missing)
        pending.release()

    def is_passing(self, word: str) -> bool:
        """Whether a refusal of this kind may be over in a moment, so that trying again is worthwhile."""
        # Behind Sentinels another server is found, or none: the link itself knows how long to wait.
        return self._circuit.is_passing() or (word in DEPOSED and self._dialer.kind == "sentinel")

    def _probe(self, one: Command) -> asyncio.Future[Replies]:
        """Probe whether the server accepts `one`, bypassing the circuit; if it is no primary, look for the primary."""
        future: asyncio.Future[Replies] = self._loop.create_future()
        batch = Batch((one,), self._loop.time() + COMMAND_DEADLINE, future)
        if self._wire is None:
            batch.fail(self._circuit.blocked() if self._circuit.blocks else RedisUnavailable(str(self._outage)))
            return future
        future.add_done_callback(self._probed)
        self._wire.submit(batch)
        return future

    def _probed(self, future: asyncio.Future[Replies]) -> None:
        if not future.cancelled() and error_word(future.result()[0]) in DEPOSED:
            self._replace(future.result().wire)

    @property
    def refusal(self) -> str:
        """Why the server refuses writes, or some commands; empty while it takes everything."""
        return self._circuit.refusal or (self._outage.why if self._outage.kind else "")

    def again(self, part: Batch, seconds: float = 0.0) -> None:
        """Send a part that was made of a refused batch, after a pause, unless it is too late for that."""
        self._retries.again(part, seconds)

    # --- connecting ---

    def _replace(self, wire: ServerConnection | None) -> None:
        """Leave a server that is no longer the primary; commands in progress there may still be answered."""
        if (current := self._wire) is None or wire is not current:
            return
        self._wire = None
        self._retired.add(current)
        self._lost.set()
        self._loop.call_soon(current.retire)

    def _on_lost(self, wire: Wire, sent: list[Batch], unsent: list[Batch], error: Exception | None) -> None:
        self._retired.discard(wire)
        if wire is self._wire:
            self._wire = None
            self._lost.set()
            # A server that does not answer may still accept the next connection: do not let callers wait for it.
            if isinstance(error, TimeoutError):
                self._down, self._doubted = True, key_of(sent)
        why = f"the connection to Redis was lost: {error or 'closed by the server'}"
        settle(sent, lambda batch: self._recover(batch, wire, why), OutcomeUnknown(why))
        settle(unsent, lambda batch: self._resend(batch, why), RedisUnavailable(why))

    def _recover(self, pending: Batch, wire: Wire, why: str) -> None:
        """Send again what got no reply from a lost connection and may be repeated; the rest has no known outcome."""
        pending.hold()
        if (part := pending.lost(wire, why)) is not None:
            TRAFFIC.retries += part.want
            self._resend(part, why)
        if pending.dirty:
            self._settle(pending)
        pending.release()

    def _resend(self, pending: Batch, why: str) -> None:
        """Send over another connection, unless it is too late: an overdue batch would condemn that one as well."""
        if pending.abandoned or self._loop.time() + MARGIN > pending.due:
            pending.fail(RedisUnavailable(why))
        else:
            self.put(pending)

    async def _connect(self) -> None:
        try:
            wire = await self._dialer.dial(self._scripts, address=self.address)
            await self._newcomers.welcome(wire)
            if self._doubted is not None:
                await try_write(wire, self._doubted)
                self._doubted = None
        except RedisUnavailable as error:
            self._down = True
            if self._tasks:  # whoever opens the link is told
                self._outage.began(str(error), error_word(error))
            self._waiting.fail(error)
            if self._on_trouble is not None:
                self._on_trouble()
            raise
        wire.adopt(on_done=self._settle, on_lost=self._on_lost)
        self._wire, self._down = wire, False
        self._outage.ended()
        if self._primary is not None:
            self._primary.found(wire)
        self._lost.clear()
        why = "no connection to Redis in time"
        settle(self._waiting.take(), lambda batch: self._resend(batch, why), RedisUnavailable(why))

    async def vouches(self, wire: ServerConnection | None) -> bool:
        """Whether what `wire` answered counts: always, but behind Sentinels see `primary.Primary.vouches`."""
        return self._primary is None or (isinstance(wire, Wire) and await self._primary.vouches(wire))

    async def _follow(self, primary: Primary) -> None:
        """Notice a failover that leaves the old primary running: it goes on taking writes for some seconds."""
        while True:
            await asyncio.sleep(FOLLOW_INTERVAL)
            if (wire := self._wire) is not None and await primary.moved(wire):
                self._replace(wire)

    async def _supervise(self) -> None:
        while True:
            since = self._loop.time()
            await self._lost.wait()
            TRAFFIC.reconnects += 1
            if self._loop.time() - since < _SHORT:
                await asyncio.sleep(backoff(0))
            attempt = 0
            while self._wire is None:
                with contextlib.suppress(RedisUnavailable):
                    await self._connect()
                    break
                await asyncio.sleep(backoff(attempt, LOCAL_BACKOFF_CAP if self._dialer.local else BACKOFF_CAP))
                attempt += 1
