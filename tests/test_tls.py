"""TLS from end to end: clients to the server, the server to Redis and to PostgreSQL, each checking the other.

The wheels' Valkey and PostgreSQL are built without TLS, so it ends in a terminator right before each.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
import urllib.request
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import pytest
from websockets.asyncio.client import connect

from harness.serving import Serving
from harness.subscriber import PROTOCOL
from harness.valkey import free_port
from harness.waiting import within
from tests.support.engines.certificates import Certificate, certificate, needs_openssl
from tests.support.engines.proxy import FaultProxy
from tests.support.processes.fork_server import command

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from email.message import Message
    from pathlib import Path

    from harness.postgres import Postgres
    from harness.valkey import ValkeyServer

pytestmark = needs_openssl

LOGIN = """mutation ($email: String!, $password: String!) {
  login(input: {email: $email, password: $password}) { ... on AuthPayload { token } }
}"""
IMPORT = 'mutation { importProducts(input: {path: "one.csv"}) { ... on Job { id } } }'
JOB = "query ($id: ID!) { node(id: $id) { ... on Job { state error } } }"
_SSL_REQUEST = (8).to_bytes(4) + (80877103).to_bytes(4)


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """The certificate of every server here."""
    return certificate(tmp_path_factory.mktemp("tls"), "server")


@pytest.fixture(scope="module")
def client_certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """The certificate that databases want of their clients."""
    return certificate(tmp_path_factory.mktemp("tls"), "client")


@pytest.fixture
def engines(valkey: ValkeyServer, postgres: Postgres) -> tuple[ValkeyServer, Postgres]:
    """Both databases."""
    return valkey, postgres


@asynccontextmanager
async def postgres_behind_tls(folder: str, context: ssl.SSLContext) -> AsyncGenerator[int]:
    """A port where PostgreSQL's protocol is spoken, after its request for TLS (Message Flow, 54.2.11), in TLS only."""

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Cancelled: the test is over.
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            if await reader.readexactly(8) == _SSL_REQUEST:
                writer.write(b"S")
                await writer.start_tls(context)
                far_reader, far_writer = await asyncio.open_unix_connection(f"{folder}/.s.PGSQL.5432")
                await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", port := free_port())
    async with server:
        yield port


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()


@pytest.mark.heavy
async def test_everything_over_tls(
    ours: Certificate,
    client_certificate: Certificate,
    engines: tuple[ValkeyServer, Postgres],
    tmp_path: Path,
) -> None:
    """HTTPS, a WebSocket, sign-in and a job, with Redis and PostgreSQL that take nobody without a certificate."""
    valkey, postgres = engines
    valkey.command("FLUSHALL")
    name = await postgres.create(empty=True)
    context = ours.served(to=client_certificate.cert)
    shown = urlencode({"ssl_certfile": client_certificate.cert, "ssl_keyfile": client_certificate.key})
    with FaultProxy(valkey.socket, tls=context) as redis:
        async with postgres_behind_tls(postgres.folder, context) as port:
            settings = {
                "GRAPH_TLS_CERTIFICATE": str(ours.cert),
                "GRAPH_TLS_KEY": str(ours.key),
                "GRAPH_REDIS_URL": f"{redis.url}?ssl_ca_certs={quote(str(ours.cert))}&{shown}",
                "GRAPH_DATABASE_URL": f"postgresql+asyncpg://postgres@127.0.0.1:{port}/{name}?ssl=verify-full",
                "GRAPH_JOBS_IMPORTS": str(tmp_path),
                "GRAPH_RATE_LIMIT_AUTHENTICATED": "100000",
                "PGSSLROOTCERT": str(ours.cert),
                "PGSSLCERT": str(client_certificate.cert),
                "PGSSLKEY": str(client_certificate.key),
            }
            with Serving(tmp_path, **settings) as server:
                try:
                    await asyncio.to_thread(server.over_tls(ours.cert).ready)
                    await _used(server, tmp_path, ours)
                finally:  # its way to PostgreSQL leads through this loop
                    assert await asyncio.to_thread(server.stop) == 0
            doctor = await asyncio.to_thread(command, tmp_path, "doctor", **settings)
            assert doctor.returncode == 0, doctor.stdout
    await postgres.drop(name)


