"""Lock holders frozen beyond the life of their lock: what they write afterwards must not count."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sqlite3
import tempfile
from typing import TYPE_CHECKING

from graph.patterns.client import open_client
from graph.patterns.lock import Locks
from harness.waiting import HANG, until
from tests.support.processes.fork_server import python

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from graph.patterns.client import Client
    from harness.valkey import ValkeyServer

TTL = 0.4
WRITE = "UPDATE guarded SET fence = :fence, writer = :writer WHERE name = :name AND fence <= :fence"


async def hold_and_write(url: str, name: str, database: str) -> None:
    """Take the lock, say so, freeze, watchdog and all, then try to write as if nothing had happened."""
    async with open_client(url) as client, Locks(client) as locks:
        with contextlib.suppress(Exception):
            async with locks.hold(name, ttl=TTL) as held:
                print("held", flush=True)
                os.kill(os.getpid(), signal.SIGSTOP)
                print(_write(database, name, held.fence, "frozen"), flush=True)


def _write(database: str, name: str, fence: int, writer: str) -> int:
    with contextlib.closing(sqlite3.connect(database, timeout=30)) as db, db:
        return db.execute(WRITE, {"fence": fence, "writer": writer, "name": name}).rowcount


async def _freeze_one(client: Client, url: str, name: str, database: str) -> int:
    """Have a holder freeze, let the next one write, wake the first: how many of its writes counted."""
    call = f"hold_and_write({url!r}, {name!r}, {database!r})"
    with tempfile.TemporaryFile() as out:
        process = python("-c", f"import asyncio; from {__name__} import hold_and_write; asyncio.run({call})", out=out)
        try:
            await until(lambda: os.fstat(out.fileno()).st_size or process.poll() is not None)
            async with Locks(client) as locks, locks.hold(name, ttl=HANG, wait=HANG) as held:
                assert await asyncio.to_thread(_write, database, name, held.fence, "next") == 1
                process.send_signal(signal.SIGCONT)
                assert await asyncio.to_thread(process.wait, HANG) == 0
        finally:
            process.kill()
        out.seek(0)
        said = out.read().decode()
    assert said.startswith("held\n"), said
    return int(said.removeprefix("held\n") or "0")


async def test_a_frozen_holder_writes_nothing_and_blocks_nobody(
    client: Client, valkey: ValkeyServer, tmp_path: Path, scaled: Callable[[int, int], int]
) -> None:
    """Holders stopped beyond their TTL: no write with an old fence counts, and the next holder gets the lock."""
    rounds, database = scaled(200, 6), str(tmp_path / "guarded.db")
    names = [f"lock-{number}" for number in range(rounds)]
    with contextlib.closing(sqlite3.connect(database)) as db, db:
        db.execute("CREATE TABLE guarded (name TEXT PRIMARY KEY, fence INTEGER NOT NULL, writer TEXT)")
        db.executemany("INSERT INTO guarded VALUES (?, 0, NULL)", [(name,) for name in names])
    gate = asyncio.Semaphore(2)

    async def one(name: str) -> int:
        async with gate:
            return await _freeze_one(client, valkey.url, name, database)

    results = await asyncio.gather(*[one(name) for name in names])
    assert results == [0] * rounds
    with contextlib.closing(sqlite3.connect(database)) as db:
        assert db.execute("SELECT DISTINCT writer FROM guarded").fetchall() == [("next",)]
