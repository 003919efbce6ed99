"""Lock holders frozen beyond the life of their lock: what they write afterwards must not count."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from graph.patterns.client import open_client
from graph.patterns.lock import Locks
from harness.waiting import HANG

if TYPE_CHECKING:
    from collections.abc import Callable

    from graph.patterns.client import Client
    from harness.valkey import ValkeyServer

TTL = 0.4
WRITE = "UPDATE guarded SET fence = :fence, writer = :writer WHERE name = :name AND fence <= :fence"


async def hold_and_write(url: str, name: str, database: str) -> None:
    """Take the lock, say so, be frozen by the test, then try to write as if nothing had happened."""
    async with open_client(url) as client, Locks(client) as locks:
        with contextlib.suppress(Exception):
            async with locks.hold(name, ttl=TTL) as held:
                print("held", flush=True)
                sys.stdin.readline()  # blocks the loop, watchdog and all, as a frozen process would be
                print(_write(database, name, held.fence, "frozen"), flush=True)


def _write(database: str, name: str, fence: int, writer: str) -> int:
    with contextlib.closing(sqlite3.connect(database, timeout=30)) as db, db:
        return db.execute(WRITE, {"fence": fence, "writer": writer, "name": name}).rowcount


async def _freeze_one(client: Client, url: str, name: str, database: str) -> int:
    """Freeze a holder, let the next one write, wake the first: how many of its writes counted."""
    call = f"hold_and_write({url!r}, {name!r}, {database!r})"
    script = f"import asyncio; from {__name__} import hold_and_write; asyncio.run({call})"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert await process.stdout.readline() == b"held\n"
        os.kill(process.pid, signal.SIGSTOP)
        async with Locks(client) as locks, locks.hold(name, ttl=HANG, wait=HANG) as held:
            assert await asyncio.to_thread(_write, database, name, held.fence, "next") == 1
            os.kill(process.pid, signal.SIGCONT)
            process.stdin.write(b"go\n")
            return int(await process.stdout.readline() or b"0")
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


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
