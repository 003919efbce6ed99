"""Pages of products, which are completed from their rows, show what the objects would, of products of all kinds."""

from __future__ import annotations

from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING, Any

from graph.api.context import Context
from graph.endpoint import Rows
from tests.support.apps.api import ADMIN
from tests.support.apps.products import add_categories, add_products
from tests.support.models.twins import Twins

if TYPE_CHECKING:
    import pytest
    import strawberry

    from graph.services import Services

TOLD = (
    *("id", "sku", "name", "description", "category { id slug name }", "price { amount currency }"),
    *("compareAtPrice { amount currency }", "stock", "inStock", "active", "groupId", "brand", "gtin"),
    *("createdAt", "updatedAt"),
)
"""What the rows tell, which is all but lists and what resolvers find."""
ALL = f"__typename {' '.join(TOLD)} options {{ name value }} images {{ url alt }} attributes {{ name value }}"
AMOUNTS = {"USD": "12.34", "JPY": "500", "KWD": "0.125", "CLF": "1.0001"}


def product(number: int, random: Random) -> dict[str, Any]:
    """One of the many kinds of products."""
    currency, amount = random.choice(list(AMOUNTS.items()))
    more: dict[str, Any] = {
        "compare_at_price": random.choice([None, Decimal(amount)]),
        "in_stock": random.random() < 0.5,
        "group_id": random.choice([None, "group"]),
        "brand": random.choice([None, "Brand"]),
        "gtin": random.choice([None, "4006381333931"]),
        "options": random.choice([[], [("size", "L")]]),
        "images": random.choice([[], [("https://example.com/a.png", random.choice([None, "a"]))]]),
        "attributes": random.choice([[], [("colour", "red"), ("colour", "blue")]]),
    }
    return {
        "sku": f"S{number:03}",
        "name": random.choice(["Lamp", "Ähre", "a 'quoted' \"name\""]),
        "amount": Decimal(amount),
        "currency": currency,
        "description": random.choice(["", "Bright."]),
        "category": random.choice([None, "books", "toys"]),
        "stock": random.choice([None, 0, 7]),
        "active": random.random() < 0.8,
        "more": more,
        "minute": random.randrange(3),
    }


async def test_rows_show_what_products_do(
    services: Services, schema: strawberry.Schema, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On either engine, loaded and from the cache; and where nothing but what rows tell is selected, none is made."""
    made: list[int] = []
    objects = Rows[Any].objects

    def counted(rows: Rows[Any]) -> list[Any]:
        made.append(len(rows))
        return objects(rows)

    monkeypatch.setattr(Rows, "objects", counted)
    monkeypatch.setattr("tests.support.models.twins.OFTEN", 1)
    await add_categories(services.database, "books", "toys")
    await add_products(services.database, [product(number, Random(number)) for number in range(60)])
    twins = Twins(schema)

    async def shown(selection: str) -> Any:
        text = f"{{ products(first: 100, filter: {{ includeInactive: true }}) {{ nodes {{ {selection} }} }} }}"
        prepared = twins.prepare(text)
        expected = await twins.by_core(prepared, {}, Context(services, ADMIN))
        assert expected["errors"] is None
        for _ in range(3):
            made.clear()
            assert await twins.compiled(prepared, {}, Context(services, ADMIN)) == expected
        return expected["data"]

    assert await shown(ALL)
    assert made
    assert await shown(" ".join(TOLD))
    assert not made
