"""Coerces the arguments of a field as quickly as possible for each request.

Arguments that cannot be coerced here (a value of the wrong type, a wrong default) are left to graphql-core's own
functions, which produce the right error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias, cast

from graphql import GraphQLError, Undefined, VariableNode, is_required_argument
from graphql.execution.values import coerce_argument, get_argument_values

from graph.endpoint.execution.compiled.literals import UNKNOWN, compile_literal, default_of, immutable, mentions, pure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from graphql import GraphQLArgument, ValueNode

    from graph.endpoint.execution.compiled.basics import Field, Run

Arguments: TypeAlias = "Callable[[Run], dict[str, Any]]"
"""Gives the coerced arguments of a field, to be read and not changed."""
_Put: TypeAlias = "Callable[[dict[str, Any], Run], None]"


def compile_arguments(field: Field) -> Arguments | None:
    """A function that returns the arguments of `field`; None where it takes none and is given none."""
    definition, node = field.definition, field.nodes[0]
    if not definition.args and not node.arguments:
        return None
    given = {one.name.value: one.value for one in node.arguments or ()}
    constant = _constant(field, given)
    if constant is not None:
        return lambda _: constant
    puts = [_argument(field, name, argument, given.get(name)) for name, argument in definition.args.items()]

    def arguments(run: Run) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for put in puts:
            put(found, run)
        return found

    return arguments


def _constant(field: Field, given: Mapping[str, ValueNode]) -> dict[str, Any] | None:
    taken = field.definition.args
    if any(mentions(value) or name not in taken or not pure(taken[name].type) for name, value in given.items()):
        return None
    try:
        values = get_argument_values(field.definition, field.nodes[0])
    except (GraphQLError, TypeError):  # to be raised by each request
        return None
    return values if all(map(immutable, values.values())) else None


def _argument(field: Field, name: str, argument: GraphQLArgument, value: ValueNode | None) -> _Put:
    """A function that adds the argument `name` to the coerced arguments."""
    node = field.nodes[0]
    sent = next((one for one in node.arguments or () if one.name.value == name), None)
    out_name = argument.out_name or name
    required = is_required_argument(argument)
    absent = default_of(argument)

    def ask(found: dict[str, Any], run: Run) -> None:
        coerce_argument(found, node, name, argument, sent, run.variable_values, None, run.hide_suggestions)

    def leave_out(found: dict[str, Any], run: Run) -> None:
        if required or absent is UNKNOWN:
            ask(found, run)
        elif absent is not Undefined:
            found[out_name] = absent

    if value is None:
        return leave_out
    literal = compile_literal(value, cast("Any", argument).type)
    if literal is None:
        return ask
    variable = value.name.value if isinstance(value, VariableNode) else None

    def put(found: dict[str, Any], run: Run) -> None:
        coerced = run.variable_values.coerced
        if variable is not None and variable not in coerced:
            leave_out(found, run)
            return
        result = literal(coerced)
        if result is Undefined:
            ask(found, run)
        else:
            found[out_name] = result

    return put
