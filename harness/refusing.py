"""Makes a real server refuse commands in every way that it can."""

from __future__ import annotations

import contextlib
import shutil
import threading
from typing import TYPE_CHECKING

import redis

from harness.valkey import free_port
from harness.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Generator

    from harness.valkey import ValkeyServer

WAYS = ["OOM", "MISCONF", "NOREPLICAS", "READONLY", "MASTERDOWN", "BUSY", "NOPERM"]


@contextlib.contextmanager
def refusing(server: ValkeyServer, way: str) -> Generator[None]:
    """Let `server` refuse with the error `way` while the block runs."""
    with contextlib.ExitStack() as undo:
        match way:
            case "OOM":
                undo.callback(server.command, "CONFIG", "SET", "maxmemory", 0)
                server.command("CONFIG", "SET", "maxmemory", 1)
            case "NOREPLICAS":
                undo.callback(server.command, "CONFIG", "SET", "min-replicas-to-write", 0)
                server.command("CONFIG", "SET", "min-replicas-to-write", 1)
            case "READONLY" | "MASTERDOWN":
                undo.callback(server.command, "REPLICAOF", "NO", "ONE")
                stale = "no" if way == "MASTERDOWN" else "yes"
                server.command("CONFIG", "SET", "replica-serve-stale-data", stale)
                server.command("REPLICAOF", "127.0.0.1", free_port())
            case "MISCONF":
                (server.folder / "dump.rdb").mkdir(exist_ok=True)  # it cannot save its snapshot there
                undo.callback(shutil.rmtree, server.folder / "dump.rdb")  # nor start on it
                undo.callback(server.command, "CONFIG", "SET", "save", "")
                server.command("CONFIG", "SET", "save", "3600 1000000")
                server.command("BGSAVE")
                eventually(lambda: b"rdb_last_bgsave_status:err" in server.command("INFO", "persistence"))
            case "NOPERM":
                undo.callback(server.command, "ACL", "SETUSER", "default", "+@all")
                server.command("ACL", "SETUSER", "default", "-@write", "-@scripting")
            case "BUSY":
                undo.enter_context(_busy(server))
            case _:
                raise ValueError(way)
        yield


@contextlib.contextmanager
def _busy(server: ValkeyServer) -> Generator[None]:
    server.command("CONFIG", "SET", "busy-reply-threshold", 20)

    def run() -> None:
        with contextlib.suppress(redis.RedisError):
            server.command("EVAL", "while true do end", 0)

    script = threading.Thread(target=run)
    script.start()

    def busy() -> bool:
        try:
            server.command("PING")
        except redis.RedisError as error:
            return "BUSY" in str(error)
        return False

    eventually(busy)
    try:
        yield
    finally:
        server.command("SCRIPT", "KILL")
        script.join()
