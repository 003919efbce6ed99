"""What a resolver may reach: the services, the caller, the loaders of this operation.

One `Context` serves one operation. Reading `caller` (or `viewer_touched` being set by whoever read it) marks the
answer as this caller's own, so that it is never put into the shared response cache, whatever the document looked like.
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
    """Made by the endpoint for each operation."""

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
        """Serve `caller`; `connection` is Starlette's request or socket, `response` what headers are set on.

        `cookie` is how a browser keeps its session; without it none is set.
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
        """Who asks. Reading it makes the answer private."""
        self.viewer_touched = True
        return self._caller

    def loader(self, load: Callable[[Services, Sequence[K]], Awaitable[Sequence[V]]]) -> DataLoader[K, V]:
        """The loader of this operation that calls `load`: lookups asked for in one turn of the event loop become one.

        It keeps nothing (`cache=False`): the cache below is right for every later look, a memory here would not be,
        and an operation may live as long as a socket.
        """
        if load not in self._loaders:
            services = self.services

            async def gathered(keys: list[K]) -> Sequence[V]:
                return await load(services, keys)

            self._loaders[load] = DataLoader(gathered, cache=False)
        return self._loaders[load]


Info: TypeAlias = strawberry.Info[Context, None]
"""What a resolver is handed as its ``info``."""
