"""The schema: printed in schema.graphql, and true to the public contract."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLUnionType,
    build_schema,
    is_specified_scalar_type,
    print_ast,
)

from graph.api.schema import build_schema as build_product
from graph.api.schema import sdl

if TYPE_CHECKING:
    from collections.abc import Iterator

    from graphql import GraphQLSchema

CONTRACT = Path(__file__).with_name("contract.graphql").read_text()
PRINTED = Path(__file__).parents[2] / "schema.graphql"


@pytest.fixture(scope="module")
def contract() -> GraphQLSchema:
    """The public contract."""
    return build_schema(CONTRACT)


@pytest.fixture(scope="module")
def built() -> GraphQLSchema:
    """What the code makes."""
    return build_schema(sdl())


def test_the_printed_schema_is_current() -> None:
    """schema.graphql is what the code makes now; `make schema` prints it again."""
    assert PRINTED.read_text() == sdl()


def test_the_contract_is_kept(contract: GraphQLSchema, built: GraphQLSchema) -> None:
    """Every name, type, nullability and default of the contract is in the schema."""
    assert list(broken(contract, built)) == []


def test_a_broken_contract_is_noticed(contract: GraphQLSchema) -> None:
    """The comparison itself sees a missing type, field, argument, enum value and union member, and a changed type."""
    changes = (
        ("type PageInfo", "type Other"),
        ("sku: String! name: String! description: String!\n", "sku: String! name: String\n"),
        ("category: Category price", "category: Category! price"),
        ("(by: ProductBy!)", "(by: ProductBy)"),
        ("PRICE_DESC NEWEST", "PRICE_DESC"),
        ("Product | SkuTaken | NotFound", "Product | SkuTaken"),
        ("type Category implements Node", "type Category"),
        ("= NAME_ASC", "= NAME_DESC"),
        ("@oneOf", ""),
    )
    built = CONTRACT.replace("pageInfo: PageInfo!", "pageInfo: String")
    before = len(list(broken(contract, build_schema(built))))
    for old, new in changes:
        assert old in built
        assert len(list(broken(contract, build_schema(built.replace(old, new))))) > before, old


def broken(contract: GraphQLSchema, built: GraphQLSchema) -> Iterator[str]:
    """What the contract promises and `built` does not keep."""
    for name, promised in contract.type_map.items():
        if name.startswith("__") or is_specified_scalar_type(promised):
            continue
        kept = built.type_map.get(name)
        if type(kept) is not type(promised):
            yield f"{name}: missing or of another kind"
            continue
        yield from broken_members(promised, kept)
        for field, definition in fields_of(promised).items():
            yield from broken_field(f"{name}.{field}", definition, fields_of(kept).get(field))


def broken_members(promised: Any, kept: Any) -> Iterator[str]:
    """Interfaces, union members, enum values, oneOf."""
    if isinstance(promised, GraphQLObjectType | GraphQLInterfaceType) and (
        {i.name for i in promised.interfaces} - {i.name for i in kept.interfaces}
    ):
        yield f"{promised.name}: implements too little"
    if isinstance(promised, GraphQLUnionType) and {t.name for t in promised.types} != {t.name for t in kept.types}:
        yield f"{promised.name}: other members"
    if isinstance(promised, GraphQLEnumType) and set(promised.values) - set(kept.values):
        yield f"{promised.name}: values missing"
    if isinstance(promised, GraphQLInputObjectType) and promised.is_one_of != kept.is_one_of:
        yield f"{promised.name}: oneOf differs"


def broken_field(path: str, promised: Any, kept: Any) -> Iterator[str]:
    """Type, default and arguments of a field, or of an input field."""
    if kept is None:
        yield f"{path}: missing"
        return
    if str(kept.type) != str(promised.type):
        yield f"{path}: {kept.type} instead of {promised.type}"
    if default_of(kept) != default_of(promised):
        yield f"{path}: another default"
    for name, argument in getattr(promised, "args", {}).items():
        yield from broken_field(f"{path}({name})", argument, kept.args.get(name))


def default_of(argument: Any) -> str | None:
    """An argument's default as the schema language writes it."""
    default = getattr(argument.ast_node, "default_value", None)
    return None if default is None else print_ast(default)


def fields_of(kind: GraphQLNamedType | None) -> dict[str, Any]:
    """The fields of a type that has some."""
    return getattr(kind, "fields", {})


def test_the_schema_and_its_scalars_say_what_they_are() -> None:
    """The schema has a description, also for who asks over the wire; each scalar of its own has a specification."""
    schema = build_product()
    core = schema._schema
    assert core.description is not None
    assert core.description.strip()
    asked = schema.execute_sync("{ __schema { description } }")
    assert asked.data == {"__schema": {"description": core.description}}
    own = [one for one in core.type_map.values() if isinstance(one, GraphQLScalarType)]
    own = [one for one in own if not is_specified_scalar_type(one)]
    assert {one.name for one in own} == {"Cursor", "DateTime", "Decimal", "JSON", "Upload"}
    for scalar in own:
        assert (scalar.specified_by_url or "").startswith("https://"), scalar.name


def test_moments_have_one_width() -> None:
    """Microseconds are always printed, so that strings sort like moments."""
    core: Any = build_product()._schema
    moment = core.type_map["DateTime"]
    whole = datetime(2026, 1, 31, 12, tzinfo=UTC)
    assert moment.serialize(whole) == "2026-01-31T12:00:00.000000Z"
    assert moment.serialize(whole + timedelta(microseconds=1)) == "2026-01-31T12:00:00.000001Z"
