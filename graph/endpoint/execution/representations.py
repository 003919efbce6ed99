"""Checks what clients ask of `_entities`, before the resolver of a federation's schema sees it.

Federation gives entities by representations: JSON objects with a `__typename` and the fields of a key. Their scalar,
`_Any`, takes anything, and Strawberry's resolver takes all of it for what a router would send: it looks any type up,
calls `resolve_reference` with whatever names came, and makes objects of values that nobody has read. Here a
representation must be what the schema says of it: an object that names a type of the union `_Entity`, or an interface
with keys that finds its types itself, with all fields of one of its keys, none that the type does not have, each of a
value that its type reads, and with names that `resolve_reference` takes.

One that is not becomes a `GraphQLError` with the code `BAD_USER_INPUT` in its place of the result; the others are
resolved, unless more than a hundred are wrong: then the field fails. What `resolve_reference` raises is left as it is.
The resolver works on copies, for it takes representations apart, and they may be the values of variables that are used
twice.

A schema that overrides Strawberry's resolver, or has an `_entities` of its own, is left alone.

https://www.apollographql.com/docs/graphos/schema-design/federated-schemas/reference/subgraph-spec
"""

from __future__ import annotations

from inspect import isawaitable, signature
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from graphql import (
    FieldNode,
    GraphQLError,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLSyntaxError,
    GraphQLUnionType,
    OperationDefinitionNode,
    Undefined,
    get_named_type,
    is_abstract_type,
    is_leaf_type,
    parse,
)
from strawberry import federation
from strawberry.federation.schema_directives import Key
from strawberry.utils.inspect import get_func_args

from graph.endpoint.declare import core_of

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from graphql import GraphQLField, GraphQLObjectType, GraphQLSchema, SelectionSetNode
    from strawberry import Schema

_Names: TypeAlias = "dict[str, _Names]"
"""The fields of a key, each with the fields that are selected of it."""

_MOST = 100
"""Wrong representations that are told one by one: a few bytes are one, and each error is many. More fail the field."""

_DEEPEST = 20
"""Objects within one another: wide bounds let literals be nested deeper than Python nests calls."""


def check_representations(schema: Schema) -> None:
    """From now on check the representations that clients send to `schema`. Without entities nothing is changed."""
    if not isinstance(schema, federation.Schema):
        return
    core = core_of(schema)
    field = core.query_type.fields.get("_entities") if core.query_type is not None else None
    if field is not None and _is_of_strawberry(field):
        field.resolve = _Checked(core, field)


def _is_of_strawberry(field: GraphQLField) -> bool:
    """Whether Strawberry's own resolver is called, and not yet by us."""
    resolver: Any = getattr(field.extensions.get("strawberry-definition"), "base_resolver", None)
    function = getattr(getattr(resolver, "wrapped_func", None), "__func__", None)
    return function is federation.Schema.entities_resolver and not isinstance(field.resolve, _Checked)


class _Wrong(Exception):
    """A representation is none: the rest of a sentence that begins with its number."""


