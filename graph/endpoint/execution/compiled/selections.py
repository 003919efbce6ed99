"""Selections: the fields of one object, resolved and completed in the order of the document.

A `Variant` is an operation for one outcome of its `@skip` and `@include`. graphql-core's own `collect_fields` says
which fields there are, in which order, merged from which nodes; that is asked once and compiled into closures. What it
depends on at run time, beside the conditions, is the type of an object below an abstract type: such selections are
compiled when the type is first met.

A document compiles no more fields than it was granted. Beyond that `Variant.selection` gives None, and graphql-core
executes what lies below: a small document that spreads its fragments widely must not take much memory.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from graphql import GraphQLError
from graphql.execution.collect_fields import collect_fields, collect_subfields

from graph.endpoint.execution.compiled.basics import COROUTINE, MISSED, Execute, Field, PathNode, Run, awaited
from graph.endpoint.execution.compiled.fields import Step, compile_step
from graph.endpoint.execution.compiled.written import ObjectShape, WrittenRows, WrittenSelection, shape_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from graphql import GraphQLObjectType, GraphQLSchema, OperationDefinitionNode
    from graphql.execution.collect_fields import FieldDetails, FragmentDetails, GroupedFieldSet
    from graphql.execution.values import VariableValues

    from graph.endpoint.execution.compiled.resolvers import Resolvers

logger = logging.getLogger("graph.endpoint")


class Grant:
    """How many fields of a document may still be compiled."""

    __slots__ = ("left", "owner")

    def __init__(self, left: int, *, owner: object) -> None:
        """Let `owner` compile `left` fields."""
        self.left = left
        self.owner = owner

    def end(self) -> None:
        """Let nothing more be compiled."""
        self.left = -1


class Variant:
    """One operation, for one outcome of its conditions."""

    def __init__(
        self,
        schema: GraphQLSchema,
        operation: OperationDefinitionNode,
        fragments: dict[str, FragmentDetails],
        values: VariableValues,
        *,
        resolvers: Resolvers,
        grant: Grant,
        often: int,
    ) -> None:
        """Compile `operation` with the variables `values`, of which the conditions alone matter.

        A selection that has run `often` times is written as one function, where it can be (`written`).
        """
        self._schema = schema
        self._operation = operation
        self._fragments = fragments
        self._values = values
        self.resolvers = resolvers
        self._grant = grant
        self._often = often
        self._selections: dict[tuple[str, int], Execute | None] = {}
        self._shapes: dict[tuple[str, int], ObjectShape] = {}
        root = schema.get_root_type(operation.operation)
        assert root is not None
        grouped = collect_fields(schema, fragments, values, root, operation).grouped_field_set
        fields = self._fields(root, grouped)
        self.compiled = fields is not None
        """Whether the grant sufficed for the root at least."""
        steps = list(map(compile_step, fields or []))
        self._execute = _executing(steps)
        self._execute_serially = _serially(steps)

    def execute(self, run: Run, source: Any, *, serially: bool) -> Any:
        """Execute the operation on the root value `source`."""
        return (self._execute_serially if serially else self._execute)(run, source, None)

    def selection(self, type_: GraphQLObjectType, details: list[FieldDetails]) -> Execute | None:
        """A function that executes the fields `details` on an object of `type_`; None beyond the grant.

        `details` is known by its identity, as in graphql-core, and must live as long as this variant does.
        """
        place = (type_.name, id(details))
        if place in self._selections:
            return self._selections[place]
        if self._grant.left < 0:  # `details` may be graphql-core's, and gone with this execution: nothing is kept
            return None
        try:
            collected = collect_subfields(self._schema, self._fragments, self._values, self._operation, type_, details)
            self._selections[place] = self._compile(place, type_, self._fields(type_, collected.grouped_field_set))
        except (GraphQLError, RecursionError):  # graphql-core will say the same, or has a shorter way
            self._selections[place] = self._grant.end()
        except Exception:  # even with a bug in the compiler the request is answered
            logger.exception("left to graphql-core: %s", type_.name)
            self._selections[place] = self._grant.end()
        return self._selections[place]

    def rows(self, type_: GraphQLObjectType, details: list[FieldDetails]) -> WrittenRows | None:
        """What completes rows of objects of `type_` whose `selection` was compiled; None where objects are needed."""
        shape = self._shapes.get((type_.name, id(details)))
        return None if shape is None else WrittenRows(shape, self._often)

    def _compile(self, place: tuple[str, int], type_: GraphQLObjectType, fields: list[Field] | None) -> Execute | None:
        if fields is None:
            return None
        execute = _executing(list(map(compile_step, fields)))  # what is below is compiled, and has its shape, by then
        shape = shape_of(type_, fields, lambda below, at: self._shapes.get((below.name, id(at))))
        if shape is None:
            return execute
        self._shapes[place] = shape
        return _reading(WrittenSelection(shape, self._often), execute)

    def _fields(self, parent: GraphQLObjectType, grouped: GroupedFieldSet) -> list[Field] | None:
        self._grant.left -= len(grouped)
        if self._grant.left < 0:
            return None
        found = [(key, self._schema.get_field(parent, details[0].node.name.value)) for key, details in grouped.items()]
        return [
            Field(parent, key, definition, grouped[key], [one.node for one in grouped[key]], self)
            for key, definition in found
            if definition is not None
        ]


def _reading(written: WrittenSelection, execute: Execute) -> Execute:
    """Have an object completed by one function; `execute` takes what that misses."""

    def read(run: Run, source: Any, place: PathNode) -> Any:
        made = written.read(source)
        if made is MISSED:
            written.miss()
            return execute(run, source, place)
        return made

    return read


def _executing(steps: list[Step]) -> Execute:
    """Start all fields; await those that must be awaited together."""

    def execute(run: Run, source: Any, place: PathNode) -> Any:
        results: dict[str, Any] = {}
        waiting: list[str] = []
        try:
            for key, attribute, plain, finish, fail in steps:
                if attribute is None:
                    value = finish(run, source, place)
                else:
                    try:
                        value = getattr(source, attribute)
                    except Exception as error:  # noqa: BLE001 - whatever a property raises
                        value = fail(run, error, place)
                    else:
                        if type(value) is plain:
                            results[key] = value
                            continue
                        value = finish(run, value, place)
                results[key] = value
                if type(value) is COROUTINE:
                    waiting.append(key)
        except Exception:
            if waiting:
                run.settle_in_background([results[key] for key in waiting])
            raise
        return awaited(results, waiting) if waiting else results

    return execute


def _serially(steps: list[Step]) -> Execute:
    """Start each field when the one before it is done."""

    def execute(run: Run, source: Any, place: PathNode) -> Any:
        results: dict[str, Any] = {}
        todo = iter(steps)
        for step in todo:
            value = _start(step, run, source, place)
            if type(value) is COROUTINE:
                return rest(run, source, results, (step[0], value), todo)
            results[step[0]] = value
        return results

    async def rest(
        run: Run, source: Any, results: dict[str, Any], first: tuple[str, Any], todo: Iterator[Step]
    ) -> dict[str, Any]:
        results[first[0]] = await first[1]
        for step in todo:
            value = _start(step, run, source, None)
            results[step[0]] = await value if type(value) is COROUTINE else value
        return results

    return execute


def _start(step: Step, run: Run, source: Any, place: PathNode) -> Any:
    _, attribute, _, finish, fail = step
    if attribute is None:
        return finish(run, source, place)
    try:
        value = getattr(source, attribute)
    except Exception as error:  # noqa: BLE001 - whatever a property raises
        return fail(run, error, place)
    return finish(run, value, place)
