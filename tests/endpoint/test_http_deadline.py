"""An operation past its deadline ends everywhere: its SQL statement is not left running."""

from __future__ import annotations

from typing import TYPE_CHECKING

import strawberry
from sqlalchemy import text

from graph.endpoint import GraphQLEndpoint
from graph.endpoint.document import Bounds
from harness.waiting import within
from tests.support.apps.small import Scene, Tokens, make_admission
from tests.support.clients.browser import browse

if TYPE_CHECKING:
    from graph.engines.database import Database
    from graph.patterns.client import Client

FOR_EVER = {
    "sqlite": "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n",
    "postgresql": "SELECT pg_sleep(3600)",
}
RUNNING = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'SELECT pg_sleep%'"


async def test_the_deadline_reaches_the_database(client: Client, database: Database) -> None:
    """A statement without end is stopped in the database when its operation's time is up, and the next one runs."""

    async def endless() -> int:
        async with database.session() as session:
            return int((await session.execute(text(FOR_EVER[database.dialect]))).scalar_one())

    query = strawberry.type(type("Query", (), {"endless": strawberry.field(endless)}))
    endpoint = GraphQLEndpoint(
        strawberry.Schema(query),
        authenticator=Tokens(),
        admission=make_admission(client),
        context=lambda caller, _, response: Scene(caller, response),
        bounds=Bounds(deadline=0.2),
    )
    async with browse(endpoint) as http, within("the statement without end to be stopped"):
        assert await http.code("{endless}") == "DEADLINE_EXCEEDED"
    async with database.session() as session:
        assert (await session.execute(text("SELECT 1"))).scalar_one() == 1
        if database.dialect == "postgresql":
            assert (await session.execute(text(RUNNING))).scalar_one() == 0
