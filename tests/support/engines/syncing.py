"""When a Valkey server has its append-only file on disk: its thread for that is looked at in /proc, on Linux.

A server that is killed loses nothing that it had written, synced or not: that is with the system. Whether a write would
outlive the machine's end is told by the fsync alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from harness.waiting import eventually

if TYPE_CHECKING:
    from harness.valkey import ValkeyServer


def syncs(server: ValkeyServer) -> int:
    """How often the server's thread that syncs its append-only file has slept: once more after each fsync.

    A server answers before its threads have run: while this one has no name yet, it has not slept.
    """
    for task in Path(f"/proc/{server.pid}/task").iterdir():
        if "aof" in (task / "comm").read_text():
            return int((task / "status").read_text().partition("\nvoluntary_ctxt_switches:")[2].split()[0])
    return 0


def just_synced(server: ValkeyServer) -> int:
    """Write something, and wait until it was synced, so that the next fsync is a second away."""
    eventually(lambda: syncs(server))  # it has begun, and waits for work
    before = syncs(server)
    server.command("SET", "other", 1)
    eventually(lambda: syncs(server) > before)
    return syncs(server)
