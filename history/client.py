"""Asks servers over HTTP as any client would, and says how each operation ended: done, refused, or nobody knows."""

from __future__ import annotations

import itertools
import json
import random
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import aiohttp

if TYPE_CHECKING:
    from collections.abc import Sequence

    from history.record import History, Outcome

PATIENCE = 12.0
"""Seconds after which a client gives an answer up: longer than the server's own deadline for an operation."""
_PROPER = {200, 400, 401, 403, 405, 408, 413, 429, 503}


class Answer(NamedTuple):
    """How an operation ended. `codes` are those of its errors; `data` is there where it was done."""

    outcome: Outcome
    data: Any = None
    codes: tuple[str, ...] = ()
    status: int = 0


class Client:
    """Asks the servers at `urls`; every answer that nobody should get is written into `history`."""

    def __init__(self, urls: Sequence[str], history: History, *, seed: int = 0) -> None:
        """Choose servers and addresses by `seed`."""
        self.urls = urls
        self.history = history
        self.random = random.Random(seed)
        self._addresses = itertools.count(1)
        self._http = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(PATIENCE, sock_connect=3.0),
            cookie_jar=aiohttp.DummyCookieJar(),  # each operation is somebody else's
        )

    def any(self) -> int:
        """Choose a server."""
        return self.random.randrange(len(self.urls))

    def new_address(self) -> str:
        """An address that nobody has asked from."""
        number = next(self._addresses)
        return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"

    async def ask(self, server: int, document: str, *, token: str = "", address: str = "", **variables: Any) -> Answer:
        """Ask one server once."""
        headers = {"X-Forwarded-For": address or self.new_address()}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        began = time.monotonic()
        url, body = f"{self.urls[server]}/graphql", {"query": document, "variables": variables}
        try:
            async with self._http.post(url, json=body, headers=headers) as found:
                status, text = found.status, await found.text()
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
            return Answer("refused")
        except (aiohttp.ClientError, TimeoutError):
            return Answer("unknown")
        data: Any = None
        try:
            answered = json.loads(text)
            data = answered.get("data")
            codes = tuple(error["extensions"]["code"] for error in answered.get("errors", ()))
        except (ValueError, KeyError, AttributeError):
            codes = ("NO_GRAPHQL",)
        if status not in _PROPER or {"INTERNAL", "INTERNAL_SERVER_ERROR", "NO_GRAPHQL"} & {*codes}:
            self.history.add("all", "improper", document[:60], f"{status} {text}", began, server=server)
        if not codes:
            return Answer("ok", data, (), status)
        # A write that was answered so may have run: nothing is promised of it.
        outcome: Outcome = "unknown" if {"UNAVAILABLE", "DEADLINE_EXCEEDED"} & {*codes} else "refused"
        return Answer(outcome, data, codes, status)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()
