"""An exact sliding-window rate limit: in any window, wherever it starts, no more than the limit passes.

One script decides by the server's clock, so the callers' clocks do not matter. Several limits are charged together or
not at all. A caller that waits `Verdict.retry_after` passes, unless somebody else spends the same budget meanwhile.
An active caller costs at most about 1.3 KB at 100 units a window; a refused one costs nothing.

Limits up to 128 units are kept charge by charge. Larger ones share a log entry per 1/128 of the window, dated to the
end of that slice: still never more than the limit, at the price of a slot coming free up to 1/128 of a window late.

Failure: `charge` raises `RedisUnavailable` while Redis is away; what to do then is the caller's policy. A charge is
never sent twice: when its reply was lost it may have been made (`OutcomeUnknown`).
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prometheus_client import Counter

from graph.patterns.client import Script

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from graph.patterns.client import Client, Command, Reply

_MICROSECONDS = 1_000_000
_MAX_UNITS = 2**32 - 1  # an entry of the log holds its units in four bytes

_DECISIONS = Counter("graph_limiter_decisions_total", "Charges by outcome: passed, refused, remembered.", ["outcome"])
_PASSED, _REFUSED, _REMEMBERED = (_DECISIONS.labels(outcome) for outcome in ("passed", "refused", "remembered"))

_CHARGE = Script(__name__, "charge")
_REFUND = Script(__name__, "refund")
_REPAY = Script(__name__, "repay")


def passed(count: int) -> None:
    """Count charges that passed, for a caller that read the replies without `Limiter.verdict`."""
    _PASSED.inc(count)


def remembered() -> None:
    """Count a refusal that a caller made because of `Limiter.refused`."""
    _REMEMBERED.inc()


@dataclass(frozen=True, slots=True)
class Limit:
    """`count` units in any `window` seconds; `name` is what headers and errors call it."""

    name: str
    count: int
    window: float

    def __post_init__(self) -> None:
        """Reject a limit that makes no sense."""
        if self.count < 1 or not 0 < self.window < math.inf:
            raise ValueError(f"a limit needs a count of at least 1 and a window above 0 seconds: {self}")


@dataclass(frozen=True, slots=True)
class Charge:
    """`weight` units of `limit` for the caller whose log is the Redis key `key`; a weight of 0 only reads."""

    limit: Limit
    key: str
    weight: int = 1

    def __post_init__(self) -> None:
        """Refuse a weight that the log cannot hold."""
        if not 0 <= self.weight <= _MAX_UNITS:
            raise ValueError(f"a weight lies between 0 and {_MAX_UNITS}, not {self.weight}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The limiter's answer, for the tightest of the charged limits. Durations are seconds.

    `reset_after` is when the whole limit is free again, `retry_after` when the charge could pass (0 when it did,
    infinite when its weight exceeds the limit). `exists` is False when the guard key was missing: nothing was charged
    and nothing else is known. `at` is the server's clock (Unix time) at the decision, 0 when no server was asked.
    """

    allowed: bool
    limit: Limit
    remaining: int
    reset_after: float = 0.0
    retry_after: float = 0.0
    exists: bool = True
    at: float = 0.0


