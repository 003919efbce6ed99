"""One face a part, for an app of your own: each is a few lines in a plain FastAPI and Strawberry app.

`Redis` is made at module level and holds what lives in Redis: cache, topics, rankings, locks, sessions, one-time
tokens, jobs. `cached` keeps what a function gives. docs/library.md shows each, and says what stays as it is.

`Redis` and `cached` need the base package alone, everything else the extra ``[endpoint]``; so names are imported when
they are first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from graph.library.decorator import cached
    from graph.library.redis import Redis

__all__ = ["Redis", "cached"]

_HOMES = {"cached": "decorator", "Redis": "redis"}


def __getattr__(name: str) -> object:
    """Import a public name."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
