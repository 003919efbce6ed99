"""SIGKILL right after an acknowledged revocation: the restarted server does not know the sessions any more.

The end of the machine would take more than SIGKILL does, all that was not synced: so the fsync is looked for as well.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from functools import partial
from typing import TYPE_CHECKING

import pytest

from graph.patterns.client import OutcomeUnknown, RedisUnavailable, open_client
from graph.patterns.sessions import Sessions
from harness.valkey import ValkeyServer
from harness.waiting import within
from tests.support.engines.syncing import just_synced, syncs

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at threads in /proc")


async def test_no_revoked_session_comes_back_from_the_disk(scaled: Callable[[int, int], int]) -> None:
    """Killed at the moment of the acknowledgement, the server comes back with the other sessions and without these.

    A fifth of the rounds end one session, the others all but one. The sessions are on disk before they are ended, so
    a server that had only lost what it had not synced would bring them back. The fsyncs are what a round waits for most
    of its time, so several servers are killed side by side.
    """
    servers = scaled(8, 1)
    turns = range(scaled(200, 5))
    await asyncio.gather(*(_kill_after_revoking(turns[first::servers]) for first in range(servers)))


async def _kill_after_revoking(turns: Sequence[int]) -> None:
    with ValkeyServer(aof=True) as server:
        for turn in turns:
            async with open_client(server.url) as client:
                sessions = Sessions(client)
                made = [await sessions.create("7") for _ in range(3)]
                survivor, _ = await sessions.create("8")
                if turn % 5:
                    await _acknowledged(server, partial(sessions.revoke_all, "7", keep=made[1][1].id))
                else:
                    await _acknowledged(server, partial(sessions.revoke, "7", made[0][1].id))
                server.kill()
            await asyncio.to_thread(server.start)
            async with open_client(server.url) as client:
                sessions = Sessions(client)
                alive = [await sessions.touch(token) is not None for token, _ in made]
                assert alive == [False, True, not turn % 5], turn
                assert await sessions.touch(survivor) is not None
                assert len(await sessions.list("7")) == sum(alive)
                await client.execute("FLUSHALL", retry=False)


async def _acknowledged(server: ValkeyServer, end: Callable[[], Awaitable[object]]) -> None:
    """End sessions as a client does, which asks again where a slow disk has not confirmed it in time.

    What was not acknowledged was promised to nobody. What was is on disk: an fsync began and ended since it was asked.
    """
    async with within("an acknowledgement"):
        while True:
            synced = await asyncio.to_thread(just_synced, server)
            with contextlib.suppress(OutcomeUnknown):
                await end()
                assert syncs(server) > synced
                return


async def test_a_revocation_waits_for_the_disk() -> None:
    """Each acknowledgement, even of a revocation that finds nothing to end, comes after an fsync that began later."""
    with ValkeyServer(aof=True) as server:
        async with open_client(server.url) as client:
            sessions = Sessions(client)
            for which in ("all", "one", "none"):
                _, session = await sessions.create("7")
                if which == "all":
                    await _acknowledged(server, partial(sessions.revoke_all, "7"))
                else:
                    ended = session.id if which == "one" else "no such session"
                    await _acknowledged(server, partial(sessions.revoke, "7", ended))


async def test_sessions_survive_a_restart() -> None:
    """A session begun a moment ago is there after an orderly restart, with its limits unchanged."""
    with ValkeyServer(aof=True) as server:
        async with open_client(server.url) as client:
            token, session = await Sessions(client).create("7", role="ADMIN", user_agent="a", ip_address="b")
            key = Sessions(client).session_key(token) or ""
            expires = await client.execute("PEXPIRETIME", key)
            with contextlib.suppress(RedisUnavailable):  # it closes the connection instead of answering
                await client.execute("SHUTDOWN", retry=False)
        server.kill()
        server.start()
        async with open_client(server.url) as client:
            assert await Sessions(client).touch(token) == session
            assert await client.execute("PEXPIRETIME", key) == expires