class _Checked:
    """The resolver of `_entities`, given nothing but representations of entities."""

    def __init__(self, core: GraphQLSchema, field: GraphQLField) -> None:
        self._resolve: Any = field.resolve
        (self._argument,) = field.args
        union = cast("GraphQLUnionType", get_named_type(cast("Any", field).type))
        interfaces = [one for one in core.type_map.values() if isinstance(one, GraphQLInterfaceType) and _is_found(one)]
        self._entities = {one.name: _Entity(core, one) for one in (*union.types, *interfaces)}

    def __call__(self, source: Any, info: Any, **arguments: Any) -> Any:
        given = arguments[self._argument]
        results: list[Any] = [None] * len(given)
        sound: dict[int, dict[str, Any]] = {}
        wrong = 0
        for number, one in enumerate(given):
            try:
                sound[number] = self._checked(one)
            except _Wrong as error:
                results[number] = _refused(number, error)
                wrong += 1
                if wrong > _MOST:
                    first = next(one for one in results if one is not None)
                    raise _mistake(f"More than {_MOST} representations are wrong. {first.message}") from None
        makes = {number for number, one in sound.items() if self._entities[one["__typename"]].is_made}
        found = self._resolve(source, info, **{self._argument: list(sound.values())})

        def put(found: list[Any]) -> list[Any]:
            for number, one in zip(sound, found, strict=True):
                # Of an entity that is made of its fields Strawberry does not tell why it could not be.
                unmade = number in makes and isinstance(one, TypeError)
                results[number] = _refused(number, _Wrong("does not make its entity")) if unmade else one
            return results

        async def put_later(found: Awaitable[list[Any]]) -> list[Any]:
            return put(await found)

        return put_later(found) if isawaitable(found) else put(found)

    def _checked(self, given: Any) -> dict[str, Any]:
        """A copy of a representation, as Strawberry's resolver shall see it."""
        if not isinstance(given, dict):
            raise _Wrong("is not an object")
        fields = dict(cast("dict[str, Any]", given))
        typename = fields.pop("__typename", None)
        entity = self._entities.get(typename) if isinstance(typename, str) else None
        if entity is None:
            raise _Wrong("has no `__typename` of an entity")
        return {**entity.checked(fields), "__typename": typename}


def _refused(number: int, wrong: _Wrong) -> GraphQLError:
    return _mistake(f"Representation {number} {wrong}.")


def _mistake(message: str) -> GraphQLError:
    return GraphQLError(message, extensions={"code": "BAD_USER_INPUT"})


def _keys(type_: GraphQLObjectType | GraphQLInterfaceType) -> list[str]:
    definition: Any = type_.extensions.get("strawberry-definition")
    directives: Any = getattr(definition, "directives", None) or ()
    return [str(one.fields) for one in directives if isinstance(one, Key)]


def _is_found(interface: GraphQLInterfaceType) -> bool:
    """Whether `interface` is an entity, which gives one of its types for a representation by its own name."""
    definition: Any = interface.extensions.get("strawberry-definition")
    return bool(_keys(interface)) and hasattr(definition.origin, "resolve_reference")


