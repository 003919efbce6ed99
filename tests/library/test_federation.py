"""A subgraph of a federation behind `FastGraphQL`: entities are found, and what finds none is the caller's mistake."""

from __future__ import annotations

from datetime import date  # noqa: TC003 - Strawberry reads the types of fields
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any

import httpx
import pytest
import strawberry
from fastapi import FastAPI
from graphql import GraphQLError
from strawberry import federation, relay
from strawberry.extensions import SchemaExtension
from strawberry.schema.config import StrawberryConfig

from graph.library import FastGraphQL

if TYPE_CHECKING:
    from typing import Self


@federation.type(keys=["id"])
class Book:
    """An entity that looks itself up."""

    id: strawberry.ID
    title: str = ""
    weight: int | None = federation.field(default=None, external=True)

    @classmethod
    def resolve_reference(cls, info: strawberry.Info, id: strawberry.ID, weight: int | None = None) -> Self:  # noqa: A002 - the key of the entity
        """The book, unless the shelf has fallen over."""
        if id == "bug":
            {}["shelf"]
        if id == "type":
            len(7)  # pyright: ignore[reportArgumentType]
        if id == "gone":
            raise GraphQLError("The book is lent.", extensions={"code": "LENT"})
        return cls(id=id, title=f"Book {id} of {info.field_name}", weight=weight)


@strawberry.enum
class Colour(Enum):
    """Of which there is one."""

    RED = "red"


@strawberry.interface
class Thing:
    """What there may be in a page."""

    name: str


@strawberry.type
class Picture(Thing):
    """A thing."""


@strawberry.type
class Shelf:
    """An object of which a key has a part."""

    place: int
    within: Annotated[Shelf, strawberry.lazy(__name__)] | None = None


@federation.type(keys=["number", "shelf { place }", "printed"])
class Page:
    """An entity that is made of its key."""

    number: int = 0
    shelf: Shelf | None = None
    printed: date | None = None
    colours: list[Colour] = strawberry.field(default_factory=list)
    thing: Thing | None = None


@federation.type(keys=["id"])
class Whole:
    """An entity that no key is enough for."""

    id: int
    text: str


@federation.type(keys=["id"])
class Loose:
    """An entity that takes any field, and has some of names that Python's own have."""

    id: int
    info: str = ""
    cls: str = ""

    @classmethod
    def resolve_reference(cls, **fields: Any) -> Self:
        """It, of what was given."""
        return cls(**fields)


@strawberry.input
class Given:
    """No entity, and no output either."""

    id: int


@federation.type
class Query:
    """Entities, and a type of each other kind."""

    book: Book | None = None

    @strawberry.field
    def given(self, given: Given) -> int:
        """Any number."""
        return given.id


class Passing(SchemaExtension):
    """Stands around every resolver, so that graphql-core executes the operations."""

    def resolve(self, _next: Any, root: Any, info: Any, *args: Any, **kwargs: Any) -> Any:
        """What the resolver gives."""
        return _next(root, info, *args, **kwargs)


_TYPES = [Book, Page, Whole, Loose, Picture]
_SCHEMAS = {
    "compiled": federation.Schema(Query, types=_TYPES),
    "core": federation.Schema(Query, types=_TYPES, extensions=[Passing]),
}
_FIELDS = "{... on Book {title weight} ... on Page {number printed colours shelf {place}} ... on Loose {info}}"
_QUERY = f"query($of: [_Any!]!) {{_entities(representations: $of) {_FIELDS}}}"


@cache
def app_of(schema: federation.Schema) -> FastAPI:
    """The subgraph as an application; to make one takes longer than what it answers."""
    app = FastAPI()
    app.include_router(FastGraphQL(schema), prefix="/graphql")
    return app


