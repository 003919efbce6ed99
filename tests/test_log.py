"""Log lines: text for people, JSON for machines, each whole and on one line."""

from __future__ import annotations

import io
import json
import logging
import os
from typing import TYPE_CHECKING

import pytest

from graph import log

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """Leave the root logger as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    quiet = {name: logging.getLogger(name).level for name in log.QUIET}
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in quiet.items():
        logging.getLogger(name).setLevel(before)


def test_json_lines_carry_facts_and_errors() -> None:
    """A line is one JSON object with time, level, logger, message, the call's facts and the traceback, if any."""
    stream = io.StringIO()
    log.configure("json", stream=stream)
    logger = logging.getLogger("shop")
    logger.info("two\nlines %s", "here", extra={"facts": {"url": "http://x"}})
    try:
        int("seven")
    except ValueError:
        logger.exception("failed")
    first, second = (json.loads(line) for line in stream.getvalue().splitlines())
    assert (first["level"], first["logger"], first["message"]) == ("info", "shop", "two\nlines here")
    assert first["url"] == "http://x"
    assert first["time"].endswith("Z")
    assert "ValueError: invalid literal" in second["error"]


def test_text_lines_are_short() -> None:
    """Information is the time and the message; a warning says that it is one; no colour off a terminal."""
    stream = io.StringIO()
    log.configure("text", stream=stream)
    logging.getLogger("shop").info("hello")
    logging.getLogger("shop").warning("careful")
    first, second = stream.getvalue().splitlines()
    assert first[2] == ":"
    assert first[8:] == "  hello"
    assert second[8:] == "  WARNING  careful"


def test_auto_follows_the_stream() -> None:
    """Off a terminal it is JSON; chatty libraries are told to be quiet."""
    assert log.chosen("auto", io.StringIO()) == "json"
    assert log.chosen("text", io.StringIO()) == "text"
    stream = io.StringIO()
    log.configure(stream=stream)
    logging.getLogger("uvicorn.error").info("Started server process")
    assert stream.getvalue() == ""


def test_configured_twice_it_logs_once() -> None:
    """A second call replaces the first."""
    stream = io.StringIO()
    log.configure("text", stream=stream)
    log.configure("text", stream=stream)
    logging.getLogger("shop").info("once")
    assert stream.getvalue().count("once") == 1


def test_a_path_that_is_no_text_is_logged() -> None:
    """Bytes that are not UTF-8 come out of the file system as surrogates; the line is whole, and JSON."""
    stream = io.StringIO()
    log.configure("json", stream=stream)
    logging.getLogger("shop").info("reading %s", os.fsdecode(b"/srv/\xff"))
    assert json.loads(stream.getvalue())["message"] == "reading " + os.fsdecode(b"/srv/\xff")
