"""Validation in steps: finds what `graphql.validate` finds, in a generator that can pause between any two nodes.

graphql-core visits a document without a pause, and calls every rule at every node; a document of 1,000 tokens takes
tens of milliseconds, during which the event loop serves nobody. Here the visit is a generator that yields at every
node, and a rule is called only for the kinds of nodes that it handles.

A rule may skip the subtree of a node, or stop, but may not edit the document.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias, cast

from graphql import (
    BREAK,
    SKIP,
    FragmentDefinitionNode,
    GraphQLError,
    TypeInfo,
    ValidationContext,
    Visitor,
)
from graphql.validation.validate import FragmentNestingVisitor, query_document_keys_to_validate
from graphql.validation.validation_context import VariableUsage

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence

    from graphql import (
        ASTValidationRule,
        DocumentNode,
        GraphQLSchema,
        Node,
        OperationDefinitionNode,
        VariableNode,
        VisitorAction,
    )


class _Aborted(Exception):
    """The limit on reported errors was reached."""


def validate_in_steps(
    schema: GraphQLSchema,
    document: DocumentNode,
    rules: Sequence[type[ASTValidationRule]],
    *,
    most: int = 20,
    hide_suggestions: bool = True,
) -> Generator[None, None, list[GraphQLError]]:
    """Validate `document`, yielding at every node; returns the errors, at most `most` and one that says it gave up.

    Raises what a rule raises: `merging` raises a `Refusal`.
    """
    errors: list[GraphQLError] = []

    def report(error: GraphQLError) -> None:
        if len(errors) >= most:
            raise _Aborted
        errors.append(error)

    types = TypeInfo(schema)
    try:
        usages = _Usages(types)
        if _has_variables(document):
            yield from _Visit([usages], types).steps(document)
        context = _Context(schema, document, types, report, hide_suggestions)
        context.usages = usages.found
        visitors: list[Visitor] = [rule(context) for rule in rules]
        fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
        if fragments:
            visitors.insert(0, FragmentNestingVisitor(fragments))
        yield from _Visit(visitors, types).steps(document)
    except _Aborted:
        errors.append(GraphQLError("Too many validation errors, error limit reached. Validation aborted."))
    except RecursionError:
        errors.append(GraphQLError("Validation aborted."))
    return errors


def _has_variables(document: DocumentNode) -> bool:
    return document.loc is None or "$" in document.loc.source.body


class _Context(ValidationContext):
    """The validation context for rules; the usages of variables are collected beforehand."""

    usages: Mapping[int, list[VariableUsage]]

    def get_variable_usages(self, node: OperationDefinitionNode | FragmentDefinitionNode) -> list[VariableUsage]:
        """The usages of variables within one definition."""
        return self.usages.get(id(node), [])


class _Usages(Visitor):
    """Collects the usages of variables, by definition."""

    def __init__(self, types: Any) -> None:
        super().__init__()
        self.found: dict[int, list[VariableUsage]] = {}
        self._types = types
        self._here: list[VariableUsage] = []

    def enter_operation_definition(self, node: OperationDefinitionNode, *_args: Any) -> None:
        """Start a definition."""
        self._here = self.found[id(node)] = []

    def enter_fragment_definition(self, node: FragmentDefinitionNode, *_args: Any) -> None:
        """Start a definition."""
        self._here = self.found[id(node)] = []

    def enter_variable_definition(self, *_args: Any) -> VisitorAction:
        """Skip it: a definition is not a usage."""
        return SKIP

    def enter_variable(self, node: VariableNode, *_args: Any) -> None:
        """Record a usage."""
        types = self._types
        self._here.append(
            VariableUsage(node, types.get_input_type(), types.get_parent_input_type(), types.get_default_value(), None)
        )


_Call: TypeAlias = "Callable[..., VisitorAction | None]"


class _Visit:
    """Calls visitors at every node below a root, like graphql-core's `visit` with `ParallelVisitor`."""

    def __init__(self, visitors: Sequence[Visitor], types: TypeInfo) -> None:
        self._types = types
        self._visitors = visitors
        self._skipping: list[object] = [None] * len(visitors)
        self._ends: dict[int, list[int]] = {}  # the visitors that skip the subtree of a node, until it is left
        self._kinds: dict[str, tuple[list[tuple[int, _Call]], list[tuple[int, _Call]]]] = {}
        self._path: list[str | int] = []
        self._ancestors: list[Any] = []
        names = any(self._calls("name"))
        self._keys = {
            kind: keys if names else tuple(key for key in keys if key not in {"name", "alias"})
            for kind, keys in query_document_keys_to_validate.items()
        }

    def steps(self, root: Node) -> Generator[None]:
        """Visit `root` and everything below it, yielding after each node that was entered."""
        path, ancestors = self._path, self._ancestors
        # One entry for each node, or list of nodes, that was entered: itself, its parent, its remaining children.
        stack: list[tuple[Any, Any, Iterator[tuple[str | int, Any]]]] = [(root, None, self._enter(root, None, None))]
        while stack:
            node, parent, below = stack[-1]
            for key, child in below:
                if child is None:
                    continue
                path.append(key)
                inner: Iterator[tuple[str | int, Any]] = (
                    enumerate(cast("tuple[Any, ...]", child))
                    if isinstance(child, tuple)
                    else self._enter(child, key, node)
                )
                ancestors.append(node)
                stack.append((cast("Any", child), node, inner))
                yield
                break
            else:
                stack.pop()
                if ancestors:
                    ancestors.pop()
                if not isinstance(node, tuple):
                    self._leave(node, path[-1] if path else None, parent)
                if path:
                    path.pop()

    def _enter(self, node: Any, key: str | int | None, parent: Any) -> Iterator[tuple[str | int, Any]]:
        self._types.enter(node)
        for position, call in self._calls(node.kind)[0]:
            if self._skipping[position] is None:
                self._after(position, call(node, key, parent, self._path, self._ancestors), node)
        return iter([(key, getattr(node, key, None)) for key in self._keys.get(node.kind, ())])

    def _leave(self, node: Any, key: str | int | None, parent: Any) -> None:
        for position, call in self._calls(node.kind)[1]:
            if self._skipping[position] is None:
                self._after(position, call(node, key, parent, self._path, self._ancestors), None)
        for position in self._ends.pop(id(node), ()):
            self._skipping[position] = None
        self._types.leave(node)

    def _after(self, position: int, result: object, entered: Node | None) -> None:
        """Apply a visitor's result: continue, skip the subtree of the node `entered`, or stop."""
        if result is BREAK or result is True:
            self._skipping[position] = BREAK
        elif entered is not None and (result is SKIP or result is False):
            self._skipping[position] = SKIP
            self._ends.setdefault(id(entered), []).append(position)

    def _calls(self, kind: str) -> tuple[list[tuple[int, _Call]], list[tuple[int, _Call]]]:
        found = self._kinds.get(kind)
        if found is None:
            both = [(position, one.get_enter_leave_for_kind(kind)) for position, one in enumerate(self._visitors)]
            for one in self._visitors:  # it keeps its own bound methods: a cycle, and here they are asked for once
                one.enter_leave_map.clear()
            found = self._kinds[kind] = (
                [(position, one.enter) for position, one in both if one.enter is not None],
                [(position, one.leave) for position, one in both if one.leave is not None],
            )
        return found