async def post(schema: federation.Schema, query: str, *representations: Any) -> dict[str, Any]:
    """What the subgraph answers."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app_of(schema)), base_url="http://test") as web:
        return (await web.post("/graphql", json={"query": query, "variables": {"of": representations}})).json()


@pytest.fixture(params=_SCHEMAS)
def schema(request: pytest.FixtureRequest) -> federation.Schema:
    """The subgraph, on either executor."""
    return _SCHEMAS[request.param]


@pytest.mark.parametrize(
    ("representation", "entity"),
    [
        ({"__typename": "Book", "id": "7"}, {"title": "Book 7 of _entities", "weight": None}),
        ({"__typename": "Book", "id": 7, "weight": 9}, {"title": "Book 7 of _entities", "weight": 9}),
        (
            {"__typename": "Page", "number": 7, "colours": ["RED"]},
            {"number": 7, "printed": None, "colours": ["RED"], "shelf": None},
        ),
        (
            {"__typename": "Page", "shelf": {"__typename": "Shelf", "place": 3}},
            {"number": 0, "printed": None, "colours": [], "shelf": {"place": 3}},
        ),
        (
            {"__typename": "Page", "printed": "2026-01-02"},
            {"number": 0, "printed": "2026-01-02", "colours": [], "shelf": None},
        ),
        ({"__typename": "Loose", "id": 1, "info": "mine"}, {"info": "mine"}),
    ],
)
async def test_an_entity_is_found(representation: Any, entity: dict[str, Any], schema: federation.Schema) -> None:
    """By its own method, or made of any of its keys, whose values are read as their types are."""
    assert await post(schema, _QUERY, representation) == {"data": {"_entities": [entity]}}


def deep(levels: int) -> dict[str, Any]:
    """A shelf in a shelf, and so on."""
    shelf: dict[str, Any] = {"place": 1}
    for _ in range(levels):
        shelf = {"place": 1, "within": shelf}
    return shelf


_WRONG: list[tuple[Any, str]] = [
    *((one, "is not an object") for one in ("Book", 7, [], [{"__typename": "Book", "id": "7"}])),
    *(
        ({"__typename": one, "id": 7}, "has no `__typename` of an entity")
        for one in (
            "Nothing", "Query", "Shelf", "Picture", "Colour", "Given", "Thing", "Int", "_Service", "_Any", "_Entity",
            "__Type", None, 7, ["Book"], {"Book": 1},
        )
    ),
    ({"id": "7"}, "has no `__typename` of an entity"),
    ({}, "has no `__typename` of an entity"),
    ({"__typename": "Book"}, "needs all fields of a key of `Book`: `id`"),
    ({"__typename": "Book", "weight": 7}, "needs all fields of a key of `Book`: `id`"),
    *(({"__typename": "Book", "id": one}, "has no value of type `ID` in `id`") for one in (["a"], {"a": 1}, True, 1.5)),
    ({"__typename": "Book", "id": None}, "has no value of type `ID!` in `id`"),
    ({"__typename": "Book", "id": "7", "weight": "x"}, "has no value of type `Int` in `weight`"),
    (
        {"__typename": "Book", "id": "7", "title": "x"},
        "does not have the fields that a `Book` is looked up by; it has `id`, `title`",
    ),
    *(
        ({"__typename": "Book", "id": "7", one: "x"}, f"has a field that `Book` does not have: `{one}`")
        for one in ("more", "info", "cls", "self", "__class__", "__init__")
    ),
    (
        {"__typename": "Loose", "id": 7, "cls": "x"},
        "does not have the fields that a `Loose` is looked up by; it has `id`, `cls`",
    ),
    ({"__typename": "Loose", "id": 7, "self": "x"}, "has a field that `Loose` does not have: `self`"),
    (
        {"__typename": "Page"},
        "needs all fields of a key of `Page`: `number` or `shelf { place }` or `printed`",
    ),
    *(({"__typename": "Page", "number": one}, "has no value of type `Int` in `number`") for one in ("x", 2**40, [1])),
    ({"__typename": "Page", "number": None}, "has no value of type `Int!` in `number`"),
    ({"__typename": "Page", "printed": "Monday"}, "has no value of type `Date` in `printed`"),
    ({"__typename": "Page", "number": 7, "colours": ["RED", "BLUE"]}, "has no value of type `Colour` in `colours`"),
    ({"__typename": "Page", "number": 7, "colours": [["RED"]]}, "has no value of type `Colour` in `colours`"),
    ({"__typename": "Page", "number": 7, "colours": "RED"}, "has no value of type `[Colour!]!` in `colours`"),
    (
        {"__typename": "Page", "number": 7, "thing": {"__typename": "Picture", "name": "x"}},
        "has no value of type `Thing` in `thing`",
    ),
    ({"__typename": "Page", "shelf": 7}, "has no value of type `Shelf` in `shelf`"),
    (
        {"__typename": "Page", "shelf": {}},
        "needs all fields of a key of `Page`: `number` or `shelf { place }` or `printed`",
    ),
    ({"__typename": "Page", "shelf": {"place": "x"}}, "has no value of type `Int` in `shelf.place`"),
    ({"__typename": "Page", "shelf": {"place": 1, "more": 1}}, "has a field that `Shelf` does not have: `shelf.more`"),
    ({"__typename": "Page", "shelf": deep(40)}, "has no value of type `Shelf` in `shelf.within.within…`"),
    ({"__typename": "Whole", "id": 1}, "does not make its entity"),
]  # fmt: skip


@pytest.mark.parametrize(("representation", "told"), _WRONG)
async def test_what_is_no_entity_is_told_and_is_no_bug(
    representation: Any, told: str, caplog: pytest.LogCaptureFixture, schema: federation.Schema
) -> None:
    """It has the code of a client's mistake and leaves no line in the log, which clients could fill."""
    answer = await post(schema, _QUERY, representation)
    (error,) = answer["errors"]
    assert error["message"] == f"Representation 0 {told}."
    assert error["path"] == ["_entities", 0]
    assert error["extensions"] == {"code": "BAD_USER_INPUT"}
    assert answer["data"] == {"_entities": [None]}
    assert caplog.records == []


