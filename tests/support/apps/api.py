"""Operations on the product's schema over real services."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graph.api.context import Context
from graph.endpoint.identity import Caller

if TYPE_CHECKING:
    import strawberry
    from strawberry.types import ExecutionResult

    from graph.services import Services

ANYBODY = Caller(address="192.0.2.1")
ADMIN = Caller(address="192.0.2.1", user="1", role="ADMIN")
PLAYER = Caller(address="192.0.2.1", user="2", role="PLAYER")


class Api:
    """Runs operations; each has a context of its own, which `context` keeps for a look."""

    def __init__(self, schema: strawberry.Schema, services: Services) -> None:
        self.schema = schema
        self.services = services
        self.context = Context(services, ANYBODY)

    async def execute(self, document: str, caller: Caller = ANYBODY, **variables: Any) -> ExecutionResult:
        """The whole result."""
        self.context = Context(self.services, caller)
        return await self.schema.execute(document, variables, self.context)

    async def __call__(self, document: str, caller: Caller = ANYBODY, **variables: Any) -> dict[str, Any]:
        """The data of an operation that has no errors."""
        result = await self.execute(document, caller, **variables)
        assert result.errors is None
        assert result.data is not None
        return result.data

    async def refused(self, document: str, caller: Caller = ANYBODY, **variables: Any) -> dict[str, Any]:
        """The extensions of the only error of an operation."""
        result = await self.execute(document, caller, **variables)
        assert result.errors is not None
        (error,) = result.errors
        return dict(getattr(error.original_error, "extensions", None) or error.extensions or {})
