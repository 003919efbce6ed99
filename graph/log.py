"""Where log lines go and what they look like: a compact text on a terminal, JSON lines everywhere else.

`configure` is called once by each command; nothing happens at import. Lines go to standard error, so that standard
output carries only what a command was asked for. A JSON line has `time` (RFC 3339, UTC), `level`, `logger`, `message`,
whatever the call passed as ``extra={"facts": {...}}``, and for an exception its `error` text.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

import orjson

if TYPE_CHECKING:
    from typing import TextIO

Style = Literal["auto", "text", "json"]

QUIET = ("uvicorn.error", "alembic", "websockets")
"""Libraries that tell at INFO what a reader of this log knows already."""

_COLORS = {"WARNING": "33", "ERROR": "31", "CRITICAL": "1;31"}


def chosen(style: Style, stream: TextIO) -> Literal["text", "json"]:
    """What `style` comes to on `stream`: `auto` is text where somebody reads along."""
    if style == "auto":
        return "text" if stream.isatty() else "json"
    return style


def configure(style: Style = "auto", *, level: int = logging.INFO, stream: TextIO | None = None) -> None:
    """Send every logger's lines to `stream` (standard error) in `style`; called again, it replaces what it set up."""
    target = sys.stderr if stream is None else stream
    handler = logging.StreamHandler(target)
    handler.setFormatter(TextLines(color=target.isatty()) if chosen(style, target) == "text" else JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in QUIET:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    logging.getLogger("uvicorn.error").addFilter(_is_for_an_operator)


CUT_OFF = "Task cancelled, timeout graceful shutdown exceeded"
"""What uvicorn cancels a request with when its server has to stop."""


def _is_for_an_operator(record: logging.LogRecord) -> bool:
    """Whether it is a fault of this server's.

    Anybody can send bytes that are no HTTP; they are counted among the refusals, not told one by one. A request that is
    cut off when the server has to stop is no fault either.
    """
    error = record.exc_info[1] if record.exc_info else None
    cut_off = isinstance(error, asyncio.CancelledError) and error.args == (CUT_OFF,)
    return not cut_off and record.msg != "Invalid HTTP request received."


class TextLines(logging.Formatter):
    """``20:15:03  message``, with the level in front where it is more than information."""

    def __init__(self, *, color: bool) -> None:
        """Colour the level and dim the time where `color`."""
        super().__init__()
        self._color = color

    def format(self, record: logging.LogRecord) -> str:
        """Make the line; an exception's traceback follows below."""
        time = f"{datetime.fromtimestamp(record.created).astimezone():%H:%M:%S}"
        level = f"{record.levelname}  " if record.levelno > logging.INFO else ""
        if self._color:
            time = f"\x1b[2m{time}\x1b[0m"
            level = f"\x1b[{_COLORS.get(record.levelname, '0')}m{level}\x1b[0m" if level else ""
        line = f"{time}  {level}{record.getMessage()}"
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC)
            .isoformat(timespec="milliseconds")
            .replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "facts", {}),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        try:
            return orjson.dumps(line, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
        except TypeError:  # a path that is not UTF-8 has surrogates
            return json.dumps(line, default=str)
