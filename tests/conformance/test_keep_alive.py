"""Connections that nginx keeps to the server: none is closed in the face of a request."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from typing import TYPE_CHECKING

from graph.settings import ServerSettings
from harness.serving import Serving
from harness.valkey import free_port
from harness.waiting import eventually, within
from tests.conformance.proxies import running_nginx

if TYPE_CHECKING:
    from pathlib import Path

CLIENTS = 500
ROUNDS = 20
NGINX_SECONDS = 1
SERVER_SECONDS = 3
NGINX_DEFAULT = 60
BODY = json.dumps({"query": "mutation { logout }"}).encode()
HEAD = b"POST /graphql HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
REQUEST = HEAD % len(BODY) + BODY
CONFIGURATION = """
daemon off; error_log stderr crit; pid nginx.pid; worker_rlimit_nofile 4096;
events {{ worker_connections 3000; }}
http {{
  access_log off;
  client_body_temp_path body; proxy_temp_path proxy;
  fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
  upstream graph {{ server 127.0.0.1:{server}; keepalive {clients}; keepalive_timeout {seconds}s; }}
  server {{
    listen 127.0.0.1:{port} backlog=1024;
    location / {{ proxy_pass http://graph; proxy_http_version 1.1; proxy_set_header Connection ''; }}
  }}
}}
"""


def test_the_default_is_longer_than_nginx_keeps_a_connection() -> None:
    """Who sends must be the one who closes."""
    assert ServerSettings().keep_alive > NGINX_DEFAULT


async def test_no_mutation_meets_a_connection_that_is_being_closed(tmp_path: Path) -> None:
    """10,000 mutations at random gaps, around the times at which either side closes what is idle: not one 502.

    All clients send at once, so that nginx needs a connection for each, and then leave them idle. The times are shorter
    than the defaults and in the same order. A mutation is what nginx does not send a second time.
    """
    limits = {"GRAPH_RATE_LIMIT_ANONYMOUS": "1000000", "GRAPH_ACCESS_LOG": "false"}
    with Serving(tmp_path / "data", GRAPH_KEEP_ALIVE=str(SERVER_SECONDS), **limits) as server:
        port = free_port()
        text = CONFIGURATION.format(server=server.ready().port, port=port, clients=CLIENTS, seconds=NGINX_SECONDS)
        with running_nginx(tmp_path / "nginx", text, [port]):
            statuses = await ask(port)
        assert statuses == {b"200": CLIENTS * ROUNDS}
        served = f'graph_http_requests_total{{method="POST",route="/graphql",status="200"}} {CLIENTS * ROUNDS}.0'
        eventually(lambda: served in server.get("/metrics")[2].decode())  # the last of them is counted a moment later


async def ask(port: int) -> Counter[bytes]:
    """How often each status came."""
    statuses: Counter[bytes] = Counter()
    lines = [await asyncio.open_connection("127.0.0.1", port) for _ in range(CLIENTS)]

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pause: float) -> None:
        await asyncio.sleep(pause)
        writer.write(REQUEST)
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(int(length.partition(b":")[2]))
        statuses[head.split(b" ", 2)[1]] += 1

    async with within("10,000 answers", 500):
        for _ in range(ROUNDS):
            gap = random.uniform(0, 1.2 * SERVER_SECONDS)
            await asyncio.gather(*(one(*line, gap + random.uniform(0, 0.05)) for line in lines))
    for _, writer in lines:
        writer.close()
    return statuses
