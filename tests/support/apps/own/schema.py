"""Ringing a bell."""

from __future__ import annotations

import strawberry

from graph.api.auth import ANYBODY, requires
from graph.api.context import Info
from graph.api.schema_part import SchemaPart
from tests.support.apps.own.app import BELLS


@strawberry.type
class BellQuery:
    """Reads."""

    @strawberry.field
    def loudest(self, info: Info) -> int:
        return info.context.services.of(BELLS).loudest


@strawberry.type
class BellMutation:
    """Writes."""

    @strawberry.mutation(extensions=[requires(ANYBODY)])
    async def ring(self, info: Info, name: str) -> int:
        return await info.context.services.of(BELLS).ring(name)


PART = SchemaPart(query=BellQuery, mutation=BellMutation)