async def test_each_representation_is_answered_in_its_place(schema: federation.Schema) -> None:
    """The wrong ones are told by their numbers, all others are resolved."""
    book = {"__typename": "Book", "id": "7"}
    answer = await post(schema, _QUERY, "x", book, {"__typename": "Book"}, {"__typename": "Whole", "id": 1}, book)
    found = {"title": "Book 7 of _entities", "weight": None}
    assert answer["data"] == {"_entities": [None, found, None, None, found]}
    assert [(one["path"][-1], one["message"][:16]) for one in answer["errors"]] == [
        (place, f"Representation {place}") for place in (0, 2, 3)
    ]


async def test_very_many_wrong_representations_are_one_mistake(schema: federation.Schema) -> None:
    """A body of commas is not answered with errors of many times its size."""
    answer = await post(schema, _QUERY, *[0] * 2_000)
    assert len(answer["errors"]) == 1
    assert answer["errors"][0]["message"] == (
        "More than 100 representations are wrong. Representation 0 is not an object."
    )
    assert answer["errors"][0]["extensions"] == {"code": "BAD_USER_INPUT"}
    assert len((await post(schema, _QUERY, *[0] * 100))["errors"]) == 100


async def test_representations_may_be_used_twice(schema: federation.Schema) -> None:
    """The values of a variable are as they were, when they have been resolved."""
    entities = f"_entities(representations: $of) {_FIELDS}"
    twice = f"query($of: [_Any!]!) {{a: {entities} b: {entities}}}"
    answer = await post(schema, twice, {"__typename": "Book", "id": "7"})
    assert answer["data"]["a"] == answer["data"]["b"] == [{"title": "Book 7 of _entities", "weight": None}]


@pytest.mark.parametrize("key", ["bug", "type"])
async def test_a_bug_in_an_entity_stays_one(
    key: str, caplog: pytest.LogCaptureFixture, schema: federation.Schema
) -> None:
    """It is masked, and logged once, though it is of a kind that wrong representations raise as well."""
    book = {"__typename": "Book", "id": key}
    errors = (await post(schema, _QUERY, book, "x", book))["errors"]
    assert [one["extensions"]["code"] for one in sorted(errors, key=lambda one: one["path"])] == [
        "INTERNAL_SERVER_ERROR",
        "BAD_USER_INPUT",
        "INTERNAL_SERVER_ERROR",
    ]
    assert len(caplog.records) == 1


async def test_what_an_entity_raises_on_purpose_is_passed_on(schema: federation.Schema) -> None:
    """With its own code."""
    (error,) = (await post(schema, _QUERY, {"__typename": "Book", "id": "gone"}))["errors"]
    assert (error["message"], error["extensions"]) == ("The book is lent.", {"code": "LENT"})


@federation.type(keys=["id"])
class Leaf(relay.Node):
    """An entity with an id of Relay's."""

    id: relay.NodeID[int]

    @classmethod
    def resolve_reference(cls, id: str) -> Self:  # noqa: A002 - the key of the entity
        """The leaf of a number."""
        return cls(id=int(relay.GlobalID.from_id(id).node_id))


