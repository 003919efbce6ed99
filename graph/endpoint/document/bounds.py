"""The limits on what a request may ask of the endpoint, as one value.

Every limit has its own error code, so that a client knows what to change. `docs/endpoint.md` lists them with their
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
    """Seconds that a client has to send its body."""
    files: int = 10
    """Files in one form (`http.uploads`)."""
    file: int = 32 << 20
    """Bytes of a file."""
    form: int = 64 << 20
    """Bytes of a form with all its files."""
    form_timeout: float = 300.0
    """Seconds that a client has to send a form, never pausing for `body_timeout`."""
    spool: int = 1 << 30
    """Bytes that the files of all forms of a process may take at a time."""
    json_depth: int = 64
    """Levels of arrays and objects in a body."""
    tokens: int = 1_000
    """Lexical tokens of a document; the same number of comments is allowed in addition."""
    depth: int = 10
    """Nesting depth of fields, with fragments expanded. Introspection is bounded by its cost instead."""
    aliases: int = 15
    """Aliases, with fragments expanded."""
    directives: int = 50
    """Directives, with fragments expanded."""
    complexity: int = 5_000
    """Cost of an operation: fields times the lengths of the lists that they are in (`cost_plan.CostPlan`)."""
    batch: int = 10
    """Operations in one request."""
    page: int = 100
    """The largest `first` or `last`."""
    deadline: float = 10.0
    """Seconds that an operation may run; after that it is cancelled, including its SQL statement."""
    introspection: bool = True
    """Whether `__schema` and `__type` may be selected."""
    errors: int = 20
    """Validation errors that are reported at most."""

    @property
    def batch_tokens(self) -> int:
        """Lexical tokens of all documents of a batch that are not known yet."""
        return self.tokens + self.tokens // 2
