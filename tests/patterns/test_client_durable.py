"""Durable writes on a server that confirms before it has synced, as Valkey does."""

from __future__ import annotations

import asyncio
import sys

import pytest

from graph.patterns.client import OutcomeUnknown, command, durable_writer, open_client
from harness.valkey import ValkeyServer
from harness.waiting import within
from tests.support.engines.syncing import just_synced, syncs


@pytest.mark.skipif(sys.platform != "linux", reason="looks at threads in /proc")
async def test_a_durable_write_waits_for_the_fsync_itself() -> None:
    """It is acknowledged after an fsync that began after it, though WAITAOF says at once that it is on disk."""
    with ValkeyServer(aof=True, options={"appendfsync": "everysec"}) as server:
        async with open_client(server.url) as client:
            await client.durable(command("SET", "k", 0), disk=False)  # the connection stands
            for value in range(1, 4):
                before = just_synced(server)
                assert await client.durable(command("SET", "k", value)) == b"OK"
                assert syncs(server) > before


@pytest.mark.parametrize("allowed", [True, False])
async def test_where_every_write_is_synced_at_once_nothing_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, *, allowed: bool
) -> None:
    """The server says so to whoever may ask; nobody else's question is on record as denied."""
    monkeypatch.setattr(durable_writer, "BEGUN", 0.0)
    with ValkeyServer(aof=True, options={"appendfsync": "always"}) as server:
        more = "+config" if allowed else "-config"
        server.command("ACL", "SETUSER", "shop", "on", "nopass", "+@all", more, "~*", "&*")
        async with open_client(server.tcp_url.replace("//", "//shop:x@")) as client:
            await client.durable(command("SET", "k", 0))
            before = calls(server)
            assert await client.durable(command("SET", "k", 1)) == b"OK"
            # One looks for replicas; then two for an fsync that is over, where it is not known to be.
            assert calls(server) - before == 1 + (1 if allowed else 3)
        assert server.command("ACL", "LOG") == []


async def test_a_server_that_is_told_to_sync_later_is_waited_for_again() -> None:
    """What it said at first holds for no later write."""
    with ValkeyServer(aof=True, options={"appendfsync": "always"}) as server:
        async with open_client(server.url) as client:
            await client.durable(command("SET", "k", 0))
            server.command("CONFIG", "SET", "appendfsync", "everysec")
            before = just_synced(server)
            assert await client.durable(command("SET", "k", 1)) == b"OK"
            assert syncs(server) > before


def calls(server: ValkeyServer) -> int:
    """How often the server was asked for INFO before this, which asks for it."""
    told = server.command("INFO", "commandstats")
    return int(told.partition(b"cmdstat_info:calls=")[2].partition(b",")[0] or 0)


async def test_a_server_that_dies_while_it_syncs_leaves_a_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has confirmed the write too early, and may have lost it."""
    monkeypatch.setattr(durable_writer, "BEGUN", 0.0)
    monkeypatch.setattr(durable_writer, "TIMEOUT", 3600.0)
    monkeypatch.setattr(durable_writer, "_IDLE", b"never")
    with ValkeyServer(aof=True) as server:
        async with open_client(server.url) as client:
            writing = asyncio.create_task(client.durable(command("SET", "k", 1)))
            async with within("the confirmation"):
                while b"cmdstat_waitaof:calls=1," not in server.command("INFO", "commandstats"):
                    await asyncio.sleep(0.01)
            assert not writing.done()
            server.kill()
            with pytest.raises(OutcomeUnknown):
                await writing


@pytest.mark.parametrize(
    ("looks", "settled"),
    [
        (["idle", "idle"], True),
        (["busy", "busy", "idle", "busy", "busy", "idle"], True),
        (["busy", "idle", "busy", "busy"], False),
    ],
)
async def test_a_disk_that_is_seldom_idle_is_waited_for(
    looks: list[str], *, settled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An fsync seen between two looks that saw none began after the write and is over."""
    monkeypatch.setattr(durable_writer, "BEGUN", 0.0)
    monkeypatch.setattr(durable_writer, "_IDLE", b"idle")
    monkeypatch.setattr(durable_writer, "_PERSISTENCE", command("LPOP", "looks"))  # what INFO would say in turn
    with ValkeyServer(aof=True) as server:
        server.command("RPUSH", "looks", *looks)
        async with open_client(server.url) as client:
            if settled:
                assert await client.durable(command("SET", "k", 1)) == b"OK"
            else:
                with pytest.raises(OutcomeUnknown):
                    await client.durable(command("SET", "k", 1))
        assert server.command("LLEN", "looks") == 0
