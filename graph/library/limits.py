"""Rate limits of a Strawberry schema under any view: `RateLimit` for its operations, `limited` for a field.

::

    schema = strawberry.Schema(Query, Mutation, extensions=[RateLimit(redis, "20/minute")])

    @strawberry.mutation(extensions=[limited("5/minute")])
    async def send(self) -> bool: ...

Every limit is exact in any window (`graph.patterns.limiter`). An operation is charged to all of its limits, those of
its fields included, by one script before it runs, or to none. Answers tell the tightest limit in ``RateLimit`` and
``X-RateLimit-*`` headers; a refusal has status 429, ``Retry-After``, and the code ``RATE_LIMITED``. A document that
does not parse is charged to the limits of operations.

A field is charged once for each place where it stands in the document, whatever `@skip` and `@include` leave of it with
the variables given; how often a list around it repeats it is not known before.

Failure: while Redis is away each process grants its share of every limit (`processes`), in memory.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from inspect import isawaitable, iscoroutine
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

from strawberry.extensions import FieldExtension

from graph.endpoint.admission import Admission
from graph.endpoint.admission import RateLimit as AdmittedBy
from graph.endpoint.identity import Caller, limit_address
from graph.library.connections import connection_of
from graph.library.limited_fields import METADATA, limited_fields
from graph.library.rates import limits_of
from graph.patterns.limiter import Charge, Limit, Verdict

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Sequence

    from strawberry.types import Info
    from strawberry.types.field import StrawberryField

    from graph.endpoint.admission import Ticket
    from graph.library.redis import Redis

_PLAIN = re.compile(r"[\w.:@+-]{1,128}", re.ASCII)
_ADMITTED = Verdict(allowed=True, limit=Limit("none", 1, 1.0), remaining=1)


def address_of(context: Any) -> str:
    """The address that a request came from, an IPv4 address or the /64 of an IPv6 one: what `RateLimit` counts by."""
    connection = connection_of(context)
    return limit_address(connection.client.host if connection is not None and connection.client is not None else "")


def limited(*rates: str) -> FieldLimits:
    """Limit how often a caller may ask for a field: ``strawberry.field(extensions=[limited("5/minute")])``.

    Its schema needs `RateLimit` among its extensions. Raises ValueError for a text that is not a rate.
    """
    return FieldLimits(limits_of(rates))


class FieldLimits(FieldExtension):
    """The limits of one field, for `RateLimit` to charge. Use `limited`."""

    def __init__(self, limits: tuple[Limit, ...]) -> None:
        """Have each of `limits` charged."""
        self.limits = limits

    def apply(self, field: StrawberryField) -> None:
        """Note the limits where `RateLimit` looks for them."""
        field.metadata = MappingProxyType({**field.metadata, METADATA: self.limits})

    def resolve(self, next_: Callable[..., Any], source: Any, info: Info, **kwargs: Any) -> Any:
        """Resolve the field, unless nothing limits it."""
        _check(info)
        return next_(source, info, **kwargs)

    async def resolve_async(self, next_: Callable[..., Any], source: Any, info: Info, **kwargs: Any) -> Any:
        """Resolve the field, unless nothing limits it."""
        _check(info)
        resolved = next_(source, info, **kwargs)
        return await resolved if isawaitable(resolved) else resolved  # a subscription gives what it yields from


def _check(info: Info) -> None:
    extensions = cast("Any", info.schema).extensions
    if not any(isinstance(one, OperationLimits) for one in extensions):
        raise TypeError(f"{info.field_name} is limited, but its schema has no RateLimit among its extensions")


class OperationLimits:
    """`RateLimit`: limits the operations of a schema. It makes an extension for each of them."""

    def __init__(
        self,
        redis: Redis,
        rate: str | Sequence[str] | Callable[[Any], str | Sequence[str]] = (),
        *,
        by: Callable[[Any], str] = address_of,
        processes: int = 1,
    ) -> None:
        """Allow each caller `rate`.

        Args:
            redis: Where the charges are kept.
            rate: One rate or several, as ``20/minute``; or a function of the context that gives them, for plans and API
                keys. Without any only fields that are `limited` are.
            by: Tells callers apart: a function of the context that gives the user, the API key or whatever has a budget
                of its own. By default the address.
            processes: How many share the limits while Redis is away.

        Raises:
            ValueError: `rate` is not one.
        """
        self._admission = RatedAdmission(redis, processes)
        self._rates = rate if callable(rate) else None
        self._limits = () if callable(rate) else limits_of(rate)
        self._by = by

    def __call__(self) -> LimitsOfOne:
        """The extension of one operation."""
        return LimitsOfOne(self)

    @property
    def admission(self) -> RatedAdmission:
        """What charges."""
        return self._admission

    def caller(self, context: Any, fields: Counter[tuple[str, Limit]]) -> Caller:
        """Who makes an operation with these limited `fields`, and what it is charged."""
        limits = self._limits if self._rates is None else limits_of(_given("rate", self._rates(context)))
        who = _given("by", self._by(context), str)
        return Caller(who, session=Bill(limits, tuple(fields.items())))


def _given(argument: str, value: Any, kinds: Any = Iterable) -> Any:
    """What a function of the app's has given; raises `TypeError` with a sentence if it is nothing to charge by."""
    if isinstance(value, kinds):
        return value
    if iscoroutine(value):
        value.close()
    raise TypeError(
        f"`{argument}` of RateLimit is a function, not async, that gives text: it gave {type(value).__name__}"
    )


