"""Remembers that a server refuses commands, probes it regularly, and notices when it accepts commands again.

One circuit belongs to each link. A refusal that lasts longer than `PATIENCE` opens it: while it is open for a reason of
`refusals.BLOCKING` the link fails every batch at once, as if the server were away; for a reason of `refusals.WRITES`
reads go on, and for one of `refusals.SLOTS` whatever the node takes. Meanwhile the server is probed with a write that
changes nothing (``SETRANGE key 0 ""``), on a key that was refused. The first probe it takes closes the circuit.

A command denied to the user (NOPERM), or a key that holds something else (WRONGTYPE), does not open the circuit: others
work. It is remembered for as long as that lasts, so that health checks report it (`denials.Denials`).

Log lines: one when the circuit opens, one for another reason, one when it closes (`graph.patterns.outage`).
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from graph.patterns.client.commands import Command
from graph.patterns.client.connection.denials import Denials
from graph.patterns.client.connection.trial import changes_nothing, is_trial
from graph.patterns.client.refusals import BLOCKING, DEPOSED, SLOTS, SPOILED, WRITES, RedisRefused, refusal_of
from graph.patterns.outage import Outage

if TYPE_CHECKING:
    from collections.abc import Callable

    from graph.patterns.client.batch import Replies

PATIENCE = 0.1
"""Seconds for which a refused batch is tried again before the circuit opens: a failover's last moments."""
PROBES = 0.1, 0.5
"""Seconds between two probes: at first, and at most."""
_DOUBT = 1.0  # seconds after which another refusal is a new one

logger = logging.getLogger(__name__)


class Circuit:
    """The state of one server, as far as its refusals tell."""

    def __init__(self, probe: Callable[[Command], asyncio.Future[Replies]]) -> None:
        """Begin closed; `probe` sends a command past the circuit."""
        self._probe = probe
        self._loop = asyncio.get_running_loop()
        self._since = self._last = float("-inf")
        self._key: object = None
        self._task: asyncio.Task[None] | None = None
        self._denials = Denials(probe)
        self._outage = Outage("Redis refuses", "Redis takes commands again", logger)
        self._reason: RedisRefused | None = None
        self.blocks = False
        """Whether every batch fails, with `blocked`."""

    @property
    def refusal(self) -> str:
        """Why the server takes no writes, or not all commands; empty while it takes everything."""
        return self._denials.refusal if self._reason is None else str(self._reason)

    def blocked(self) -> RedisRefused:
        """The error of one batch: each has its own, because an error keeps the frames of everybody who raises it."""
        reason = self._reason
        assert reason is not None
        return RedisRefused(reason.word, str(reason))

    def is_passing(self) -> bool:
        """Whether a refusal may be over in a moment, so that trying again is worthwhile."""
        now = self._loop.time()
        if now - self._last > _DOUBT:
            self._since = now
        self._last = now
        return self._reason is None and now - self._since < PATIENCE

    def note(self, refused: RedisRefused, one: Command) -> None:
        """Record that `one` was refused and will not be retried."""
        if refused.lasting:
            if refused.word not in SPOILED or not is_trial(one):
                self._denials.note(refused, one)
        elif refused.word in BLOCKING | WRITES | SLOTS:
            self._open(refused, one)

    def _open(self, refused: RedisRefused, one: Command) -> None:
        kind = "DEPOSED" if refused.word in DEPOSED else refused.word
        if self._reason is None or kind != self._outage.kind:
            self._reason = refused
            self._outage.began(str(refused), kind)
        self.blocks = refused.word in BLOCKING
        if one.key is not None:
            self._key = one.key
        if self._task is None:
            self._task = asyncio.create_task(self._watch(), name="redis-circuit")

    async def _watch(self) -> None:
        pause, longest = PROBES
        try:
            while True:
                await asyncio.sleep(pause)
                pause = min(pause * 1.5, longest)
                key = self._key if isinstance(self._key, bytes | str) else "graph:probe"
                (reply,) = await self._probe(changes_nothing(key))
                refused = refusal_of(reply) if not isinstance(reply, RedisRefused) else reply
                if refused is None or refused.lasting:
                    break  # it accepted the write, or is down, which the link reports itself
                self._open(refused, Command((), None, retry=False))
            self._outage.ended()
        finally:
            self._reason = self._task = None
            self.blocks = False
            self._since = self._last = float("-inf")

    async def close(self) -> None:
        """Stop probing."""
        await self._denials.close()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        self._outage.close()
