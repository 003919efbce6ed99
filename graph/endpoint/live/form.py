"""The normal form of an operation: what is left of a document when nothing counts that cannot change its answer.

Two texts have the same form if they differ in white space, commas and comments, in how a string is quoted, in the order
of variables, arguments, input fields or fragments, in the operations beside this one, or in what `@live` asks for, with
the variables that nothing else has. The order of selections counts, because an answer has it, too; and so does a name.

Source: GraphQL specification: 2.1.7, insignificant tokens; 2.6 and 2.10.8, arguments and input fields are unordered.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from graphql import FragmentDefinitionNode, Node, VariableNode

from graph.endpoint.declare import LIVE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from graphql import OperationDefinitionNode

    from graph.endpoint.document import Operation, Prepared

_UNORDERED = frozenset({"arguments", "fields"})
_INSIGNIFICANT = frozenset({"loc", "description", "block"})


class NormalForm(NamedTuple):
    """The SHA-256 of a normal form, in hexadecimal, and the variables that the answer may depend on."""

    digest: str
    variables: frozenset[str]


def form_of(prepared: Prepared, operation: Operation) -> NormalForm:
    """The form of `operation`, one of `prepared`; found once."""
    if operation.form is None:
        node = operation.node
        definitions = prepared.document.definitions if prepared.document is not None else ()
        fragments = [one for one in definitions if isinstance(one, FragmentDefinitionNode)]
        try:
            form, used = _read(node, fragments)
        except RecursionError:
            form = f"{operation.name}\0{prepared.text}"
            used = {one.variable.name.value for one in node.variable_definitions or ()}
        operation.form = NormalForm(hashlib.sha256(form.encode()).hexdigest(), frozenset(used))
    return cast("NormalForm", operation.form)


def _read(node: OperationDefinitionNode, fragments: Sequence[FragmentDefinitionNode]) -> tuple[str, set[str]]:
    """The form in full, and the variables that it uses."""
    used = set[str]()
    directives = [one for one in node.directives or () if one.name.value != LIVE.name]
    body = (_plain(node.selection_set, used), _plain(directives, used), _sorted(fragments, used))
    declared = [one for one in node.variable_definitions or () if one.variable.name.value in used]
    return repr((_plain(node.name, used), body, _sorted(declared, set()))), used


def _plain(part: Any, used: set[str]) -> object:
    """`part` of a syntax tree as tuples; `used` gets the names of its variables."""
    if isinstance(part, VariableNode):
        used.add(part.name.value)
    if isinstance(part, Node):
        members = [
            _sorted(value, used) if (value := getattr(part, name)) and name in _UNORDERED else _plain(value, used)
            for name in part.keys
            if name not in _INSIGNIFICANT
        ]
        return (part.kind, *members)
    if isinstance(part, (list, tuple)):
        return tuple(_plain(one, used) for one in cast("Sequence[Any]", part))
    return part


def _sorted(parts: Iterable[Any], used: set[str]) -> object:
    """Nodes whose order does not count, by their names."""
    return sorted((_plain(one, used) for one in parts), key=repr)
