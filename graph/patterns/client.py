"""The Redis client of every pattern: one multiplexed connection a server, one write a turn of the event loop.

redis-py reads the URL and finds the server; the traffic itself runs over `wire.Wire`. A command has a deadline of
5 s. While the server is away commands fail at once with `Unavailable` and the connection is retried in the background
with full jitter, 2 s at most between attempts. A command whose reply was lost is sent again only when that is
harmless (`Command.retry`); any other fails with `OutcomeUnknown`.

Every method takes plain keys: prefixes and hash tags are the pattern's business.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import TYPE_CHECKING, Any

from redis.asyncio.connection import parse_url
from redis.exceptions import ResponseError

from graph.patterns.script import Argument, Command, Script, command
from graph.patterns.wire import OutcomeUnknown, Pending, Replies, Reply, Unavailable, Wire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

BACKOFF_CAP = 2.0
CONNECT_TIMEOUT = 10.0
COMMAND_DEADLINE = 5.0


class Link:
    """A connection to one server that is replaced whenever it is lost."""

    def __init__(self, url: str) -> None:
        """Prepare for the server at `url`; `open` connects."""
        self._options: dict[str, Any] = dict(parse_url(url))
        self._loop = asyncio.get_running_loop()
        self._wire: Wire | None = None
        self._down = False
        self._backlog: list[Pending] = []
        self._scripts: set[Script] = set()
        self._task: asyncio.Task[None] | None = None
        self._lost = asyncio.Event()

    @property
    def run_id(self) -> bytes:
        """The id of the server process behind the current connection; empty while there is none."""
        return self._wire.run_id if self._wire is not None else b""

    async def open(self) -> None:
        """Connect once, raising `Unavailable` when that fails, then keep connected in the background."""
        await self._connect()
        self._task = asyncio.create_task(self._supervise(), name="redis-link")

    async def close(self) -> None:
        """Stop; whatever still waits fails with `Unavailable`."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        self._down = True
        if self._wire is not None:
            self._wire.abort()

    def submit(self, commands: Sequence[Command]) -> asyncio.Future[Replies]:
        """Send a batch; the future never fails: errors stand in their command's place."""
        future: asyncio.Future[Replies] = self._loop.create_future()
        self._put(Pending(commands, future, self._loop.time() + COMMAND_DEADLINE))
        return future

    def _put(self, pending: Pending) -> None:
        if self._wire is not None:
            self._wire.submit(pending)
        elif self._down:
            self._fail(pending, Unavailable("Redis is away"))
        else:
            self._backlog.append(pending)

    @staticmethod
    def _fail(pending: Pending, error: Exception) -> None:
        if not pending.future.done():
            pending.replies.extend([error] * (pending.want - len(pending.replies)))
            pending.future.set_result(pending.replies)

    # --- replies that need a second look ---

    def _done(self, pending: Pending) -> None:
        again = [
            i
            for i, reply in enumerate(pending.replies)
            if type(reply) is ResponseError and str(reply).startswith("NOSCRIPT")
        ]
        if again:
            self._resend(pending, again)
        elif not pending.future.done():
            pending.future.set_result(pending.replies)

    def _resend(self, pending: Pending, positions: list[int]) -> None:
        """Load the scripts that the server has forgotten and send only the commands that failed for it."""
        commands: list[Command] = []
        for i in positions:
            script = pending.commands[i].script
            assert script is not None
            self._scripts.add(script)
            commands += [command("SCRIPT", "LOAD", script.source, retry=True), pending.commands[i]]
        future: asyncio.Future[Replies] = self._loop.create_future()

        def merge(done: asyncio.Future[Replies]) -> None:
            for i, reply in zip(positions, done.result()[1::2], strict=True):
                pending.replies[i] = reply
            if not pending.future.done():
                pending.future.set_result(pending.replies)

        future.add_done_callback(merge)
        self._put(Pending(commands, future, pending.due))

    def _on_lost(self, wire: Wire, left: list[Pending], error: Exception | None) -> None:
        if wire is self._wire:
            self._wire = None
            self._lost.set()
        for pending in left:
            if pending.future.done():
                continue
            if all(c.retry for c in pending.commands) and not self._down:
                pending.replies.clear()
                self._backlog.append(pending)
            else:
                self._fail(pending, OutcomeUnknown(f"the connection to Redis was lost: {error}"))

    # --- connecting ---

    async def _connect(self) -> None:
        options = self._options

        def factory() -> Wire:
            return Wire(on_done=self._done, on_lost=self._on_lost)

        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                if "path" in options:
                    _, wire = await self._loop.create_unix_connection(factory, options["path"])
                else:
                    _, wire = await self._loop.create_connection(
                        factory, options.get("host", "localhost"), options.get("port", 6379)
                    )
                await self._handshake(wire)
        except (OSError, TimeoutError, ResponseError, Unavailable) as error:
            self._down = True
            backlog, self._backlog = self._backlog, []
            for pending in backlog:
                self._fail(pending, Unavailable(f"cannot connect to Redis: {error}"))
            raise Unavailable(f"cannot connect to Redis: {error}") from error
        self._wire, self._down = wire, False
        self._lost.clear()
        backlog, self._backlog = self._backlog, []
        for pending in backlog:
            wire.submit(pending)

    async def _handshake(self, wire: Wire) -> None:
        options = self._options
        hello: list[Argument] = ["HELLO", 3]
        if options.get("password"):
            hello += ["AUTH", options.get("username") or "default", options["password"]]
        first = [Command(tuple(hello), None, retry=False)]
        if options.get("db"):
            first.append(command("SELECT", options["db"], retry=False))
        first.append(command("INFO", "server", retry=False))
        first += [command("SCRIPT", "LOAD", script.source, retry=False) for script in self._scripts]
        future: asyncio.Future[Replies] = self._loop.create_future()
        wire.submit(Pending(first, future, self._loop.time() + CONNECT_TIMEOUT))
        replies = await future
        for reply in replies:
            if isinstance(reply, Exception):
                wire.abort()
                raise reply
        info: bytes = replies[2 if options.get("db") else 1]
        wire.run_id = info.partition(b"run_id:")[2].partition(b"\r")[0]

    async def _supervise(self) -> None:
        delay = 0.05
        while True:
            if self._wire is not None:
                delay = 0.05
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._lost.wait(), 0.25)
                wire = self._wire
                if wire is not None and (due := wire.oldest_due) is not None and due < self._loop.time():
                    wire.abort(TimeoutError("no reply in time"))
                continue
            try:
                await self._connect()
            except Unavailable:
                await asyncio.sleep(random.uniform(0, delay))  # noqa: S311 - jitter, not a secret
                delay = min(delay * 2, BACKOFF_CAP)


