"""What clients did, in order: every operation with the times at which it was asked and answered.

All clients are tasks of one process and use one clock, so that *ended before the other began* is a fact. An operation
whose answer never came, or was UNAVAILABLE, may have run at any time after it began, or not at all: it never ended.
"""

from __future__ import annotations

import json
import math
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

Outcome = Literal["ok", "refused", "unknown"]


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing that a client asked of `server`, about a `subject`: a product, a session, a player, an address, a job.

    `value` is what was written, or what was read. Times are seconds of one clock; `ended` is infinite where the outcome
    is unknown. What was refused has not happened.
    """

    workload: str
    kind: str
    subject: str
    value: Any
    began: float
    ended: float
    outcome: Outcome = "ok"
    server: int = 0
    client: str = ""


class History:
    """Operations, as they end."""

    def __init__(self, operations: Iterable[Operation] = ()) -> None:
        """Begin with `operations`."""
        self.operations = list(operations)

    def add(
        self,
        workload: str,
        kind: str,
        subject: str,
        value: Any,
        began: float,
        *,
        outcome: Outcome = "ok",
        server: int = 0,
        client: str = "",
    ) -> Operation:
        """Write down an operation that began at `began` and has ended now."""
        ended = math.inf if outcome == "unknown" else time.monotonic()
        made = Operation(workload, kind, subject, value, began, ended, outcome, server, client)
        self.operations.append(made)
        return made

    def of(self, workload: str, *kinds: str) -> list[Operation]:
        """The operations of these kinds, by when they began."""
        found = (one for one in self.operations if one.workload == workload and (not kinds or one.kind in kinds))
        return sorted(found, key=lambda one: one.began)

    def save(self, file: Path) -> None:
        """Write it as JSON, an operation a line."""
        file.write_text("".join(f"{json.dumps(asdict(one))}\n" for one in self.operations))

    @classmethod
    def load(cls, file: Path) -> History:
        """Read what `save` wrote."""
        return cls(Operation(**json.loads(line)) for line in file.read_text().splitlines())
