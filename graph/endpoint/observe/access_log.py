"""The access log: one line a request, compact on a terminal, a JSON object elsewhere.

What serves a request adds facts to its line with `annotate` (the operation's name, how the answer was made). Lines are
gathered and written every 50 ms, so that a request costs a few microseconds; what is still unwritten when the process
is killed is lost. A token or a variable never gets into a line: only the path without its query string is written.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import orjson

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Scope

FACTS = "graph.facts"
"""Where the scope of a request holds the facts for its line."""
FLUSH_INTERVAL = 0.05
"""Seconds within which a line is written."""


def annotate(scope: Scope, **facts: str | float | None) -> None:
    """Add `facts` to the access-log line of the request behind `scope`, where it is observed."""
    if (found := scope.get(FACTS)) is not None:
        found.update(facts)


class Line(NamedTuple):
    """One request in the access log. `at` is Unix time, `seconds` how long it took."""

    at: float
    method: str
    path: str
    status: int
    seconds: float
    address: str
    facts: dict[str, Any]


class AccessLog:
    """Gathers lines and hands them to `write` as bytes; `style` and `color` as in ``graph.log``."""

    def __init__(
        self, write: Callable[[bytes], object], *, style: Literal["text", "json"], color: bool = False
    ) -> None:
        self._write = write
        self._format = json_line if style == "json" else (color_line if color else text_line)
        self._lines: list[Line] = []

    def add(self, line: Line) -> None:
        """Take `line`; it is written within `FLUSH_INTERVAL`."""
        if not self._lines:
            asyncio.get_running_loop().call_later(FLUSH_INTERVAL, self.flush)
        self._lines.append(line)

    def flush(self) -> None:
        """Write the gathered lines."""
        lines, self._lines = self._lines, []
        if lines:
            self._write(b"".join(map(self._format, lines)))


@lru_cache(maxsize=8)
def _utc(second: int) -> str:
    """A second of Unix time in RFC 3339, without its end; lines of one second share it."""
    return f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%S}"


@lru_cache(maxsize=8)
def _clock(second: int) -> str:
    """A second of Unix time on the clock here."""
    return f"{datetime.fromtimestamp(second).astimezone():%H:%M:%S}"


def json_line(line: Line) -> bytes:
    """One JSON object and a newline."""
    second = int(line.at)
    at = f"{_utc(second)}.{int((line.at - second) * 1000):03}Z"
    return orjson.dumps(
        {
            "time": at,
            "level": "info",
            "logger": "access",
            "method": line.method,
            "path": line.path,
            "status": line.status,
            "ms": round(line.seconds * 1000, 2),
            "address": line.address,
            **line.facts,
        },
        default=str,
        option=orjson.OPT_APPEND_NEWLINE,
    )


def text_line(line: Line) -> bytes:
    """``20:15:03  200    3.2 ms  POST /graphql  Catalog cache=hit``."""
    return _text(line, "{}".format, "{}".format)


def color_line(line: Line) -> bytes:
    """The same with the time dimmed and the status coloured."""
    tint = {2: "32", 3: "36", 4: "33", 5: "31"}.get(line.status // 100, "0")
    return _text(line, "\x1b[2m{}\x1b[0m".format, f"\x1b[{tint}m{{}}\x1b[0m".format)


def _text(line: Line, dim: Callable[[str], str], tint: Callable[[str], str]) -> bytes:
    took = f"{line.seconds * 1000:8.1f} ms" if line.seconds < 10 else f"{line.seconds:8.1f} s "  # noqa: PLR2004 - 10 s
    facts = dict(line.facts)
    name = _printable(str(facts.pop("operation", None) or ""))
    rest = _printable(" ".join(f"{key}={value}" for key, value in facts.items() if value is not None))
    words = [
        dim(_clock(int(line.at))),
        tint(str(line.status)),
        took,
        f"{line.method} {_printable(line.path)}",
        name,
        dim(rest),
    ]
    return ("  ".join(words if rest else words[:-1]).rstrip() + "\n").encode(errors="backslashreplace")


def _printable(text: str) -> str:
    """Escape text from a client: characters that could forge a line or move a terminal's cursor are made visible."""
    return text if text.isprintable() else text.encode("unicode_escape").decode()
