"""The product's schema, made once for all tests of a process that are not about how it is made.

To make one takes a tenth of a second, longer than most of those tests. What differs from one endpoint to another, the
extensions, is each copy's own; the types behind it are never written to.
"""

from __future__ import annotations

from contextlib import contextmanager
from copy import copy
from functools import cache
from typing import TYPE_CHECKING
from unittest.mock import patch

from graph.api.schema import build_schema
from graph.product import APP

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    import strawberry
    from strawberry.extensions import SchemaExtension

    from graph.feature import App


@cache
def _made() -> strawberry.Schema:
    return build_schema()


def one_schema(app: App = APP, *, extensions: Iterable[Callable[[], SchemaExtension]]) -> strawberry.Schema:
    """What ``build_schema(extensions=extensions)`` gives."""
    if app is not APP:
        return build_schema(app, extensions=extensions)
    schema = copy(_made())
    schema.extensions = tuple(extensions)
    return schema


@contextmanager
def schema_made_once() -> Generator[None]:
    """`create_app` serves `one_schema` within the block."""
    with patch("graph.app.build_schema", one_schema):
        yield
