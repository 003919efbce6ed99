"""What the fast lane knows about a request before Redis has replied, and its result."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson
from graphql import GraphQLInputObjectType, GraphQLInterfaceType, GraphQLObjectType, print_type

from graph.endpoint.declare import Scope, core_of
from graph.endpoint.document import Policy
from graph.endpoint.identity import PUBLIC
from graph.endpoint.observe import FACTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from graphql import GraphQLNamedType
    from starlette.requests import HTTPConnection
    from strawberry import Schema

    from graph.endpoint.document import Operation, OperationRequest, Prepared
    from graph.endpoint.execution import Answer
    from graph.endpoint.identity import Caller
    from graph.patterns.cache import Look
    from graph.patterns.client import Command, Replies
    from graph.patterns.limiter import Charge

_CONTROL = {
    Scope.PUBLIC: {"cache-control": "public, max-age=0, must-revalidate", "vary": "Accept, Origin, Accept-Encoding"},
    Scope.VIEWER: {
        "cache-control": "private, max-age=0, must-revalidate",
        "vary": "Accept, Origin, Accept-Encoding, Authorization, Cookie",
    },
}


@dataclass(slots=True)
class Fast:
    """The result of the fast lane: bytes to send, or the schema's `answer`."""

    body: bytes | None = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    answer: Answer | None = None
    approach: Approach | None = None
    """How the lane went about the request whose answer these bytes are."""
    name: str | None = None
    """The name of the bytes, if they are kept and may be sent again."""
    kept: bool = False
    """Whether they were made before, for another request."""


@dataclass(frozen=True)
class Asked:
    """An operation that the lane can take."""

    prepared: Prepared
    operation: Operation
    policy: Policy
    cost: int
    weight: int
    name: bytes | None
    """Identifies the operation's answers, apart from the caller; None if they may not be kept."""

    def key(self, sender: Sender) -> str | None:
        """The key of its answer: everybody's, or the sender's own; None if it may not be kept."""
        if self.policy.scope is Scope.PUBLIC:
            return self._public
        owner = sender.owner
        return None if self.name is None or owner is None else _digest(self.name + owner.encode())

    @cached_property
    def _public(self) -> str | None:
        return None if self.name is None else _digest(self.name + PUBLIC.encode())


class Question(NamedTuple):
    """What a request asks for, regardless of the caller."""

    request: OperationRequest
    asked: Asked


class Sender(NamedTuple):
    """The sender of a request, as far as the request itself tells.

    `session` are the commands that check its session, if it names one; `guard` is the key that exists as long as the
    session does. Until the replies arrive, a session that may be alive is assumed to be alive.
    """

    caller: Caller
    session: tuple[Command, ...]
    guard: str | None

    @property
    def owner(self) -> str | None:
        """Whose private answers these are: of a session, or of the user whom the token itself tells; None of nobody."""
        if self.guard is not None:
            return f"session {self.guard}"
        return f"user {self.caller.user}" if self.caller.user and not self.session else None


class Toll(NamedTuple):
    """What a sender is charged for an operation that is executed: `commands` check its session and charge it."""

    weight: int
    charges: tuple[Charge, ...]
    commands: tuple[Command, ...]


class Approach(NamedTuple):
    """What the lane asks for a request: `commands` check the session, if it names one, and make the `charges`.

    It `stays` if whoever waits for the answer is not cancelled when the client leaves.
    """

    question: Question
    sender: Sender
    charges: tuple[Charge, ...]
    key: str
    commands: tuple[Command, ...]
    stays: bool = False


class Looked(NamedTuple):
    """A look at an entry: the replies to its commands are those from `place` on."""

    look: Look
    replies: Replies
    place: int


class Arrival(NamedTuple):
    """How a request came: its method, and where facts for its line in the access log go."""

    method: str
    facts: dict[str, Any] | None


def arrival_of(connection: HTTPConnection) -> Arrival:
    """How the request `connection` came; one whose scope is dear has it as its ``arrival``."""
    known: Arrival | None = vars(connection).get("arrival")
    return known or Arrival(connection.scope["method"], connection.scope.get(FACTS))


def name_of(realm: bytes, prepared: Prepared, operation: Operation, request: OperationRequest) -> bytes | None:
    """A name that identifies the answers of an operation of a `realm`; None if they may not be kept."""
    assert isinstance(operation.policy, Policy)
    given = request.variables or {}
    used = {name: given[name] for name in operation.policy.variables if name in given}
    try:
        variables = orjson.dumps(used, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # an integer that no variable may be
        return None
    return b"\0".join((realm, prepared.digest.encode(), (operation.name or "").encode(), variables, b""))


def realm_of(schema: Schema, name: str) -> bytes:
    """Where the answers of `schema` are valid: in every process that has the same one, and says the same `name`.

    The same is what has the same types, and roots of the same classes. The order of types counts for nothing.
    """
    core = core_of(schema)
    roots = (f"{kind.__module__}.{kind.__qualname__}" for kind in (schema.query, schema.mutation) if kind is not None)
    parts = sorted(_shown(kind) for kind in core.type_map.values())
    return hashlib.blake2b("\0".join((name, *roots, *parts)).encode(), digest_size=16).digest()


def _shown(kind: GraphQLNamedType) -> str:
    """The definition of `kind`, without defaults where one cannot be printed, as Strawberry's own of type `JSON`."""
    try:
        return print_type(kind)
    except Exception:  # noqa: BLE001 - a scalar of the app's writes the default
        if not isinstance(kind, (GraphQLObjectType, GraphQLInterfaceType, GraphQLInputObjectType)):
            return kind.name
        fields: Mapping[str, Any] = kind.fields
        shown = (f"{name}: {field.type} {_arguments(field)}" for name, field in fields.items())
        return "\n".join((f"{type(kind).__name__} {kind.name}", *shown))


def _arguments(field: Any) -> list[str]:
    return [f"{name}: {argument.type}" for name, argument in getattr(field, "args", {}).items()]


def _digest(name: bytes) -> str:
    return hashlib.blake2b(name, digest_size=16).hexdigest()


def matches(sent: str | None, etag: str) -> bool:
    """Whether ``If-None-Match`` names `etag` (RFC 9110, 13.1.2: weak comparison)."""
    if sent is None:
        return False
    opaque = etag.removeprefix("W/")
    return sent.strip() == "*" or any(one.strip().removeprefix("W/") == opaque for one in sent.split(","))


def control(scope: Scope, digest: str, age: int) -> dict[str, str]:
    """The headers for caches between here and the client."""
    return {**_CONTROL[scope], "age": str(age), "etag": f'W/"{digest}"'}