@dataclass(frozen=True, slots=True)
class Bill:
    """What an operation is charged: a unit of each limit, and the units of the fields in it."""

    limits: tuple[Limit, ...]
    fields: tuple[tuple[tuple[str, Limit], int], ...]


class RatedAdmission(Admission):
    """The rule for operations whose callers come with a `Bill`."""

    def __init__(self, redis: Redis, processes: int) -> None:
        """Charge in `redis`; `processes` share the limits while that is away."""
        super().__init__(redis.limiter, processes=processes, prefix=redis.prefix)

    def charges(self, caller: Caller, weight: int = 1) -> tuple[Charge, ...]:
        """The charges on the caller's bill, under one hash tag."""
        bill = caller.session
        assert isinstance(bill, Bill)
        who = caller.address
        if _PLAIN.fullmatch(who) is None:
            who = hashlib.sha256(who.encode("utf-8", "surrogatepass")).hexdigest()
        base = f"{self._prefix}:budget:{{by:{who}}}"
        return (
            *(Charge(limit, f"{base}:{limit.name}", weight) for limit in bill.limits),
            *(
                Charge(limit, f"{base}:{name}:{limit.name}", min(count, limit.count + 1))  # already over the limit
                for (name, limit), count in bill.fields
            ),
        )

    async def admit(self, ticket: Ticket) -> Verdict:
        """Charge an operation, unless its bill is empty."""
        if not self.charges(ticket.caller):
            return _ADMITTED
        return await super().admit(ticket)


class Unlimited(Admission):
    """The rule for an endpoint that limits nobody by itself."""

    def __init__(self) -> None:  # pyright: ignore[reportMissingSuperCall] - it has no limiter
        """Admit everybody."""
        self.mode, self.unit = "count", 100

    @property
    def remembers(self) -> bool:
        """False: nobody is refused."""
        return False

    def charges(self, caller: Caller, weight: int = 1) -> tuple[Charge, ...]:  # noqa: ARG002 - as the base has it
        """None."""
        return ()

    def refused(self, caller: Caller) -> Verdict | None:  # noqa: ARG002 - as the base has it
        """None."""
        return None

    async def admit(self, ticket: Ticket) -> Verdict:  # noqa: ARG002 - as the base has it
        """Admit an operation."""
        return _ADMITTED

    async def close(self) -> None:
        """Leave nothing running: nothing does."""


class LimitsOfOne(AdmittedBy):
    """The extension that charges one operation."""

    def __init__(self, limits: OperationLimits) -> None:
        """Charge what `limits` say."""
        self._limits = limits
        super().__init__(limits.admission, caller=self._find)

    def _find(self, context: Any) -> Caller:
        return self._limits.caller(context, limited_fields(self.execution_context))
