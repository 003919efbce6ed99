"""The decorator `cached`, which keeps what a function gives in the cache of a `Redis`.

What it promises is told in `graph.patterns.cache`: no call after an acknowledged write gets what was there before it,
and each value is made once an expiry, however many ask. While Redis is away the function itself is called.
"""

from __future__ import annotations

import functools
import inspect
import json
from typing import TYPE_CHECKING, ParamSpec, TypeVar, cast

from graph.library.caching import several
from graph.library.key_template import KeyTemplate

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from graph.library.redis import Redis

P = ParamSpec("P")
T = TypeVar("T")


def cached(
    redis: Redis, *, ttl: float, tags: str | Sequence[str], key: str | None = None, stale: float = 0.0
) -> Callable[[Callable[P, Awaitable[T]]], Callable[P, Awaitable[T]]]:
    """Keep what an async function gives, a JSON value, until a write to one of its `tags`, or for `ttl` seconds.

    ::

        @cached(redis, ttl=60, tags="recipe:{number}")
        async def recipe(number: int) -> str | None: ...

    `tags` and `key` are templates of the arguments. Arguments that differ have keys that differ, whatever is in them
    (`KeyTemplate`); a tag is the text that `invalidate` gets. Without a `key` each combination of arguments is a value
    of its own; the arguments are then text, numbers, booleans or None.

    Raises TypeError at once for a function that is not async or a template that names no argument of it, and when it is
    called with arguments that cannot be told apart.
    """
    templates = several(tags)

    def decorate(function: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
        if not inspect.iscoroutinefunction(function):
            raise TypeError(f"only an async function can be cached, not {function!r}")
        signature = inspect.signature(function)
        names = dict.fromkeys(signature.parameters, "")
        for template in (*templates, *([key] if key is not None else [])):
            try:
                template.format_map(names)
            except (KeyError, IndexError, AttributeError, ValueError) as error:
                raise TypeError(f"{template!r} names no argument of {function.__qualname__}: {error}") from None
        named = KeyTemplate(key) if key is not None else None
        base = f"{function.__module__}.{function.__qualname__}"

        @functools.wraps(function)
        async def call(*args: P.args, **kwargs: P.kwargs) -> T:
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            given = bound.arguments
            name = f"{base}:{_told(given, base)}" if named is None else named.format(given)
            found = await redis.cache.get(
                name,
                lambda: function(*args, **kwargs),
                tags=[template.format_map(given) for template in templates],
                ttl=ttl,
                stale=stale,
            )
            return cast("T", found)

        return call

    return decorate


def _told(given: Mapping[str, object], name: str) -> str:
    """The arguments as a text that tells them from all others."""
    for argument, value in given.items():
        if value is not None and not isinstance(value, (str, int, float)):
            raise TypeError(f"{name} is cached: give it a key= without {argument}, which is a {type(value).__name__}")
    return json.dumps(list(given.values()), separators=(",", ":"))
