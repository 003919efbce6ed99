"""The GraphQL schema of this product: the features' parts joined into one.

`build_schema` is a pure function; nothing is built at import. ``schema.graphql`` in the project's root is the output of
`sdl`, printed by ``make schema``; a test keeps it up to date.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import strawberry
from graphql.utilities.print_schema import print_schema_definition
from strawberry.schema.config import StrawberryConfig

from graph.api import accounts, apikeys, catalog, jobs, leaderboard, quota
from graph.api.node import node_query
from graph.api.scalars import SCALARS
from graph.endpoint.declare import declare_costs, declare_live
from graph.endpoint.execution import EventExecutor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from graph.api.schema_part import SchemaPart

PARTS: tuple[SchemaPart, ...] = (
    catalog.PART,
    accounts.PART,
    leaderboard.PART,
    apikeys.PART,
    jobs.PART,
    quota.PART,
)

DESCRIPTION = (
    "A shop's catalog, accounts and leaderboards. Everything public answers without signing in; `login` gives a token "
    "for `Authorization: Bearer`, and browsers a cookie. Lists are connections with opaque cursors. What a mutation is "
    "expected to refuse is a member of its result's union, with `code` and `message`; every other error has "
    "`extensions.code`. `rateLimit` tells what the caller has left, and asking for it alone is free."
)


def build_schema(
    *,
    parts: Sequence[SchemaPart] = PARTS,
    schema_class: type[strawberry.Schema] = strawberry.Schema,
    **options: Any,
) -> strawberry.Schema:
    """Join `parts`; `options` (extensions, execution_context_class, …) go to the schema's constructor."""
    options.setdefault("execution_context_class", EventExecutor)
    loaders = {kind: loader for part in parts for kind, loader in part.nodes.items()}
    kept = frozenset[str]().union(*(part.kept for part in parts))
    queries = [node_query(loaders, kept), *(part.query for part in parts if part.query)]
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
    # Strawberry has no place for the description of a schema.
    schema._schema.description = DESCRIPTION  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    declare_costs(schema._schema)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    declare_live(schema._schema)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    return schema


def _joined(name: str, parts: Sequence[type]) -> type:
    """Return one root type with the fields of all parts, in their order."""
    return strawberry.type(type(name, tuple(parts), {}), name=name)


def sdl() -> str:
    """Return the schema in GraphQL's schema language."""
    schema = build_schema()
    core = schema._schema  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - Strawberry prints no description of it
    return f"{print_schema_definition(core)}\n\n{schema.as_str()}\n"
