"""Prepared operations: a document is parsed, measured, validated and costed once, then found by its text.

A `Prepared` is immutable and shared by all requests that send the same text. Invalid documents are kept too, in a
small store of their own, so that a client that repeats a mistake costs little and evicts no valid document.

Every step is linear in the document. `Operations.prepared` yields to the event loop every `SLICE` seconds, prepares
one document at a time, callers in turn, and a text only once when many send it at the same time; its longest
uninterrupted step is parsing a document of `Bounds.tokens` tokens. The cost and cache policy of an operation are
computed when they are first needed, because a document may hold a hundred operations that all spread the same large
fragment.

A document with `@defer` or `@stream` is kept twice: as it is, for whoever takes the answer in pieces, and without them
(`in_one_piece`), for what they stand at to come with the rest, as the specification allows.

Failure: `prepare` and `prepared` raise nothing, whatever a client sends; `Prepared.errors` says what is wrong.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from functools import cached_property, partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from graphql import GraphQLError, OperationDefinitionNode, OperationType
from prometheus_client import Counter

from graph.endpoint.document.bounds import Bounds
from graph.endpoint.document.cost_planner import Planner
from graph.endpoint.document.measure import DELIVERY, INTROSPECTION_DEPTH, Measure, in_one_piece, measure, parsed
from graph.endpoint.document.retention import Retention
from graph.endpoint.document.rules import RULES
from graph.endpoint.document.validation import validate_in_steps
from graph.endpoint.errors import Refusal, coded
from graph.patterns.fair_queue import FairQueue, Sharers

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Hashable, Mapping, Sequence

    from graphql import ASTValidationRule, DocumentNode, GraphQLSchema

    from graph.endpoint.document.cost_plan import CostPlan, Estimate

_LOOKUPS = Counter("graph_operations_total", "Documents looked up, by outcome: known, prepared, invalid.", ["outcome"])
_KNOWN, _PREPARED, _INVALID = (_LOOKUPS.labels(outcome) for outcome in ("known", "prepared", "invalid"))

# Bytes that a prepared document takes, measured with tracemalloc: about 400 per token, including the plan. Compiling
# it takes the same again, plus 8,000 for the document.
_BYTES_PER_TOKEN = 1024
_BYTES_PER_DOCUMENT = 12_288
_BYTES_PER_REFUSAL = 4096

SLICE = 0.004
"""Seconds that preparing a document may take before it yields to the event loop."""


class Operation:
    """One operation of a document; `policy` is whatever the product derives from it once (such as how to cache it).

    `program` is kept here for `compiled`, which makes it when the operation first runs. No bounds hold for one that is
    `trusted`.
    """

    def __init__(
        self, node: OperationDefinitionNode, plan: CostPlan, derive: Callable[[], object], *, trusted: bool = False
    ) -> None:
        """Describe the operation defined by `node`; `derive` computes its `policy` when that is first needed."""
        self.trusted = trusted
        self.node = node
        self.name = node.name.value if node.name else None
        self.kind = node.operation
        self.plan = plan
        self._derive = derive
        self.program: object = None
        self.form: object = None
        """Kept here for `live`, like `program`: the normal form."""

    @cached_property
    def policy(self) -> object:
        """The policy that `derive` computes for the operation, once."""
        return self._derive()

    @property
    def free(self) -> bool:
        """Whether the operation selects only fields that are never charged."""
        return self.plan.free and self.kind is OperationType.QUERY


class Prepared:
    """A prepared document: either `document` and `operations`, or `errors`."""

    def __init__(
        self,
        text: str,
        document: DocumentNode | None,
        operations: Mapping[str | None, Operation],
        errors: Sequence[GraphQLError],
    ) -> None:
        """Hold the result of preparing `text`."""
        self.text = text
        self.document = document
        self.operations = operations
        self.errors = errors
        self.in_pieces: DocumentNode | None = None
        """The document with its `@defer` and `@stream`, which `document` has not; None if there are none."""
        self.compiled: object = None
        """How much of the document may still be compiled; kept here for `compiled`, like `Operation.program`."""
        self.contributed: dict[Hashable, list[GraphQLError]] = {}
        """What rules of the schema's extensions found; kept here for `contributed`."""

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of the text, in hexadecimal."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def select(self, name: str | None) -> Operation:
        """The operation called `name`, or the only one. Raises `Refusal` when there is no such single operation."""
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
        """Keep about `capacity` bytes of documents that passed `rules`, and a sixteenth of that for failed ones."""
        self.bounds = bounds or Bounds()
        self._schema = schema
        self._incremental = any(schema.get_directive(name) for name in DELIVERY)
        self._planner = Planner(schema)
        self._rules = rules
        self._derive = derive
        self._hide_suggestions = hide_suggestions
        self._valid: Retention[str, Prepared] = Retention(capacity)
        self._invalid: Retention[str, Prepared] = Retention(capacity // 16)
        self._turn = FairQueue(1, 1)
        self._under_way: dict[str, tuple[asyncio.Task[Prepared], Sharers]] = {}

    @property
    def size(self) -> int:
        """The estimated size of the kept documents, bytes."""
        return self._valid.size + self._invalid.size

    def __len__(self) -> int:
        return len(self._valid) + len(self._invalid)

    def known(self, text: str) -> Prepared | None:
        """The kept result of preparing `text`; None if there is none."""
        prepared = self._valid.get(text) or self._invalid.get(text)
        if prepared is not None:
            _KNOWN.inc()
        return prepared

    @staticmethod
    def recalled(count: int) -> None:
        """Count look-ups that a caller answered from an earlier result of `known`."""
        _KNOWN.inc(count)

    def prepare(self, text: str, *, trusted: bool = False) -> Prepared:
        """Parse, measure, validate and cost `text`, or return the kept result; without bounds if it is `trusted`."""
        known = self.known(text)
        if known is not None:
            return known
        steps = self._make(text, trusted=trusted)
        while True:
            try:
                next(steps)
            except StopIteration as done:
                return done.value

    async def prepared(self, text: str, *, trusted: bool = False) -> Prepared:
        """Do what `prepare` does, but yield to the event loop meanwhile.

        When a caller is cancelled the preparation goes on for the others that wait for the same text; even without any
        it is finished and kept.
        """
        known = self.known(text)
        if known is not None:
            return known
        if (under_way := self._under_way.get(text)) is not None:
            task, sharers = under_way
            sharers.join()
        else:
            sharers = Sharers()
            task = asyncio.create_task(self._in_turn(text, sharers, trusted=trusted))
            self._under_way[text] = task, sharers
            task.add_done_callback(lambda _: self._under_way.pop(text, None))
        return await asyncio.shield(task)

    async def _in_turn(self, text: str, sharers: Sharers, *, trusted: bool) -> Prepared:
        sharers.work()
        async with self._turn.place():
            steps = self._make(text, trusted=trusted)
            until = time.perf_counter() + SLICE
            while True:
                try:
                    next(steps)
                except StopIteration as done:
                    return done.value
                if time.perf_counter() > until:
                    await asyncio.sleep(0)
                    until = time.perf_counter() + SLICE

    def check(self, operation: Operation, variables: Mapping[str, Any] | None) -> Estimate:
        """The cost of `operation` with `variables`. Raises `Refusal` when it is out of bounds."""
        bounds = self.bounds
        estimate = operation.plan.estimate(variables)
        if operation.trusted:
            return estimate
        if estimate.over is not None or estimate.page > bounds.page:
            most = bounds.page if estimate.over is None else estimate.over
            places = list(islice(operation.plan.longer(bounds.page, variables), bounds.errors))
            raise Refusal("BAD_USER_INPUT", f"A page holds at most {most} entries.", places=places, limit=most)
        if estimate.cost > bounds.complexity:
            raise Refusal("TOO_COMPLEX", "The operation asks for too much at once.",
                          limit=bounds.complexity, cost=min(estimate.cost, 1 << 53))  # fmt: skip
        if estimate.introspection and estimate.introspection > self._planner.introspection_limit:
            raise Refusal("TOO_COMPLEX", "The introspection asks for too much at once.")
        return estimate

    def _make(self, text: str, *, trusted: bool) -> Generator[None, None, Prepared]:
        try:
            document = parsed(text, None if trusted else self.bounds.tokens)
            yield
            if not trusted:
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
        said, document = document, in_one_piece(document) if self._incremental else document
        yield
        operations: dict[str | None, Operation] = {}
        plans = self._planner.plans(document)
        for node in document.definitions:
            if isinstance(node, OperationDefinitionNode):
                name = node.name.value if node.name else None
                policy = partial(self._policy, document, node)
                operations[name] = Operation(node, plans[name], policy, trusted=trusted)
        prepared = Prepared(text, document, operations, ())
        tokens = document.token_count or len(text)
        if said is not document:
            prepared.in_pieces = said
            tokens *= 2
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