class Limiter:
    """Charge limits kept in Redis; remember refusals, so that a flood of a refused caller costs no round trip."""

    def __init__(
        self, client: Client, *, remembered: int = 10_000, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Keep at most `remembered` refusals in this process, timed by the monotonic `clock` (seconds)."""
        self._client = client
        self._clock = clock
        self._remembered = remembered
        self._refusals: OrderedDict[str, tuple[float, int, Verdict]] = OrderedDict()

    async def charge(self, *charges: Charge, guard: str | None = None) -> Verdict:
        """Charge all of `charges`, or none of them if one does not pass.

        Their keys, and `guard`, share one hash tag. With `guard`, nothing is charged unless that key exists
        (`Verdict.exists`). Raises `RedisUnavailable` while Redis is away.
        """
        if (known := self.refused(*charges)) is not None:
            remembered()
            return known
        return self.verdict(await self._client.send(self.command(*charges, guard=guard)), *charges)

    @staticmethod
    def command(*charges: Charge, guard: str | None = None) -> Command:
        """Build the command of `charge`, to be sent in a batch; read its reply with `verdict`."""
        keys = [charge.key for charge in charges]
        if guard is not None:
            keys.append(guard)
        args: list[int] = [len(charges)]
        for charge in charges:
            args += (charge.limit.count, int(charge.limit.window * _MICROSECONDS), charge.weight)
        return _CHARGE(keys, args)

    def verdict(self, reply: Reply, *charges: Charge) -> Verdict:
        """Read the reply of `command` and remember a refusal; an exception in the reply's place is raised."""
        if isinstance(reply, Exception):
            raise reply
        if not reply[0]:
            return Verdict(allowed=False, limit=charges[0].limit, remaining=0, exists=False)
        if len(charges) == 1 and reply[2]:
            _PASSED.inc()
            return Verdict(
                allowed=True,
                limit=charges[0].limit,
                remaining=reply[3],
                reset_after=reply[4] / _MICROSECONDS,
                at=reply[1] / _MICROSECONDS,
            )
        verdicts = [
            Verdict(
                allowed=bool(reply[2]),
                limit=charge.limit,
                remaining=max(0, remaining),
                reset_after=reset / _MICROSECONDS,
                retry_after=math.inf if retry < 0 else retry / _MICROSECONDS,
                at=reply[1] / _MICROSECONDS,
            )
            for charge, remaining, reset, retry in zip(charges, reply[3::3], reply[4::3], reply[5::3], strict=True)
        ]
        if reply[2]:
            _PASSED.inc()
            return min(verdicts, key=lambda verdict: verdict.remaining)
        _REFUSED.inc()
        position = max(range(len(verdicts)), key=lambda i: verdicts[i].retry_after)
        self._remember(charges[position], verdicts[position])
        return verdicts[position]

    async def refund(self, charge: Charge) -> int:
        """Give `charge` back and say how many units that was; raises `RedisUnavailable` while Redis is away."""
        self._refusals.pop(charge.key, None)
        given: int = await self._client.run(_REFUND, [charge.key], [charge.weight])
        return given

    async def repay(self, charges: Sequence[Charge]) -> list[Charge]:
        """Make `charges` that were granted while Redis was away, each as far as there is room.

        Returns those that Redis has confirmed; it never raises. Of the rest nobody knows whether it was made.
        """
        commands = [
            _REPAY([one.key], [one.limit.count, int(one.limit.window * _MICROSECONDS), one.weight]) for one in charges
        ]
        replies = await self._client.batch(*commands)
        return [one for one, reply in zip(charges, replies, strict=True) if not isinstance(reply, Exception)]

    # --- the local memory of refusals ---

    @property
    def remembers(self) -> bool:
        """Whether anybody's refusal is in memory."""
        return bool(self._refusals)

    def refused(self, *charges: Charge) -> Verdict | None:
        """Give the refusal that still holds for one of `charges`, from memory; None when Redis must be asked.

        This only looks: a caller that refuses because of it counts that with `remembered`.

        It never refuses longer than Redis would: the wait began when the refusal reached this process, before the
        caller heard of it.
        """
        if not self._refusals:
            return None
        now = self._clock()
        for charge in charges:
            kept = self._refusals.get(charge.key)
            if kept is None:
                continue
            until, weight, verdict = kept
            if until <= now:
                del self._refusals[charge.key]
            elif charge.weight >= weight and charge.limit == verdict.limit:
                wait = until - now
                return Verdict(
                    allowed=False,
                    limit=verdict.limit,
                    remaining=verdict.remaining,
                    reset_after=max(wait, verdict.reset_after - (verdict.retry_after - wait)),
                    retry_after=wait,
                )
        return None

    def _remember(self, charge: Charge, verdict: Verdict) -> None:
        if not charge.weight or verdict.retry_after == math.inf:
            return
        self._refusals[charge.key] = (self._clock() + verdict.retry_after, charge.weight, verdict)
        self._refusals.move_to_end(charge.key)
        if len(self._refusals) > self._remembered:
            self._refusals.popitem(last=False)
