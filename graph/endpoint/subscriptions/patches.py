"""The JSON of an answer in pieces: what is pending, what has come, what is complete.

Sources: the specification's incremental delivery, as GraphQL.js 17 has it since its alpha.9 and Apollo Client's
`GraphQL17Alpha9Handler` reads it (https://specs.apollo.dev/incremental/v0.2/); and the draft of August 2022, which
Apollo Client 3 and `Defer20220824Handler`, urql, and Relay's networks read (https://specs.apollo.dev/incremental/v0.1/).
graphql-core makes pieces of the first kind; `Legacy` writes them in the second, which is for clients that say nothing.
Strawberry's own views have a third: `LikeStrawberry` writes it for front ends that were made for those.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, Any, NamedTuple, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from graphql import GraphQLError
    from graphql.execution import InitialIncrementalExecutionResult, SubsequentIncrementalExecutionResult

_Members = dict[str, Any]


class PiecesFormat(Enum):
    """How pieces are written."""

    SPECIFIED = auto()
    LEGACY = auto()
    """As the draft of August 2022 has it."""
    STRAWBERRY = auto()
    """As Strawberry's views write them."""
    STRAWBERRY_MULTIPART = auto()
    """The same over multipart, where they show nothing of extensions."""


def errors_of(piece: InitialIncrementalExecutionResult | SubsequentIncrementalExecutionResult) -> list[GraphQLError]:
    """All errors of one piece, in the order in which `members` shows them."""
    parts: list[Any] = [piece, *(getattr(piece, "incremental", None) or ()), *(getattr(piece, "completed", None) or ())]
    return [error for part in parts for error in getattr(part, "errors", None) or ()]


def members(
    piece: InitialIncrementalExecutionResult | SubsequentIncrementalExecutionResult, shown: Sequence[_Members]
) -> _Members:
    """One piece as the specification has it, with its errors as `shown`."""
    left = iter(shown)
    made: _Members = {}

    def with_errors(part: Any, **facts: Any) -> _Members:
        errors = [next(left) for _ in getattr(part, "errors", None) or ()]
        return {**facts, "errors": errors} if errors else facts

    whole: Any = piece
    made |= with_errors(whole)
    if hasattr(whole, "data"):
        made["data"] = whole.data
    if whole.pending:
        made["pending"] = [_pending(one) for one in whole.pending]
    for one in getattr(whole, "incremental", None) or ():
        value = {"items": one.items} if hasattr(one, "items") else {"data": one.data}
        place = {"subPath": one.sub_path} if getattr(one, "sub_path", None) else {}
        made.setdefault("incremental", []).append(with_errors(one, id=one.id, **place, **value))
    for one in getattr(whole, "completed", None) or ():
        made.setdefault("completed", []).append(with_errors(one, id=one.id))
    if whole.extensions:
        made["extensions"] = whole.extensions
    made["hasNext"] = whole.has_next
    return made


def _pending(one: Any) -> _Members:
    label = {"label": one.label} if one.label is not None else {}
    return {"id": one.id, "path": one.path, **label}


class _Pending(NamedTuple):
    """A fragment or a list that is to come."""

    path: list[str | int]
    label: _Members


class Legacy:
    """Writes pieces in the format of August 2022: each names its path, and nothing is announced.

    Items of a list tell the index that they begin at, so what has come is followed here, as the client follows it.
    Fields that two fragments share come once, so a fragment may have no piece of its own; an empty one tells of it.
    """

    def __init__(self) -> None:
        self._pending: dict[str, _Pending] = {}
        self._told: set[str] = set()
        self._data: Any = None

    def __call__(self, piece: _Members) -> _Members:
        """The same `piece` in that format."""
        for one in piece.get("pending", ()):
            label = {"label": one["label"]} if "label" in one else {}
            self._pending[one["id"]] = _Pending(one["path"], label)
        kept = {name: value for name, value in piece.items() if name in {"data", "errors", "extensions", "hasNext"}}
        if "data" in piece:
            self._data = piece["data"]
        patches = [self._patch(one) for one in piece.get("incremental", ())]
        for one in piece.get("completed", ()):
            patches += self._complete(one)
        return {**kept, "incremental": patches} if patches else kept

    def _patch(self, one: _Members) -> _Members:
        path, label = self._pending[one["id"]]
        self._told.add(one["id"])
        errors = {"errors": one["errors"]} if "errors" in one else {}
        path = [*path, *one.get("subPath", ())]
        place: Any = _at(self._data, path)
        if "items" in one:
            begins = len(place)
            place.extend(one["items"])
            return {"items": one["items"], "path": [*path, begins], **label, **errors}
        _merge(place, one["data"])
        return {"data": one["data"], "path": path, **label, **errors}

    def _complete(self, one: _Members) -> list[_Members]:
        path, label = self._pending.pop(one["id"])
        told = one["id"] in self._told
        self._told.discard(one["id"])
        place: Any = _at(self._data, path)
        streamed = isinstance(place, list)
        if "errors" in one:
            if streamed:
                return [
                    {"items": None, "path": [*path, len(cast("list[Any]", place))], **label, "errors": one["errors"]}
                ]
            return [{"data": None, "path": path, **label, "errors": one["errors"]}]
        return [] if told or streamed else [{"data": {}, "path": path, **label}]


def _at(data: Any, path: Sequence[str | int]) -> Any:
    for step in path:
        data = data[step]
    return data


def _merge(into: _Members, more: _Members) -> None:
    for name, value in more.items():
        before = into.get(name)
        if isinstance(before, dict) and isinstance(value, dict):
            _merge(cast("_Members", before), cast("_Members", value))
        else:
            into[name] = value


class LikeStrawberry:
    """Writes pieces as Strawberry's views do: those of the specification, with what is pending told again in each.

    A list's path is without an index, and what there is none of is null.
    """

    def __init__(self, *, extended: bool = True) -> None:
        """Show results of extensions where they are `extended`."""
        self._pending: dict[str, _Pending] = {}
        self._extended = extended

    def __call__(self, piece: _Members) -> _Members:
        """The same `piece` in that format."""
        for one in piece.get("pending", ()):
            self._pending[one["id"]] = _Pending(one["path"], {"label": one.get("label")})
        told = {"extensions": None, **piece} if self._extended else {**piece, "extensions": None}
        if "incremental" in piece:
            told["incremental"] = [self._placed(one) for one in piece["incremental"]]
        return told

    def _placed(self, one: _Members) -> _Members:
        path, label = self._pending[one["id"]]
        return {**one, "path": path, **label}


def as_specified(piece: _Members) -> _Members:
    """A piece as it is."""
    return piece


def writer(form: PiecesFormat) -> Callable[[_Members], _Members]:
    """What writes the pieces of one answer."""
    match form:
        case PiecesFormat.SPECIFIED:
            return as_specified
        case PiecesFormat.LEGACY:
            return Legacy()
        case PiecesFormat.STRAWBERRY:
            return LikeStrawberry()
        case PiecesFormat.STRAWBERRY_MULTIPART:
            return LikeStrawberry(extended=False)
