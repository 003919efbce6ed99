"""One of several processes that log in, check and log out everywhere for the same few users, and note what they saw.

Run as ``python -m tests.support.processes.session_racer URL SEED OPERATIONS``; prints one JSON list per operation:
``[kind, user, session, start, end, ok]``. Start and end are Unix seconds taken before the call and after its answer;
for a login `start` is when its epoch had been read: its credentials are as old as that.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from typing import Any

from graph.patterns.client import open_client
from graph.patterns.sessions import EpochMoved, Sessions

USERS = 6
TASKS = 4


class Racer:
    """The operations of one process; its tokens are its own, its users are everybody's."""

    def __init__(self, sessions: Sessions, seed: int, operations: int) -> None:
        self.sessions = sessions
        self.random = random.Random(seed)
        self.left = operations
        self.tokens: list[tuple[str, str, str]] = []
        self.seen: list[list[Any]] = []

    async def run(self) -> None:
        """Do one thing after the other."""
        while self.left > 0:
            self.left -= 1
            chosen = self.random.random()
            if chosen < 0.3 or not self.tokens:
                await self.login(f"user{self.random.randrange(USERS)}")
            elif chosen < 0.92:
                await self.touch(*self.random.choice(self.tokens[-60:]))
            else:
                await self.revoke(f"user{self.random.randrange(USERS)}")

    async def login(self, user: str) -> None:
        """Log in as the accounts do: the epoch first, a little work, then the session."""
        epoch = await self.sessions.epoch(user)
        start = time.time()
        await asyncio.sleep(self.random.random() * 0.002)
        try:
            token, session = await self.sessions.create(user, epoch=epoch)
        except EpochMoved:
            self.seen.append(["login", user, "", start, time.time(), False])
        else:
            self.seen.append(["login", user, session.id, start, time.time(), True])
            self.tokens.append((user, session.id, token))

    async def touch(self, user: str, session_id: str, token: str) -> None:
        """Make an authenticated request."""
        start = time.time()
        found = await self.sessions.touch(token)
        self.seen.append(["touch", user, session_id, start, time.time(), found is not None])

    async def revoke(self, user: str) -> None:
        """Log out everywhere."""
        start = time.time()
        await self.sessions.revoke_all(user)
        self.seen.append(["revoke", user, "", start, time.time(), True])


async def main(url: str, seed: int, operations: int) -> None:
    """Race, then report."""
    async with open_client(url) as client:
        racer = Racer(Sessions(client, accuracy=0), seed, operations)
        await asyncio.gather(*(racer.run() for _ in range(TASKS)))
        sys.stdout.writelines(json.dumps(seen) + "\n" for seen in racer.seen)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
