"""What all closures of a compiled operation share: places, the state of a run, how to await."""

from __future__ import annotations

from asyncio import gather, get_running_loop
from datetime import date, datetime, time
from decimal import Decimal
from types import CoroutineType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias
from uuid import UUID

from graphql.pyutils import Path

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from graphql import FieldNode, GraphQLObjectType
    from graphql.execution.collect_fields import FieldDetails

    from graph.endpoint.declare import Rows

PathNode: TypeAlias = "tuple[Any, str | int, str | None] | None"
"""The place of a value: what graphql-core's `Path` holds, as a plain tuple (cheaper to make); None is the root."""

Run: TypeAlias = Any
"""The executor of one operation: `executor.CompiledExecutor` joined with the schema's own class."""

Complete: TypeAlias = "Callable[[Run, Any, PathNode], Any]"

PLAIN = frozenset({
    *(type(None), bool, int, float, str, bytes, bytearray, list, tuple, dict, set, frozenset),
    *(Decimal, datetime, date, time, UUID),
})  # fmt: skip
"""Types that are known not to be awaitable, most of them to Strawberry's `optimized_is_awaitable`, too."""

COROUTINE: Any = CoroutineType


Execute: TypeAlias = "Callable[[Run, Any, PathNode], Any]"
"""Executes the selection on an object: a dict, or a coroutine that gives it."""


class FieldResolvers(Protocol):
    """What a field needs of `resolvers.Resolvers`."""

    def attribute(self, field: Field) -> str | None:
        """The attribute that is the value of `field`; None where it is not one."""
        ...

    def resolver(self, field: Field) -> Callable[[Run, Any, PathNode], Any] | None:
        """A function that calls the resolver of `field` directly; None where Strawberry may do more than that."""
        ...


class RowsReader(Protocol):
    """Completes the rows of a list."""

    def read(self, rows: Rows[Any]) -> Any:
        """The completed list, or `MISSED`."""
        ...


MISSED: Any = object()
"""Given in place of the result for an object that is not as expected."""


class Compilation(Protocol):
    """What a field needs of the operation that it belongs to, a `selections.Variant`."""

    @property
    def resolvers(self) -> FieldResolvers:
        """How the fields of the schema are resolved."""
        ...

    def selection(self, type_: GraphQLObjectType, details: list[FieldDetails]) -> Execute | None:
        """A function that executes the fields `details` on an object of `type_`; None beyond the grant."""
        ...

    def rows(self, type_: GraphQLObjectType, details: list[FieldDetails]) -> RowsReader | None:
        """What completes rows of objects of `type_` whose `selection` was compiled; None where objects are needed."""
        ...


class Field(NamedTuple):
    """One field of an object type as an operation selects it."""

    parent: GraphQLObjectType
    key: str
    definition: Any  # a GraphQLField; its types are partial
    details: list[FieldDetails]
    nodes: list[FieldNode]
    variant: Compilation

    @property
    def name(self) -> str:
        """Its name in the schema."""
        return self.nodes[0].name.value


def path_of(place: PathNode) -> Any:
    """`place` as graphql-core's `Path`, or None."""
    if place is None or type(place) is Path:
        return place
    return Path(path_of(place[0]), place[1], place[2])


class Guard:
    """Completes values of one type at one place in the document, and puts errors where they belong.

    An object with methods rather than closures: there is one for each field of each document that is kept.
    """

    __slots__ = ("complete", "details", "trusted", "type_")

    def __init__(self, type_: Any, details: list[FieldDetails], complete: Complete, trusted: type | None) -> None:
        """Guard what `complete` does with values of `type_`; those of the class `trusted` are not awaitable."""
        self.type_ = type_
        self.details = details
        self.complete = complete
        self.trusted = trusted

    def give(self, run: Run, value: Any, here: PathNode) -> Any:
        """Complete `value` at the place `here`, or return a coroutine that does."""
        kind: Any = type(value)  # pyright: ignore[reportUnknownVariableType] - of anything
        try:
            if kind is COROUTINE or (kind is not self.trusted and kind not in PLAIN and run.is_awaitable(value)):
                return self.await_value(run, value, here)
            completed = self.complete(run, value, here)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with it
            return self.fail(run, error, here)
        return self.await_completed(run, completed, here) if type(completed) is COROUTINE else completed

    def fail(self, run: Run, error: Exception, here: PathNode) -> None:
        """Note `error` where null may stand, else raise it."""
        run.handle_field_error(error, self.type_, self.details, path_of(here))

    async def await_value(self, run: Run, value: Any, here: PathNode) -> Any:
        """Await a value and complete it."""
        try:
            completed = self.complete(run, await value, here)
            return await completed if type(completed) is COROUTINE else completed
        except Exception as error:  # noqa: BLE001 - whatever a resolver raises
            return self.fail(run, error, here)

    async def await_completed(self, run: Run, completed: Any, here: PathNode) -> Any:
        """Await a value that is being completed."""
        try:
            return await completed
        except Exception as error:  # noqa: BLE001 - the same
            return self.fail(run, error, here)


def info_of(run: Run, field: Field, place: PathNode) -> Any:
    """The info that graphql-core passes to a resolver, for the field at `place`."""
    while place is not None and type(place[1]) is int:
        place = place[0]
    return run.build_resolve_info(field.definition, field.nodes, field.parent, path_of(place))


async def gather_all(coroutines: Sequence[Any]) -> list[Any]:
    """Run them concurrently; the first error cancels the others (graphql-core's `gather_with_cancel`)."""
    create = get_running_loop().create_task
    tasks = [create(one) for one in coroutines]
    try:
        return await gather(*tasks)
    except Exception:
        for task in tasks:
            if not task.done():
                task.cancel()
        await gather(*tasks, return_exceptions=True)
        raise


async def awaited(results: Any, waiting: Sequence[Any]) -> Any:
    """`results`, after awaiting its entries at `waiting`."""
    if len(waiting) == 1:  # needs no task
        (one,) = waiting
        results[one] = await results[one]
    else:
        for one, result in zip(waiting, await gather_all([results[one] for one in waiting]), strict=True):
            results[one] = result
    return results
