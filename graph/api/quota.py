"""The caller's budget, as the rate limiter sees it: reading it costs nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import strawberry

from graph.api.schema_part import SchemaPart
from graph.endpoint.admission import current
from graph.endpoint.declare import cost
from graph.errors import Unavailable


@strawberry.type(name="RateLimit")
class Quota:
    """How many operations the caller may still run."""

    limit: int = strawberry.field(description="Units that the caller has in any window.")
    remaining: int = strawberry.field(description="Units that are left, this operation counted.")
    cost: int = strawberry.field(description="Units that this operation was charged.")
    reset_at: datetime = strawberry.field(description="When the whole limit is free again.")
    window_seconds: int = strawberry.field(description="Length of the window.")


@strawberry.type
class QuotaQuery:
    """What can be asked of the limiter."""

    @strawberry.field(
        description="The caller's budget. Reading it costs nothing, as long as it is all that the operation asks for.",
        metadata=cost(0, free=True),
    )
    def rate_limit(self) -> Quota:
        """Tell what the limiter said when it let this operation in."""
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
