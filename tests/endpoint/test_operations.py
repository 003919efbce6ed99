"""Prepared operations: made once, kept within bounds, and not pushed out by garbage."""

from __future__ import annotations

import asyncio
import gc
import random
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis_graphql import from_schema

from graph.endpoint.document import Operations, Retention
from graph.endpoint.errors import Refusal
from graph.endpoint.execution.compiled import Compiler
from harness.waiting import until
from tests.support.apps.small import make_endpoint, make_schema
from tests.support.clients.browser import browse

if TYPE_CHECKING:
    from collections.abc import Callable

    from graph.patterns.client import Client

SCHEMA = make_schema()
CORE = SCHEMA._schema
SLOW = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much)


def test_a_document_is_prepared_once() -> None:
    """The same text gives the same object, valid or not, and another text another."""
    operations = Operations(CORE)
    for text in ("{hello}", "{nothing}", "{"):
        assert operations.prepare(text) is operations.prepare(text)
    assert operations.prepare("{hello}") is not operations.prepare("{hello }")


def test_the_operation_is_found_by_its_name() -> None:
    """A name picks its operation; without one there must be just one; an empty name is a name."""
    prepared = Operations(CORE).prepare("query A{hello} query B{whoami}")
    assert prepared.select("B").name == "B"
    for name in (None, "", "C"):
        with pytest.raises(Refusal) as refused:
            prepared.select(name)
        assert refused.value.code == "OPERATION_RESOLUTION_FAILURE"
    assert Operations(CORE).prepare("query A{hello}").select(None).name == "A"


def test_what_the_product_derives_is_derived_once() -> None:
    """`derive` runs when a document is prepared and not when it is recalled."""
    seen: list[str] = []
    operations = Operations(CORE, derive=lambda _, __, node: seen.append(str(node.operation.value)) or "policy")
    assert [operations.prepare("{hello}").select(None).policy for _ in range(3)] == ["policy"] * 3
    assert seen == ["query"]


def test_the_memory_of_prepared_documents_is_what_it_is_said_to_be() -> None:
    """The bytes that are accounted for cover what the documents really take, once they have run."""
    operations = Operations(CORE, capacity=20 << 20)
    compiler = Compiler(SCHEMA, errors=20, hide_suggestions=True)

    def run(text: str) -> None:
        prepared = operations.prepare(text)
        executor: Any = compiler.begin(
            prepared, prepared.select(None), variables={"n": 1}, root_value=None, context=None, extensions=None
        )
        assert executor.execute_operation().errors is None

    run("{hello}")
    tracemalloc.start()
    gc.collect()
    before, _ = tracemalloc.get_traced_memory()
    for n in range(20):
        fields = " ".join(
            f'echo(text:"{n}") pick(by:{{id:{n}}}){{id name related(first:2){{id name}}}}' for _ in range(3)
        )
        run(f"query Q{n}($n:Int!){{{fields} items(first:$n){{nodes{{id name}}totalCount}}}}")
    gc.collect()
    used = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert len(operations) == 21
    assert 0.5 * operations.size < used < operations.size


def test_garbage_does_not_push_out_what_is_used() -> None:
    """Operations in use survive a flood of new documents, each of them sent five times."""
    operations = Operations(CORE, capacity=1 << 19)
    good = [f"query Good{n}{{hello}}" for n in range(20)]
    kept = [operations.prepare(text) for _ in range(10) for text in good][-20:]
    for n in range(400):
        for _ in range(5):
            operations.prepare(f"query Garbage{n}{{hello}}")
        operations.prepare(good[n % 20])
    assert [operations.known(text) for text in good] == kept


def test_a_flood_of_documents_sent_twice_pushes_out_nothing() -> None:
    """What was used often stays while twice its room of new documents passes by, each of them sent twice."""
    cache: Retention[str, str] = Retention(10_000)
    good = [f"good{n}" for n in range(90)]
    for key in good * 20:
        if cache.get(key) is None:
            cache.put(key, key, 80)
    for n in range(200):
        cache.put(f"garbage{n}", "", 80)
        assert cache.get(f"garbage{n}") is not None
    assert all(cache.get(key) is not None for key in good)


def test_invalid_documents_push_out_nothing() -> None:
    """A flood of mistakes fills a small store of its own."""
    operations = Operations(CORE, capacity=1 << 18)
    kept = operations.prepare("{hello}")
    for n in range(375):
        operations.prepare(f"{{nothing{n}}}")
    assert operations.known("{hello}") is kept
    assert operations.size <= (1 << 18) + (1 << 14)


