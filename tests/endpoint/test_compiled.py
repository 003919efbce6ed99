"""Compiled operations give what graphql-core gives: both execute the same made-up operations, side by side."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from functools import cache
from random import Random
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import HealthCheck, Phase, assume, given, note, settings
from hypothesis import strategies as st

from tests.support.models.documents import Author
from tests.support.models.torture import World, torture_schema
from tests.support.models.twins import Twins, ordered

if TYPE_CHECKING:
    from collections.abc import Callable


@cache
def torture() -> Twins:
    """Made once."""
    return Twins(torture_schema())


@pytest.mark.filterwarnings(
    # graphql-core cancels the siblings of what failed, some of them before they have begun, and so do we.
    "ignore::pytest.PytestUnraisableExceptionWarning",
    "ignore:coroutine .* was never awaited:RuntimeWarning",
)
def test_whatever_goes_wrong(scaled: Callable[[int, int], int]) -> None:
    """Both say the same, in the same order, and have asked the same resolvers in the same order for the same."""
    twins = torture()
    seen: Counter[str] = Counter()

    @settings(
        max_examples=scaled(1500, 40),
        deadline=None,
        suppress_health_check=cast("Any", list(HealthCheck)),
        phases=[Phase.explicit, Phase.generate],  # a seed has nothing to shrink
    )
    @given(
        st.integers(0, 2**64).map(Random),
        st.integers(0, 2**32),
        st.sampled_from([0.0, 0.05, 0.2]),
        st.sampled_from(["query", "mutation"]),
    )
    def execute(chance: Random, seed: int, trouble: float, kind: str) -> None:
        author = Author(twins.core, chance)
        prepared = twins.prepare(author.document(kind))
        assume(not prepared.errors)
        worlds = World(seed, trouble), World(seed, trouble)
        note(f"{prepared.text}\n{author.variables!r} in World({seed}, {trouble})")
        core = asyncio.run(twins.by_core(prepared, author.variables, worlds[0]))
        assert asyncio.run(twins.compiled(prepared, author.variables, worlds[1])) == core
        assert worlds[1].log == worlds[0].log
        seen["all"] += 1
        if "refused" not in core:
            seen["with errors"] += core["errors"] is not None
            seen["without data"] += core["data"] == ordered(None)
            seen["pending"] += core["pending"]

    execute()
    gc.collect()  # what was abandoned is complained of here
    assert min(seen["with errors"], seen["without data"], seen["pending"], seen["all"] - seen["with errors"]) > 0


DOCUMENTS = {
    "merged fields": "{ thing { needed { label } ... on Thing { needed { weight } } name x: name ...F } } "
    "fragment F on Named { name nick t: __typename }",
    "lists of lists": "{ thing { grid tags plains { weight owner { id } } things { things { grid } } } }",
    "abstract types": "{ named(first: 3) { __typename name friend { name ... on Other { count } } } "
    "either { __typename ... on Thing { count } ... on Plain { weight } ... on Odd { label } } }",
    "an asynchronous generator": "{ thing { stream flow(n: 3) } must { stream } }",
    "inputs": '{ thing { a: checked(at: { x: 1, inner: { names: ["a", null], again: { names: [] } } }) '
    'b: checked(at: { x: 13 }) c: title(pick: { spot: { x: 2, price: "1.5" } }, upper: true) rooted } }',
    "non-null": "{ must { strict { strict { later strict { name } } } musts { name } } thing { needed { weight } } }",
}


@pytest.mark.parametrize("name", DOCUMENTS)
@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning", "ignore:coroutine .* was never awaited:RuntimeWarning"
)
async def test_by_hand(name: str, scaled: Callable[[int, int], int]) -> None:
    """What is seldom made up is executed alike, too, in many worlds."""
    twins = torture()
    prepared = twins.prepare(DOCUMENTS[name])
    assert not prepared.errors, prepared.errors
    for seed in range(scaled(40, 20)):
        worlds = World(seed, 0.1), World(seed, 0.1)
        core = await twins.by_core(prepared, {}, worlds[0])
        assert await twins.compiled(prepared, {}, worlds[1]) == core
        assert worlds[1].log == worlds[0].log
    gc.collect()
