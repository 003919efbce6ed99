"""Bounds of a single field, ready sets of bounds, and documents that no bound holds for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import pytest
import strawberry

from graph.endpoint import Bounds, GraphQLEndpoint, Persisted, cost
from tests.support.apps.small import make_admission, make_endpoint
from tests.support.clients.browser import browse

if TYPE_CHECKING:
    from graph.patterns.client import Client


@strawberry.type
class Query:
    """Lists with bounds of their own."""

    @strawberry.field(metadata=cost(page=5))
    def few(self, first: int = 2) -> list[int]:
        return list(range(first))

    @strawberry.field(metadata=cost(page=1_000))
    def many(self, first: int = 2) -> list[int]:
        return list(range(first))

    @strawberry.field
    def usual(self, first: int = 2) -> list[int]:
        return list(range(first))

    @strawberry.field(metadata=cost(7, assumed=3))
    def three(self) -> list[int]:
        return [1, 2, 3]


@strawberry.interface
class Shelf:
    """Says nothing of what its fields cost."""

    @strawberry.field
    def books(self, first: int = 2) -> list[int]:
        return list(range(first))

    @strawberry.field
    def found(self) -> int:
        return 0


@strawberry.type
class Archive(Shelf):
    """Says more."""

    @strawberry.field(metadata=cost(page=5))
    def books(self, first: int = 2) -> list[int]:
        return list(range(first))

    @strawberry.field(metadata=cost(40))
    def found(self) -> int:
        return 1


@strawberry.type
class Stack(Shelf):
    """Takes more."""

    @strawberry.field(metadata=cost(page=1_000))
    def books(self, first: int = 2) -> list[int]:
        return list(range(first))


@strawberry.type
class Library:
    """Shows its shelves by their interface."""

    @strawberry.field
    def shelf(self) -> Shelf:
        return Archive()


async def test_an_interface_costs_what_its_dearest_type_does(client: Client) -> None:
    """And takes the pages that each of its types takes: a client chooses which of them it asks."""
    schema = strawberry.Schema(Library, types=[Archive, Stack])
    app = GraphQLEndpoint(schema, admission=make_admission(client), context=lambda caller, _, __: caller)
    operations = app.engine.operations
    costs = [
        operations.check(operations.prepare(text).select(None), None).cost
        for text in ("{shelf{found}}", "{shelf{... on Archive{found}}}", "{shelf{... on Stack{found}}}")
    ]
    assert costs[0] == costs[1] > costs[2] + 30
    async with browse(app) as http:
        assert len((await http.data("{shelf{books(first: 5)}}"))["shelf"]["books"]) == 5
        (error,) = (await http.ask("{shelf{books(first: 6)}}")).json()["errors"]
        assert error["extensions"] == {"code": "BAD_USER_INPUT", "limit": 5}
        (error,) = (await http.ask("{shelf{... on Shelf{books(first: 101)}}}")).json()["errors"]
        assert error["extensions"]["code"] == "BAD_USER_INPUT"


@strawberry.interface
class Reader:
    """Says nothing of its arguments."""

    @strawberry.field
    def pages(self, first: int = 2) -> list[int]:
        return list(range(first))

    @strawberry.field
    def search(self, word: str = "", other: str = "") -> int:
        return len(word + other)

    @strawberry.field
    def notes(self) -> list[int]:
        return []


@strawberry.type
class FastReader(Reader):
    """Takes more where nothing is said, and more for a word."""

    @strawberry.field
    def pages(self, first: int = 90) -> list[int]:
        return list(range(first))

    @strawberry.field
    def search(self, word: Annotated[str, strawberry.argument(metadata=cost(50))] = "", other: str = "") -> int:
        return len(word + other)

    @strawberry.field(metadata=cost(assumed=2))
    def notes(self) -> list[int]:
        return [1]


@strawberry.type
class SlowReader(Reader):
    """Is what the interface says."""

    @strawberry.field
    def search(self, word: Annotated[str, strawberry.argument(metadata=cost(50))] = "", other: str = "") -> int:
        return len(word + other)


@strawberry.type
class Room:
    """Shows a reader by its interface."""

    @strawberry.field
    def reader(self) -> Reader:
        return FastReader()


@pytest.mark.parametrize(
    "field", ["pages", "pages(first: 7)", "search", 'search(word: "a")', "search(word: $word)", "notes"]
)
def test_arguments_and_lists_of_an_interface_cost_what_they_do_in_the_dearest_type(client: Client, field: str) -> None:
    """A default, a declared argument, by literal and by variable, and a list that only one of the types knows."""
    schema = strawberry.Schema(Room, types=[FastReader, SlowReader])
    app = GraphQLEndpoint(schema, admission=make_admission(client), context=lambda caller, _, __: caller)
    operations = app.engine.operations

    def asked(text: str) -> int:
        declared = '($word: String! = "")' if "$" in text else ""
        prepared = operations.prepare(f"query{declared} {{reader{{{text}}}}}")
        return operations.check(prepared.select(None), {"word": "one"}).cost

    dearest = max(asked(f"... on {one}{{{field}}}") for one in ("FastReader", "SlowReader"))
    assert asked(field) == asked(f"... on Reader{{{field}}}") == dearest


@strawberry.interface
class Album:
    """Says nothing of how many there are."""

    @strawberry.field
    def pictures(self, first: int = 3) -> list[int]:
        return list(range(first))


@strawberry.type
class Thick(Album):
    """Shows many where nothing is said."""

    @strawberry.field(metadata=cost(page=1_000))
    def pictures(self, first: int = 500) -> list[int]:
        return list(range(first))


@strawberry.type
class Thin(Album):
    """Takes few."""

    @strawberry.field(metadata=cost(page=5))
    def pictures(self, first: int = 4) -> list[int]:
        return list(range(first))


@strawberry.type
class Cupboard:
    """Shows an album by its interface."""

    @strawberry.field
    def album(self) -> Album:
        return Thick()


async def test_a_default_is_held_to_the_limit_of_its_own_type(client: Client) -> None:
    """Another type behind the same interface may take less; what a client asks for is held to the least."""
    schema = strawberry.Schema(Cupboard, types=[Thick, Thin])
    app = GraphQLEndpoint(schema, admission=make_admission(client), context=lambda caller, _, __: caller)
    operations = app.engine.operations
    assert operations.check(operations.prepare("{album{pictures}}").select(None), None).cost == 502
    async with browse(app) as http:
        assert len((await http.data("{album{pictures}}"))["album"]["pictures"]) == 500
        for n, refused in ((5, False), (6, True)):
            for answer in (
                await http.ask(f"{{album{{pictures(first: {n})}}}}"),
                await http.ask("query($n: Int!){album{pictures(first: $n)}}", variables={"n": n}),
            ):
                errors = answer.json().get("errors", [])
                assert [one["extensions"] for one in errors] == [{"code": "BAD_USER_INPUT", "limit": 5}] * refused


async def test_a_field_has_a_page_of_its_own(client: Client) -> None:
    """Smaller or larger than that of the endpoint, by literal and by variable; all others keep the endpoint's."""
    app = GraphQLEndpoint(
        strawberry.Schema(Query), admission=make_admission(client), context=lambda caller, _, __: caller
    )
    async with browse(app) as http:
        for name, most in (("few", 5), ("many", 1_000), ("usual", 100)):
            assert len((await http.data(f"query($n: Int!){{{name}(first: $n)}}", variables={"n": most}))[name]) == most
            for over in (
                await http.ask(f"query($n: Int!){{{name}(first: $n)}}", variables={"n": most + 1}),
                await http.ask(f"{{{name}(first: {most + 1})}}"),
            ):
                (error,) = over.json()["errors"]
                assert error["extensions"] == {"code": "BAD_USER_INPUT", "limit": most}
        assert (await http.data("{few(first: 5) many(first: 1000)}"))["few"] == [0, 1, 2, 3, 4]
    operations = app.engine.operations
    assert operations.check(operations.prepare("{three}").select(None), None).cost == 7 + 3


