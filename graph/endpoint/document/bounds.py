"""The limits within which the endpoint does work, as one value.

Every limit has a code of its own, so that a client knows what to change. `docs/endpoint.md` lists them with their
settings; the defaults suit a public API.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bounds:
    """Sizes are bytes and counts, durations seconds."""

    body: int = 100_000
    """Bytes of a request body, and of a GET's query string."""
    body_timeout: float = 10.0
    """Seconds a client has to send its body."""
    json_depth: int = 64
    """Levels of arrays and objects in a body."""
    tokens: int = 1_000
    """Lexical tokens of a document; as many comments are let through beside them."""
    depth: int = 10
    """Fields nested in one another, fragments spread out. Introspection is bounded by its cost instead."""
    aliases: int = 15
    """Aliases, fragments spread out."""
    directives: int = 50
    """Directives, fragments spread out."""
    complexity: int = 5_000
    """Cost of an operation: fields times the sizes of the lists that they stand in (`plan.Plan`)."""
    batch: int = 10
    """Operations in one request."""
    page: int = 100
    """What `first` and `last` may ask for."""
    deadline: float = 10.0
    """Seconds that an operation may run; then it is cancelled, its SQL statement included."""
    introspection: bool = True
    """Whether `__schema` and `__type` may be asked for."""
    errors: int = 20
    """Errors of validation that are reported."""
