"""The extensions of a schema, as they are honoured here.

Each operation gets its own: a class or a factory is called, an instance, which Strawberry would share between
operations that run at the same time, is copied. `ParserCache` and `ValidationCache` have nothing to do here, because
documents are parsed and validated once anyway, and are left out.

Failure: what would be ignored is refused when the endpoint is built, with a `TypeError` that says what to do.
"""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any

from strawberry import Schema
from strawberry.extensions import (
    AddValidationRules,
    DisableIntrospection,
    DisableValidation,
    MaskErrors,
    MaxAliasesLimiter,
    MaxTokensLimiter,
    ParserCache,
    QueryDepthLimiter,
    SchemaExtension,
    ValidationCache,
)
from strawberry.extensions.base_extension import HOOK_METHODS
from strawberry.extensions.directives import DirectivesExtension
from strawberry.extensions.pydantic_error_extension import PydanticErrorExtension
from strawberry.schema.base import BaseSchema

from graph.endpoint.admission import RateLimit

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from graph.endpoint.admission import Admission

_DONE_ANYWAY = (ParserCache, ValidationCache)
_HARMLESS_WHEN_KEPT = frozenset(
    {AddValidationRules, DirectivesExtension, DisableIntrospection, MaskErrors, MaxAliasesLimiter, MaxTokensLimiter,
     PydanticErrorExtension, QueryDepthLimiter, RateLimit}
)  # fmt: skip
"""Extensions that do nothing to an answer without errors once the document has passed their rules."""

_REPLACED = ("execute", "execute_sync", "stream", "subscribe", "create_extensions_runner")
_ACTS = (*sorted(HOOK_METHODS), "resolve", "get_results")


class Extensions:
    """Makes the extensions of one schema for each operation."""

    def __init__(self, schema: Schema, admission: Admission) -> None:
        """Check what `schema` brings along; `admission` charges its operations.

        Raises:
            TypeError: It overrides a method, or has an extension, that the endpoint cannot honour.
        """
        self._schema = schema
        self._admission = admission
        for name in _REPLACED:
            if getattr(type(schema), name) is not getattr(Schema, name):
                raise TypeError(
                    f"{type(schema).__name__} overrides `{name}`, which the endpoint does not call: "
                    "put what it does into a schema extension."
                )
        self.processes_errors = type(schema).process_errors is not BaseSchema.process_errors
        """Whether the schema has a `process_errors` of its own."""
        for one in self._given():
            if isinstance(one, DisableValidation):
                raise TypeError(
                    "DisableValidation cannot be honoured: a document is validated once and then known, and one that "
                    "is not valid cannot be executed. Leave the extension out; it saves nothing here."
                )

    def _given(self) -> list[SchemaExtension]:
        """An instance of each, where that can be made outside of an operation."""
        try:
            return self._schema.get_extensions()
        except Exception:  # noqa: BLE001 - a factory that needs an operation around it: it is called for each
            return [one for one in self._schema.extensions if isinstance(one, SchemaExtension)]

    def check_kept(self, unseen: Collection[type[SchemaExtension]]) -> None:
        """Raise `TypeError` for an extension that would not see an operation that a kept answer answers."""
        for one in self._given():
            kind = type(one)
            if kind in _HARMLESS_WHEN_KEPT or isinstance(one, (*_DONE_ANYWAY, *unseen)):
                continue
            if any(getattr(kind, name) is not getattr(SchemaExtension, name) for name in _ACTS):
                raise TypeError(
                    f"{kind.__name__} would not see the operations that kept answers answer, because nothing is "
                    f"executed for them. Where that is right, say so: KeptAnswers(unseen=[{kind.__name__}]), or "
                    "`unseen=` of FastGraphQL."
                )

    def fresh(self) -> list[SchemaExtension]:
        """The extensions of one operation, in their order."""
        return [
            copy(one) if any(one is given for given in self._schema.extensions) else one
            for one in self._schema.get_extensions()
            if type(one) not in _DONE_ANYWAY
        ]

    def are_bare(self, extensions: Sequence[SchemaExtension]) -> bool:
        """Whether no hooks need to run: there is no extension, or only the one that charges what is charged here."""
        if self.processes_errors:
            return False
        if not extensions:
            return True
        (only, *others) = extensions
        return not others and type(only) is RateLimit and only.admission is self._admission

    @staticmethod
    def look_at_results(extensions: Sequence[SchemaExtension]) -> bool:
        """Whether one of them has something to do with each result of a subscription."""
        names = ("on_stream_result", "get_results")
        return any(
            getattr(type(one), name) is not getattr(SchemaExtension, name) for one in extensions for name in names
        )


def implements_resolve(extension: Any) -> bool:
    """Whether an extension is called around resolvers."""
    return bool(extension._implements_resolve())  # noqa: SLF001 - as Schema does
