"""Decides which operations are compiled, and keeps the result."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, cast

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    VariableNode,
    assert_valid_schema,
    default_field_resolver,  # pyright: ignore[reportUnknownVariableType] - its types are partial
    default_type_resolver,  # pyright: ignore[reportUnknownVariableType] - the same
)
from graphql.execution.collect_fields import FragmentDetails
from graphql.execution.values import VariableValues
from prometheus_client import Counter
from strawberry.execution import optimized_is_awaitable

from graph.endpoint.declare import LIVE, core_of
from graph.endpoint.execution.compiled.executor import CompiledExecutor, compiled_class, problem_with
from graph.endpoint.execution.compiled.resolvers import Resolvers
from graph.endpoint.execution.compiled.selections import Grant, Variant
from graph.endpoint.execution.compiled.variables import Variables
from graph.endpoint.execution.compiled.written import OFTEN

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from graphql import DirectiveNode, DocumentNode, OperationDefinitionNode, SelectionSetNode
    from strawberry import Schema

    from graph.endpoint.document import Operation, Prepared

logger = logging.getLogger("graph.endpoint")

_COMPILED = Counter("graph_compiled_operations_total", "Operations compiled, by outcome.", ["outcome"])

MAX_VARIANTS = 8
"""Outcomes of `@skip` and `@include` that are compiled of one operation; any other is left to graphql-core."""

_PROGRAM = 3
"""What each further operation of a document takes, in fields: about 4 kB."""

_CONDITIONS = frozenset({"skip", "include"})
_DELIVERY = frozenset({"defer", "stream"})
_ADMITTED = frozenset({LIVE.name})  # obeyed when the operation is admitted; its execution is that of any query


class Compiler:
    """Compiles the operations of one schema."""

    def __init__(self, schema: Schema, *, errors: int, hide_suggestions: bool, often: int = OFTEN) -> None:
        """Report at most `errors` wrong variables, with suggestions unless `hide_suggestions`.

        A selection of attributes that has run `often` times is written as one function.
        """
        self.schema = schema
        self.often = often
        self.core = core_of(schema)
        self.errors = errors
        self.hide_suggestions = hide_suggestions
        self.resolvers = Resolvers(schema)
        base: type[Any] = cast("Any", schema).execution_context_class
        self.problem = problem_with(base)
        """The reason why nothing can be compiled, if there is one."""
        self.executor_class = compiled_class(base) if self.problem is None else CompiledExecutor

    def begin(
        self,
        prepared: Prepared,
        operation: Operation,
        *,
        variables: Mapping[str, Any] | None,
        root_value: object,
        context: object,
        extensions: dict[str, Any] | None,
    ) -> CompiledExecutor | list[GraphQLError] | None:
        """The executor of `operation`, or the errors in its variables; None where graphql-core must execute it."""
        program = operation.program
        if not isinstance(program, Program) or program.compiler is not self:
            assert prepared.document is not None
            program = operation.program = Program(self, prepared.document, operation.node, self._grant(prepared))
            _COMPILED.labels("compiled" if program.problem is None else "left").inc()
        if program.problem is not None:
            return None
        values = program.variables.coerce(variables)
        if isinstance(values, list):
            return values
        variant = program.variant(values.coerced)
        return None if variant is None else program.template.begin(variant, values, root_value, context, extensions)

    def _grant(self, prepared: Prepared) -> Grant:
        """How much of a document may be compiled: its operations share it, as they share its fragments."""
        kept = prepared.compiled
        if not isinstance(kept, Grant) or kept.owner is not self:
            tokens = prepared.document.token_count if prepared.document is not None else None
            kept = prepared.compiled = Grant(tokens or 0, owner=self)
        else:
            kept.left -= _PROGRAM
        return kept


class Program:
    """A compiled operation: a variant for each outcome of its conditions, made when it is first needed."""

    def __init__(
        self, compiler: Compiler, document: DocumentNode, operation: OperationDefinitionNode, grant: Grant
    ) -> None:
        """Look through the document: `problem` says why the operation cannot be compiled, or is None."""
        self.compiler = compiler
        self._operation = operation
        definitions = {one.name.value: one for one in document.definitions if isinstance(one, FragmentDefinitionNode)}
        self._fragments = {name: FragmentDetails(one) for name, one in definitions.items()}
        self.grant = grant
        self._variants: dict[tuple[Any, ...], Variant | None] = {}
        walk = _DocumentWalk(operation, definitions.values())
        self.problem = compiler.problem or walk.problem
        if self.problem is not None:
            return
        own = {one.variable.name.value for one in operation.variable_definitions or ()}
        self._conditions = tuple(sorted(walk.conditions & own))
        self.variables = Variables(
            compiler.core,
            tuple(operation.variable_definitions or ()),
            errors=compiler.errors,
            hide=compiler.hide_suggestions,
        )
        assert_valid_schema(compiler.core)
        self.template = compiler.executor_class(
            compiler.core,
            definitions,
            self._fragments,
            None,
            None,
            operation,
            VariableValues({}, {}),
            default_field_resolver,
            default_type_resolver,
            default_field_resolver,
            is_awaitable=optimized_is_awaitable,
            hide_suggestions=compiler.hide_suggestions,
        )

    def variant(self, coerced: Mapping[str, Any]) -> Variant | None:
        """The operation with the conditions that these variables make; None where graphql-core must execute it."""
        key = tuple([coerced.get(name) for name in self._conditions])
        variant = self._variants.get(key)
        if variant is None and key not in self._variants:
            variant = self._make(key)
        return variant

    def _make(self, key: tuple[Any, ...]) -> Variant | None:
        if len(self._variants) >= MAX_VARIANTS or any(one is not True and one is not False for one in key):
            return None
        values = VariableValues({}, dict(zip(self._conditions, key, strict=True)))
        compiler = self.compiler
        try:
            made = Variant(
                compiler.core, self._operation, self._fragments, values,
                resolvers=compiler.resolvers, grant=self.grant, often=compiler.often,
            )  # fmt: skip
        except (GraphQLError, RecursionError):  # graphql-core will say the same
            made = None
        except Exception:  # even with a bug in the compiler the request is answered
            logger.exception("left to graphql-core: %s", self._operation.name and self._operation.name.value)
            made = None
        self._variants[key] = variant = made if made is not None and made.compiled else None
        return variant


class _DocumentWalk:
    """What a document says about how it is to be executed, fragments included."""

    def __init__(self, operation: OperationDefinitionNode, fragments: Any) -> None:
        self.conditions: set[str] = set()
        self.problem: str | None = None
        if any(one.name.value not in _ADMITTED for one in operation.directives or ()):
            self.problem = "the operation has directives"
        stack: list[SelectionSetNode] = [operation.selection_set]
        for fragment in fragments:
            if fragment.variable_definitions:
                self.problem = "a fragment has variables"
            stack.append(fragment.selection_set)
        while stack:
            for node in stack.pop().selections:
                self._directives(node.directives or ())
                if isinstance(node, FieldNode) and node.name.value in {"__schema", "__type"}:
                    self.problem = "it is introspection"
                if isinstance(node, FragmentSpreadNode):
                    if node.arguments:
                        self.problem = "a fragment is given arguments"
                elif isinstance(node, (FieldNode, InlineFragmentNode)) and node.selection_set is not None:
                    stack.append(node.selection_set)

    def _directives(self, directives: Any) -> None:
        for directive in directives:
            name = directive.name.value
            if name in _DELIVERY:
                self.problem = f"it asks for @{name}"
            elif name in _CONDITIONS:
                self.conditions.update(_variables(directive))


def _variables(directive: DirectiveNode) -> Iterator[str]:
    for argument in directive.arguments or ():
        if isinstance(argument.value, VariableNode):
            yield argument.value.name.value
