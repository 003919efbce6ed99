"""What chance does to those who use a server: when each goes on, and what of theirs is late or lost."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any

from graph.patterns.client import RedisUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from graph.patterns.client import Client, Command, Listener, Reply, Script


class Chance:
    """What happens next, by a seed; once it is calm, nothing fails and nothing is late."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.random = random.Random(seed)
        self.calm = False

    def happens(self, share: float) -> bool:
        return not self.calm and self.random.random() < share

    async def pause(self) -> None:
        """Let others go on: for some turns of the event loop, or for as long as the server takes for some commands."""
        if self.calm:
            return
        if self.happens(0.15):
            await asyncio.sleep(self.random.random() * 0.004)
        for _ in range(self.random.choice((0, 0, 0, 1, 2, 5))):
            await asyncio.sleep(0)


class Delayed:
    """A client whose commands leave late, and whose replies and messages come late or never."""

    def __init__(self, client: Client, chance: Chance) -> None:
        self._client = client
        self._chance = chance
        self._tasks: set[asyncio.Task[None]] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def stop(self) -> None:
        for task in self._tasks:
            task.cancel()

    async def send(self, one: Command) -> Reply:
        await self._chance.pause()
        if self._chance.happens(0.03):
            raise RedisUnavailable("the command was not sent")
        reply = await self._client.send(one)
        await self._chance.pause()
        if self._chance.happens(0.03):
            raise RedisUnavailable("the reply was lost")
        return reply

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[Any] = ()) -> Reply:
        return await self.send(script(keys, args))

    async def batch(self, *commands: Command) -> list[Reply]:
        await self._chance.pause()
        replies: list[Reply] = list(await self._client.batch(*commands))
        await self._chance.pause()
        lost = RedisUnavailable("the reply was lost")
        return [lost if self._chance.happens(0.05) else reply for reply in replies]

    def listen(self, *hear: Callable[..., None]) -> Listener:
        """Messages and news of the connection keep their order."""
        waiting: asyncio.Queue[tuple[Callable[..., None], tuple[Any, ...]]] = asyncio.Queue()

        async def deliver() -> None:
            while True:
                callback, args = await waiting.get()
                await self._chance.pause()
                callback(*args)

        self._tasks.add(asyncio.create_task(deliver()))

        def later(callback: Callable[..., None], *, may_be_lost: bool = False) -> Callable[..., None]:
            def put(*args: Any) -> None:
                if not (may_be_lost and self._chance.happens(0.03)):
                    waiting.put_nowait((callback, args))

            return put

        on_message, on_up, on_down = hear
        return self._client.listen(later(on_message, may_be_lost=True), later(on_up), later(on_down))
