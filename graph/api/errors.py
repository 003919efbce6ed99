"""Expected failures as members of the mutations' result unions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import strawberry
from strawberry.extensions import FieldExtension

from graph.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Callable


@strawberry.interface(
    description="An expected failure that a client can show to a person. `code` is stable, `message` is not."
)
class UserError:
    """The interface of expected failures; each subclass has its own code."""

    code: str
    message: str


@strawberry.type(description="A value that is not allowed.")
class InvalidInput(UserError):
    field: str = strawberry.field(description="The path of the input's field, e.g. `price.amount`.")

    @classmethod
    def of(cls, field: str, message: str) -> InvalidInput:
        """Build it for `field`, with the reason."""
        return cls(code="INVALID_INPUT", message=message, field=field)


class InvalidAsResult(FieldExtension):
    """Lets a mutation answer with `InvalidInput` if its service raises `graph.errors.Invalid`."""

    async def resolve_async(self, next_: Callable[..., Any], source: Any, info: Any, **kwargs: Any) -> Any:
        """Resolve, and turn the exception into the member of the result's union."""
        try:
            return await next_(source, info, **kwargs)
        except Invalid as problem:
            return InvalidInput.of(problem.field, problem.message)


@strawberry.type(description="What the mutation names does not exist.")
class NotFound(UserError):
    @classmethod
    def of(cls, message: str) -> NotFound:
        """Build it with a message that says what is missing."""
        return cls(code="NOT_FOUND", message=message)


@strawberry.type(description="Another product has this sku.")
class SkuTaken(UserError):
    @classmethod
    def of(cls, sku: str) -> SkuTaken:
        return cls(code="SKU_TAKEN", message=f"Another product has the sku {sku}.")


@strawberry.type(description="Another one has this slug.")
class SlugTaken(UserError):
    @classmethod
    def of(cls, slug: str, what: str) -> SlugTaken:
        return cls(code="SLUG_TAKEN", message=f"Another {what} has the slug {slug}.")
