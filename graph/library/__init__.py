"""One face a part, for an app of your own: each is a few lines in a plain FastAPI and Strawberry app.

`Redis` is made at module level and holds what lives in Redis: cache, topics, rankings, locks, sessions, one-time
tokens, jobs. `cached` keeps what a function gives. `RateLimit` and `limited` limit any Strawberry schema, `Compiled`
runs one in less time, `FastGraphQL` serves one.
docs/library.md shows each, and says what stays as it is.

`Redis` and `cached` need the base package alone, everything else the extra ``[endpoint]``; so names are imported when
they are first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from graph.library.compiled import Compiled
    from graph.library.decorator import cached
    from graph.library.limits import OperationLimits as RateLimit
    from graph.library.limits import address_of, limited
    from graph.library.redis import Redis
    from graph.library.router import FastGraphQL

__all__ = ["Compiled", "FastGraphQL", "RateLimit", "Redis", "address_of", "cached", "limited"]

_HOMES = {
    "Compiled": ("compiled", "Compiled"),
    "FastGraphQL": ("router", "FastGraphQL"),
    "RateLimit": ("limits", "OperationLimits"),
    "Redis": ("redis", "Redis"),
    "address_of": ("limits", "address_of"),
    "cached": ("decorator", "cached"),
    "limited": ("limits", "limited"),
}


def __getattr__(name: str) -> object:
    """Import a public name."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, called = _HOMES[name]
    return getattr(import_module(f"{__name__}.{module}"), called)
