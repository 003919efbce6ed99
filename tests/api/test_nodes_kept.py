"""Answers of `node` and `nodes`: kept where everybody may see what they show and a tag tells of its changes."""

from __future__ import annotations

import base64
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from graph.catalog.writing import NewProduct

if TYPE_CHECKING:
    from tests.support.apps.accounts import Shop

NODES = """query Q($ids: [ID!]!) { nodes(ids: $ids) {
    ... on Product { stock } ... on User { email } ... on Session { current } ... on Job { name }
    ... on Leaderboard { name } ... on Player { displayName } } }"""


def name(kind: str, key: object) -> str:
    """A global ID."""
    return base64.b64encode(f"{kind}:{key}".encode()).decode()


async def test_a_product_is_kept_until_it_changes(app: Shop) -> None:
    """The second answer has an age; the one after an acknowledged write shows what was written."""
    catalog = app.services.catalog
    product = await catalog.create(NewProduct(sku="A", name="A", amount=Decimal(1), stock=1))
    ids = [name("Product", product.id)]
    for stock in range(1, 5):
        for _ in range(3):
            assert (await app.ask(NODES, ids=ids)) == {"nodes": [{"stock": stock}]}
        answer = await app.post(NODES, ids=ids)
        assert answer.headers["cache-control"] == "public, max-age=0, must-revalidate"
        await catalog.update(product.id, {"stock": stock + 1})


async def test_a_product_that_comes_to_be_is_found(app: Shop) -> None:
    """An answer that found nothing is outdated by the product's creation."""
    ids = [name("Product", 1)]
    for _ in range(3):
        assert (await app.ask(NODES, ids=ids)) == {"nodes": [None]}
    await app.services.catalog.create(NewProduct(sku="A", name="A", amount=Decimal(1), stock=7))
    assert (await app.ask(NODES, ids=ids)) == {"nodes": [{"stock": 7}]}


@pytest.mark.parametrize("kind", ["User", "Session", "Job", "Leaderboard", "Player"])
async def test_nothing_else_is_shared(app: Shop, kind: str) -> None:
    """What not everybody may see, or what no tag tells of, is resolved each time, alone or beside a product."""
    made = await app.register("ann@example.org")
    own = {"User": made["user"]["id"], "Session": made["session"]["id"]}.get(kind, name(kind, 1))
    for ids in ([own], [name("Product", 1), own]):
        for token in (made["token"], None):
            for _ in range(3):
                answer = await app.post(NODES, token=token, ids=ids)
                assert answer.headers["cache-control"] == "no-store"
        private = await app.post(f"{NODES[:-1]} viewer {{ user {{ email }} }} }}", token=made["token"], ids=ids)
        assert "public" not in private.headers["cache-control"]
        shown = (await app.post(NODES, ids=ids)).json()["data"]
        assert shown is None or shown["nodes"][-1] is None or kind == "Player"
