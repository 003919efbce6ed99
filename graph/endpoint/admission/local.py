"""Rate limits in memory while Redis is away: each process grants its share of every limit.

It begins with what is known of the caller's budget. Each process grants its share of what was left when any process saw
it last, until the whole limit would be free again; where nobody charged it within the window, its share of the limit.
So all processes together grant no more than the limit, but for what others granted in the last second before
(`graph.patterns.limiter.Fleet`), and for the one unit that each grants where there are more processes than units.

Metric: ``graph_admission_local_total{outcome}``, operations that were decided here.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict, deque
from typing import TYPE_CHECKING

from prometheus_client import Counter

from graph.patterns.limiter import Limit, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from graph.patterns.limiter import Charge, Fleet

_LOCAL = Counter("graph_admission_local_total", "Operations decided without Redis, by outcome.", ["outcome"])
_KEPT = 10_000  # callers remembered


class LocalBudget:
    """One process's share of the limits while Redis cannot be asked: the same sliding window, in memory."""

    def __init__(
        self, processes: int, clock: Callable[[], float] = time.monotonic, *, fleet: Fleet | None = None
    ) -> None:
        """Grant 1/`processes` of each limit, at least 1, by the monotonic `clock`; `fleet` may know of more."""
        self._processes = processes
        self._fleet = fleet
        self._clock = clock
        self._logs: OrderedDict[str, deque[tuple[float, int]]] = OrderedDict()

    def charge(self, *charges: Charge) -> Verdict:
        """Decide as the limiter would: make all of `charges` or none. The verdict is for the tightest limit."""
        now = self._clock()
        verdicts = [self._look(charge, now) for charge in charges]
        allowed = all(verdict.allowed for verdict in verdicts)
        _LOCAL.labels("passed" if allowed else "refused").inc()
        if not allowed:
            return max((one for one in verdicts if not one.allowed), key=lambda one: one.retry_after)
        return min((self._make(*pair, now) for pair in zip(charges, verdicts, strict=True)), key=lambda v: v.remaining)

    def _look(self, charge: Charge, now: float) -> Verdict:
        """The verdict that `charge` would get."""
        limit = self._share(charge)
        log = self._logs.setdefault(charge.key, deque())
        self._logs.move_to_end(charge.key)
        if len(self._logs) > _KEPT:
            self._logs.popitem(last=False)
        while log and log[0][0] <= now - limit.window:
            log.popleft()
        used = sum(weight for _, weight in log)
        sight = self._fleet.sight(charge.key) if self._fleet is not None else None
        room = limit.count if sight is None else min(limit.count, sight.remaining // self._size)
        if used + charge.weight <= room:
            return Verdict(allowed=True, limit=limit, remaining=room - used, reset_after=self._reset(log, limit, now))
        if used + charge.weight <= limit.count and sight is not None:
            retry = max(0.001, sight.until - now)
        else:
            retry = _wait(log, used + charge.weight - limit.count, now - limit.window)
        return Verdict(
            allowed=False,
            limit=limit,
            remaining=max(0, room - used),
            reset_after=self._reset(log, limit, now),
            retry_after=retry,
        )

    @property
    def _size(self) -> int:
        return max(self._processes, self._fleet.size if self._fleet is not None else 1)

    def _share(self, charge: Charge) -> Limit:
        return Limit(charge.limit.name, max(1, charge.limit.count // self._size), charge.limit.window)

    def _make(self, charge: Charge, verdict: Verdict, now: float) -> Verdict:
        """Record a `charge` that passes."""
        log = self._logs.setdefault(charge.key, deque())
        if charge.weight:
            log.append((now, charge.weight))
        return Verdict(
            allowed=True,
            limit=verdict.limit,
            remaining=verdict.remaining - charge.weight,
            reset_after=self._reset(log, verdict.limit, now),
        )

    @staticmethod
    def _reset(log: deque[tuple[float, int]], limit: Limit, now: float) -> float:
        return log[-1][0] + limit.window - now if log else 0.0


def _wait(log: deque[tuple[float, int]], missing: int, start: float) -> float:
    """Seconds until `missing` units have left the window that began at `start`."""
    for at, weight in log:
        missing -= weight
        if missing <= 0:
            return at - start
    return math.inf