class Client:
    """Send commands, scripts and batches."""

    def __init__(self, link: Link) -> None:
        """Use `open_client` instead."""
        self._link = link

    def batch(self, *commands: Command) -> asyncio.Future[Replies]:
        """Send `commands` together, in one write with whatever else this turn of the loop sends.

        The future gives their replies in order and never raises: a command that failed has its exception
        (`ResponseError`, `Unavailable`, `OutcomeUnknown`) in its place. The commands leave at the call, not at the
        await. They are not a transaction: put what belongs together into one script.
        """
        return self._link.submit(commands)

    async def send(self, one: Command) -> Reply:
        """Send one command and give its reply, raising what the server or the connection reports."""
        reply = (await self._link.submit((one,)))[0]
        if isinstance(reply, Exception):
            raise reply
        return reply

    async def execute(self, name: str, *args: Argument, retry: bool | None = None) -> Reply:
        """Send a plain command whose first argument is its key: ``await client.execute("GET", key)``."""
        return await self.send(command(name, *args, retry=retry))

    async def run(self, script: Script, keys: Sequence[Argument], args: Sequence[Argument] = ()) -> Reply:
        """Run a script by its SHA-1; the server is taught it first where it has forgotten it."""
        return await self.send(script(keys, args))


@contextlib.asynccontextmanager
async def open_client(url: str) -> AsyncIterator[Client]:
    """Connect to `url` (redis://, rediss://, unix://) for the length of the block."""
    link = Link(url)
    try:
        await link.open()
        yield Client(link)
    finally:
        await link.close()
