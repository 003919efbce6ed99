"""One execution and one text of an event for all subscriptions that select the same of it, whatever they filter by.

Subscriptions with different arguments have sources of their own. Where a field declares `once` (`declare.live`), an
event that several of these sources yield as the same object is executed for the first one that gets to it; the others
take its text. Two subscriptions select the same if document, operation, and the variables below the field are the same.

A subscription never gets an execution that began before one it has had already: it would show an older state. Only
answers without an error that did not read who asks are kept, the newest `_ROOM` characters of them, and each only as
long as its event is there for another subscription to get to. Others go to the subscriptions that waited for the
execution, unless it read who asks: then each executes for itself, as it does if the one whose execution it waited for
has left.
"""

from __future__ import annotations

import asyncio
import weakref
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from graphql import FieldNode, FragmentDefinitionNode, InlineFragmentNode, ListValueNode, ObjectValueNode, VariableNode

from graph.endpoint.execution import encode

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator

    from graphql import ArgumentNode, DirectiveNode, SelectionNode, ValueNode

    from graph.endpoint.execution import Ready

Shape: TypeAlias = tuple[str, str | None, str]
"""What a subscription selects of an event: document, operation, the variables below the field."""

_ROOM = 4 << 20
_ENTRY = 512
"""Characters that an entry counts beside its text."""


class Execution(NamedTuple):
    """An execution's result as text."""

    text: str
    touched: bool
    """Whether it read who asks."""
    failed: bool
    """Whether it has errors."""
    turn: int = 0
    """Its place among all executions that began."""


class Once:
    """The newest texts of events, and the executions under way."""

    def __init__(self) -> None:
        """Start with none."""
        self._kept: OrderedDict[tuple[Shape, int], tuple[object, Execution]] = OrderedDict()  # with what watches the id
        self._size = 0
        self._running: dict[tuple[Shape, int], list[asyncio.Future[Execution | None]]] = {}
        self._turn = 0

    @property
    def kept_events(self) -> int:
        """How many texts are kept."""
        return len(self._kept)

    def kept(self, shape: Shape, event: object, since: int) -> Execution | None:
        """The execution of `event`, if there is one that did not begin before that of turn `since`."""
        found = self._kept.get((shape, id(event)))
        return None if found is None or found[1].turn < since else found[1]

    async def run(
        self, shape: Shape, event: object, execute: Callable[[], Awaitable[Execution]], since: int
    ) -> Execution:
        """The outcome of `execute`, which is not called while it is under way for another subscription.

        That of another subscription began not before that of turn `since`.
        """
        name = (shape, id(event))
        while (waiting := self._running.get(name)) is not None:
            other: asyncio.Future[Execution | None] = asyncio.get_running_loop().create_future()
            waiting.append(other)
            outcome = await other
            if outcome is not None and (outcome.touched or outcome.turn < since):
                return await self._begin(execute)
            if outcome is not None:
                return outcome
        if (kept := self.kept(shape, event, since)) is not None:
            return kept
        waiting = self._running[name] = []
        outcome = None
        try:
            outcome = await self._begin(execute)
            if not outcome.touched and not outcome.failed:
                self._keep(name, event, outcome)
            return outcome
        finally:
            del self._running[name]
            for other in waiting:
                if not other.done():
                    other.set_result(outcome)

    async def _begin(self, execute: Callable[[], Awaitable[Execution]]) -> Execution:
        self._turn += 1
        turn = self._turn
        return (await execute())._replace(turn=turn)

    def _keep(self, name: tuple[Shape, int], event: object, execution: Execution) -> None:
        self._forget(name)
        try:
            watching: object = weakref.ref(event, lambda _: self._forget(name))
        except TypeError:  # a tuple or the like: held, because another object could get its id
            watching = event
        self._kept[name] = (watching, execution)
        self._size += len(execution.text) + _ENTRY
        while self._size > _ROOM:
            _, (_, oldest) = self._kept.popitem(last=False)
            self._size -= len(oldest.text) + _ENTRY

    def _forget(self, name: tuple[Shape, int]) -> None:
        if (kept := self._kept.pop(name, None)) is not None:
            self._size -= len(kept[1].text) + _ENTRY


def shape_of(ready: Ready, field: FieldNode | None) -> Shape:
    """What `ready` selects of the events of its root `field`."""
    document: Any = ready.prepared.document
    used = set(_below(ready.operation.node.selection_set.selections, field))
    for definition in document.definitions:
        if isinstance(definition, FragmentDefinitionNode):
            used.update(_below(definition.selection_set.selections, field))
    given = {name: value for name, value in sorted((ready.request.variables or {}).items()) if name in used}
    return ready.prepared.digest, ready.operation.name, encode(given).decode()


def _below(selections: Iterable[SelectionNode], field: FieldNode | None) -> Iterator[str]:
    """The variables in `selections`, those in the arguments of `field` left out."""
    for selection in selections:
        yield from _in_directives(selection.directives)
        if isinstance(selection, FieldNode):
            if selection is not field:
                yield from _in_arguments(selection.arguments)
            if selection.selection_set is not None:
                yield from _below(selection.selection_set.selections, field)
        elif isinstance(selection, InlineFragmentNode):
            yield from _below(selection.selection_set.selections, field)


def _in_directives(directives: Iterable[DirectiveNode] | None) -> Iterator[str]:
    for directive in directives or ():
        yield from _in_arguments(directive.arguments)


def _in_arguments(arguments: Iterable[ArgumentNode] | None) -> Iterator[str]:
    for argument in arguments or ():
        yield from _in_value(argument.value)


def _in_value(value: ValueNode) -> Iterator[str]:
    if isinstance(value, VariableNode):
        yield value.name.value
    elif isinstance(value, ListValueNode):
        for one in value.values:
            yield from _in_value(one)
    elif isinstance(value, ObjectValueNode):
        for one in value.fields:
            yield from _in_value(one.value)
