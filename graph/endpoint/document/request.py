"""A client's request for an operation, the same from every transport."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

from graph.endpoint.errors import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping


T = TypeVar("T")


class OperationRequest(NamedTuple):
    """One operation to run. Its members have the right JSON types; nothing else has been checked."""

    query: str | None
    variables: Mapping[str, Any] | None
    operation_name: str | None
    extensions: Mapping[str, Any] | None
    document_id: str | None = None


def parse_operation(value: object) -> OperationRequest:
    """One operation from its JSON object; raises `Refusal` for a member of the wrong type, ignores unknown members.

    An empty `query` beside a hash or an id is none: graphql-ws and urql send one where they have no text. An empty
    `operationName`, which several IDEs send, is none either.
    """
    if not isinstance(value, dict):
        raise Refusal("BAD_REQUEST", "An operation is a JSON object.")
    members = cast("dict[str, Any]", value)
    query = _member(members, "query", str, "a string")
    extensions = cast("dict[str, Any] | None", _member(members, "extensions", dict, "an object"))
    document_id = _member(members, "documentId", str, "a string")
    if query == "" and (document_id is not None or (extensions and "persistedQuery" in extensions)):
        query = None
    return OperationRequest(
        query,
        _member(members, "variables", dict, "an object"),
        _member(members, "operationName", str, "a string") or None,
        extensions,
        document_id,
    )


def _member(members: Mapping[str, Any], name: str, kind: type[T], meaning: str) -> T | None:
    value = members.get(name)
    if value is not None and not isinstance(value, kind):
        raise Refusal("BAD_REQUEST", f"`{name}` must be {meaning} or null.")
    return value


def is_shallow(value: object, depth: int) -> bool:
    """Whether the JSON `value` is nested at most `depth` levels deep."""
    level: list[Any] = [value] if isinstance(value, (dict, list)) else []
    for _ in range(depth):
        below: list[Any] = []
        for one in level:
            below += cast("dict[str, Any]", one).values() if isinstance(one, dict) else one
        level = [one for one in below if isinstance(one, (dict, list))]
        if not level:
            return True
    return False
