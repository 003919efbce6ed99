"""The sending side of one socket: sends at once while the line is free, else from bounded queues.

An event goes to thousands of sockets from one loop over ready strings. A task switch per socket would cost more than
the send itself, so `Outlet.offer` runs the server's ``send`` coroutine by hand up to its first suspension. A server
takes the message without suspending while its socket is writable; only when the client is slow does a task carry the
rest, and whoever has more to say waits as a `Producer` with a queue of its own. A stalled client delays nobody else.
Where the server offers a function for that (`WriteText`), a `TextOutlet` needs no coroutine at all.

Whoever lets a client start more should first await `Outlet.room`: it is set while fewer than `most` sources wait.

A client that is gone is not an error: from then on messages are dropped, and the socket's own loop ends it.
"""

from __future__ import annotations

import asyncio
import types
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from starlette.types import Message, Send

WriteText: TypeAlias = "Callable[[str], bool]"
"""Sends a whole text message at once; False where the message was not taken and `send` has to wait with it."""


class Producer(Protocol):
    """Somebody with messages for a socket that was busy."""

    def pull(self) -> Message | None:
        """Take the next message; None when there is none left."""
        ...


class Outlet:
    """Send messages to one socket, in the order given by each source, sources in turn."""

    __slots__ = ("_busy", "_line", "_most", "_send", "_waiting", "gone", "room")

    def __init__(self, send: Send, *, most: int = 200) -> None:
        """Send through the server's `send`; with `most` sources waiting there is no room for more."""
        self.room = asyncio.Event()
        self.room.set()
        self._most = most
        self._send = send
        self._line: Send | None = send  # only while the line is free and the client there
        self._waiting: deque[Producer] = deque()
        self._busy: asyncio.Task[None] | None = None
        self.gone = False

    def offer(self, message: Message) -> bool:
        """Send now; False when the line is busy and the message was not taken."""
        send = self._line
        if send is None:
            return self.gone
        try:
            sending = send(message).__await__()
            for step in sending:  # the first, if it has to wait at all; the task takes the rest
                self._line = None
                self._busy = asyncio.create_task(self._carry_on(sending, step))
                break
        except Exception:  # noqa: BLE001 - each server reports a lost client by an error of its own
            self._lose()
        return True

    def wait(self, source: Producer) -> None:
        """Have `source` pulled from as soon as the line is free; once per source until it has run dry."""
        self._waiting.append(source)
        if len(self._waiting) >= self._most:
            self.room.clear()

    async def send(self, message: Message) -> None:
        """Send `message` after everything that waits, and return when the server has taken it."""
        while self._busy is not None:
            await asyncio.shield(self._busy)
        if not self.gone:
            await self._send(message)

    async def close(self) -> None:
        """Drop the waiting messages; a client that does not read cannot delay the end of the socket."""
        self._lose()
        if self._busy is not None:
            self._busy.cancel()
            await asyncio.wait([self._busy])

    async def _carry_on(self, sending: Generator[Any, Any, Any], step: object) -> None:
        try:
            await _rest(sending, step)
            while self._waiting:
                source = self._waiting.popleft()
                message = source.pull()
                if message is not None:
                    self._waiting.append(source)
                    await self._send(message)
                elif len(self._waiting) < self._most:
                    self.room.set()
        except Exception:  # noqa: BLE001 - as in offer
            self._lose()
        else:
            self._line = None if self.gone else self._send
        finally:
            self._busy = None
            self.room.set()

    def _lose(self) -> None:
        """Send nothing more."""
        self.gone = True
        self._line = None
        self._waiting.clear()


class TextOutlet(Outlet):
    """An outlet whose messages are texts, for a server that writes one at once."""

    __slots__ = ("_write",)

    def __init__(self, send: Send, write: WriteText, *, most: int = 200) -> None:
        """Send by `write` where it takes the message, else through `send`."""
        super().__init__(send, most=most)
        self._write = write

    def offer(self, message: Message) -> bool:
        """Send now; False when the line is busy and the message was not taken."""
        if self._line is None:
            return self.gone
        write = self._write  # a step of its own: Python looks up what it calls as a method, which finds slots slowly
        return write(message["text"]) or super().offer(message)


@types.coroutine
def _rest(sending: Generator[Any, Any, Any], step: object) -> Generator[object, object, None]:
    """Finish a coroutine that was started by hand and has yielded `step`."""
    try:
        while True:
            try:
                value = yield step
            except BaseException as error:  # noqa: BLE001 - a cancellation belongs to the coroutine, too
                step = sending.throw(error)
            else:
                step = sending.send(value)
    except StopIteration:
        return
