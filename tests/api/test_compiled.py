"""The product's own schema, compiled and by graphql-core, on real services: made-up queries have the same answers."""

from __future__ import annotations

import gc
import re
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from graph.api.context import Context
from graph.api.node import global_id
from graph.leaderboard.records import NewBoard
from tests.support.apps.api import ADMIN, ANYBODY, PLAYER
from tests.support.apps.products import add_categories, add_products
from tests.support.engines.either import ABOVE_SQL
from tests.support.models.documents import Author
from tests.support.models.players import add_players
from tests.support.models.twins import Twins

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import strawberry

    from graph.services import Services


KINDS = ("Product", "Category", "User", "Player", "Leaderboard", "Nothing")
LEAVES: Mapping[str, Sequence[Any]] = {
    "ID": [global_id(kind, number) for kind in KINDS for number in (1, 2)],
    "String": ["books", "S01", "Product", "main", ""],
    "Int": [1, 2, 3, 0],
    "DateTime": ["2026-01-31T12:00:00Z"],
    "Cursor": ["x"],
}
"""Values that mean something in the shop."""
MEASURED = re.compile(r"\bserver\b")
"""The field whose values are other ones at each look: times, rates."""


@pytest.fixture
async def shop(services: Services) -> Services:
    """A few products, players and scores."""
    await add_categories(services.database, "books", "toys")
    await add_products(
        services.database,
        [
            {
                "sku": f"S{i:02}",
                "name": f"Product {i:02}",
                "amount": Decimal(i),
                "category": ("books", "toys", None)[i % 3],
                "active": i % 5 > 0,
            }
            for i in range(12)
        ],
    )
    await add_players(services.database, 8)
    board = await services.leaderboards.create_board(NewBoard(slug="main", name="Main"))
    for number in range(1, 8):
        await services.leaderboards.submit(board, number, 10.0 * number)
    return services


# Where a field fails, those beside it are cancelled; what is below one that had not begun is never awaited.
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
@ABOVE_SQL
async def test_made_up_queries(shop: Services, schema: strawberry.Schema, scaled: Callable[[int, int], int]) -> None:
    """Whatever is asked of the product, by whomever, both ways come to the same data and the same errors."""
    twins = Twins(schema)
    executed = 0
    for number in range(scaled(400, 24)):
        author = Author(twins.core, Random(number), leaves=LEAVES)
        prepared = twins.prepare(author.document())
        if prepared.errors or MEASURED.search(prepared.text):
            continue
        caller = (ANYBODY, PLAYER, ADMIN)[number % 3]
        core = await twins.by_core(prepared, author.variables, Context(shop, caller))
        compiled = await twins.compiled(prepared, author.variables, Context(shop, caller))
        same = compiled == core  # not for pytest to explain: a diff of two pages takes minutes
        assert same, (number, prepared.text, author.variables)
        executed += 1
    assert executed
    gc.collect()  # while that is allowed
