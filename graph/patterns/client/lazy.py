"""A client to be made at module level: it connects when it is first used, and closes with the event loop.

Each event loop that uses it gets connections of its own, so one object serves an application, its tests and a script.
They are closed when the loop shuts its asynchronous generators down (`asyncio.run` and every ASGI server do that after
the application's own shutdown), or earlier by `LazyClient.close`; nothing is left running. What is built on the
connections of a loop, and has to be closed with them, is a `part`. (The loop closes all generators at once, so none may
be among what is closed here: `Locate` and `Make` must not enter what `contextlib.asynccontextmanager` made.)

Failure: whoever uses it first waits for the connection, as long as a command may take. While the server cannot be
reached everything fails with `RedisUnavailable`, at once where an attempt failed less than `PAUSE` ago.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, TypeVar, cast

from graph.patterns.client.batch import RedisUnavailable, Replies
from graph.patterns.client.client import Client
from graph.patterns.client.connection import COMMAND_DEADLINE, Dialer, Newcomers
from graph.patterns.client.router import connect
from graph.patterns.tasks import Tasks, unheard

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

    from graph.patterns.client.batch import Receiver, Reply
    from graph.patterns.client.commands import Argument, Command
    from graph.patterns.client.listener import Listener

    Locate = Callable[[AsyncExitStack], Awaitable[str]]
    """Gives the URL, and has the stack close what there is to close."""
    Make = Callable[[AsyncExitStack], Awaitable[Any]]

T = TypeVar("T")

PAUSE = 1.0
"""Seconds for which a server that could not be reached is not tried again."""


class LazyClient(Client):
    """A `Client` that opens itself. `url` is checked at once; a function may find it."""

    def __init__(self, url: str | Locate) -> None:  # pyright: ignore[reportMissingSuperCall] - it has no connection of its own
        """Use the server at `url`, from each event loop; raises ValueError for a bad URL."""
        if isinstance(url, str):
            Dialer(url)
        self.url = url if isinstance(url, str) else ""
        self._locate = _at(url) if isinstance(url, str) else url
        self._loops: dict[asyncio.AbstractEventLoop, _Loop] = {}

    def _here(self) -> _Loop:
        loop = asyncio.get_running_loop()
        found = self._loops.get(loop)
        if found is None:
            for other in [one for one in self._loops if one.is_closed()]:
                del self._loops[other]
            found = self._loops[loop] = _Loop(self._locate, on_closed=lambda: self._loops.pop(loop, None))
        return found

    async def opened(self) -> Client:
        """The client of the running event loop, connected; raises `RedisUnavailable`, or what `url` does."""
        here = self._here()
        return here.client or await here.open()

    async def part(self, make: Make) -> Any:
        """What `make` gives, once for each event loop; its stack is closed before the connections are."""
        return await self._here().part(make)

    # --- the state ---

    @property
    def _open(self) -> Client | None:
        return self._here().client

    @property
    def connected(self) -> bool:
        """Whether the server can be reached at the moment."""
        return (client := self._open) is not None and client.connected

    @property
    def run_id(self) -> bytes:
        """The id of the server process on the other end; empty while there is none."""
        return client.run_id if (client := self._open) is not None else b""

    @property
    def refusal(self) -> str:
        """Why the server refuses writes, or some commands, at the moment; empty while it takes everything."""
        return client.refusal if (client := self._open) is not None else ""

    @property
    def database(self) -> int:
        """The number of the selected database; raises `RedisUnavailable` before the first connection."""
        return self._connected().database

    @property
    def clustered(self) -> bool:
        """Whether the keys are spread over a cluster; False before the first connection."""
        return (client := self._open) is not None and client.clustered

    def channel(self, name: str) -> str:
        """The channel `name` of this database; raises `RedisUnavailable` before the first connection."""
        return self._connected().channel(name)

    def _connected(self) -> Client:
        client = self._open
        if client is None:
            raise RedisUnavailable("there was no connection to Redis yet")
        return client

    # --- sending ---

    def batch(self, *commands: Command) -> asyncio.Future[Replies]:
        """Send `commands` together, as `Client.batch` does; before the first connection, when that stands."""
        client = self._open
        return client.batch(*commands) if client is not None else asyncio.ensure_future(self._later(commands))

    def deliver(self, receiver: Receiver, *commands: Command) -> None:
        """Like `batch`, for `receiver`."""
        here = self._here()
        if here.client is not None:
            here.client.deliver(receiver, *commands)
        else:
            here.tasks.spawn(self._deliver_later(receiver, commands))

    async def _deliver_later(self, receiver: Receiver, commands: Sequence[Command]) -> None:
        replies = await self._later(commands)
        if not receiver.done():
            receiver.set_result(replies)

    async def _later(self, commands: Sequence[Command]) -> Replies:
        try:
            client = await self.opened()
        except RedisUnavailable as error:
            return Replies([error] * len(commands))
        return await client.batch(*commands)

    async def send(self, one: Command) -> Reply:
        """Send one command and give its reply, as `Client.send` does."""
        return await (await self.opened()).send(one)

    async def mget(self, keys: Sequence[Argument]) -> list[bytes | None]:
        """Read many plain values, as `Client.mget` does."""
        return await (await self.opened()).mget(keys)

    async def scan(self, pattern: str, *, count: int = 500) -> AsyncGenerator[list[bytes]]:
        """The keys that match `pattern`, as `Client.scan` gives them."""
        async for keys in (await self.opened()).scan(pattern, count=count):
            yield keys

    async def durable(self, one: Command, *, disk: bool = True) -> Reply:
        """Send one command and give its reply once it is on disk, as `Client.durable` does."""
        return await (await self.opened()).durable(one, disk=disk)

    async def vouches(self, replies: Replies) -> bool:
        """Whether the writes that gave `replies` count, as `Client.vouches` says."""
        return await (await self.opened()).vouches(replies)

    def listen(
        self,
        on_message: Callable[[str, bytes], None],
        on_up: Callable[[Sequence[str]], None],
        on_down: Callable[[Sequence[str]], None],
        *,
        ping_interval: float = 3.0,
        pong_deadline: float = 5.0,
    ) -> Listener:
        """Make a listener, as `Client.listen` does; raises `RedisUnavailable` before the first connection."""
        return self._connected().listen(
            on_message, on_up, on_down, ping_interval=ping_interval, pong_deadline=pong_deadline
        )

    async def close(self) -> None:
        """Close what the running event loop has opened; the next use opens it again."""
        here = self._loops.get(asyncio.get_running_loop())
        if here is not None:
            await here.close()


class _Loop:
    """What one event loop has open."""

    def __init__(self, locate: Locate, *, on_closed: Callable[[], object]) -> None:
        self.client: Client | None = None
        self.tasks = Tasks()
        self._locate = locate
        self._on_closed = on_closed
        self._connections = AsyncExitStack()
        self._parts = AsyncExitStack()
        self._made: dict[Make, Any] = {}
        self._making: defaultdict[Make, asyncio.Lock] = defaultdict(asyncio.Lock)  # a part may need another
        self._opening: asyncio.Task[Client] | None = None
        self._again = 0.0
        self._problem = ""
        # An event loop closes the generators that were begun in it: that is how this learns of its end.
        self._end = self._until_the_end()
        with contextlib.suppress(StopIteration):
            cast("Any", self._end.__anext__()).send(None)

    async def _until_the_end(self) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            self._on_closed()
            await self._parts.aclose()
            if self._opening is not None:
                self._opening.cancel()
                await asyncio.wait([self._opening])
            await self.tasks.close()
            self.client = None
            await self._connections.aclose()

    async def close(self) -> None:
        await self._end.aclose()

    async def open(self) -> Client:
        loop = asyncio.get_running_loop()
        if self._opening is None:
            if loop.time() < self._again:
                raise RedisUnavailable(self._problem)
            self._opening = loop.create_task(self._connect(), name="redis-open")
            self._opening.add_done_callback(unheard)
        try:
            async with asyncio.timeout(COMMAND_DEADLINE):
                return await asyncio.shield(self._opening)
        except TimeoutError:
            raise RedisUnavailable("Redis has not answered yet") from None

    async def _connect(self) -> Client:
        try:
            async with AsyncExitStack() as stack:
                url = await self._locate(stack)
                dialer = Dialer(url)
                client = Client(url, dialer, await connect(dialer, Newcomers(None), tell=True))
                stack.push_async_callback(client.close)
                self._connections = stack.pop_all()
                self.client = client
                return client
        except RedisUnavailable as error:
            self._again, self._problem = asyncio.get_running_loop().time() + PAUSE, str(error)
            raise
        finally:
            self._opening = None

    async def part(self, make: Make) -> Any:
        if make not in self._made:
            async with self._making[make]:
                if make not in self._made:
                    self._made[make] = await make(self._parts)
        return self._made[make]


def _at(url: str) -> Locate:
    async def located(_: AsyncExitStack) -> str:
        return url

    return located
