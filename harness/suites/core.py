"""A pytest plugin for graphql-core's suite: what its own executors would execute is compiled, wherever it can be.

The suite's schemas are graphql-core's own, so the compiler is given an object with what it reads of Strawberry's
schema. Operations that `graph.library.Compiled` would leave to graphql-core are left to it here, too. With
``SUITE_STOCK=1`` nothing is exchanged.
"""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any
from weakref import WeakKeyDictionary

from graphql.execution import Executor
from graphql.execution.incremental import IncrementalExecutor
from strawberry.schema.config import StrawberryConfig
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

_STOCK = os.environ.get("SUITE_STOCK") == "1"


def pytest_configure() -> None:
    """Exchange what is to be tried."""
    if _STOCK:
        return
    from graph.library.compiled import compiling

    executor: Any = Executor
    stock: Any = executor.build.__func__
    known: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()

    def build(cls: Any, schema: Any, *args: Any, **kwargs: Any) -> Any:
        if cls is not IncrementalExecutor:  # what graphql-core takes where it is told nothing
            return stock(cls, schema, *args, **kwargs)
        if schema not in known:
            known[schema] = compiling(_as_strawberrys(schema))
        return known[schema].build(schema, *args, **kwargs)

    executor.build = classmethod(build)


def _as_strawberrys(schema: Any) -> Any:
    """What the compiler reads of one of Strawberry's schemas."""
    return SimpleNamespace(
        _schema=schema,
        config=StrawberryConfig(),
        schema_converter=SimpleNamespace(scalar_registry={}),
        execution_context_class=StrawberryGraphQLCoreExecutionContext,
    )
