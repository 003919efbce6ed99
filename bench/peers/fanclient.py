"""A thousand clients of graphql-transport-ws in one process, cheap enough not to be what is measured.

It parses frames, answers pings, and looks no further than the message type: the server under test gets the whole of
its own core, this process the other. Run as ``python -m bench.peers.fanclient PORT CLIENTS [own]``; it prints "ready",
then for each line ``EVENTS`` on its input waits for that many more results per client and prints when the last came.
With ``live KEYS DIRECTIVE`` the clients follow as many live queries between them, and ``stale NUMBER`` prints how many
of them do not show that number.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import struct
import sys
import time
from typing import cast

import uvloop

QUERY = 'subscription($key: String! = "") { news(key: $key) { number title author { name } } }'
LIVE = "query($key: ID!) %s { item(id: $key) { id number title author { name } } }"


def frame(data: bytes, opcode: int = 1) -> bytes:
    """A masked frame; a mask of zeros leaves the text as it is."""
    head = bytes([0x80 | opcode])
    head += bytes([0x80 | len(data)]) if len(data) < 126 else bytes([0xFE]) + struct.pack(">H", len(data))
    return head + b"\0\0\0\0" + data


class Fan(asyncio.Protocol):
    """One socket."""

    def __init__(self, crowd: Crowd, number: int) -> None:
        self._crowd = crowd
        self._number = number
        self._buffer = b""
        self._open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the upgrade."""
        self._transport = cast("asyncio.Transport", transport)
        key = base64.b64encode(os.urandom(16)).decode()
        self._transport.write(
            f"GET /graphql HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n".encode()
        )

    def say(self, message: object, opcode: int = 1) -> None:
        """Send a message."""
        self._transport.write(frame(message if isinstance(message, bytes) else json.dumps(message).encode(), opcode))

    def data_received(self, data: bytes) -> None:
        """Take whole frames."""
        if self._buffer:
            data = self._buffer + data
        if not self._open:
            head, found, data = data.partition(b"\r\n\r\n")
            if not found:
                self._buffer = head
                return
            assert b" 101 " in head, head
            self._open = True
            self.say({"type": "connection_init"})
        at, end = 0, len(data)
        while end - at >= 2:
            size, body = data[at + 1], at + 2
            if size == 126:
                if end - at < 4:
                    break
                size, body = int.from_bytes(data[at + 2 : at + 4], "big"), at + 4
            if end - body < size:
                break
            self._take(data[at] & 15, data, body, size)
            at = body + size
        self._buffer = data[at:]

    def _take(self, opcode: int, data: bytes, start: int, size: int) -> None:
        if data.find(b'"next"', start, start + min(size, 60)) >= 0:
            self._crowd.count += 1
            if self._crowd.keys:
                self._crowd.last[self._number] = data[start : start + size]
            if self._crowd.count == self._crowd.goal:
                self._crowd.reached()
        elif opcode == 9:
            self.say(data[start : start + size], 10)
        elif opcode == 8:
            raise SystemExit(f"closed: {data[start : start + size]!r}")
        else:
            message = json.loads(data[start : start + size])
            if message["type"] == "connection_ack":
                payload = {"query": self._crowd.query, "variables": {"key": self._crowd.key(self._number)}}
                self.say({"id": "1", "type": "subscribe", "payload": payload})
                self._crowd.subscribed()
            elif message["type"] == "ping":
                self.say({"type": "pong"})
            else:
                raise SystemExit(f"unexpected: {message}")


class Crowd:
    """All sockets, counted together."""

    def __init__(self, clients: int, *, own: bool, keys: int = 0, directive: str = "") -> None:
        self.clients = clients
        self.own = own
        self.keys = keys
        self.query = LIVE % directive if keys else QUERY
        self.last: dict[int, bytes] = {}
        self.count = 0
        self.goal = clients if keys else -1
        self._missing = clients
        self._ready = asyncio.Event()
        self._done = asyncio.Event()

    def key(self, number: int) -> str:
        """What the client of this number follows."""
        if self.keys:
            return str(number % self.keys)
        return str(number) if self.own else ""

    def stale(self, number: int) -> int:
        """How many clients do not show `number`."""
        return sum(b'"number":%d,' % number not in text for text in self.last.values())

    def subscribed(self) -> None:
        """Count a socket that has subscribed."""
        self._missing -= 1
        if not self._missing:
            self._ready.set()

    def reached(self) -> None:
        """The last result has come."""
        self._done.set()

    async def connect(self, port: int) -> None:
        """Open all sockets, some at a time."""
        loop = asyncio.get_running_loop()
        for start in range(0, self.clients, 100):
            some = range(start, min(start + 100, self.clients))
            await asyncio.gather(*(loop.create_connection(lambda n=n: Fan(self, n), "127.0.0.1", port) for n in some))
        await asyncio.wait_for(self._ready.wait(), 600)
        if self.keys:  # the first answers come by themselves
            await asyncio.wait_for(self._done.wait(), 600)

    async def wait(self, events: int) -> float:
        """Wait for `events` results at every socket; the moment on the monotonic clock at which the last came."""
        self.goal = self.count + events * self.clients
        self._done.clear()
        print("waiting", flush=True)
        await asyncio.wait_for(self._done.wait(), 600)
        return time.monotonic()


async def main(port: int, crowd: Crowd) -> None:
    """Obey the lines of the standard input."""
    await crowd.connect(port)
    print("ready", flush=True)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        word, *rest = line.split()
        if word == "stale":
            print(crowd.stale(int(rest[0])), flush=True)
        else:
            print(await crowd.wait(int(word)), flush=True)


if __name__ == "__main__":
    port, clients, *words = sys.argv[1:]
    keys, directive = (int(words[1]), words[2]) if words[:1] == ["live"] else (0, "")
    uvloop.run(main(int(port), Crowd(int(clients), own="own" in words, keys=keys, directive=directive)))
