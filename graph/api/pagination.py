"""What connections and their resolvers share: page info, optional arguments, the selection below a field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

import strawberry
from graphql import BooleanValueNode, FieldNode, FragmentSpreadNode, InlineFragmentNode, VariableNode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from graphql import GraphQLResolveInfo, SelectionNode, SelectionSetNode


T = TypeVar("T")


@strawberry.type(description="The position of a page in its list (Relay).")
class PageInfo:
    has_next_page: bool = strawberry.field(description="Whether more follows.")
    has_previous_page: bool = strawberry.field(description="Whether more precedes.")
    start_cursor: str | None = strawberry.field(description="Cursor of the first edge.")
    end_cursor: str | None = strawberry.field(description="Cursor of the last edge.")


def given(value: T | None) -> T | None:
    """Return an optional argument's value; None if it was left out (which the schema distinguishes from null)."""
    return None if value is strawberry.UNSET else value


def selects(info: strawberry.Info[Any, Any], *path: str) -> bool:
    """Whether the operation selects the field at `path` below the one being resolved, through fragments or not.

    ``@skip`` and ``@include`` are obeyed. Each level takes time linear in the document; Strawberry's `selected_fields`
    expands each fragment at each spread, which is exponential for nested fragments.
    """
    raw, level = _below(info)
    for name in path:
        level = [node.selection_set for node in _fields(raw, level) if node.name.value == name]
    return bool(level)


def mentions(info: strawberry.Info[Any, Any], *names: str) -> bool:
    """Whether the operation selects a field of one of `names` anywhere below the one being resolved; see `selects`."""
    raw, level = _below(info)
    while level:
        fields = list(_fields(raw, level))
        if any(node.name.value in names for node in fields):
            return True
        level = [node.selection_set for node in fields]
    return False


def _below(info: strawberry.Info[Any, Any]) -> tuple[GraphQLResolveInfo[Any], list[SelectionSetNode | None]]:
    """What graphql-core tells of the field being resolved, and the selections below it."""
    # Strawberry offers no other access to the document, and does not type what its info wraps.
    raw: GraphQLResolveInfo[Any] = getattr(info, "_raw_info")  # noqa: B009 - pyright cannot know its type
    return raw, [node.selection_set for node in raw.field_nodes]


def _fields(info: GraphQLResolveInfo[Any], sets: Iterable[SelectionSetNode | None]) -> Iterator[FieldNode]:
    """Yield the fields of all `sets`; each fragment is entered once."""
    stack = [one for one in sets if one is not None]
    entered: set[str] = set()
    while stack:
        for node in stack.pop().selections:
            if not _included(info, node):
                continue
            if isinstance(node, FieldNode):
                yield node
            elif isinstance(node, InlineFragmentNode):
                stack.append(node.selection_set)
            elif isinstance(node, FragmentSpreadNode) and node.name.value not in entered:
                entered.add(node.name.value)
                stack.append(info.fragments[node.name.value].selection_set)


def _included(info: GraphQLResolveInfo[Any], node: SelectionNode) -> bool:
    for directive in node.directives or ():
        wanted = {"include": True, "skip": False}.get(directive.name.value)
        if wanted is None:
            continue
        value = directive.arguments[0].value if directive.arguments else None
        given: Any = value.value if isinstance(value, BooleanValueNode) else None
        if isinstance(value, VariableNode):
            given = cast("dict[str, Any]", info.variable_values).get(value.name.value)
        if given is not wanted:
            return False
    return True
