"""A schema that answers in pieces, some of which wait until somebody lets them go."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import strawberry
from strawberry.relay import PageInfo
from strawberry.schema.config import StrawberryConfig
from strawberry.types import Info

from graph.endpoint import GraphQLEndpoint
from graph.errors import Forbidden
from tests.support.apps.small import Scene, Tokens, make_admission

if TYPE_CHECKING:
    from strawberry.extensions import SchemaExtension

    from graph.patterns.client import Client


class Gates:
    """What resolvers wait for, and what became of them."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.reached = asyncio.Event()
        self.seen: list[str] = []


@strawberry.type
class Author:
    """Who wrote a book."""

    name: str

    @strawberry.field
    def secret(self) -> str | None:
        raise ZeroDivisionError("the secret is out")

    @strawberry.field
    def refused(self) -> str:
        raise Forbidden("not for you", needs="ADMIN")


@strawberry.type
class Book:
    """Something to read."""

    id: int
    title: str

    @strawberry.field
    async def review(self, info: Info[Any, None]) -> str:
        gates: Gates = info.context.gates
        gates.reached.set()
        try:
            await gates.open.wait()
        except asyncio.CancelledError:
            gates.seen.append("cancelled")
            raise
        return f"{self.title} is good"

    @strawberry.field
    def author(self) -> Author:
        return Author(name="Ann")


@strawberry.type
class BookEdge:
    """A book in its place."""

    cursor: str
    node: Book


@strawberry.type
class Shop:
    """Books by pages, as Relay has them."""

    page_info: PageInfo

    @strawberry.field
    async def edges(self, info: Info[Any, None]) -> strawberry.Streamable[BookEdge]:
        for n in range(3):
            if n == 2:
                await info.context.gates.open.wait()
            yield BookEdge(cursor=str(n), node=Book(id=n, title=f"Book {n}"))


@strawberry.type
class Query:
    """What can be read."""

    @strawberry.field
    def book(self, info: Info[Any, None], cookie: str | None = None) -> Book:
        if cookie is not None:
            assert info.context.response is not None
            info.context.response.set_cookie("seen", cookie)
        return Book(id=1, title="Bread")

    @strawberry.field
    def books(self, first: int = 3) -> list[Book]:
        return [Book(id=n, title=f"Book {n}") for n in range(first)]

    @strawberry.field
    def shop(self, first: int = 3, after: str | None = None) -> Shop:
        assert after is None
        ends = PageInfo(has_next_page=False, has_previous_page=False, start_cursor="0", end_cursor=str(first - 1))
        return Shop(page_info=ends)

    @strawberry.field
    async def shelf(self, info: Info[Any, None]) -> strawberry.Streamable[Book]:
        try:
            for n in range(3):
                if n == 2:
                    await info.context.gates.open.wait()
                yield Book(id=n, title=f"Book {n}")
        finally:
            info.context.gates.seen.append("closed")


@strawberry.type
class Mutation:
    """What can be changed."""

    @strawberry.mutation
    def let_go(self, info: Info[Any, None]) -> bool:
        gates: Gates = info.context.gates
        gates.open.set()
        gates.open = asyncio.Event()  # whoever comes later waits again
        return True

    @strawberry.mutation
    async def rename(self, info: Info[Any, None], title: str) -> Book:
        info.context.gates.seen.append("renaming")
        await info.context.gates.open.wait()
        info.context.gates.seen.append("renamed")
        return Book(id=1, title=title)


class Gated(Scene):
    """A context with the gates."""

    def __init__(self, gates: Gates, *given: Any) -> None:
        super().__init__(*given)
        self.gates = gates


def make_pieces(
    client: Client, gates: Gates, *extensions: type[SchemaExtension], **options: Any
) -> GraphQLEndpoint[Gated]:
    """The endpoint over that schema."""
    config = StrawberryConfig(enable_experimental_incremental_execution=True)
    return GraphQLEndpoint(
        strawberry.Schema(Query, Mutation, extensions=extensions, config=config),
        authenticator=Tokens(),
        admission=make_admission(client),
        context=lambda caller, _, response: Gated(gates, caller, response),
        **options,
    )
