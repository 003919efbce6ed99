"""What a resolver has access to: the services, the caller, the loaders of this operation.

One `Context` serves one operation. Reading `caller` sets `viewer_touched`, which marks the answer as this caller's own,
so that it never gets into the shared response cache, whatever the document looks like.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import strawberry
from strawberry.dataloader import DataLoader

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from graph.api.cookie import SessionCookie
    from graph.endpoint.identity import Caller
    from graph.services import Services


K = TypeVar("K")
V = TypeVar("V")


class Context:
    """The context of one operation, created by the endpoint."""

    __slots__ = ("_caller", "_loaders", "connection", "cookie", "response", "services", "viewer_touched")

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
        self._loaders: dict[Any, DataLoader[Any, Any]] = {}

    @property
    def caller(self) -> Caller:
        """The caller. Reading it makes the answer private."""
        self.viewer_touched = True
        return self._caller

    def loader(self, load: Callable[[Services, Sequence[K]], Awaitable[Sequence[V]]]) -> DataLoader[K, V]:
        """Return this operation's loader that calls `load`; it batches the look-ups of one turn of the event loop.

        It keeps no values (`cache=False`): the cache below is up to date for every later look-up, a copy here would not
        be, and an operation may live as long as a socket.
        """
        if load not in self._loaders:
            services = self.services

            async def gathered(keys: list[K]) -> Sequence[V]:
                return await load(services, keys)

            self._loaders[load] = DataLoader(gathered, cache=False)
        return self._loaders[load]


Info: TypeAlias = strawberry.Info[Context, None]
"""The type of a resolver's ``info``."""
