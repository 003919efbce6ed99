"""The normal form of an operation: what is left of a document when nothing counts that cannot change its answer.

Two texts have the same form if they differ in white space, commas and comments, in how a string is quoted, in the order
of variables, arguments, input fields or fragments, or in the operations beside this one. The order of selections
counts, because an answer has it, too; and so does a name.

Source: GraphQL specification: 2.1.7, insignificant tokens; 2.6 and 2.10.8, arguments and input fields are unordered.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, cast

from graphql import FragmentDefinitionNode, Node

if TYPE_CHECKING:
    from collections.abc import Sequence

    from graph.endpoint.document import Operation, Prepared

_UNORDERED = frozenset({"arguments", "fields", "variable_definitions"})
_INSIGNIFICANT = frozenset({"loc", "description", "block"})


def form_of(prepared: Prepared, operation: Operation) -> str:
    """The SHA-256 of the normal form of `operation`, one of `prepared`, in hexadecimal; found once."""
    if operation.form is None:
        definitions = prepared.document.definitions if prepared.document is not None else ()
        fragments = [one for one in definitions if isinstance(one, FragmentDefinitionNode)]
        try:
            form = repr((_plain(operation.node), _sorted(fragments)))
        except RecursionError:
            form = prepared.text
        operation.form = hashlib.sha256(form.encode()).hexdigest()
    return operation.form


def _plain(part: Any) -> object:
    """`part` of a syntax tree as tuples."""
    if isinstance(part, Node):
        members = [
            _sorted(value) if (value := getattr(part, name)) and name in _UNORDERED else _plain(value)
            for name in part.keys
            if name not in _INSIGNIFICANT
        ]
        return (part.kind, *members)
    return tuple(map(_plain, cast("Sequence[Any]", part))) if isinstance(part, (list, tuple)) else part


def _sorted(parts: Sequence[Any]) -> object:
    """Nodes whose order does not count, by their names."""
    return sorted(map(_plain, parts), key=repr)
