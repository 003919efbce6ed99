"""What is asked of the servers, and what each of them must answer."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.peers.shopdata import BOARD, VIEWER

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.peers.shopdata import Shop

FIELDS = "id sku name description stock active price { amount currency } category { name }"
ENTRY = "rank score player { displayName }"
HIGHEST = 1_000_000_000  # the score that `1@n@` begins with


@dataclass(frozen=True, slots=True)
class Scenario:
    """A request, and the `data` that answers it.

    In `variables` ``@n@`` stands for nine digits, new in each request, and ``@sku@`` for the sku of a product.
    """

    name: str
    title: str
    query: str
    expected: Callable[[Shop], Any]
    variables: str = ""
    numbered: bool = False
    """Whether each request has a browser's head, and headers of its own, as balancers and tracing add them."""

    def body(self, shop: Shop) -> str:
        """The request's body."""
        query = json.dumps(self.query)
        if not self.variables:
            return f'{{"query": {query}}}'
        return f'{{"query": {query}, "variables": {self.variables.replace("@sku@", shop.products[0]["sku"])}}}'


def _shown(product: dict[str, Any]) -> dict[str, Any]:
    return {
        **{name: product[name] for name in ("id", "sku", "name", "description", "stock", "active", "price")},
        "category": {"name": product["category"]["name"]},
    }


def _page(shop: Shop) -> Any:
    return {"products": {"nodes": [_shown(product) for product in shop.products[:20]]}}


def _around(shop: Shop) -> Any:
    best = sorted(shop.scores, key=lambda player: -shop.scores[player])
    own = best.index(VIEWER)
    entries = [
        {"rank": place + 1, "score": shop.scores[player], "player": {"displayName": shop.players[player]}}
        for place, player in enumerate(best)
    ]
    around = {"entry": entries[own], "above": entries[own - 2 : own], "below": entries[own + 1 : own + 3]}
    return {"leaderboard": {"around": around}}


PAGE = Scenario(
    "page",
    "Catalog page, 20 products × 8 fields, warm",
    f"query Page {{ products(first: 20) {{ nodes {{ {FIELDS} }} }} }}",
    _page,
)
TRACED = Scenario(
    "traced",
    "The same page with browsers' heads, no two requests alike (traceparent, X-Request-Id)",
    PAGE.query,
    _page,
    numbered=True,
)
PRODUCT = Scenario(
    "product",
    "One product, warm",
    f"query Product($sku: String!) {{ product(by: {{ sku: $sku }}) {{ {FIELDS} }} }}",
    lambda shop: {"product": _shown(shop.products[0])},
    '{"sku": "@sku@"}',
)
OTHERS = (
    Scenario(
        "viewer",
        "Who am I",
        "query Viewer { viewer { user { id email displayName role } } }",
        lambda shop: {"viewer": {"user": shop.viewer}},
    ),
    Scenario(
        "around",
        "My place on a board, and two neighbours on each side",
        f'query Around {{ leaderboard(slug: "{BOARD}") {{ around(range: 2) '
        f"{{ entry {{ {ENTRY} }} above {{ {ENTRY} }} below {{ {ENTRY} }} }} }} }}",
        _around,
    ),
    Scenario(
        "uncached",
        "A page that nobody asked for before",
        "query Fresh($least: Decimal) { products(first: 20, sort: PRICE_ASC, filter: { minPrice: $least }) "
        f"{{ nodes {{ {FIELDS} }} }} }}",
        lambda shop: {"products": {"nodes": [_shown(product) for product in shop.cheapest[:20]]}},
        '{"least": "0.@n@"}',
    ),
    Scenario(
        "submit",
        "A score is submitted",
        f'mutation Submit($score: Float!) {{ submitScore(input: {{ board: "{BOARD}", score: $score }}) '
        "{ ... on ScoreSubmitted { score improved rank } } }",
        lambda _: {"submitScore": {"score": HIGHEST, "improved": True, "rank": 1}},
        '{"score": 1@n@}',
    ),
)
