"""The GraphQL schema of an application: its features' parts joined into one.

`build_schema` is a pure function; nothing is built at import. ``schema.graphql`` in the project's root is the output of
`sdl`, printed by ``make schema``; a test keeps it up to date.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import strawberry
from graphql.utilities.print_schema import print_schema_definition
from strawberry.schema.config import StrawberryConfig

from graph.api.node import node_query
from graph.api.scalars import SCALARS
from graph.endpoint.declare import core_of, declare_costs, declare_live
from graph.endpoint.execution import EventExecutor
from graph.feature import App, located
from graph.product import APP

if TYPE_CHECKING:
    from collections.abc import Sequence

    from graph.api.schema_part import SchemaPart


def parts_of(app: App) -> Sequence[SchemaPart]:
    """What each feature of `app` adds to the schema, in their order."""
    return [located(feature.schema) for feature in app.features if feature.schema is not None]


def build_schema(
    app: App = APP,
    *,
    schema_class: type[strawberry.Schema] = strawberry.Schema,
    **options: Any,
) -> strawberry.Schema:
    """Join the parts of `app`; `options` (extensions, execution_context_class, …) go to the schema's constructor."""
    parts = parts_of(app)
    options.setdefault("execution_context_class", EventExecutor)
    loaders = {kind: loader for part in parts for kind, loader in part.nodes.items()}
    kept = frozenset[str]().union(*(part.kept for part in parts))
    queries = [*([node_query(loaders, kept)] if loaders else []), *(part.query for part in parts if part.query)]
    mutations = [part.mutation for part in parts if part.mutation]
    subscriptions = [part.subscription for part in parts if part.subscription]
    schema = schema_class(
        query=_joined("Query", queries),
        mutation=_joined("Mutation", mutations) if mutations else None,
        subscription=_joined("Subscription", subscriptions) if subscriptions else None,
        types=[kind for part in parts for kind in part.types],
        config=StrawberryConfig(scalar_map=SCALARS),
        **options,
    )
    core = core_of(schema)  # Strawberry has no place for what follows
    core.description = app.description or None
    declare_costs(core)
    declare_live(core)
    return schema


def _joined(name: str, parts: Sequence[type]) -> type:
    """Return one root type with the fields of all parts, in their order."""
    return strawberry.type(type(name, tuple(parts), {}), name=name)


def sdl(app: App = APP) -> str:
    """Return the schema of `app` in GraphQL's schema language."""
    schema = build_schema(app)
    core = core_of(schema)  # Strawberry prints no description of it
    return f"{print_schema_definition(core)}\n\n{schema.as_str()}\n"
