"""The rule for how many operations a caller may run, and the only place that charges.

A signed-in user may run 100 operations a minute over all sessions, an anonymous address (an IPv6 /64) 20. An operation
is charged once, before it runs, whichever transport it came by (HTTP, a batch, a WebSocket, SSE). A document
that is refused or invalid is charged too, so that mistakes are not free. So is a document that this process does not
know, before it is parsed, even if it selects only free fields.

What an operation weighs: one unit, or what its fields declare as work (`graph.endpoint.declare.cost`: searches, counts,
hashes of passwords) in steps of `unit` if that is more. In the mode "cost" all of its fields count like that.

An operation may be charged to several limits. One script charges all of them, or none.

Failure: while Redis is away each process grants its share of what was left, counts that it did (`local`), and charges
it to Redis as soon as that is back (`debts`). No caller gets through uncounted.
"""

from __future__ import annotations

import math
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from graph.endpoint.admission.debts import Debts
from graph.endpoint.admission.headers import headers
from graph.endpoint.admission.local import LocalBudget
from graph.patterns.client import OutcomeUnknown, RedisUnavailable
from graph.patterns.limiter import Charge, Limit, Verdict, passage, passed, remembered

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from graph.endpoint.identity import Caller
    from graph.patterns.client import Command, Reply
    from graph.patterns.limiter import Fleet, Limiter

EXPIRING_KEYS = {"budget:{*}": "what a caller has spent"}
"""Keys with a TTL, below the prefix, and what they hold."""


@dataclass(slots=True)
class Ticket:
    """One operation to be admitted: its caller, its weight, and the limiter's verdict once there is one.

    `charges` is what the operation is charged. If empty, that is `weight` units of the caller's budget. Charges put
    here before the operation is admitted are made in one script, all or none; their keys share the hash tag of the
    caller's budget (`Admission.charges`).
    """

    caller: Caller
    weight: int = 1
    charges: tuple[Charge, ...] = ()
    verdict: Verdict | None = None

    @property
    def headers(self) -> dict[str, str]:
        """The headers that tell the caller about the limits; empty before the operation is admitted."""
        return headers(self.verdict) if self.verdict is not None else {}


_current: ContextVar[Ticket | None] = ContextVar("graph_admission_ticket", default=None)


def current() -> Ticket | None:
    """The ticket of the operation that this task runs; None outside an operation."""
    return _current.get()


def _no_user(_token: str | None) -> str | None:
    return None


def _no_limit(_token: str | None) -> int | None:
    return None


