"""Resuming a subscription after a cursor that came beside the document: the ``Last-Event-ID`` of an EventSource.

A browser that lost the connection sends the same request again with that header, so the header wins over a cursor in
the request. Where the document gives its root field no cursor, one is spliced in; the new document is prepared in
pieces, as every document is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from graphql import FieldNode, FragmentSpreadNode, InlineFragmentNode, OperationType, VariableNode

from graph.endpoint.declare import Live, live_of

if TYPE_CHECKING:
    from graphql import OperationDefinitionNode, SelectionSetNode

    from graph.endpoint.document import Prepared
    from graph.endpoint.execution import Engine, Ready

_VARIABLE = "lastEventId"


def promise_of(engine: Engine[Any], ready: Ready) -> tuple[Live, FieldNode | None]:
    """What the root field of a subscription promises, and its selection; a query's promises nothing."""
    root = engine.subscription if ready.operation.kind is OperationType.SUBSCRIPTION else None
    node = _root_field(ready.prepared, ready.operation.node.selection_set)
    if root is None or node is None or node.name.value not in root.fields:
        return Live(), node
    return live_of(root.fields[node.name.value]), node


def _root_field(prepared: Prepared, selections: SelectionSetNode) -> FieldNode | None:
    """The one root field; fragments may stand around it."""
    for node in selections.selections:
        if isinstance(node, FieldNode):
            return node
        if isinstance(node, InlineFragmentNode):
            return _root_field(prepared, node.selection_set)
        name = cast("FragmentSpreadNode", node).name.value
        document: Any = prepared.document
        for definition in document.definitions:
            if definition.kind == "fragment_definition" and definition.name.value == name:
                return _root_field(prepared, definition.selection_set)
    return None


async def resumed(engine: Engine[Any], ready: Ready, cursor: str) -> Ready:
    """`ready`, resuming after `cursor`; unchanged where the field takes none."""
    changed, text = _resuming(engine, ready, cursor)
    return changed if text is None else _respelled(ready, await engine.operations.prepared(text), changed)


def resumed_at_once(engine: Engine[Any], ready: Ready, cursor: str) -> Ready:
    """The same without waiting, for what is under way and changes hands."""
    changed, text = _resuming(engine, ready, cursor)
    return changed if text is None else _respelled(ready, engine.operations.prepare(text), changed)


def _respelled(ready: Ready, prepared: Prepared, changed: Ready) -> Ready:
    """`changed` with the document that was `prepared` for it, unless that is wrong."""
    if prepared.errors:  # it has a variable of that name already, or is now over a bound
        return ready
    return changed._replace(prepared=prepared, operation=prepared.select(ready.operation.name))


def _resuming(engine: Engine[Any], ready: Ready, cursor: str) -> tuple[Ready, str | None]:
    """`ready` with the variables that it resumes with; and its text with the cursor in it, if it is not there yet."""
    promise, node = promise_of(engine, ready)
    if promise.cursor is None or node is None or engine.subscription is None:
        return ready, None
    variables = dict(ready.request.variables or {})
    present = next((a for a in node.arguments or () if a.name.value == promise.cursor), None)
    if present is not None and isinstance(present.value, VariableNode):
        variables[present.value.name.value] = cursor
        return ready._replace(request=ready.request._replace(variables=variables)), None
    kind = engine.subscription.fields[node.name.value].args[promise.cursor].type
    edits = [_definition(ready.operation.node, f"${_VARIABLE}: {kind}")]
    if present is not None:
        edits.append((*_span(present.value), f"${_VARIABLE}"))
    elif node.arguments:
        start, _ = _span(node.arguments[0])
        edits.append((start, start, f"{promise.cursor}: ${_VARIABLE} "))
    else:
        _, end = _span(node.name)
        edits.append((end, end, f"({promise.cursor}: ${_VARIABLE})"))
    variables[_VARIABLE] = cursor
    changed = ready._replace(request=ready.request._replace(variables=variables))
    return changed, _spliced(ready.prepared.text, edits)


def _definition(operation: OperationDefinitionNode, text: str) -> tuple[int, int, str]:
    """The edit that inserts the definition of a variable."""
    if operation.variable_definitions:
        start, _ = _span(operation.variable_definitions[0])
        return start, start, f"{text} "
    if operation.name is not None:
        _, end = _span(operation.name)
    else:
        end = _span(operation)[0] + len(operation.operation.value)
    return end, end, f"({text})"


def _span(node: Any) -> tuple[int, int]:
    return node.loc.start, node.loc.end


def _spliced(text: str, edits: list[tuple[int, int, str]]) -> str:
    """`text` with each ``(start, end, replacement)`` made, the last first so that the others keep their places."""
    for start, end, replacement in sorted(edits, reverse=True):
        text = text[:start] + replacement + text[end:]
    return text