@federation.type(keys=["id thing { name }"])
class Frame:
    """An entity whose key has a part of an interface."""

    id: int
    thing: Thing

    @classmethod
    def resolve_reference(cls, id: int, thing: dict[str, Any]) -> Self:  # noqa: A002 - the key of the entity
        """It, with a picture."""
        return cls(id=id, thing=Picture(name=thing["name"]))


@federation.interface(keys=["id"])
class Medium:
    """An entity that is an interface: a router asks for it by its own name, and is told which type it is."""

    id: int

    @classmethod
    def resolve_reference(cls, id: int) -> Medium:  # noqa: A002 - the key of the entity
        """The film of that number."""
        return Film(id=id, minutes=90)


@federation.type(keys=["id"])
class Film(Medium):
    """One of its types."""

    minutes: int


@federation.interface(keys=["id"])
class Unfound:
    """One that nobody can look up by its own name."""

    id: int


@federation.type(keys=["id"])
class Found(Unfound):
    """Which is made of its fields."""


_OTHERS = federation.Schema(
    types=[Leaf, Frame, Picture, Film, Found], config=StrawberryConfig(relay_use_legacy_global_id=True)
)


async def ask_others(**representation: Any) -> dict[str, Any]:
    """What `_entities` answers for a representation with a `__typename` of `type`."""
    given = {"__typename" if name == "type" else name: one for name, one in representation.items()}
    return await post(
        _OTHERS,
        "query($of: [_Any!]!) {_entities(representations: $of) "
        "{... on Leaf {id} ... on Frame {thing {name}} ... on Medium {__typename ... on Film {minutes}}}}",
        given,
    )


async def test_an_id_of_relay_is_a_string(caplog: pytest.LogCaptureFixture) -> None:
    """Though Strawberry's scalar for it reads anything."""
    leaf = relay.to_base64("Leaf", "7")
    assert (await ask_others(type="Leaf", id=leaf))["data"] == {"_entities": [{"id": leaf}]}
    for wrong in (["x"], 7):
        (error,) = (await ask_others(type="Leaf", id=wrong))["errors"]
        assert error["message"] == "Representation 0 has no value of type `GlobalID` in `id`."
    assert caplog.records == []


async def test_a_part_of_a_key_may_be_of_an_interface(caplog: pytest.LogCaptureFixture) -> None:
    """With or without the name of its type, which must be one of the interface."""
    for thing in ({"name": "x"}, {"__typename": "Picture", "name": "x"}):
        assert (await ask_others(type="Frame", id=1, thing=thing))["data"] == {"_entities": [{"thing": {"name": "x"}}]}
    for named in ("Frame", "Nothing", ["Picture"], None):
        (error,) = (await ask_others(type="Frame", id=1, thing={"__typename": named, "name": "x"}))["errors"]
        assert error["message"] == "Representation 0 has no value of type `Thing` in `thing`."
    assert caplog.records == []


async def test_an_interface_may_be_an_entity() -> None:
    """A router asks so for what it knows as one type (`@interfaceObject`); a field of a type is none of its."""
    (film,) = (await ask_others(type="Medium", id=7))["data"]["_entities"]
    assert film == {"__typename": "Film", "minutes": 90}
    assert (await ask_others(type="Film", id=7))["data"] == {"_entities": [film]}
    (error,) = (await ask_others(type="Medium", minutes=7))["errors"]
    assert error["message"] == "Representation 0 has a field that `Medium` does not have: `minutes`."
    (error,) = (await ask_others(type="Unfound", id=7))["errors"]
    assert error["message"] == "Representation 0 has no `__typename` of an entity."


async def test_a_resolver_of_its_own_is_left_alone() -> None:
    """A schema that finds entities in another way may take other representations."""

    class Own(federation.Schema):
        def entities_resolver(
            self, info: strawberry.Info, representations: list[federation.schema.FederationAny]
        ) -> Any:
            return [Book(id=strawberry.ID(str(one))) for one in representations]

    answer = await post(Own(Query), '{_entities(representations: ["x"]) {... on Book {id}}}')
    assert answer == {"data": {"_entities": [{"id": "x"}]}}
