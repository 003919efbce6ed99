"""The caller's rate limit and what is left of it; reading it costs nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import strawberry

from graph.api.schema_part import SchemaPart
from graph.endpoint.admission import current
from graph.endpoint.declare import cost
from graph.errors import Unavailable


@strawberry.type(name="RateLimit")
class Quota:
    """The state of the caller's rate limit."""

    limit: int = strawberry.field(description="Units that the caller may use in any window.")
    remaining: int = strawberry.field(description="Units that are left after this operation.")
    cost: int = strawberry.field(description="Units that this operation was charged.")
    reset_at: datetime = strawberry.field(description="When the whole limit is free again.")
    window_seconds: int = strawberry.field(description="Length of the window.")


@strawberry.type
class QuotaQuery:
    @strawberry.field(
        description="The caller's budget. Reading it costs nothing, as long as it is all that the operation asks for.",
        metadata=cost(0, free=True),
    )
    def rate_limit(self) -> Quota:
        """Return what the limiter answered when it admitted this operation."""
        ticket = current()
        if ticket is None or ticket.verdict is None:
            raise Unavailable("This operation was not counted by the rate limiter.")
        verdict = ticket.verdict
        now = datetime.fromtimestamp(verdict.at, UTC) if verdict.at else datetime.now(UTC)
        return Quota(
            limit=verdict.limit.count,
            remaining=verdict.remaining,
            cost=ticket.weight,
            reset_at=now + timedelta(seconds=verdict.reset_after),
            window_seconds=round(verdict.limit.window),
        )


PART = SchemaPart(query=QuotaQuery)
