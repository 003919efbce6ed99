"""What all closures of a compiled operation share: where they stand, what they are given, how they await."""

from __future__ import annotations

from asyncio import gather, get_running_loop
from types import CoroutineType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from graphql.pyutils import Path

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from graphql import FieldNode, GraphQLObjectType
    from graphql.execution.collect_fields import FieldDetails

    from graph.endpoint.compiled.selections import Variant

Place: TypeAlias = "tuple[Any, str | int, str | None] | None"
"""Where a value stands: what graphql-core's `Path` holds, as a plain tuple (cheaper to make); None is the root."""

Run: TypeAlias = Any
"""The executor of one operation: `executor.CompiledExecutor` joined with the schema's own class."""

Complete: TypeAlias = "Callable[[Run, Any, Place], Any]"

PLAIN = frozenset({type(None), bool, int, float, str, bytes, bytearray, list, tuple, dict, set, frozenset})
"""Types that Strawberry's `optimized_is_awaitable` knows not to be awaitable."""

COROUTINE: Any = CoroutineType


class Field(NamedTuple):
    """One field of an object type as an operation selects it."""

    parent: GraphQLObjectType
    key: str
    definition: Any  # a GraphQLField; its types are partial
    details: list[FieldDetails]
    nodes: list[FieldNode]
    variant: Variant

    @property
    def name(self) -> str:
        """Its name in the schema."""
        return self.nodes[0].name.value


def path_of(place: Place) -> Any:
    """`place` as graphql-core has it."""
    if place is None or type(place) is Path:
        return place
    return Path(path_of(place[0]), place[1], place[2])


def info_of(run: Run, field: Field, place: Place) -> Any:
    """What graphql-core tells a resolver, for the field in which `place` stands."""
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
    """`results`, once its entries at `waiting` are there."""
    if len(waiting) == 1:  # no need of a task
        (one,) = waiting
        results[one] = await results[one]
    else:
        for one, result in zip(waiting, await gather_all([results[one] for one in waiting]), strict=True):
            results[one] = result
    return results
