"""What a resolver has access to: the services, the caller, the loaders of this operation.

One `Context` serves one operation. Reading `caller` sets `viewer_touched`, which marks the answer as this caller's own,
so that it never gets into the shared response cache, whatever the document looks like.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar
from weakref import ref

import strawberry

from graph.api.loading import Loader

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from graph.api.cookie import SessionCookie
    from graph.endpoint.identity import Caller
    from graph.services import Services


K = TypeVar("K")
V = TypeVar("V")


class Context:
    """The context of one operation, created by the endpoint."""

    __slots__ = ("_caller", "_home", "_loaders", "connection", "cookie", "response", "services", "viewer_touched")

    def __init__(
        self,
        services: Services,
        caller: Caller,
        connection: Any = None,
        response: Any = None,
        *,
        cookie: SessionCookie | None = None,
    ) -> None:
        """Serve `caller`; `connection` is Starlette's request or socket, headers are set on `response`.

        `cookie` reads and writes the session cookie of browsers; without it no cookie is set.
        """
        self.services = services
        self._caller = caller
        self.connection = connection
        self.response = response
        self.cookie = cookie
        self.viewer_touched = False
        self._home = _current_task()  # weakly: what the task results in may lead here, which would be a cycle
        self._loaders: dict[Any, Loader[Any, Any]] = {}

    @property
    def caller(self) -> Caller:
        """The caller. Reading it makes the answer private."""
        self.viewer_touched = True
        return self._caller

    def loader(self, load: Callable[[Services, Sequence[K]], Awaitable[Sequence[V]]]) -> Loader[K, V]:
        """Return this operation's loader that calls `load`; it batches look-ups (`graph.api.loading`)."""
        if load not in self._loaders:
            services = self.services

            async def gathered(keys: list[K]) -> Sequence[V]:
                return await load(services, keys)

            self._loaders[load] = Loader(gathered, self._home)
        return self._loaders[load]


def _current_task() -> ref[asyncio.Task[Any]] | None:
    try:
        task = asyncio.current_task()
    except RuntimeError:  # there is no loop: nothing is executed yet
        return None
    return None if task is None else ref(task)


Info: TypeAlias = strawberry.Info[Context, None]
"""The type of a resolver's ``info``."""
