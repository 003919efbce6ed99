"""The worst document and the worst batch that a search finds: what a stranger can make the event loop do.

A document is made of pieces (fields repeated, nested, aliased, with arguments, variables, directives; fragments in
chains and fans; many operations; what no schema has), as many as the bound on tokens lets through. The search mutates
the pieces and keeps what takes longest, from several beginnings. It counts the CPU time of this thread, so that other
programs on the machine do not matter: all that a document takes before its operation runs (parsing, measure,
validation, cost, cache policy, compilation), and the longest piece of that which runs at one go.
"""

from __future__ import annotations

import asyncio
import gc
import random
import time
from dataclasses import replace
from typing import Any, NamedTuple

from bench.report import Report
from graph.api.schema import build_schema
from graph.endpoint.document import Allowance, Bounds, Operations, derive
from graph.endpoint.errors import Refusal
from graph.endpoint.execution.compiled import Compiler

SEARCH = 40.0
"""Seconds of search."""
BEGINNINGS = 6
SIZES = (1, 2, 3, 5, 10)
"""Documents of a batch that share what may be new of it."""

# What stands in the operation, and what in fragments of their own; `%d` counts the copies.
FIELDS = (
    "__typename ",
    "rateLimit{limit} ",
    "rateLimit{limit remaining resetAt cost windowSeconds} ",
    "viewer{id email} ",
    'node(id:"x"){id} ',
    "node(id:$v){__typename id} ",
    "products(first:1){nodes{id name}} ",
    "products(first:$n){edges{cursor node{id}}} ",
    'products(filter:{search:"a",minPrice:"1"},sort:NAME){totalCount} ',
    "...on Query{__typename} ",
    "...{...{...{__typename}}} ",
    "__typename @skip(if:false) ",
    "rateLimit @include(if:$b){limit} ",
    "__schema{types{name fields{name}}} ",
    "a%d:__typename ",
    "nothing ",
    "nothing(of:[1,2,3,[4,[5]]]){at all} ",
    "...F0 ",
    "...F%d ",
    "x:rateLimit{limit} x:viewer{id} ",
)
FRAGMENTS = (
    "fragment F%d on Query{__typename rateLimit{limit}}",
    "fragment F%d on Query{...F0 __typename}",
    "fragment F%d on Query{...F%n rateLimit{limit}}",
    "fragment F%d on Query{rateLimit{...G limit}}",
    "fragment F%d on Product{id}",
    "query Q%d{...F0}",
    "query Q%d($v:ID!,$n:Int,$b:Boolean!){...F0 node(id:$v){id}}",
    "query Q%d{__typename}",
)
_VARIABLES = "($v:ID!,$n:Int,$b:Boolean!)"


