"""Live queries: a query with `@live` is answered again whenever its answer has changed.

`LiveQueries` runs them for `subscriptions.Streams`, whatever transport carries them.
"""

from graph.endpoint.live.queries import LiveQueries

__all__ = ["LiveQueries"]
