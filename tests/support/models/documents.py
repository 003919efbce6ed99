"""Valid operations on a schema, made up at random: fields, aliases, arguments, variables, fragments, conditions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    get_named_type,
    is_composite_type,
    is_required_argument,
    is_required_input_field,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from random import Random

LEAVES: Mapping[str, Sequence[Any]] = {
    "Int": (0, 1, 2, 13, -5),
    "Float": (0.5, 2, -1.25),
    "String": ("", "a", "1.50"),
    "Boolean": (True, False),
    "ID": ("x", "1"),
    "Decimal": ("1.50", "0"),
}
"""Values of leaves, as a client writes them in JSON."""


def _named(type_: Any) -> Any:
    return cast("Any", get_named_type)(type_)


def _inside(type_: Any) -> Any:
    return type_.of_type


class Author:
    """Writes documents for one schema, by the draws of `chance`."""

    def __init__(
        self,
        schema: GraphQLSchema,
        chance: Random,
        *,
        avoid: frozenset[str] = frozenset(),
        leaves: Mapping[str, Sequence[Any]] | None = None,
        depth: int = 4,
    ) -> None:
        """Never ask for the fields `avoid`, given as ``Type.field``; `leaves` are further values of scalars."""
        self.schema = schema
        self.chance = chance
        self._avoid = avoid
        self._leaves = {**LEAVES, **(leaves or {})}
        self._depth = depth
        self._fragments: list[str] = []
        self._names: dict[str, str] = {}
        self._declared: dict[str, str] = {}
        self._spread = self._named = 0
        self.variables: dict[str, Any] = {}

    def document(self, kind: str = "query") -> str:
        """One operation; its variables are in `variables`."""
        root = {"query": self.schema.query_type, "mutation": self.schema.mutation_type}[kind]
        assert root is not None
        body = self._selection(root, self._depth)
        declared = ", ".join(f"${name}: {type_}" for name, type_ in self._declared.items())
        head = f"{kind} Made{f'({declared})' if declared else ''}"
        return "\n".join([f"{head} {body}", *self._fragments])

    def _maybe(self, share: float) -> bool:
        return self.chance.random() < share

    # --- selections ---

    def _selection(self, type_: Any, depth: int) -> str:
        parts = [self._part(type_, depth) for _ in range(self.chance.randint(1, 4))]
        return (
            "{ " + " ".join(one for one in parts if one) + " __typename }"
            if self._maybe(0.3) or not any(parts)
            else ("{ " + " ".join(one for one in parts if one) + " }")
        )

    def _part(self, type_: Any, depth: int) -> str:
        roll = self.chance.random()
        if roll < 0.15 and depth > 0:
            condition = self._condition(type_)
            below = self._selection(condition or type_, depth - 1)
            return f"... {f'on {condition} ' if condition else ''}{self._conditions()} {below}"
        if roll < 0.25 and depth > 0:
            return f"...{self._fragment(type_, depth - 1)} {self._conditions()}"
        if roll < 0.3 or isinstance(type_, GraphQLUnionType):
            return f"{self._alias('t') if self._maybe(0.3) else ''}__typename {self._conditions()}"
        return self._field(type_, depth)

    def _condition(self, type_: Any) -> Any:
        """A type that some object of `type_` is of; None for no condition."""
        if isinstance(type_, (GraphQLInterfaceType, GraphQLUnionType)):
            return self.chance.choice([None, type_, *self.schema.get_possible_types(type_)]) or (
                type_ if isinstance(type_, GraphQLUnionType) else None
            )
        return self.chance.choice([None, type_, *cast("GraphQLObjectType", type_).interfaces])

    def _fragment(self, type_: Any, depth: int) -> str:
        condition = self._condition(type_) or type_
        name = self._names.get(condition.name)
        if name is None or self._maybe(0.5):
            self._spread += 1
            name = f"F{self._spread}"
            body = self._selection(condition, depth)
            self._fragments.append(f"fragment {name} on {condition} {body}")
            self._names[condition.name] = name
        return name

    def _field(self, type_: Any, depth: int) -> str:
        fields = {
            name: field
            for name, field in type_.fields.items()
            if f"{type_.name}.{name}" not in self._avoid and (depth > 0 or not is_composite_type(_named(field.type)))
        }
        if not fields:
            return "__typename"
        name = self.chance.choice(list(fields))
        field = fields[name]
        given = [
            self._argument(key, one) for key, one in field.args.items() if is_required_argument(one) or self._maybe(0.5)
        ]
        # Fields with arguments are told apart, so that two that differ do not have to be merged.
        alias = self._alias("a") if given or self._maybe(0.2) else ""
        inner: Any = _named(field.type)
        below = self._selection(inner, depth - 1) if is_composite_type(inner) else ""
        arguments = f"({', '.join(given)})" if given else ""
        return f"{alias}{name}{arguments} {self._conditions()} {below}"

    def _alias(self, letter: str) -> str:
        self._named += 1
        return f"{letter}{self._named}: "

    def _conditions(self) -> str:
        said = ""
        for directive in ("skip", "include"):
            if self._maybe(0.1):
                value = (
                    self._variable("Boolean!", self._maybe(0.7)) if self._maybe(0.6) else self._word(self._maybe(0.7))
                )
                said += f"@{directive}(if: {value}) "
        return said

    @staticmethod
    def _word(value: bool) -> str:  # noqa: FBT001 - a literal
        return "true" if value else "false"

    # --- arguments ---

    def _argument(self, name: str, argument: Any) -> str:
        return f"{name}: {self._value(argument.type, 3)}"

    def _variable(self, type_: str, value: Any, *, sent: bool = True) -> str:
        name = f"v{len(self._declared)}"
        self._declared[name] = type_
        if sent:
            self.variables[name] = value
        return f"${name}"

    def _value(self, type_: Any, depth: int) -> str:
        """A literal of `type_`, with variables in it."""
        needed = isinstance(type_, GraphQLNonNull)
        if self._maybe(0.35):
            return self._sent(type_, depth, needed=needed)
        if needed:
            return self._bare(_inside(type_), depth)
        return "null" if self._maybe(0.15) else self._bare(type_, depth)

    def _sent(self, type_: Any, depth: int, *, needed: bool) -> str:
        """A variable of `type_`; some have a default, some are left out."""
        if not needed and self._maybe(0.3):
            return self._variable(str(type_), None, sent=self._maybe(0.5))
        value = self._json(type_, depth)
        if self._maybe(0.2) and not isinstance(_named(type_), GraphQLInputObjectType):
            default = self._literal(self._json(type_, depth), type_)
            return self._variable(f"{type_} = {default}", value, sent=self._maybe(0.5))
        return self._variable(str(type_), value)

    def _bare(self, type_: Any, depth: int) -> str:
        if isinstance(type_, GraphQLList):
            wrapped = _inside(type_)
            return "[" + ", ".join(self._value(wrapped, depth - 1) for _ in range(self.chance.randint(0, 2))) + "]"
        if isinstance(type_, GraphQLInputObjectType):
            if type_.is_one_of:
                name = self.chance.choice(list(type_.fields))
                inner: Any = type_.fields[name].type
                return f"{{ {name}: {self._bare(inner, depth - 1)} }}"
            given = [
                f"{name}: {self._value(one.type, depth - 1)}"
                for name, one in type_.fields.items()
                if is_required_input_field(one) or (depth > 0 and self._maybe(0.5))
            ]
            return "{ " + ", ".join(given) + " }"
        return self._literal(self._json_bare(type_, depth), type_)

    def _literal(self, value: Any, type_: Any) -> str:
        if value is None:
            return "null"
        if isinstance(value, bool):
            return self._word(value)
        if isinstance(value, list):
            wrapped: Any = getattr(type_, "of_type", type_)
            return "[" + ", ".join(self._literal(one, wrapped) for one in cast("list[Any]", value)) + "]"
        if isinstance(value, str):
            return value if isinstance(_named(type_), GraphQLEnumType) else f'"{value}"'
        return str(value)

    def _json(self, type_: Any, depth: int) -> Any:
        """A value of `type_` as a client sends it in its variables."""
        if isinstance(type_, GraphQLNonNull):
            return self._json_bare(_inside(type_), depth)
        return None if self._maybe(0.15) else self._json_bare(type_, depth)

    def _json_bare(self, type_: Any, depth: int) -> Any:
        if isinstance(type_, GraphQLList):
            wrapped = _inside(type_)
            return [self._json(wrapped, depth - 1) for _ in range(self.chance.randint(0, 2))]
        if isinstance(type_, GraphQLInputObjectType):
            if type_.is_one_of:
                name = self.chance.choice(list(type_.fields))
                return {name: self._json_bare(type_.fields[name].type, depth - 1)}
            return {
                name: self._json(one.type, depth - 1)
                for name, one in type_.fields.items()
                if is_required_input_field(one) or (depth > 0 and self._maybe(0.5))
            }
        if isinstance(type_, GraphQLEnumType):
            return self.chance.choice(list(type_.values))
        return self.chance.choice(list(self._leaves[type_.name]))