class Recipe(NamedTuple):
    """How often each piece stands in a document."""

    fields: tuple[int, ...]
    fragments: tuple[int, ...]
    variables: bool

    def text(self) -> str:
        """The document."""
        body = "".join(
            piece % n if "%d" in piece else piece
            for piece, count in zip(FIELDS, self.fields, strict=True)
            for n in range(count)
        )
        parts = [f"query Q{_VARIABLES if self.variables else ''}{{{body}__typename}}"]
        number = 0
        for piece, count in zip(FRAGMENTS, self.fragments, strict=True):
            for _ in range(count):
                parts.append(piece.replace("%n", str(number + 1)).replace("%d", str(number)))
                number += 1
        return "".join(parts)

    def mutated(self, chance: random.Random) -> Recipe:
        """A neighbour: a few counts changed."""
        fields, fragments = list(self.fields), list(self.fragments)
        for _ in range(chance.choice((1, 1, 2, 4))):
            counts = fields if chance.random() < 0.6 else fragments
            one = chance.randrange(len(counts))
            counts[one] = max(
                0, chance.choice((0, counts[one] * 2, counts[one] // 2, counts[one] + chance.randint(-9, 30)))
            )
        return Recipe(tuple(fields), tuple(fragments), chance.random() < 0.5)


class Taken(NamedTuple):
    """CPU time in milliseconds."""

    whole: float
    longest: float
    code: str


class Subject:
    """The product's schema, and what the endpoint does with a document that is new."""

    def __init__(self, bounds: Bounds) -> None:
        """Build the schema."""
        self.bounds = bounds
        self.schema = build_schema(extensions=[])
        self.core: Any = self.schema._schema  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - no public name
        self.operations = Operations(self.core, bounds, derive=derive, capacity=1 << 20)
        self.compiler = Compiler(self.schema, errors=20, hide_suggestions=True)

    async def take(self, *texts: str) -> Taken:
        """Prepare `texts`, beside something that watches how long it has to wait for its turn."""
        # A watcher that runs whenever the loop comes round; both are in this thread, so CPU time is what it waits.
        longest = began = last = time.thread_time()
        longest, done = 0.0, False

        async def watch() -> None:
            nonlocal longest, last
            while not done:
                await asyncio.sleep(0)
                now = time.thread_time()
                longest, last = max(longest, now - last), now

        watcher = asyncio.create_task(watch())
        allowance = Allowance(self.bounds)
        codes = await asyncio.gather(*(self._one(text, allowance) for text in texts))
        whole = time.thread_time() - began
        done = True
        await watcher
        return Taken(whole * 1000, longest * 1000, codes[0])

    async def _one(self, text: str, allowance: Allowance) -> str:
        try:
            allowance.take(text)
        except Refusal as error:
            return error.code
        prepared = await self.operations.prepared(text)
        await asyncio.sleep(0)
        if prepared.errors:
            return str((prepared.errors[0].extensions or {}).get("code"))
        try:
            operation = prepared.select("Q" if "Q" in prepared.operations else None)
            self.operations.check(operation, {})
        except Refusal as error:
            return error.code
        _ = operation.policy
        await asyncio.sleep(0)
        self.compiler.begin(
            prepared, operation, variables={"v": "x", "b": True}, root_value=None, context=None, extensions=None
        )
        return "runs"


async def search(subject: Subject, seconds: float, chance: random.Random) -> list[tuple[Taken, str]]:
    """The worst document of each beginning, the worst of all first; `seconds` altogether."""
    found: list[tuple[Taken, str]] = []
    for _ in range(BEGINNINGS):
        until = time.monotonic() + seconds / BEGINNINGS
        recipe = Recipe((0,) * len(FIELDS), (0,) * len(FRAGMENTS), variables=False)
        best = Taken(0, 0, "")
        serial = 0
        while time.monotonic() < until:
            serial += 1
            other = recipe.mutated(chance)
            text = other.text()
            if len(text) > 30_000:
                continue
            taken = await subject.take(f"#{serial}\n{text}")
            if taken.code != "TOO_MANY_TOKENS" and taken.whole > best.whole:
                again = await subject.take(f"#again {serial}\n{text}")
                if again.whole > best.whole:  # no hiccup of the machine
                    recipe, best = other, min(taken, again)
        found.append((best, recipe.text()))
    return sorted(found, reverse=True)


async def _batch(usual: Bounds, size: int, seconds: float) -> Taken:
    """The worst batch that a search finds in which `size` documents have what may be new, as many tokens each."""
    short = replace(usual, tokens=min(usual.tokens, usual.batch_tokens // size) - 1)  # and a comment
    _, text = (await search(Subject(short), seconds, random.Random(size)))[0]
    return await Subject(usual).take(*(f"#{n}\n{text}" for n in range(usual.batch)))


async def _measure() -> Report:
    bounds = Bounds.public()
    subject = Subject(bounds)
    await subject.take("{__typename}")
    gc.collect()
    gc.freeze()
    report = Report("The worst that a document can do before it runs")
    found = await search(subject, SEARCH, random.Random(17))
    taken, _ = found[0]
    report.add("worst document: CPU time", taken.whole, "ms", aim="≤ 60 ms")
    report.add("worst document: at one go", max(one.longest for one, _ in found), "ms", aim="≤ 20 ms")
    batches = [(size, await _batch(bounds, size, SEARCH / 4)) for size in SIZES]
    size, batch = max(batches, key=lambda one: one[1].whole)
    report.add(f"worst batch ({size} new documents): CPU time", batch.whole, "ms", aim="≤ 60 ms")
    report.add("worst batch: at one go", max(one.longest for _, one in batches), "ms", aim="≤ 20 ms")
    for one, document in found:
        start = document if len(document) < 120 else f"{document[:120]}…"
        report.notes.append(f"{one.whole:.0f} ms, {one.longest:.0f} ms at one go, {one.code}: `{start}`")
    return report


def run() -> Report:
    """Search and report."""
    return asyncio.run(_measure())