class Admission:
    """The rate limit of operations."""

    def __init__(
        self,
        limiter: Limiter,
        *,
        budget: Callable[[str | None], str | None] = _no_user,
        limit: Callable[[str | None], int | None] = _no_limit,
        authenticated: int = 100,
        anonymous: int = 20,
        window: float = 60.0,
        anonymous_window: float | None = None,
        mode: Literal["count", "cost"] = "count",
        unit: int = 100,
        processes: int = 1,
        fleet: Fleet | None = None,
        prefix: str = "graph",
    ) -> None:
        """Grant `authenticated` or `anonymous` units in any `window` seconds, the latter in one of their own if given.

        `budget` gives the Redis key of the user behind a token (`BatchAuthenticator.budget`); without it the key is
        made from the caller's `user`. `limit` gives the limit of its own that a token has. A unit stands for `unit`
        fields' work, in the mode "cost" for any fields. `processes` share the limit while Redis is away.
        """
        self.authenticated = Limit("authenticated", authenticated, window)
        self.anonymous = Limit("anonymous", anonymous, window if anonymous_window is None else anonymous_window)
        self.mode = mode
        self.unit = unit
        self._limiter = limiter
        self._budget = budget
        self._limit = limit
        self._prefix = prefix
        self._fleet = fleet
        self._local = LocalBudget(processes, fleet=fleet)
        self._debts = Debts(limiter)

    def weight(self, cost: int, work: int) -> int:
        """The units that an operation is charged that costs `cost` fields, of which `work` was declared."""
        return max(1, math.ceil((work if self.mode == "count" else cost) / self.unit))

    def charges(self, caller: Caller, weight: int = 1) -> tuple[Charge, ...]:
        """The charges of an operation of `weight` units to the budget of `caller`."""
        if caller.user is not None:
            key = self._budget(caller.token) or f"{self._prefix}:budget:{{user:{caller.user}}}"
            own = self._limit(caller.token)
            limit = self.authenticated if own is None else Limit("key", own, self.authenticated.window)
            return (Charge(limit, key, weight),)
        return (Charge(self.anonymous, f"{self._prefix}:budget:{{address:{caller.address}}}", weight),)

    def refused(self, caller: Caller) -> Verdict | None:
        """A remembered refusal of `caller` that still holds; None if there is none."""
        return self._limiter.refused(*self.charges(caller))

    @staticmethod
    def repeat(ticket: Ticket, verdict: Verdict) -> None:
        """Refuse an operation with a `verdict` from `refused`."""
        remembered()
        ticket.verdict = verdict

    @property
    def remembers(self) -> bool:
        """Whether this process remembers any refusal, so that `refused` is worth calling."""
        return self._limiter.remembers

    def weigh(self, ticket: Ticket, weight: int) -> None:
        """Set the weight of the operation of `ticket`, less the unit that its document was charged already."""
        if ticket.verdict is None:
            ticket.weight = weight
        elif weight > 1:
            hopeless = any(weight > one.limit.count for one in ticket.charges)
            ticket.verdict, ticket.charges, ticket.weight = None, (), weight if hopeless else weight - 1

    @staticmethod
    def add(ticket: Ticket, units: int) -> None:
        """Have the operation of `ticket` weigh so many units more."""
        if units and ticket.verdict is None:
            ticket.weight += units
        elif units:  # what it weighs is charged already
            ticket.verdict, ticket.charges, ticket.weight = None, (), units

    async def admit(self, ticket: Ticket) -> Verdict:
        """Charge an operation once; the verdict is kept on its ticket."""
        verdict = ticket.verdict
        if verdict is None:
            charges = ticket.charges = ticket.charges or self.charges(ticket.caller, ticket.weight)
            hopeless = next((one for one in charges if one.weight > one.limit.count), None)
            if hopeless is not None:  # waiting would not help, whatever refusal this process remembers
                charges = (replace(hopeless, weight=0),)
            try:
                verdict = await self._limiter.charge(*charges)
            except RedisUnavailable as error:
                verdict = self._alone(charges, error)
            if hopeless is not None:
                verdict = replace(verdict, allowed=False, retry_after=math.inf)
        return self._note(ticket, verdict)

    # --- for callers that send the charges in their own batch ---

    def command(self, charges: Sequence[Charge], *, guard: str | None = None) -> Command:
        """The command that makes `charges`, to be sent in a batch. It charges nothing unless the key `guard` exists."""
        return self._limiter.command(*charges, guard=guard)

    def settle(self, ticket: Ticket, reply: Reply, *, turnstile: bool = False) -> Verdict:
        """Record the outcome of its `charges` on `ticket`: `reply` is that of `command`, or of the `turnstile`.

        While Redis is away the local budget decides.
        """
        try:
            verdict = _passed(reply, ticket) if turnstile else self._limiter.verdict(reply, *ticket.charges)
        except RedisUnavailable as error:
            verdict = self._alone(ticket.charges, error)
        return self._note(ticket, verdict)

    def _alone(self, charges: Sequence[Charge], error: RedisUnavailable) -> Verdict:
        """Decide without Redis, which is told when it is back unless it may have heard it already."""
        verdict = self._local.charge(*charges)
        if verdict.allowed and not isinstance(error, OutcomeUnknown):
            self._debts.add(charges)
        return verdict

    async def close(self) -> None:
        """Stop telling Redis what it does not know."""
        await self._debts.close()

    def _note(self, ticket: Ticket, verdict: Verdict) -> Verdict:
        ticket.verdict = verdict
        if self._fleet is not None and verdict.at:
            for charge in ticket.charges:
                if charge.limit == verdict.limit:
                    self._fleet.note(charge.key, verdict)
        _current.set(ticket)
        return verdict


def _passed(reply: Reply, ticket: Ticket) -> Verdict:
    """The verdict on the one charge that the turnstile made."""
    made = passage(reply)
    assert made is not None
    passed(1)
    (charge,) = ticket.charges
    return Verdict(allowed=True, limit=charge.limit, remaining=made.remaining, reset_after=made.reset_after, at=made.at)