def test_bounds_are_ready_for_strangers_and_for_known_clients() -> None:
    """Each is wider than the one before in whatever it bounds of a document, and may be changed in single values."""
    public, usual, trusted = Bounds.public(), Bounds(), Bounds.trusted()
    for name in ("tokens", "depth", "complexity"):
        assert getattr(public, name) < getattr(usual, name) < getattr(trusted, name)
    assert Bounds.public(depth=3).depth == 3
    assert Bounds.public(depth=3).tokens == public.tokens
    assert Bounds.trusted(page=7).page == 7


WIDE = "{" + " ".join(f"a{n}: hello" for n in range(40)) + "}"
DEEP = "{pick(by:{id:9}){" + "parent{" * 20 + "id" + "}" * 20 + "}}"
DEAR = "{items(first: 200){nodes{related(first: 100){id name}}}}"
LONG = "{" + "hello " * 2_100 + "}"


@pytest.mark.parametrize("text", [WIDE, DEEP, DEAR, LONG], ids=["wide", "deep", "dear", "long"])
async def test_no_bound_refuses_a_trusted_document(client: Client, text: str) -> None:
    """Whoever runs the server wrote it: it runs by its id and by its text, where anybody else's is refused."""
    bounds = Bounds(introspection=False, complexity=100)
    async with browse(make_endpoint(client, bounds=bounds)) as http:
        assert "errors" in (await http.ask(text)).json()
    persisted = Persisted(client, trusted={"mine": text})
    async with browse(make_endpoint(client, bounds=bounds, persisted=persisted)) as http:
        by_id = (await http.post("/graphql", json={"documentId": "mine"})).json()
        assert "errors" not in by_id
        assert (await http.ask(text)).json() == by_id
        batch = (await http.post("/graphql", json=[{"documentId": "mine"}, {"query": "{hello}"}])).json()
        assert [set(one) for one in batch] == [{"data"}] * 2