async def _used(server: Serving, folder: Path, ours: Certificate) -> None:
    email, password, _ = await asyncio.to_thread(server.admin)
    headers, data = await asyncio.to_thread(_ask, server, LOGIN, email=email, password=password)
    cookie, token = headers["set-cookie"], data["login"]["token"]
    assert cookie.startswith("__Host-session=")
    assert "; Secure" in cookie
    assert headers["strict-transport-security"] == "max-age=31536000"
    trusting = ssl.create_default_context(cafile=str(ours.cert))
    async with connect(f"wss://127.0.0.1:{server.port}/graphql", subprotocols=[PROTOCOL], ssl=trusting) as channel:
        await channel.send('{"type": "connection_init"}')
        assert json.loads(await channel.recv())["type"] == "connection_ack"
    (folder / "one.csv").write_text("sku,name,price,stock\nTLS-1,A padlock,9.99,1\n")
    _, started = await asyncio.to_thread(_ask, server, IMPORT, token)
    job = started["importProducts"]["id"]
    async with within(f"import {job}"):
        state = None
        while state != "SUCCEEDED":
            _, found = await asyncio.to_thread(_ask, server, JOB, token, id=job)
            assert found["node"]["error"] is None, found
            state = found["node"]["state"]
            await asyncio.sleep(0.05)


def _ask(server: Serving, document: str, token: str = "", **variables: str) -> tuple[Message, dict[str, Any]]:
    """The headers and the data of an answer, as a page of the server's own would get it."""
    headers = {"Content-Type": "application/json", "Origin": server.url, "Sec-Fetch-Site": "same-origin"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    body = json.dumps({"query": document, "variables": variables}).encode()
    request = urllib.request.Request(f"{server.url}/graphql", body, headers)
    with urllib.request.urlopen(request, timeout=30, context=server.trusting) as answer:
        found = json.loads(answer.read())
        assert "errors" not in found, found
        return answer.headers, found["data"]


@pytest.mark.heavy
async def test_who_shows_no_certificate_is_not_let_in(
    ours: Certificate, client_certificate: Certificate, valkey: ValkeyServer, tmp_path: Path
) -> None:
    """Without the certificate that Redis wants, or with a Redis that nobody vouches for, the server does not start."""
    context = ours.served(to=client_certificate.cert)
    with FaultProxy(valkey.socket, tls=context) as redis:
        for options in (f"?ssl_ca_certs={quote(str(ours.cert))}", ""):
            done = await asyncio.to_thread(command, tmp_path, "serve", GRAPH_REDIS_URL=redis.url + options)
            assert done.returncode == 1
            assert "Redis" in done.stderr
            assert "Traceback" not in done.stderr


@pytest.mark.parametrize("given", [("server", ""), ("", "server"), ("server", "client"), ("key", "cert")])
def test_a_pair_that_is_none_is_told_in_a_sentence(
    ours: Certificate, client_certificate: Certificate, tmp_path: Path, given: tuple[str, str]
) -> None:
    """A certificate without its key, a key without a certificate, and the wrong ones, do not start a server."""
    certs = {"server": ours.cert, "key": ours.key, "": ""}
    keys = {"server": ours.key, "client": client_certificate.key, "cert": ours.cert, "": ""}
    settings = {"GRAPH_TLS_CERTIFICATE": str(certs[given[0]]), "GRAPH_TLS_KEY": str(keys[given[1]])}
    done = command(tmp_path, "serve", **settings)
    assert done.returncode == 1
    assert "GRAPH_TLS_CERTIFICATE" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.heavy
def test_plain_text_gets_no_answer_over_tls(ours: Certificate, tmp_path: Path) -> None:
    """Whoever speaks plain HTTP to the TLS port is cut off, and the next one is served; the server stops cleanly."""
    settings = {"GRAPH_TLS_CERTIFICATE": str(ours.cert), "GRAPH_TLS_KEY": str(ours.key), "GRAPH_JOBS_BESIDE": "false"}
    with Serving(tmp_path, **settings) as server:
        server.over_tls(ours.cert).ready()
        with socket.create_connection(("127.0.0.1", server.port), 10) as plain:
            plain.sendall(b"GET /healthz HTTP/1.1\r\nHost: t\r\n\r\n")
            with contextlib.suppress(ConnectionError):
                assert b"HTTP" not in plain.recv(1000)
        assert server.get("/healthz")[0] == 200
        trusting = ssl.create_default_context(cafile=str(ours.cert))
        with (
            socket.create_connection(("127.0.0.1", server.port), 10) as raw,
            trusting.wrap_socket(raw, server_hostname="127.0.0.1") as secure,
        ):
            secure.sendall(b"no HTTP\r\n\r\n")
            assert secure.recv(1000).startswith(b"HTTP/1.1 400")
        assert server.stop() == 0
        assert "Traceback" not in server.log.read_text()
