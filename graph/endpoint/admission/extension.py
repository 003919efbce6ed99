"""The rate limit as a Strawberry schema extension, for any schema under any of Strawberry's views.

::

    schema = strawberry.Schema(Query, extensions=[lambda: RateLimit(admission, caller=lambda context: context.caller)])
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from strawberry.extensions import SchemaExtension

from graph.endpoint.admission.headers import over_limit
from graph.endpoint.admission.rule import Ticket

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from graph.endpoint.admission.rule import Admission
    from graph.endpoint.errors import Refusal
    from graph.endpoint.identity import Caller


class RateLimit(SchemaExtension):
    """Charges every operation of a schema to its caller, and refuses those over the limit.

    Under `GraphQLEndpoint` the operation comes with a ticket. Under Strawberry's own views the extension takes the
    caller from the context and writes status and headers to its ``response``, where it has one.

    It refuses through `pre_execution_errors`, and again in `on_execute` in case another extension
    overwrote them: an exception in an earlier hook would reach a WebSocket client as a bare ``complete``.
    """

    def __init__(
        self, admission: Admission, *, caller: Callable[[Any], Caller] = lambda context: context.caller
    ) -> None:
        """Ask `admission`; `caller` finds the caller in the context."""
        self.admission = admission
        self._caller = caller
        self._refusal: Refusal | None = None

    async def on_parse(self) -> AsyncIterator[None]:  # pyright: ignore[reportIncompatibleMethodOverride] - a generator, as the hook expects
        """Charge a document that is not GraphQL."""
        yield
        if self.execution_context.pre_execution_errors:
            await self._charge()

    async def on_validate(self) -> AsyncIterator[None]:  # pyright: ignore[reportIncompatibleMethodOverride] - the same
        """Charge an operation before any work is done for it."""
        await self._charge()
        if self._refusal is not None:
            self.execution_context.pre_execution_errors = [self._refusal]
        yield

    async def on_execute(self) -> AsyncIterator[None]:  # pyright: ignore[reportIncompatibleMethodOverride] - the same
        """Stop an operation that was refused."""
        if self._refusal is not None:
            raise self._refusal
        yield

    async def _charge(self) -> None:
        context = self.execution_context
        issued = getattr(context, "ticket", None) if getattr(context, "admission", None) is self.admission else None
        ticket = issued if isinstance(issued, Ticket) else Ticket(self._caller(context.context))
        verdict = await self.admission.admit(ticket)
        if not verdict.allowed:
            self._refusal = over_limit(verdict, ticket.weight)
        if ticket is not issued:
            self._tell(context.context, ticket.headers, refused=not verdict.allowed)

    @staticmethod
    def _tell(context: Any, headers: dict[str, str], *, refused: bool) -> None:
        response = context.get("response") if isinstance(context, dict) else getattr(context, "response", None)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] - anybody's context
        if response is not None and hasattr(response, "status_code"):  # pyright: ignore[reportUnknownArgumentType]
            response.headers.update(headers)  # pyright: ignore[reportUnknownMemberType]
            if refused:
                response.status_code = 429
