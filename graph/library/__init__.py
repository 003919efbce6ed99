"""One face a part, for an app of your own: each is a few lines in a plain FastAPI and Strawberry app.

`Redis` is made at module level and holds what lives in Redis: cache, topics, rankings, locks, sessions, one-time
tokens, jobs. `cached` keeps what a function gives. `RateLimit` and `limited` limit any Strawberry schema, `Compiled`
runs one in less time, `FastGraphQL` serves one.
docs/library.md shows each, and says what stays as it is.

`Redis` (but for `Redis.sessions`) and `cached` need the base package alone, everything else the extra ``[endpoint]``:
names are imported when they are first asked for, and ImportError says which extra is missing.
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
    from graph.library.serving import FastGraphQL
    from graph.library.sessions import CurrentSession
    from graph.patterns.broker import BadCursor, SlowConsumer
    from graph.patterns.cache import CacheWriteRefused
    from graph.patterns.client import RedisUnavailable
    from graph.patterns.lock import LockLost, LockTimeout
    from graph.patterns.ranking import Operator, Order, Ties

__all__ = [
    "BadCursor",
    "CacheWriteRefused",
    "Compiled",
    "CurrentSession",
    "FastGraphQL",
    "LockLost",
    "LockTimeout",
    "Operator",
    "Order",
    "RateLimit",
    "Redis",
    "RedisUnavailable",
    "SlowConsumer",
    "Ties",
    "address_of",
    "cached",
    "limited",
]

_HOMES = {
    "compiled": ("Compiled",),
    "decorator": ("cached",),
    "limits": ("RateLimit", "address_of", "limited"),
    "redis": ("Redis",),
    "serving": ("FastGraphQL",),
    "sessions": ("CurrentSession",),
    "graph.patterns.broker": ("BadCursor", "SlowConsumer"),
    "graph.patterns.cache": ("CacheWriteRefused",),
    "graph.patterns.client": ("RedisUnavailable",),
    "graph.patterns.lock": ("LockLost", "LockTimeout"),
    "graph.patterns.ranking": ("Operator", "Order", "Ties"),
}
_HOME_OF = {name: home if "." in home else f"{__name__}.{home}" for home, names in _HOMES.items() for name in names}
_CALLED = {"RateLimit": "OperationLimits"}


def __getattr__(name: str) -> object:
    """Import a public name."""
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        home = import_module(_HOME_OF[name])
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "graph":
            raise
        raise ImportError(f"{name} needs {error.name}: install graph-server[endpoint]") from error
    return getattr(home, _CALLED.get(name, name))
