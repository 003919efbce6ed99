from __future__ import annotations

import asyncio
import contextlib
import gc
import shutil
import ssl
import subprocess
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote

import psutil
import pytest
import redis

from graph.patterns.client import LazyClient, RedisUnavailable, command, open_client
from graph.patterns.client.connection.dialer import Dialer
from harness.valkey import SentinelSet, ValkeyServer
from harness.waiting import within
from tests.support.engines.certificates import Certificate, certificate, needs_openssl
from tests.support.engines.proxy import FaultProxy

if TYPE_CHECKING:
    from pathlib import Path

    from graph.patterns.client import Client


async def test_user_password_and_database_come_from_the_url() -> None:
    """Authentication and database hold on TCP and unix sockets, and after a reconnect; a bad password does not."""
    with ValkeyServer() as server:
        server.command("ACL", "SETUSER", "alice", "on", ">s3cret/?", "~*", "+@all")
        server.command("ACL", "SETUSER", "default", "off")
        for base in (
            f"redis://alice:s3cret%2F%3F@127.0.0.1:{server.port}/3",
            f"unix://alice:s3cret%2F%3F@{server.socket}?db=3",
        ):
            async with open_client(base) as client:
                await client.execute("SET", "k", "v")
                mine = await client.execute("CLIENT", "INFO", retry=True)
                assert b"user=alice" in mine
                assert b"db=3" in mine
                await client.execute("CLIENT", "KILL", "USER", "alice", "SKIPME", "no", retry=False)
                assert await client.execute("GET", "k") == b"v"
        with pytest.raises(RedisUnavailable, match="WRONGPASS") as failure:
            async with open_client(f"redis://alice:guess@127.0.0.1:{server.port}"):
                pass
        assert "guess" not in str(failure.value)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="the openssl command makes the certificate")
async def test_tls_is_verified(valkey: ValkeyServer, client: Client, tmp_path: Path) -> None:
    """rediss:// works with the right CA, through a TLS terminator as the server binary has no TLS; not without it."""
    await client.execute("SET", "k", "v")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    await asyncio.to_thread(
        subprocess.run,
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", str(key), "-out", str(cert)),
        ],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    with FaultProxy(valkey.socket, tls=context) as proxy:
        async with open_client(f"{proxy.url}?ssl_ca_certs={quote(str(cert))}") as secure:
            assert await secure.execute("GET", "k") == b"v"
            proxy.cut()
            while secure.connected:
                await asyncio.sleep(0)
            assert await secure.execute("GET", "k") == b"v"
        with pytest.raises(RedisUnavailable, match=r"(?i)certificate"):
            async with open_client(proxy.url):
                pass


@needs_openssl
async def test_certificates_that_are_replaced_are_read_again(tmp_path: Path, valkey: ValkeyServer) -> None:
    """The authority and the client's own, while it runs; those that make no sense for a moment are not used."""
    server, renewed, mine, next_one = (certificate(tmp_path, name) for name in ("first", "second", "mine", "next"))
    authority, cert, key = (tmp_path / name for name in ("ca.pem", "client.pem", "client.key"))

    def install(authority_now: Certificate, own: Certificate) -> None:
        for file, source in ((authority, authority_now.cert), (cert, own.cert), (key, own.key)):
            shutil.copyfile(source, tmp_path / "new")
            (tmp_path / "new").replace(file)

    install(server, mine)
    context = server.served(to=mine.cert)
    files = f"ssl_ca_certs={authority}&ssl_certfile={cert}&ssl_keyfile={key}"
    with FaultProxy(valkey.socket, tls=context) as proxy:
        async with open_client(f"{proxy.url}?{files}") as client:
            cert.write_text("half of it")
            await lost(client, proxy)
            assert await client.execute("PING") == b"PONG"
            context.load_cert_chain(renewed.cert, renewed.key)
            context.load_verify_locations(next_one.cert)
            install(renewed, next_one)
            await lost(client, proxy)
            async with within("the connection with what is there now"):
                while not isinstance(await answer(client), bytes):
                    await asyncio.sleep(0.01)


async def lost(client: Client, proxy: FaultProxy) -> None:
    """Cut every connection, and wait until the client has noticed."""
    before = client._router.links[0]._wire  # pyright: ignore[reportPrivateUsage]
    proxy.cut()
    async with within("the loss"):
        while client._router.links[0]._wire is before:  # pyright: ignore[reportPrivateUsage]
            await asyncio.sleep(0)


