"""What was granted while Redis was away: it is charged there as soon as Redis is back.

Without that a caller would have its whole budget once more. Whoever is asked in the moment between grants by what Redis
knows. A debt ends with its window; at most `_KEPT` callers' are kept, the oldest go first.

Failure: a debt that Redis may have taken is charged again, which errs on the strict side. (What is granted because the
reply to a charge was lost is no debt: Redis has it, or lost it with all that it had not answered.)
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from itertools import islice
from typing import TYPE_CHECKING

from graph.patterns.limiter import Charge
from graph.patterns.tasks import Tasks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from graph.patterns.limiter import Limiter

_PAUSE = 0.1  # seconds between two attempts
_AT_ONCE = 500  # charged in one batch
_KEPT = 10_000  # callers


class Debts:
    """The debts of one process."""

    def __init__(self, limiter: Limiter, clock: Callable[[], float] = time.monotonic) -> None:
        """Pay them at `limiter`; windows end by the monotonic `clock` (seconds)."""
        self._limiter = limiter
        self._clock = clock
        self._owed: OrderedDict[str, tuple[Charge, float]] = OrderedDict()  # by key, with when it was granted last
        self._tasks = Tasks()

    def __len__(self) -> int:
        return len(self._owed)

    def add(self, charges: Iterable[Charge]) -> None:
        """Owe what was granted just now, and begin to pay."""
        for charge in charges:
            if not charge.weight:
                continue
            before = self._owed.pop(charge.key, None)
            units = charge.weight + (before[0].weight if before is not None else 0)
            self._owed[charge.key] = Charge(charge.limit, charge.key, units), self._clock()
        while len(self._owed) > _KEPT:
            self._owed.popitem(last=False)
        if self._owed and not self._tasks:
            self._tasks.spawn(self._pay(), name="limiter-debts")

    async def _pay(self) -> None:
        while self._owed:
            now = self._clock()
            for key, (charge, at) in [*self._owed.items()]:
                if at + charge.limit.window <= now:
                    del self._owed[key]
            some = [charge for charge, _ in islice(self._owed.values(), _AT_ONCE)]
            taken = await self._limiter.repay(some)
            for charge in taken:
                self._pay_off(charge)
            if len(taken) < len(some):
                await asyncio.sleep(_PAUSE)

    def _pay_off(self, paid: Charge) -> None:
        """Forget what is `paid`; what was granted meanwhile is still owed."""
        found = self._owed.pop(paid.key, None)
        if found is not None and found[0].weight > paid.weight:
            owed, at = found
            self._owed[paid.key] = Charge(owed.limit, owed.key, owed.weight - paid.weight), at

    async def close(self) -> None:
        """Stop paying."""
        await self._tasks.close()
