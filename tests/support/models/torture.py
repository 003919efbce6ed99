"""A schema in which everything goes wrong that can, the same way each time: for tests that compare two executors.

What a field comes to is decided by a seed and by where it stands, never by when it is asked. So two executors that ask
the same things give the same answers, and what they ask in which order stands in the `log` of the context.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from functools import partial
from random import Random
from typing import Annotated, Any, TypeAlias, cast

import strawberry
from graphql import GraphQLError
from strawberry.types import Info as StrawberryInfo

TROUBLE = 0.15
"""The share of values that are not what the schema says."""


@dataclass
class World:
    """The context of one execution."""

    seed: int
    trouble: float = TROUBLE
    log: list[Any] = field(default_factory=list[Any])

    def chance(self, *place: object) -> Random:
        """The same for the same place in the same world."""
        return Random(f"{self.seed}:{place}")


Info: TypeAlias = StrawberryInfo[World, None]


class Strange:
    """Nothing that a field could be."""

    def __repr__(self) -> str:
        return "Strange"


class Later:
    """An awaitable that is no coroutine."""

    def __init__(self, value: Any, turns: int = 1) -> None:
        self.value = value
        self.turns = turns

    def __repr__(self) -> str:
        return "Later"

    def __await__(self) -> Generator[Any, None, Any]:
        for _ in range(self.turns):
            yield from asyncio.sleep(0).__await__()
        if isinstance(self.value, Exception):
            raise self.value
        return self.value


def failure(chance: Random) -> Exception:
    """An error of one of the kinds that resolvers raise."""
    return chance.choice(
        [
            ValueError("a bug"),
            GraphQLError("on purpose", extensions={"code": "ODD"}),
            LookupError("gone"),
            TypeError(""),
        ]
    )


class Nothing:
    """What no scalar is; it always looks the same, so that answers with it can be compared."""

    def __repr__(self) -> str:
        """No address."""
        return "Nothing()"


def odd(world: World, chance: Random, good: Callable[[], Any], *, awaitable: bool = True) -> Any:
    """A value as it should be, mostly; else none, one of a wrong type, an exception, or one that must be awaited."""
    if chance.random() > world.trouble:
        return good()
    kinds: list[Callable[[], Any]] = [
        lambda: None,
        lambda: failure(chance),
        lambda: "wrong",
        lambda: 2**40,
        Nothing,
        list,
    ]
    if awaitable:
        kinds += [lambda: Later(good(), chance.randrange(3)), lambda: Later(failure(chance), chance.randrange(3))]
    return chance.choice(kinds)()


def act(info: Info, good: Callable[[], Any]) -> Any:
    """What a synchronous resolver does."""
    world, raw = info.context, cast("Any", info)._raw_info
    path = tuple(raw.path.as_list())
    nodes = [(node.loc.start if node.loc else None) for node in raw.field_nodes]
    told = (raw.field_name, str(raw.parent_type), str(raw.return_type), raw.path.typename, sorted(raw.fragments))
    world.log.append((path, *told, nodes, dict(raw.variable_values), repr(info.selected_fields)))
    chance = world.chance("act", *path)
    if chance.random() < world.trouble:
        raise failure(chance)
    return odd(world, chance, good)


async def act_later(info: Info, good: Callable[[], Any]) -> Any:
    """What an asynchronous resolver does, some turns of the event loop later."""
    chance = info.context.chance("turns", *info.path.as_list())
    for _ in range(chance.randrange(3)):
        await asyncio.sleep(0)
    value = act(info, good)
    info.context.log.append(("done", tuple(info.path.as_list())))
    return value.value if isinstance(value, Later) else value


# --- types ---


@strawberry.enum
class Color(Enum):
    """An enum."""

    RED = "red"
    GREEN = strawberry.enum_value("green", name="GRASS")


@strawberry.input
class Inner:
    """An input in an input."""

    names: list[str | None] = strawberry.field(default_factory=lambda: ["x"])
    again: Inner | None = None
    note: str | None


@strawberry.input
class Spot:
    """An input with a little of everything."""

    x: int
    y: int = 7
    color: Color = Color.RED
    tags: list[str] | None = strawberry.UNSET
    price: Decimal | None = None
    inner: Inner | None = None

    def __post_init__(self) -> None:
        if self.x == 13:
            raise ValueError("unlucky")


@strawberry.input(one_of=True)
class Pick:
    """Exactly one of two."""

    number: int | None = strawberry.UNSET
    spot: Spot | None = strawberry.UNSET


@strawberry.interface
class Named:
    """What has a name."""

    name: str
    nick: str | None

    @strawberry.field
    async def friend(self, info: Info) -> Named | None:
        return await act_later(info, lambda: anything(info, "friend"))


@strawberry.type
class Plain:
    """A type without interfaces."""

    label: str | None
    weight: int

    @strawberry.field
    async def owner(self, info: Info) -> Thing | None:
        return await act_later(info, lambda: thing(info, "owner"))


@strawberry.type
class Thing(Named):
    """A type with all kinds of fields."""

    id: strawberry.ID
    count: int
    size: float | None
    ok: bool
    color: Color
    price: Decimal | None
    tags: list[str]
    grid: list[list[int | None] | None] | None
    twin: Plain | None
    needed: Plain
    plains: list[Plain] | None

    @strawberry.field
    def title(self, info: Info, upper: bool = False, at: Spot | None = None, pick: Pick | None = None) -> str | None:  # noqa: FBT001, FBT002 - an argument of the API
        return act(info, lambda: f"{upper} {at} {pick}")

    @strawberry.field
    async def later(
        self, info: Info, n: int = 1, color: Color | None = None, ids: list[int | None] | None = None
    ) -> int:
        return await act_later(info, lambda: n + len(ids or ()) + (color is Color.RED))

    @strawberry.field
    async def checked(self, info: Info, at: Spot) -> str:
        return await act_later(info, lambda: repr(at))

    @strawberry.field
    def things(self, info: Info, n: int = 2) -> list[Thing | None] | None:
        made = act(info, lambda: several(info, "in", min(n, 3), thing))
        how = info.context.chance("as", *info.path.as_list()).randrange(4)
        kinds: list[Any] = [list, tuple, iter, lambda one: one]  # pyright: ignore[reportUnknownLambdaType] - of anything
        return kinds[how](made) if isinstance(made, list) else made

    @strawberry.field
    async def musts(self, info: Info) -> list[Named]:
        return await act_later(info, lambda: several(info, "must", 2, anything))

    @strawberry.field
    def either(self, info: Info) -> Either | None:
        make = info.context.chance("e", *info.path.as_list()).choice([anything, plain])
        return act(info, lambda: make(info, "either"))

    @strawberry.field
    async def strict(self, info: Info) -> Thing:
        return await act_later(info, lambda: thing(info, "strict"))

    @strawberry.field
    async def flow(self, info: Info, n: int = 2) -> list[int]:
        return await act_later(info, lambda: [*range(n)])

    @strawberry.field(graphql_type=list[int])
    async def stream(self, info: Info) -> AsyncGenerator[int]:
        chance = info.context.chance("stream", *info.path.as_list())
        for n in range(chance.randrange(4)):
            if chance.random() < info.context.trouble:
                raise failure(chance)
            yield n

    @strawberry.field
    def rooted(self, root: strawberry.Parent[Thing], info: Info) -> str | None:
        return act(info, lambda: root.name if root is self else "another")


@strawberry.type
class Other(Named):
    """Another type with a name."""

    count: int

    @strawberry.field
    def title(self, info: Info, upper: bool = False) -> str | None:  # noqa: FBT001, FBT002 - an argument of the API
        return act(info, lambda: f"other {upper}")


@strawberry.type
class Odd:
    """A type that says itself what it is."""

    label: str | None = "odd"

    @classmethod
    def is_type_of(cls, value: Any, info: Any) -> bool:
        info.context.log.append(("is_type_of", tuple(info.path.as_list())))
        return isinstance(value, (Odd, Later))


Either: TypeAlias = Annotated[Thing | Plain | Odd, strawberry.union("Either")]


def plain(info: Info, what: object) -> Any:
    """A `Plain`, or an `Odd` where that is allowed."""
    return _plain(info.context, (*info.path.as_list(), what))


def several(info: Info, what: str, count: int, make: Callable[[Info, object], Any]) -> list[Any]:
    """A list in which some entries are odd."""
    return [
        odd(info.context, info.context.chance(what, *info.path.as_list(), n), partial(make, info, n))
        for n in range(count)
    ]


def _plain(world: World, place: tuple[object, ...]) -> Plain:
    chance = world.chance("plain", place)
    made = Plain(
        label=odd(world, chance, lambda: f"label {place}"), weight=odd(world, chance, lambda: chance.randrange(9))
    )
    if chance.random() < world.trouble:
        del made.label
    return made


def thing(info: Info, what: object) -> Thing:
    """A `Thing` whose attributes may be anything."""
    world, place = info.context, (*info.path.as_list(), what)
    chance = world.chance("thing", place)

    def some(good: Callable[[], Any]) -> Any:
        return odd(world, chance, good)

    return Thing(
        name=some(lambda: f"thing {place}"),
        nick=some(lambda: chance.choice([None, "nick"])),
        id=some(lambda: strawberry.ID("id")),
        count=some(lambda: chance.randrange(9)),
        size=some(lambda: chance.choice([None, 0.5, 3, float("nan")])),
        ok=some(lambda: True),
        color=some(lambda: chance.choice([Color.RED, Color.GREEN, "red"])),
        price=some(lambda: Decimal("1.50")),
        tags=some(lambda: [some(lambda: "tag") for _ in range(chance.randrange(3))]),
        grid=some(lambda: [some(lambda: [some(lambda: 1), some(lambda: 2)]) for _ in range(2)]),
        twin=some(lambda: _plain(world, (*place, "twin"))),
        needed=some(lambda: _plain(world, (*place, "needed"))),
        plains=some(lambda: tuple(some(partial(_plain, world, (*place, n))) for n in range(3))),
    )


def anything(info: Info, what: object) -> Any:
    """Something with a name."""
    world, place = info.context, (*info.path.as_list(), what)
    chance = world.chance("anything", place)
    if chance.random() < 0.5:
        return thing(info, what)
    return Other(
        name=odd(world, chance, lambda: f"other {place}"),
        nick=None,
        count=odd(world, chance, lambda: chance.randrange(9)),
    )


@strawberry.type
class Query:
    """Where everything begins."""

    @strawberry.field
    def thing(self, info: Info) -> Thing | None:
        return act(info, lambda: thing(info, "root"))

    @strawberry.field
    async def must(self, info: Info) -> Thing:
        return await act_later(info, lambda: thing(info, "must"))

    @strawberry.field
    async def named(self, info: Info, first: int = 2) -> list[Named | None] | None:
        return await act_later(info, lambda: [anything(info, n) for n in range(min(first, 3))])

    @strawberry.field
    def either(self, info: Info) -> Either | None:
        chance = info.context.chance("which", *info.path.as_list())
        makers: list[Callable[[], Any]] = [
            lambda: thing(info, 1),
            lambda: plain(info, 1),
            Odd,
            lambda: anything(info, 1),
        ]
        return act(info, chance.choice(makers))


@strawberry.type
class Mutation:
    """Steps that must not overlap."""

    @strawberry.mutation
    async def step(self, info: Info, n: int = 0) -> Thing | None:
        return await act_later(info, lambda: thing(info, n))

    @strawberry.mutation
    def quick(self, info: Info) -> Thing:
        return act(info, lambda: thing(info, "quick"))


def torture_schema() -> strawberry.Schema:
    """The schema."""
    return strawberry.Schema(Query, Mutation, types=[Other, Odd])
