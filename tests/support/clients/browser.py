"""An HTTP client of an ASGI application in this process."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.types import ASGIApp


class Http(httpx.AsyncClient):
    """Asks GraphQL questions."""

    async def ask(self, query: str | None, headers: dict[str, str] | None = None, **members: Any) -> httpx.Response:
        """POST an operation."""
        return await self.post("/graphql", json={"query": query, **members}, headers=headers or {})

    async def data(self, query: str, **members: Any) -> Any:
        """The data of an operation that works."""
        answer = (await self.ask(query, **members)).json()
        assert "errors" not in answer, answer
        return answer["data"]

    async def code(self, query: str | None, **members: Any) -> str:
        """The code of the first error of an operation that does not work."""
        return str((await self.ask(query, **members)).json()["errors"][0]["extensions"]["code"])


@asynccontextmanager
async def browse(app: ASGIApp, **options: Any) -> AsyncGenerator[Http]:
    """A client of `app`; `options` are those of httpx."""
    async with Http(transport=httpx.ASGITransport(app), base_url="http://testserver", **options) as http:
        yield http
