"""How a caller learns about limits: the headers of every answer, and the error of a refusal."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

from graph.endpoint.errors import Refusal

if TYPE_CHECKING:
    from graph.patterns.limiter import Limit, Verdict


def headers(verdict: Verdict) -> dict[str, str]:
    """The headers for `verdict`.

    ``RateLimit-Policy`` and ``RateLimit`` follow draft-ietf-httpapi-ratelimit-headers-10; ``X-RateLimit-Reset`` is in
    Unix seconds, as at GitHub. A refusal also has ``Retry-After`` if waiting helps.
    """
    reset = math.ceil(verdict.reset_after)
    at = math.ceil((verdict.at or time.time()) + verdict.reset_after)
    told = _render(verdict.limit, str(verdict.remaining), str(reset), str(at))
    if not verdict.allowed and verdict.retry_after != math.inf:
        told["retry-after"] = str(math.ceil(verdict.retry_after))
    return told


def template(limit: Limit) -> dict[str, str]:
    """The `headers` of a successful charge to `limit`, with `%d` in place of the numbers.

    The numbers are, in this order: units left, seconds to the reset, units left, Unix time of the reset.
    """
    return _render(limit, "%d", "%d", "%d")


def _render(limit: Limit, remaining: str, reset: str, at: str) -> dict[str, str]:
    return {
        "ratelimit-policy": f'"{limit.name}";q={limit.count};w={math.ceil(limit.window)}',
        "ratelimit": f'"{limit.name}";r={remaining};t={reset}',
        "x-ratelimit-limit": str(limit.count),
        "x-ratelimit-remaining": remaining,
        "x-ratelimit-reset": at,
    }


def over_limit(verdict: Verdict, weight: int) -> Refusal:
    """The error that refuses an operation of `weight` for `verdict`; `extensions` has the values of the headers."""
    limit = verdict.limit
    facts: dict[str, Any] = {"limit": limit.count, "windowSeconds": limit.window, "remaining": verdict.remaining}
    if verdict.retry_after == math.inf:
        message = f"The operation weighs {weight}, more than the whole limit of {limit.count}."
    else:
        facts["retryAfter"] = math.ceil(verdict.retry_after)
        message = f"Too many operations; try again in {facts['retryAfter']} s."
    return Refusal("RATE_LIMITED", message, headers=headers(verdict), **facts, weight=weight)
