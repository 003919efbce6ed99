"""A rewrite of the append-only file under ``no-appendfsync-on-rewrite yes``: no fsync is confirmed, nothing fails."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest
import redis

from graph.patterns.client import Command, durable_writer
from harness.valkey import ValkeyServer
from harness.waiting import eventually
from tests.support.apps.accounts import CHANGE, PASSWORD, VIEWER, Shop, shop

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator
    from pathlib import Path

IMPORT = 'mutation { importProducts(input: {path: "lamps.csv"}) { __typename ... on Job { state } } }'
REVOKE = "mutation ($id: ID!) { revokeSession(id: $id) }"


@pytest.fixture
def server() -> Generator[ValkeyServer]:
    """A server that forces nothing to the disk while it rewrites its file."""
    options = {"appendfsync": "everysec", "no-appendfsync-on-rewrite": "yes"}
    with ValkeyServer(aof=True, options=options) as started:
        yield started


@pytest.fixture
async def app(server: ValkeyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Shop]:
    """The application on it, with a file to import."""
    monkeypatch.chdir(tmp_path)  # below which the directory of imports is
    async with shop(server.url, tmp_path) as opened:
        opened.services.imports.mkdir()
        (opened.services.imports / "lamps.csv").write_text("sku,name,price\nL-1,Lamp,1.00\n")
        yield opened


def rewrite(server: ValkeyServer) -> None:
    """Begin a rewrite that does not end: it rests for a second after each key; and wait until nothing is confirmed.

    Valkey confirms what is written within a second of the last fsync, though that did not write it.
    """
    server.command("EVAL", "for n = 0, 999 do redis.call('SET', 'other:' .. n, n) end", 0)
    server.command("CONFIG", "SET", "rdb-key-save-delay", 1_000_000)
    server.command("BGREWRITEAOF")
    eventually(lambda: rewriting(server) and not confirms(server))


def confirms(server: ValkeyServer) -> bool:
    """Whether the server says of a write, for a moment, that it is on disk."""
    with redis.Redis(unix_socket_path=str(server.socket), single_connection_client=True) as admin:
        admin.set("other:0", 0)
        confirmed: list[int] = cast("Any", admin).execute_command("WAITAOF", 1, 0, 20)
        return confirmed[0] == 1


def rewriting(server: ValkeyServer) -> bool:
    """Whether a rewrite runs."""
    return b"aof_rewrite_in_progress:1" in server.command("INFO", "persistence")


async def _log_out(app: Shop) -> object:
    token = (await app.login("ann@example.org"))["token"]
    assert (await app.ask("mutation { logout }", token=token))["logout"] is True
    return await app.codes(VIEWER, token=token) == ["UNAUTHENTICATED"]


async def _revoke(app: Shop) -> object:
    here, there = (await app.login("ann@example.org"), await app.login("ann@example.org"))
    revoked = await app.ask(REVOKE, token=here["token"], id=there["session"]["id"])
    assert revoked["revokeSession"] is True
    return await app.codes(VIEWER, token=there["token"]) == ["UNAUTHENTICATED"]


async def _change_password(app: Shop) -> object:
    token = (await app.login("ann@example.org"))["token"]
    changed: Any = await app.ask(CHANGE, token=token, current=PASSWORD, new="another long phrase")
    assert changed["changePassword"]["__typename"] == "PasswordChanged"
    return await app.viewer(changed["changePassword"]["token"])


async def _import(app: Shop) -> object:
    queued = await app.ask(IMPORT, token=await app.admin())
    return queued["importProducts"] == {"__typename": "Job", "state": "QUEUED"}


@pytest.mark.parametrize("operation", [_log_out, _revoke, _change_password, _import])
async def test_a_rewrite_fails_no_operation(
    app: Shop, server: ValkeyServer, monkeypatch: pytest.MonkeyPatch, operation: Any
) -> None:
    """What waits for the disk is done, and said to be, though the server confirms nothing as long as it rewrites."""
    asked = Command(("WAITAOF", 1, 0, 200), None, retry=False)  # not the three seconds that it may take
    monkeypatch.setattr(durable_writer, "_SYNCED", asked)
    await app.register("ann@example.org")
    rewrite(server)
    assert await operation(app)
    assert rewriting(server), "it goes on for longer than the operation"
    assert not confirms(server)
