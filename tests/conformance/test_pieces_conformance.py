"""Clients that people use read answers in pieces, each in the format that it knows."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.waiting import HANG

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
CLIENTS = {
    "apollo, 2022",
    "apollo, graphql 17",
    "apollo over WebSocket, 2022",
    "apollo over WebSocket, graphql 17",
    "urql",
    "graphql-sse",
    "graphql-ws",
    "relay",
}
WHOLE = {
    "apollo, 2022",
    "apollo, graphql 17",
    "apollo over WebSocket, 2022",
    "apollo over WebSocket, graphql 17",
    "urql",
    "relay",
}
"""Those that know `@stream` as well."""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A server of its own process."""
    arguments = [sys.executable, "-m", "tests.conformance.pieces"]
    with subprocess.Popen(
        arguments, cwd=HERE.parents[1], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.stdin.close()
        process.wait(HANG)


@pytest.mark.usefixtures("node_modules")
def test_clients_read_answers_in_pieces(url: str) -> None:
    """Each shows what came first while the rest is not there yet, and the whole in the end."""
    done = subprocess.run(
        ["node", "pieces.mjs", url], cwd=HERE, check=False, capture_output=True, text=True, timeout=170
    )
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one for one in results if not one["ok"]] == [], done.stderr
    assert {one["client"] for one in results} == CLIENTS
    assert {one["client"] for one in results if one["check"] == "stream"} == WHOLE
    assert len(results) == len(CLIENTS) + len(WHOLE)
