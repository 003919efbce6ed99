"""Prepared operations: a document is parsed, measured, validated and costed once, then found by its text.

A `Prepared` is immutable and shared by all requests that send the same text. Invalid documents are remembered too, in a
small store of their own, so that a client that repeats a mistake costs little and pushes out nothing.

Every step is linear in the document. `Operations.prepared` gives way to the event loop every `SLICE` seconds, prepares
one document at a time, and a text that many send at once only once; its longest piece at one go is to parse a document
of as many tokens as `Bounds.tokens`. What an operation costs, and how it may be kept, is found out when it is asked
for: a document may hold a hundred operations that all spread the same large fragment.

Failure: `prepare` and `prepared` raise nothing for what a client can send; what is wrong is in `Prepared.errors`.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from graphql import (
    GraphQLError,
    GraphQLSyntaxError,
    OperationDefinitionNode,
    OperationType,
    parse,
)
from prometheus_client import Counter

from graph.endpoint.document.bounds import Bounds
from graph.endpoint.document.cost_planner import Planner
from graph.endpoint.document.measure import INTROSPECTION_DEPTH, Measure, measure
from graph.endpoint.document.retention import Retention
from graph.endpoint.document.rules import RULES
from graph.endpoint.document.validation import validate_in_steps
from graph.endpoint.errors import Refusal, coded

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

    from graphql import ASTValidationRule, DocumentNode, GraphQLSchema

    from graph.endpoint.document.cost_plan import Plan

_LOOKUPS = Counter("graph_operations_total", "Documents looked up, by outcome: known, prepared, invalid.", ["outcome"])
_KNOWN, _PREPARED, _INVALID = (_LOOKUPS.labels(outcome) for outcome in ("known", "prepared", "invalid"))

# Bytes that a prepared document takes, measured with tracemalloc: about 400 a token, the plan included, and as much
# again with 8,000 for the document once it has been compiled.
_BYTES_PER_TOKEN = 1024
_BYTES_PER_DOCUMENT = 12_288
_BYTES_PER_REFUSAL = 4096

SLICE = 0.004
"""Seconds that a document is prepared at one go before everything else has its turn."""


class Operation:
    """One operation of a document; `policy` is whatever the product derives from it once (how to cache it, say).

    `program` is kept here for `compiled`, which makes it when the operation first runs.
    """

    def __init__(self, node: OperationDefinitionNode, plan: Plan, derive: Callable[[], object]) -> None:
        """Describe the operation defined by `node`; `derive` gives its `policy`, when it is first asked for."""
        self.node = node
        self.name = node.name.value if node.name else None
        self.kind = node.operation
        self.plan = plan
        self._derive = derive
        self.program: object = None

    @cached_property
    def policy(self) -> object:
        """What the product derives from the operation."""
        return self._derive()

    @property
    def free(self) -> bool:
        """Whether the operation asks for nothing but what is never charged."""
        return self.plan.free and self.kind is OperationType.QUERY


class Prepared:
    """A document made ready: either `document` and `operations`, or `errors`."""

    def __init__(
        self,
        text: str,
        document: DocumentNode | None,
        operations: Mapping[str | None, Operation],
        errors: Sequence[GraphQLError],
    ) -> None:
        """Hold what `text` came to."""
        self.text = text
        self.document = document
        self.operations = operations
        self.errors = errors
        self.compiled: object = None
        """Kept here for `compiled`, as `Operation.program` is: how much of the document may still be compiled."""

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of the text, in hexadecimal."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def select(self, name: str | None) -> Operation:
        """The operation called `name`, or the only one. Raises `Refusal` when that is not one operation."""
        if name is None:
            if len(self.operations) == 1:
                return next(iter(self.operations.values()))
            raise Refusal("OPERATION_RESOLUTION_FAILURE", "The document has several operations: name one.")
        found = self.operations.get(name)
        if found is None:
            raise Refusal("OPERATION_RESOLUTION_FAILURE", "The document has no operation of that name.")
        return found


class Operations:
    """The prepared operations of one schema."""

    def __init__(
        self,
        schema: GraphQLSchema,
        bounds: Bounds | None = None,
        *,
        capacity: int = 32 << 20,
        hide_suggestions: bool = True,
        rules: Sequence[type[ASTValidationRule]] = RULES,
        derive: Callable[[GraphQLSchema, DocumentNode, OperationDefinitionNode], object] | None = None,
    ) -> None:
        """Keep about `capacity` bytes of documents that passed `rules`, and a sixteenth of that of ones that failed."""
        self.bounds = bounds or Bounds()
        self._schema = schema
        self._planner = Planner(schema)
        self._rules = rules
        self._derive = derive
        self._hide_suggestions = hide_suggestions
        self._valid: Retention[str, Prepared] = Retention(capacity)
        self._invalid: Retention[str, Prepared] = Retention(capacity // 16)
        self._turn = asyncio.Lock()
        self._under_way: dict[str, asyncio.Task[Prepared]] = {}

    @property
    def size(self) -> int:
        """Bytes that the documents kept are taken to need."""
        return self._valid.size + self._invalid.size

    def __len__(self) -> int:
        return len(self._valid) + len(self._invalid)

    def known(self, text: str) -> Prepared | None:
        """What `prepare` has already made of `text` and kept."""
        prepared = self._valid.get(text) or self._invalid.get(text)
        if prepared is not None:
            _KNOWN.inc()
        return prepared

    @staticmethod
    def recalled(count: int) -> None:
        """Count look-ups that somebody answered from what `known` gave before."""
        _KNOWN.inc(count)

    def prepare(self, text: str) -> Prepared:
        """Parse, measure, validate and cost `text`, or recall it."""
        known = self.known(text)
        if known is not None:
            return known
        steps = self._make(text)
        while True:
            try:
                next(steps)
            except StopIteration as done:
                return done.value

    async def prepared(self, text: str) -> Prepared:
        """Do what `prepare` does, giving way to the event loop meanwhile.

        A caller that is cancelled leaves the preparation to those who wait for the same text; without them it is
        finished all the same, and kept.
        """
        known = self.known(text)
        if known is not None:
            return known
        task = self._under_way.get(text)
        if task is None:
            task = self._under_way[text] = asyncio.create_task(self._in_turn(text))
            task.add_done_callback(lambda _: self._under_way.pop(text, None))
        return await asyncio.shield(task)

    async def _in_turn(self, text: str) -> Prepared:
        async with self._turn:
            steps = self._make(text)
            until = time.perf_counter() + SLICE
            while True:
                try:
                    next(steps)
                except StopIteration as done:
                    return done.value
                if time.perf_counter() > until:
                    await asyncio.sleep(0)
                    until = time.perf_counter() + SLICE

    def check(self, operation: Operation, variables: Mapping[str, Any] | None) -> int:
        """The cost of `operation` with `variables`. Raises `Refusal` when that is out of bounds."""
        bounds = self.bounds
        estimate = operation.plan.estimate(variables)
        if estimate.page > bounds.page:
            raise Refusal("BAD_USER_INPUT", f"A page holds at most {bounds.page} entries.", limit=bounds.page)
        if estimate.cost > bounds.complexity:
            raise Refusal("TOO_COMPLEX", "The operation asks for too much at once.",
                          limit=bounds.complexity, cost=min(estimate.cost, 1 << 53))  # fmt: skip
        if estimate.introspection > self._planner.introspection_limit:
            raise Refusal("TOO_COMPLEX", "The introspection asks for too much at once.")
        return estimate.cost + estimate.introspection

    def _make(self, text: str) -> Generator[None, None, Prepared]:
        try:
            document = self._parse(text)
            yield
            self._bound(measure(document))
            yield
            errors = yield from validate_in_steps(
                self._schema,
                document,
                self._rules,
                most=self.bounds.errors,
                hide_suggestions=self._hide_suggestions,
            )
        except GraphQLError as error:
            return self._refuse(text, coded([error], "GRAPHQL_PARSE_FAILED"))
        if errors:
            return self._refuse(text, coded(errors, "GRAPHQL_VALIDATION_FAILED"))
        yield
        operations: dict[str | None, Operation] = {}
        plans = self._planner.plans(document)
        for node in document.definitions:
            if isinstance(node, OperationDefinitionNode):
                name = node.name.value if node.name else None
                operations[name] = Operation(node, plans[name], partial(self._policy, document, node))
        prepared = Prepared(text, document, operations, ())
        tokens = document.token_count or len(text)
        self._valid.put(text, prepared, _BYTES_PER_DOCUMENT + _BYTES_PER_TOKEN * tokens + 4 * len(text))
        _PREPARED.inc()
        return prepared

    def _policy(self, document: DocumentNode, node: OperationDefinitionNode) -> object:
        return self._derive(self._schema, document, node) if self._derive is not None else None

    def _refuse(self, text: str, errors: Sequence[GraphQLError]) -> Prepared:
        prepared = Prepared(text, None, {}, errors)
        self._invalid.put(text, prepared, _BYTES_PER_REFUSAL + 4 * len(text) + 1024 * len(errors))
        _INVALID.inc()
        return prepared

    def _parse(self, text: str) -> DocumentNode:
        limit = self.bounds.tokens
        try:
            return parse(text, max_lexical_tokens=limit, max_comments=limit, allow_empty_selection_sets=False)
        except GraphQLSyntaxError as error:
            if error.message.endswith("Parsing aborted."):
                raise Refusal("TOO_MANY_TOKENS", f"A document holds at most {limit} tokens.", limit=limit) from error
            raise

    def _bound(self, found: Measure) -> None:
        bounds = self.bounds
        if found.introspects and not bounds.introspection:
            raise Refusal("GRAPHQL_VALIDATION_FAILED", "Introspection is switched off.")
        if found.depth > bounds.depth:
            raise Refusal("TOO_DEEP", f"Fields may be nested {bounds.depth} deep.", limit=bounds.depth)
        if found.introspection_depth > INTROSPECTION_DEPTH:
            raise Refusal("TOO_DEEP", f"Introspection may be nested {INTROSPECTION_DEPTH} deep.")
        if found.aliases > bounds.aliases:
            raise Refusal("TOO_MANY_ALIASES", f"A document has at most {bounds.aliases} aliases.", limit=bounds.aliases)
        if found.directives > bounds.directives:
            raise Refusal(
                "TOO_MANY_DIRECTIVES",
                f"A document has at most {bounds.directives} directives.",
                limit=bounds.directives,
            )
