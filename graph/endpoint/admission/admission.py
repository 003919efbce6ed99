"""Who may run how many operations: the `RateLimit` schema extension, and the rule behind it.

`Admission` is the one rule: 100 operations a minute for a signed-in user over all of that user's sessions, 20 for an
anonymous address (an IPv6 /64). Whatever carries an operation (HTTP, a batch, a WebSocket, SSE), it is charged once,
before it runs; a document that is refused or invalid is charged too, so that mistakes are not free. So is a document
that this process does not know, before it is looked into, even if all that it asks for is free. In the mode "cost"
an operation is charged its estimated cost instead, in steps of `unit`.

While Redis is away each process grants its share, limit ÷ processes, and counts that it did
(``graph_admission_local_total``). A caller is never let through uncounted.

`RateLimit` puts the rule into any Strawberry schema, under any view of Strawberry's::

    schema = strawberry.Schema(Query, extensions=[lambda: RateLimit(admission, caller=lambda context: context.caller)])
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict, deque
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from prometheus_client import Counter
from strawberry.extensions import SchemaExtension

from graph.endpoint.errors import Refusal
from graph.patterns.client import RedisUnavailable
from graph.patterns.limiter import Charge, Limit, Verdict, passage, passed, remembered

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from graph.endpoint.identity.caller import Caller
    from graph.patterns.client import Command, Reply
    from graph.patterns.limiter import Limiter

_LOCAL = Counter("graph_admission_local_total", "Operations decided without Redis, by outcome.", ["outcome"])
_KEPT = 10_000  # callers remembered by the local budget


@dataclass(slots=True)
class Ticket:
    """One operation on its way in: who asks, what it weighs, and what the limiter said once it was asked."""

    caller: Caller
    weight: int = 1
    verdict: Verdict | None = None


_current: ContextVar[Ticket | None] = ContextVar("graph_admission_ticket", default=None)


def current() -> Ticket | None:
    """The ticket of the operation that this task runs; None outside of one."""
    return _current.get()


class Admission:
    """The rate limit of operations."""

    def __init__(
        self,
        limiter: Limiter,
        *,
        budget: Callable[[str | None], str | None],
        authenticated: int = 100,
        anonymous: int = 20,
        window: float = 60.0,
        mode: Literal["count", "cost"] = "count",
        unit: int = 100,
        processes: int = 1,
        prefix: str = "graph",
    ) -> None:
        """Grant `authenticated` or `anonymous` units in any `window` seconds.

        `budget` gives the Redis key of the user behind a token (`Authenticator.budget`). In the mode "cost" a unit
        stands for `unit` fields. `processes` share the limit while Redis is away.
        """
        self.authenticated = Limit("authenticated", authenticated, window)
        self.anonymous = Limit("anonymous", anonymous, window)
        self.mode = mode
        self.unit = unit
        self._limiter = limiter
        self._budget = budget
        self._prefix = prefix
        self._local = LocalBudget(processes)

    def weight(self, cost: int) -> int:
        """What an operation of `cost` fields is charged."""
        return 1 if self.mode == "count" else max(1, math.ceil(cost / self.unit))

    def weigh(self, ticket: Ticket, weight: int) -> None:
        """Say what the operation of `ticket` weighs; the unit that its document was charged already is part of that."""
        if ticket.verdict is None:
            ticket.weight = weight
        elif weight > 1:
            hopeless = weight > self.charge(ticket.caller).limit.count
            ticket.verdict, ticket.weight = None, weight if hopeless else weight - 1

    def charge(self, caller: Caller, weight: int = 1) -> Charge:
        """The charge of `weight` units to the budget of `caller`."""
        if caller.user is not None:
            key = self._budget(caller.token) or f"{self._prefix}:budget:{{user:{caller.user}}}"
            return Charge(self.authenticated, key, weight)
        return Charge(self.anonymous, f"{self._prefix}:budget:{{address:{caller.address}}}", weight)

    def refused(self, caller: Caller) -> Verdict | None:
        """A refusal of `caller` that this process remembers and that still holds."""
        return self._limiter.refused(self.charge(caller))

    @staticmethod
    def repeat(ticket: Ticket, verdict: Verdict) -> None:
        """Refuse an operation by a `verdict` that `refused` gave."""
        remembered()
        ticket.verdict = verdict

    @property
    def remembers(self) -> bool:
        """Whether any caller might be `refused` at the moment."""
        return self._limiter.remembers

    async def admit(self, ticket: Ticket) -> Verdict:
        """Charge an operation, once; the verdict stays on its ticket."""
        if ticket.verdict is None:
            charge = self.charge(ticket.caller, ticket.weight)
            hopeless = charge.weight > charge.limit.count
            if hopeless:  # nothing to wait for, whatever this process remembers of the caller
                charge = self.charge(ticket.caller, 0)
            try:
                verdict = await self._limiter.charge(charge)
            except RedisUnavailable:
                verdict = self._local.charge(charge)
            ticket.verdict = replace(verdict, allowed=False, retry_after=math.inf) if hopeless else verdict
        _current.set(ticket)
        return ticket.verdict

    # --- for those who send the charge in a batch of their own ---

    def command(self, charge: Charge, *, guard: str | None = None) -> Command:
        """The command that makes `charge`, to be sent in a batch; nothing is charged unless the key `guard` exists."""
        return self._limiter.command(charge, guard=guard)

    def passed(self, ticket: Ticket, charge: Charge, reply: Reply) -> Verdict:
        """Note on `ticket` that the turnstile made `charge`; if it is not known to, the local budget decides."""
        try:
            made = passage(reply)
        except RedisUnavailable:
            ticket.verdict = self._local.charge(charge)
        else:
            assert made is not None
            passed(1)
            ticket.verdict = Verdict(True, charge.limit, made.remaining, made.reset_after, 0.0, at=made.at)  # noqa: FBT003 - allowed
        _current.set(ticket)
        return ticket.verdict

    def settle(self, ticket: Ticket, charge: Charge, reply: Reply) -> Verdict:
        """Read the reply of `command` into `ticket`, falling back to the local budget while Redis is away."""
        try:
            ticket.verdict = self._limiter.verdict(reply, charge)
        except RedisUnavailable:
            ticket.verdict = self._local.charge(charge)
        _current.set(ticket)
        return ticket.verdict


class LocalBudget:
    """The share of one process in a limit that cannot be asked: the same sliding window, in memory."""

    def __init__(self, processes: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Grant 1/`processes` of a limit, at least 1, by the monotonic `clock`."""
        self._processes = processes
        self._clock = clock
        self._logs: OrderedDict[str, deque[tuple[float, int]]] = OrderedDict()

    def charge(self, charge: Charge) -> Verdict:
        """Decide as the limiter would."""
        now = self._clock()
        limit = Limit(charge.limit.name, max(1, charge.limit.count // self._processes), charge.limit.window)
        log = self._logs.setdefault(charge.key, deque())
        self._logs.move_to_end(charge.key)
        if len(self._logs) > _KEPT:
            self._logs.popitem(last=False)
        while log and log[0][0] <= now - limit.window:
            log.popleft()
        used = sum(weight for _, weight in log)
        allowed = used + charge.weight <= limit.count
        _LOCAL.labels("passed" if allowed else "refused").inc()
        if allowed and charge.weight:
            log.append((now, charge.weight))
            used += charge.weight
        retry = 0.0 if allowed else _wait(log, used + charge.weight - limit.count, now - limit.window)
        reset = log[-1][0] + limit.window - now if log else 0.0
        return Verdict(allowed, limit, limit.count - used, reset, retry)


def _wait(log: deque[tuple[float, int]], missing: int, start: float) -> float:
    """How long until `missing` units have left the window that began at `start`."""
    for at, weight in log:
        missing -= weight
        if missing <= 0:
            return at - start
    return math.inf


# --- what the caller is told ---


def headers(verdict: Verdict) -> dict[str, str]:
    """The headers that tell of `verdict`.

    ``RateLimit-Policy`` and ``RateLimit`` as in draft-ietf-httpapi-ratelimit-headers-10; ``X-RateLimit-Reset`` is in
    Unix seconds, as GitHub has it.
    """
    limit = verdict.limit
    reset = math.ceil(verdict.reset_after)
    told = {
        "ratelimit-policy": f'"{limit.name}";q={limit.count};w={math.ceil(limit.window)}',
        "ratelimit": f'"{limit.name}";r={verdict.remaining};t={reset}',
        "x-ratelimit-limit": str(limit.count),
        "x-ratelimit-remaining": str(verdict.remaining),
        "x-ratelimit-reset": str(math.ceil((verdict.at or time.time()) + verdict.reset_after)),
    }
    if not verdict.allowed and verdict.retry_after != math.inf:
        told["retry-after"] = str(math.ceil(verdict.retry_after))
    return told


def template(limit: Limit) -> dict[str, str]:
    """`headers` of a charge that passed, with `%d` for: remaining, seconds to the reset, remaining, Unix time of it."""
    return {
        "ratelimit-policy": f'"{limit.name}";q={limit.count};w={math.ceil(limit.window)}',
        "ratelimit": f'"{limit.name}";r=%d;t=%d',
        "x-ratelimit-limit": str(limit.count),
        "x-ratelimit-remaining": "%d",
        "x-ratelimit-reset": "%d",
    }


def refusal(verdict: Verdict, weight: int) -> Refusal:
    """The error that refuses an operation of `weight` for `verdict`, with the facts of the headers in `extensions`."""
    limit = verdict.limit
    facts: dict[str, Any] = {"limit": limit.count, "windowSeconds": limit.window, "remaining": verdict.remaining}
    if verdict.retry_after == math.inf:
        message = f"The operation weighs {weight}, more than the whole limit of {limit.count}."
    else:
        facts["retryAfter"] = math.ceil(verdict.retry_after)
        message = f"Too many operations; try again in {facts['retryAfter']} s."
    return Refusal("RATE_LIMITED", message, headers=headers(verdict), **facts, weight=weight)


class RateLimit(SchemaExtension):
    """Charge every operation of a schema to its caller, and refuse what is over the limit.

    Under `GraphQLEndpoint` the operation comes with a ticket. Under Strawberry's own views the extension takes the
    caller from the context and writes status and headers to its ``response``, where it has one.

    It refuses through `pre_execution_errors`, and once more in `on_execute` for the case that another extension
    overwrote them: an exception in an earlier hook would reach a WebSocket client as a bare ``complete``.
    """

    def __init__(
        self, admission: Admission, *, caller: Callable[[Any], Caller] = lambda context: context.caller
    ) -> None:
        """Ask `admission`; `caller` finds the caller in the context."""
        self.admission = admission
        self._caller = caller
        self._refusal: Refusal | None = None

    async def on_parse(self) -> AsyncIterator[None]:  # pyright: ignore[reportIncompatibleMethodOverride] - a generator, as the hook expects
        """Charge a document that is no GraphQL."""
        yield
        if self.execution_context.pre_execution_errors:
            await self._charge()

    async def on_validate(self) -> AsyncIterator[None]:  # pyright: ignore[reportIncompatibleMethodOverride] - the same
        """Charge an operation before work goes into it."""
        await self._charge()
        if self._refusal is not None:
            self.execution_context.pre_execution_errors = [self._refusal]
        yield

    async def on_execute(self) -> AsyncIterator[None]:  # pyright: ignore[reportIncompatibleMethodOverride] - the same
        """Run nothing that was refused."""
        if self._refusal is not None:
            raise self._refusal
        yield

    async def _charge(self) -> None:
        context = self.execution_context
        issued = getattr(context, "ticket", None)
        ticket = issued if isinstance(issued, Ticket) else Ticket(self._caller(context.context))
        verdict = await self.admission.admit(ticket)
        if not verdict.allowed:
            self._refusal = refusal(verdict, ticket.weight)
        if ticket is not issued:
            self._tell(context.context, verdict)

    def _tell(self, context: Any, verdict: Verdict) -> None:
        response = context.get("response") if isinstance(context, dict) else getattr(context, "response", None)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] - anybody's context
        if response is not None and hasattr(response, "status_code"):  # pyright: ignore[reportUnknownArgumentType]
            response.headers.update(headers(verdict))  # pyright: ignore[reportUnknownMemberType]
            if not verdict.allowed:
                response.status_code = 429
