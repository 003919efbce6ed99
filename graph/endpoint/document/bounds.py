"""The limits on what a request may ask of the endpoint, as one value.

Every limit has its own error code, so that a client knows what to change. `docs/endpoint.md` lists them with their
settings. Three sets of them are ready: the defaults, which take nearly everything that a large front end sends (of the
453 operations of Saleor's dashboard all but 4), `Bounds.public` and `Bounds.trusted`.

Trusted documents (`Persisted`) were written by whoever runs the server: no bound on what a document asks for holds for
them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any


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
    tokens: int = 2_000
    """Lexical tokens of a document; the same number of comments is allowed in addition."""
    depth: int = 12
    """Nesting depth of fields, with fragments expanded. Introspection is bounded by its cost instead."""
    aliases: int = 15
    """Aliases, with fragments expanded."""
    directives: int = 50
    """Directives, with fragments expanded."""
    complexity: int = 50_000
    """Cost of an operation: fields times the lengths of the lists that they are in (`cost_plan.CostPlan`)."""
    batch: int = 10
    """Operations in one request."""
    page: int = 100
    """The largest `first` or `last`."""
    deadline: float = 10.0
    """Seconds that an operation may run; after that it is cancelled, including its SQL statement."""
    introspection: bool = True
    """Whether `__schema` and `__type` may be selected."""
    queries_by_get: bool = True
    """Whether a GET may carry a query; a subscription it may carry anyway, as an `EventSource` can do nothing else."""
    errors: int = 20
    """Validation errors that are reported at most."""

    @classmethod
    def public(cls, **changes: Any) -> Bounds:
        """Strict, for an API that anybody may call and whose schema is made for it."""
        return replace(cls(tokens=1_000, depth=10, complexity=5_000), **changes)

    @classmethod
    def trusted(cls, **changes: Any) -> Bounds:
        """Wide, for clients that one writes oneself and that cannot name their documents."""
        wide = cls(
            body=1_000_000, tokens=10_000, depth=25, aliases=200, directives=500, complexity=1_000_000,
            batch=50, page=1_000, deadline=30.0,
        )  # fmt: skip
        return replace(wide, **changes)

    @property
    def batch_tokens(self) -> int:
        """Lexical tokens of all documents of a batch that are not known yet."""
        return self.tokens + self.tokens // 2
