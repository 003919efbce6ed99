"""A process that migrates a database beside others; it imports nothing else, to be there soon."""

from __future__ import annotations

import asyncio
from typing import Any

from graph.engines.database import migrate


def migrate_with_others(url: str, start: Any, results: Any) -> None:
    """Wait for the event `start`, migrate, and put what went wrong, or nothing, into the queue `results`."""
    start.wait()
    try:
        asyncio.run(migrate(url))
        results.put("")
    except BaseException as error:  # noqa: BLE001 - the parent asserts on it
        results.put(repr(error))
