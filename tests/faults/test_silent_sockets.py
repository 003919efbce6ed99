"""Ten thousand connections of one address that say nothing, while others are served (--full)."""

from __future__ import annotations

import contextlib
import json
import resource
import selectors
import socket
from typing import TYPE_CHECKING

import pytest

from harness.serving import Serving
from harness.waiting import HANG

if TYPE_CHECKING:
    from pathlib import Path

BODY = json.dumps({"query": "{ products(first: 3) { nodes { name } } }"}).encode()
HEAD = b"POST /graphql HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nConnection: close\r\n"
ASK = HEAD + b"Content-Length: %d\r\n\r\n"


def asked(port: int, sent: bytes) -> bytes:
    """The answer to a request from another address."""
    with socket.create_connection(("127.0.0.1", port), HANG, source_address=("127.0.0.2", 0)) as other:
        other.sendall(sent)
        raw = b""
        while piece := other.recv(65536):
            raw += piece
    return raw


@pytest.mark.heavy
def test_silent_sockets_of_one_address_keep_nobody_out(tmp_path: Path) -> None:
    """Those past its share are refused at once; queries and health checks from elsewhere are all answered meanwhile."""
    count = 10_000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < count + 1000:
        pytest.skip("there may not be so many descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    silent: list[socket.socket] = []
    try:
        with Serving(tmp_path, GRAPH_RATE_LIMIT_ANONYMOUS="100000") as server:
            server.ready()
            for number in range(count):
                with contextlib.suppress(ConnectionError):
                    silent.append(socket.create_connection(("127.0.0.1", server.port), HANG))
                if number % 100 == 0:
                    assert asked(server.port, ASK % len(BODY) + BODY).startswith(b"HTTP/1.1 200")
                    health = b"GET /healthz HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"
                    assert asked(server.port, health).startswith(b"HTTP/1.1 200")
            assert len(silent) > count // 2
            with selectors.DefaultSelector() as selector:
                for one in silent:
                    selector.register(one, selectors.EVENT_READ)
                refused = len(selector.select(HANG))
            assert refused >= len(silent) - 2048
            assert "Traceback" not in server.log.read_text()
    finally:
        for one in silent:
            one.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