async def answer(client: Client) -> object:
    """The reply to a PING, or why there is none."""
    return (await client.batch(command("PING")))[0]


async def test_asking_the_sentinels_may_be_cancelled_at_any_moment() -> None:
    """No connection to a Sentinel stays open then, whether once or twice."""
    with SentinelSet() as servers:
        dialer = Dialer(servers.url)
        await dialer.view()
        for turns in range(80):
            asking = asyncio.create_task(dialer.view())
            for cancelled in (turns, 1, 0):
                for _ in range(cancelled):
                    await asyncio.sleep(0)
                asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
        gc.collect()
        assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []
        open_ones = [one for one in psutil.Process().net_connections() if one.raddr and one.raddr.port in servers.ports]
        assert [one for one in open_ones if one.status == psutil.CONN_ESTABLISHED] == []


@pytest.mark.parametrize("how", ["crash", "switch"])
async def test_the_client_follows_a_sentinel_failover(how: str) -> None:
    """After the primary died, or was deposed, the client writes to the new one; a Sentinel itself is refused."""
    with SentinelSet() as servers:
        with pytest.raises(RedisUnavailable, match=r"use redis\+sentinel"):
            async with open_client(f"redis://127.0.0.1:{servers.port}"):
                pass
        async with open_client(servers.url) as client:
            await client.execute("SET", "k", "before")
            first = client.run_id
            if how == "crash":
                servers.primary.kill()
            else:
                await asyncio.to_thread(servers.fail_over)
            async with within("the client to find the new primary"):
                while client.run_id in (b"", first):
                    try:
                        await client.execute("SET", "k", "after")
                    except RedisUnavailable:
                        await asyncio.sleep(0.01)
            await client.execute("SET", "k", "there")
            assert servers.replica.command("GET", "k") == b"there"
            assert b"role:master" in servers.replica.command("INFO", "replication")


async def test_a_primary_that_was_deposed_unnoticed_is_refused() -> None:
    """The server that a Sentinel names must itself say that it is a primary."""
    with SentinelSet() as servers:
        servers.primary.command("REPLICAOF", "127.0.0.1", servers.replica.port)
        with pytest.raises(RedisUnavailable, match="not a primary"):
            async with open_client(servers.url):
                pass


async def test_a_server_that_is_not_there_is_reported(tmp_path: Path) -> None:
    """Opening fails with RedisUnavailable, in every kind of URL, and a URL that makes no sense with ValueError."""
    for url in (
        f"unix://{quote(str(tmp_path))}/none",
        "redis://127.0.0.1:1",
        "redis+sentinel://127.0.0.1:1/main",
        "redis+cluster://127.0.0.1:1",
    ):
        with pytest.raises(RedisUnavailable):
            async with open_client(url):
                pass
    for url in ("http://127.0.0.1", "redis+sentinel://127.0.0.1:1", "redis+cloud://127.0.0.1"):
        with pytest.raises(ValueError, match="URL"):
            async with open_client(url):
                pass
    assert len(asyncio.all_tasks()) == 1


async def test_a_server_that_has_too_many_clients_says_so() -> None:
    """It says why, unasked, before it hangs up: that is the reason that is told, and no fault of the client."""
    with ValkeyServer(options={"maxclients": "1"}) as server, contextlib.ExitStack() as stack:
        held = stack.enter_context(redis.Redis(port=server.port))
        assert cast("Any", held).ping()
        for _ in range(3):
            with pytest.raises(RedisUnavailable, match=r"max number of clients|reset|closed by the server"):
                async with open_client(server.tcp_url):
                    pass


async def test_a_connection_that_nobody_waits_for_fails_in_silence(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever needed it has given up: what became of it is no error of anybody's."""
    client = LazyClient("redis://127.0.0.1:1")
    waiting = asyncio.create_task(client.opened())
    await asyncio.sleep(0)
    opening = next(task for task in asyncio.all_tasks() if task.get_name() == "redis-open")
    waiting.cancel()
    await asyncio.wait([waiting, opening])
    del opening
    gc.collect()
    assert [record.getMessage() for record in caplog.records] == []
    await client.close()
