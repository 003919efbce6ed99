"""Rates as people write them: ``20/minute``, ``5 per 10s``, ``1000/day``."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from graph.patterns.limiter import Limit

if TYPE_CHECKING:
    from collections.abc import Sequence

_SECONDS = {"s": 1, "second": 1, "m": 60, "min": 60, "minute": 60, "h": 3600, "hour": 3600, "d": 86_400, "day": 86_400}
_RATE = re.compile(r"\s*(\d+)\s*(?:/|per)\s*(\d*)\s*([a-z]+?)s?\s*")


@lru_cache(maxsize=1024)
def limit_of(rate: str) -> Limit:
    """The limit that `rate` means: a count, and in how long a window; raises ValueError for any other text."""
    found = _RATE.fullmatch(rate.lower())
    length = _SECONDS.get(found[3]) or _SECONDS.get(f"{found[3]}s") if found is not None else None
    if found is None or length is None:
        raise ValueError(f"a rate is a count and a time, as 20/minute, 5/10s or 1000/day, not {rate!r}")
    window = float(length * int(found[2] or 1))
    return Limit(f"{found[1]}/{found[2]}{found[3]}", int(found[1]), window)


def limits_of(rates: str | Sequence[str]) -> tuple[Limit, ...]:
    """The limits that one or several rates mean."""
    return tuple(map(limit_of, (rates,) if isinstance(rates, str) else rates))
