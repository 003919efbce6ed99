"""When something is tried again: commands that a server refused for the moment, and connections.

A command that goes to and fro between nodes, or that was refused for now, is sent again after a short pause; one whose
deadline is near, or that nobody waits for any more, fails instead. Attempts to connect are spaced by `backoff`.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

from graph.patterns.client.batch import RedisUnavailable, settle
from graph.patterns.client.commands import command
from graph.patterns.client.traffic import TRAFFIC

if TYPE_CHECKING:
    from collections.abc import Callable

    from graph.patterns.client.batch import Batch

BACKOFF_BASE = 0.05
"""Seconds that the pause after the first failed attempt to connect may take; each further one may take twice that."""
BACKOFF_CAP = 2.0
"""Seconds that no pause exceeds."""
LOCAL_BACKOFF_CAP = 0.25
"""The same on a unix socket: an attempt there costs next to nothing."""

PAUSE = 0.02
"""Seconds before a command is sent again that the server refused for now."""
MARGIN = 0.25
"""Seconds; a command this close to its deadline is not sent again."""
_HOPS = 3  # times that a command is sent on before it has to pause


def backoff(attempt: int, cap: float = BACKOFF_CAP) -> float:
    """Seconds to wait after the failed attempt number `attempt` (from 0): full jitter, capped."""
    return random.uniform(0, min(cap, BACKOFF_BASE * 2 ** min(attempt, 16)))  # noqa: S311 - jitter, not a secret


class Retries:
    """The commands of one link that are sent again, now or after a pause."""

    def __init__(self, put: Callable[[Batch], None]) -> None:
        """Send through `put`."""
        self._put = put
        self._loop = asyncio.get_running_loop()
        self._pauses: dict[Batch, asyncio.TimerHandle] = {}

    def again(self, part: Batch, seconds: float = 0.0) -> None:
        """Send a part that was made of a refused batch, after a pause, unless it is too late for that."""
        if part.hops > _HOPS:  # nodes that redirect a command to each other do not agree yet
            seconds = max(seconds, PAUSE)
        if self._loop.time() + seconds + MARGIN > part.due:
            part.fail(RedisUnavailable("Redis was not ready to run the command in time"))
        elif part.abandoned:
            part.fail(RedisUnavailable("nobody waits for the reply"))
        elif seconds:
            self._pauses[part] = self._loop.call_later(seconds, self._resume, part)
        else:
            TRAFFIC.retries += part.want
            self._put(part)

    def teach(self, pending: Batch, places: list[int]) -> None:
        """Load the scripts that the server no longer has, or send them as EVAL where it refuses to load them."""
        if pending.parent is not None and pending.hops:
            part = pending.part(places)
            part.commands = [one.script.whole(one) if one.script is not None else one for one in part.commands]
            self.again(part)
            return
        scripts = [pending.commands[place].script for place in places]
        load = [command("SCRIPT", "LOAD", s.source, retry=True) if s is not None else None for s in scripts]
        self.again(pending.part(places, load))

    def _resume(self, part: Batch) -> None:
        del self._pauses[part]
        TRAFFIC.retries += part.want
        self._put(part)

    def close(self) -> None:
        """Fail the commands that are pausing."""
        why = RedisUnavailable("the client was closed")
        for handle in self._pauses.values():
            handle.cancel()
        batches, self._pauses = list(self._pauses), {}
        settle(batches, lambda batch: batch.fail(why), why)
