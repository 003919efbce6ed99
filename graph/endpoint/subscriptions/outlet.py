"""The sending side of one socket: sends at once while the line is free, else from bounded queues.

An event goes to thousands of sockets from one loop over ready strings. A task switch per socket would cost more than
the send itself, so `Outlet.offer` runs the server's ``send`` coroutine by hand up to its first suspension. A server
takes the message without suspending while its socket is writable; only when the client is slow does a task carry the
rest, and whoever has more to say waits as a `Producer` with a queue of its own. A stalled client delays nobody else.
Where the server offers a function for that (`WriteText`), there is no coroutine at all.

Whoever lets a client start more should first await `Outlet.room`: it is set while fewer than `most` sources wait.

A client that is gone is not an error: from then on messages are dropped, and the socket's own loop ends it.
"""

from __future__ import annotations

import asyncio
import types
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator

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

    def __init__(self, send: Send, *, most: int = 200, write: WriteText | None = None) -> None:
        """Send through the server's `send`; with `most` sources waiting there is no room for more.

        With `write`, all messages are texts.
        """
        self.room = asyncio.Event()
        self.room.set()
        self._most = most
        self._send = send
        self._write = write
        self._waiting: deque[Producer] = deque()
        self._busy: asyncio.Task[None] | None = None
        self.gone = False

    def offer(self, message: Message) -> bool:
        """Send now; False when the line is busy and the message was not taken."""
        if self._busy is not None:
            return False
        if self.gone or (self._write is not None and self._write(message["text"])):
            return True
        sending = cast("Coroutine[Any, Any, None]", self._send(message))
        try:
            step: object = sending.send(None)
        except StopIteration:
            return True
        except Exception:  # noqa: BLE001 - each server reports a lost client by an error of its own
            self.gone = True
            return True
        self._busy = asyncio.create_task(self._carry_on(sending, step))
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
        self.gone = True
        self._waiting.clear()
        if self._busy is not None:
            self._busy.cancel()
            await asyncio.wait([self._busy])

    async def _carry_on(self, sending: Coroutine[Any, Any, None], step: object) -> None:
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
            self.gone = True
            self._waiting.clear()
        finally:
            self._busy = None
            self.room.set()


@types.coroutine
def _rest(sending: Coroutine[Any, Any, None], step: object) -> Generator[object, object, None]:
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
