"""`Compiled`: the compiled executor under Strawberry's own views, by a line, without Redis or this endpoint.

::

    schema = strawberry.Schema(Query, extensions=[Compiled])

The first operation puts an execution context class into the schema that compiles each document once
(`graph.endpoint.execution.compiled`): the same data, errors and order of resolvers as graphql-core, in less time. What
cannot be compiled is executed by graphql-core as before: synchronous execution, schemas whose extensions wrap
resolvers, and a schema with an execution context class that changes how operations are executed, which the log says
once. Parsing and validating are left to Strawberry; its `ParserCache` and `ValidationCache` go well with it.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, cast

from graphql import OperationDefinitionNode
from graphql.execution import MiddlewareManager
from strawberry.extensions import SchemaExtension

from graph.endpoint.document import Operation, Prepared, Retention
from graph.endpoint.execution.compiled import Compiler

if TYPE_CHECKING:
    from collections.abc import Iterator

    from graphql import DocumentNode

logger = logging.getLogger(__name__)

CAPACITY = 32 << 20
"""Bytes of compiled documents that a schema keeps, as estimated."""
_MAX_ERRORS = 50  # as graphql-core
_BYTES_PER_TOKEN = 1024
_BYTES_PER_DOCUMENT = 12_288


class Compiled(SchemaExtension):
    """Has the operations of a schema compiled."""

    def on_operation(self) -> Iterator[None]:  # pyright: ignore[reportIncompatibleMethodOverride] - a generator, as the hook expects
        """See to it that the schema compiles."""
        schema: Any = self.execution_context.schema
        if not hasattr(schema.execution_context_class, "compiled_documents"):
            schema.execution_context_class = compiling(schema)
        yield


def compiling(schema: Any) -> type[Any]:
    """The execution context class of `schema`, made to compile operations."""
    base: type[Any] = schema.execution_context_class
    compiler = Compiler(schema, errors=_MAX_ERRORS, hide_suggestions=False)
    if compiler.problem is not None:
        logger.warning("operations are left to graphql-core: %s", compiler.problem)
        return cast("type[Any]", type(base.__name__, (base,), {"compiled_documents": None}))
    documents: Retention[str, Prepared] = Retention(CAPACITY)

    def build(_: type[Any], /, *args: Any, **kwargs: Any) -> Any:
        asked = _BuildCall(args, kwargs)
        made = asked.compiled(compiler, documents)
        return base.build(*args, **kwargs) if made is None else made

    return cast(
        "type[Any]", type(base.__name__, (base,), {"build": classmethod(build), "compiled_documents": documents})
    )


_NAMES = (
    "schema", "document", "root_value", "context_value", "raw_variable_values", "operation_name", "field_resolver",
    "type_resolver", "subscribe_field_resolver", "max_coercion_errors", "enable_early_execution", "middleware",
    "is_awaitable", "is_async_iterable",
)  # fmt: skip
_LEFT = ("field_resolver", "type_resolver", "subscribe_field_resolver", "is_async_iterable", "abort_signal", "hooks")
"""Arguments of graphql-core's with which operations are not compiled."""


class _BuildCall:
    """The arguments of graphql-core's `Executor.build`."""

    def __init__(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._given = {**dict(zip(_NAMES, args, strict=False)), **kwargs}

    def compiled(self, compiler: Compiler, documents: Retention[str, Prepared]) -> Any:
        """The executor, or the errors in the variables; None where graphql-core must execute it."""
        given = self._given
        middleware = given.get("middleware")
        bare = isinstance(middleware, MiddlewareManager) and not middleware.middlewares
        if not (middleware is None or bare) or any(given.get(one) is not None for one in _LEFT):
            return None
        document: DocumentNode = given["document"]
        prepared = _prepared(document, documents)
        name = given.get("operation_name")
        operation = prepared.operations.get(name)
        if name is None and len(prepared.operations) == 1:
            (operation,) = prepared.operations.values()
        if operation is None:
            return None
        return compiler.begin(
            prepared,
            operation,
            variables=given.get("raw_variable_values"),
            root_value=given.get("root_value"),
            context=given.get("context_value"),
            extensions=given.get("operation_extensions"),
        )


def _prepared(document: DocumentNode, documents: Retention[str, Prepared]) -> Prepared:
    """The document as it was compiled before, if it was."""
    text = document.loc.source.body if document.loc is not None else ""
    known = documents.get(text) if text else None
    if known is not None:
        return known
    operations: dict[str | None, Operation] = {
        node.name.value if node.name else None: Operation(node, cast("Any", None), lambda: None)
        for node in document.definitions
        if isinstance(node, OperationDefinitionNode)
    }
    made = Prepared(text, document, operations, ())
    if text:
        documents.put(text, made, _BYTES_PER_DOCUMENT + _BYTES_PER_TOKEN * (document.token_count or 0) + 4 * len(text))
    return made