def test_what_was_popular_makes_way_in_the_end() -> None:
    """Entries that nobody uses any more are replaced by those that are used now."""
    cache: Retention[str, str] = Retention(10_000)
    for key in [f"old{n}" for n in range(100)] * 100:
        if cache.get(key) is None:
            cache.put(key, key, 80)
    fresh = [f"new{n}" for n in range(60)]
    chance = random.Random(1)
    for _ in range(20_000):
        key = chance.choice(fresh)
        if cache.get(key) is None:
            cache.put(key, key, 80)
    assert sum(cache.get(key) is not None for key in fresh) > 50


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 400), st.booleans()), max_size=300))
@settings(max_examples=100, deadline=None)
def test_the_store_stays_within_its_bytes(steps: list[tuple[int, int, bool]]) -> None:
    """Whatever is put and got, the store holds at most its capacity and gives back what was put last."""
    cache: Retention[int, int] = Retention(1000)
    last: dict[int, int] = {}
    for number, (key, size, reads) in enumerate(steps):
        found = cache.get(key)
        assert found is None or found == last[key]
        if not reads and found is None:
            cache.put(key, number, size)
            last[key] = number
        assert 0 <= cache.size <= 1000
    assert cache.size == sum(
        entry.size for segment in (cache._probation, cache._protected) for entry in segment.values()
    )


# What a client library or a fuzzer would send: documents that fit the schema, of every shape.
DOCUMENTS = from_schema(SCHEMA.as_str(), codec="utf-8")


def test_no_text_breaks_the_preparation(scaled: Callable[[int, int], int]) -> None:
    """Any text at all is prepared or refused with a code."""

    @given(st.text(st.sampled_from('{}()[]:!$@|&=."# \n,0-eaqueryfragmentonItem…é'), max_size=60))
    @settings(max_examples=scaled(200, 100), deadline=None)
    def check(text: str) -> None:
        prepared = Operations(CORE).prepare(text)
        assert prepared.operations or all("code" in (error.extensions or {}) for error in prepared.errors)

    check()


async def test_a_preparation_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """While a large document is prepared everything else has its turns, and those who send it too wait for the same."""
    monkeypatch.setattr("graph.endpoint.document.operations.SLICE", 0.0)
    operations = Operations(CORE)
    turns: list[int] = []

    async def others() -> None:
        while True:
            turns.append(len(turns))
            await asyncio.sleep(0)

    meanwhile = asyncio.create_task(others())
    text = "{" + "hello " * 900 + "}"
    first, second = await asyncio.gather(operations.prepared(text), operations.prepared(text))
    meanwhile.cancel()
    assert first is second is operations.known(text)
    assert len(turns) > 50


async def test_callers_have_their_documents_prepared_in_turn(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many new documents one address sends, another's is prepared after the one under way."""
    endpoint = make_endpoint(client)
    operations, order = endpoint.engine.operations, list[str]()
    make = operations._make

    def made(text: str, **options: Any) -> Any:
        order.append(text)
        return make(text, **options)

    monkeypatch.setattr(operations, "_make", made)
    many = [f"query Many{n}{{hello}}" for n in range(5)]
    async with browse(endpoint) as http:
        async with operations._turn.place():
            waiting = operations._turn._waiting
            batch = asyncio.create_task(http.post("/graphql", json=[{"query": text} for text in many]))
            await until(lambda: len(next(iter(waiting.values()), ())) == len(many))
            other = asyncio.create_task(http.ask("query Other{hello}", {"Authorization": "Bearer ann"}))
            await until(lambda: len(waiting) == 2)
        assert (await other).json() == {"data": {"hello": "world"}}
        await batch
    assert order.index("query Other{hello}") == 1


async def test_whoever_gives_up_leaves_the_preparation_to_the_others() -> None:
    """A caller that is cancelled takes nothing from others who sent the same text."""
    operations = Operations(CORE)
    one, other = (asyncio.create_task(operations.prepared("{hello whoami}")) for _ in range(2))
    await asyncio.sleep(0)
    one.cancel()
    assert (await other).operations
    assert one.cancelled() or await asyncio.wait([one])


async def test_every_generated_document_is_answered(client: Client, scaled: Callable[[int, int], int]) -> None:
    """A document that fits the schema runs, or is refused by a bound; no answer is a 5xx."""
    texts: list[str] = []

    @given(DOCUMENTS)
    @settings(max_examples=scaled(400, 20), deadline=None, database=None, suppress_health_check=SLOW)
    def gather(text: str) -> None:
        if not any(word in text for word in ("slow", "bug", "note", "cookie", "wrong")):
            texts.append(text)

    gather()
    async with browse(make_endpoint(client)) as http:
        for text in texts:
            answer = await http.ask(text)
            body: Any = answer.json()
            assert answer.status_code < 500, (text, body)
            for error in body.get("errors", ()):
                code, message = error["extensions"]["code"], error["message"]
                one_of = "OneOf" in message or "must be non-null" in message  # SDL does not tell the generator of it
                assert code.startswith("TOO_") or "page" in message or one_of or "path" in error, (text, body)
                assert code != "INTERNAL_SERVER_ERROR", (text, body)
