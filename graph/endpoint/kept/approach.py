"""What the fast lane knows about a request before Redis has replied, and its result."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import orjson

from graph.endpoint.declare import Scope
from graph.endpoint.document import Policy
from graph.endpoint.identity import PUBLIC

if TYPE_CHECKING:
    from collections.abc import Mapping

    from graph.endpoint.document import Operation, OperationRequest, Prepared
    from graph.endpoint.execution import Answer
    from graph.endpoint.identity import Caller
    from graph.patterns.client import Command
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
    """What the lane asks for a request: `commands` check the session, if it names one, and make the `charges`."""

    question: Question
    sender: Sender
    charges: tuple[Charge, ...]
    key: str
    commands: tuple[Command, ...]


def name_of(prepared: Prepared, operation: Operation, request: OperationRequest) -> bytes | None:
    """A name that identifies the answers of an operation; None if they may not be kept."""
    assert isinstance(operation.policy, Policy)
    given = request.variables or {}
    used = {name: given[name] for name in operation.policy.variables if name in given}
    try:
        variables = orjson.dumps(used, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # an integer that no variable may be
        return None
    return b"\0".join((prepared.digest.encode(), (operation.name or "").encode(), variables, b""))


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