class _Entity:
    """A type with keys: what its representations are."""

    def __init__(self, core: GraphQLSchema, type_: GraphQLObjectType | GraphQLInterfaceType) -> None:
        definition: Any = type_.extensions["strawberry-definition"]
        self._core = core
        self._type = type_
        keys = _keys(type_)
        self._keys = [_names(one) for one in keys]
        self._told = " or ".join(f"`{one}`" for one in keys)
        finding: Any = getattr(definition.origin, "resolve_reference", None)
        self.is_made = finding is None
        """Whether Strawberry makes it of its fields, for it cannot be asked for."""
        self._signature = None
        if finding is not None:
            # That of the function itself, whose first parameter takes no field by its name.
            self._signature = signature(getattr(finding, "__func__", finding))
            self._first = (definition.origin,) if hasattr(finding, "__func__") else ()
            self._informed = {"info": None} if "info" in get_func_args(finding) else {}

    def checked(self, fields: dict[str, Any]) -> dict[str, Any]:
        """The fields of a representation; as their types read them, where Strawberry makes the entity of them.

        Raises:
            _Wrong: They are none of this entity.
        """
        read = self._object(fields, self._type, ())
        if not any(_has(fields, one) for one in self._keys):
            raise _Wrong(f"needs all fields of a key of `{self._type.name}`: {self._told}")
        if self._signature is None:
            return read
        try:
            self._signature.bind(*self._first, **{**fields, **self._informed})
        except TypeError:
            names = ", ".join(f"`{one}`" for one in fields)
            raise _Wrong(
                f"does not have the fields that a `{self._type.name}` is looked up by; it has {names}"
            ) from None
        return fields

    def _object(self, given: Any, type_: Any, place: tuple[str, ...]) -> dict[str, Any]:
        """The object `given` of a `type_` of objects."""
        if not isinstance(given, dict) or len(place) > _DEEPEST:
            raise _no_value(place, type_)
        value = cast("dict[str, Any]", given)
        if is_abstract_type(type_):
            # Strawberry would make an object of the abstract type itself, which is no answer.
            found = None if self.is_made else self._concrete(value, type_)
            if found is None:
                raise _no_value(place, type_)
            if isinstance(found, GraphQLUnionType):
                return value
            type_ = found
        read: dict[str, Any] = {}
        for name, one in value.items():
            if name == "__typename" and place:
                continue
            if name not in type_.fields:
                raise _Wrong(f"has a field that `{type_.name}` does not have: {_shown((*place, name))}")
            read[name] = self._value(one, type_.fields[name].type, (*place, name))
        return read

    def _concrete(self, value: dict[str, Any], type_: Any) -> Any:
        """The type that `value` says it is, None for none of the abstract `type_`; `type_` where it says nothing."""
        if "__typename" not in value:
            return type_
        named = value["__typename"]
        found = self._core.type_map.get(named) if isinstance(named, str) else None
        return found if found in self._core.get_possible_types(type_) else None

    def _value(self, given: Any, wanted: Any, place: tuple[str, ...]) -> Any:
        """The value `given` of any type."""
        type_ = wanted
        if isinstance(wanted, GraphQLNonNull):
            if given is None:
                raise _no_value(place, wanted)
            type_ = cast("Any", wanted).of_type
        if given is None:
            return None
        if isinstance(type_, GraphQLList):
            if not isinstance(given, list):
                raise _no_value(place, wanted)
            within = cast("Any", type_).of_type
            return [self._value(one, within, place) for one in cast("list[Any]", given)]
        return _leaf(given, type_, place) if is_leaf_type(type_) else self._object(given, type_, place)


def _leaf(given: Any, type_: Any, place: tuple[str, ...]) -> Any:
    """The scalar or enum value `given`."""
    try:
        # Strawberry's parser of Relay's ids takes anything.
        read = Undefined if type_.name == "GlobalID" and not isinstance(given, str) else type_.coerce_input_value(given)
    except Exception:  # noqa: BLE001 - whatever a parser raises says that it is no value
        raise _no_value(place, type_) from None
    if read is Undefined:
        raise _no_value(place, type_)
    return read


def _no_value(place: tuple[str, ...], type_: Any) -> _Wrong:
    return _Wrong(f"has no value of type `{type_}` in {_shown(place)}")


_SHOWN = 3
"""Names of a place that are told: clients can nest types as deep as they like."""


def _shown(place: tuple[str, ...]) -> str:
    return f"`{'.'.join(place[:_SHOWN])}{'…' if len(place) > _SHOWN else ''}`"


def _names(key: str) -> _Names:
    """The fields of `key`, a selection set without its braces; none of one that cannot be read."""
    try:
        (operation,) = parse(f"{{ {key} }}").definitions
    except GraphQLSyntaxError:
        return {}
    assert isinstance(operation, OperationDefinitionNode)
    return _selected(operation.selection_set)


def _selected(selections: SelectionSetNode | None) -> _Names:
    nodes = selections.selections if selections is not None else ()
    fields = [one for one in nodes if isinstance(one, FieldNode)]
    return {one.name.value: _selected(one.selection_set) for one in fields if one.name.value != "__typename"}


def _has(given: Any, names: _Names) -> bool:
    """Whether all `names` are there, in each object of a list; null needs none where its type allows it."""
    if isinstance(given, list):
        return all(_has(one, names) for one in cast("list[Any]", given))
    if not names or given is None:
        return True
    if not isinstance(given, dict):
        return False
    fields = cast("dict[str, Any]", given)
    return all(name in fields and _has(fields[name], within) for name, within in names.items())
