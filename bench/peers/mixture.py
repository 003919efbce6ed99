"""The traffic of `bench mix`: who asks for what how often, as a plan for wrk, and what SQL says the answers are.

85 % catalog (products, pages, categories, searches), 8 % the caller's account and place on a board, 4 % the top of the
board, 2 % scores, 1 % changes of a price. Products, pages, categories, searches and senders are each chosen by Zipf's
law (exponent 1). The plan is the same at every run and for every server.

`Truth` reads what the answers must be from SQL by plain statements that share nothing with any server: no index of the
full text, no keyset, no cache.
"""

from __future__ import annotations

import itertools
import json
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import text

from bench.peers.scenarios import ENTRY, FIELDS
from bench.peers.shopdata import BOARD, SHOWN, global_id, product_of
from graph.catalog import paging
from graph.catalog.seed import words

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from sqlalchemy import RowMapping

    from graph.engines.database import Database

SESSIONS = 2_000
ADMINS = 20
"""Senders of changes of a price, beside the sessions."""
WITNESS = SESSIONS + ADMINS + 1
"""The user who only checks, and whose score nobody else sets."""
REQUESTS = 200_000
"""Requests of the plan; then it begins again, with other scores, prices and trace headers."""
PAGE_SIZE = 20
TOP = 10
STEP = 1_000_000_000
"""Between the scores of two players: nobody overtakes anybody, but every score is better than the last."""
_SEED = 14

_PAGE = f"nodes {{ {FIELDS} }} pageInfo {{ hasNextPage endCursor }}"
QUERIES = {
    "product": f"query Product($sku: String!) {{ product(by: {{ sku: $sku }}) {{ {FIELDS} }} }}",
    "page": f"query Page($after: String) {{ products(first: {PAGE_SIZE}, after: $after) {{ {_PAGE} }} }}",
    "category": "query Category($slug: String!, $sort: ProductSort!) "
    f"{{ products(first: {PAGE_SIZE}, filter: {{ category: $slug }}, sort: $sort) {{ {_PAGE} }} }}",
    "search": "query Search($search: String!) "
    f"{{ products(first: {PAGE_SIZE}, filter: {{ search: $search }}) {{ {_PAGE} }} }}",
    "viewer": "query Viewer { viewer { user { id email displayName role } } }",
    "around": "query Around($board: String!) { leaderboard(slug: $board) { around(range: 2) "
    f"{{ entry {{ {ENTRY} }} above {{ {ENTRY} }} below {{ {ENTRY} }} }} }} }}",
    "top": "query Top($board: String!) { leaderboard(slug: $board) "
    f"{{ top(first: {TOP}) {{ nodes {{ {ENTRY} }} }} }} }}",
    "score": f'mutation Submit($score: Float!) {{ submitScore(input: {{ board: "{BOARD}", score: $score }}) '
    "{ __typename ... on ScoreSubmitted { score improved } } }",
    "price": "mutation Price($id: ID!, $amount: Decimal!) "
    '{ updateProduct(input: { id: $id, price: { amount: $amount, currency: "USD" } }) '
    "{ __typename ... on Product { id price { amount currency } } } }",
}
SHARES = {
    "product": 40.0,
    "page": 20.0,
    "category": 15.0,
    "search": 10.0,
    "viewer": 4.0,
    "around": 4.0,
    "top": 4.0,
    "score": 2.0,
    "price": 1.0,
}
"""Of a hundred requests."""


class Ask(NamedTuple):
    """A request without its sender: what `Truth.answers` needs to know, and the body."""

    kind: str
    about: Any
    body: str


def ask(kind: str, about: Any, variables: str) -> Ask:
    """A request of this kind; `variables` are JSON."""
    return Ask(kind, about, f'{{"query":{json.dumps(QUERIES[kind])},"variables":{variables}}}')


def score_of(player: int) -> int:
    """The score with which a player begins."""
    return _places()[player - 1] * STEP


def _places() -> list[int]:
    """The place of each user on the board, from the bottom: whoever asks most is nobody in particular on it."""
    places = list(range(1, WITNESS + 1))
    random.Random(_SEED).shuffle(places)
    return places


def _zipf(count: int) -> list[float]:
    return list(itertools.accumulate(1 / rank for rank in range(1, count + 1)))


@dataclass(frozen=True, slots=True)
class Sender:
    """Somebody signed in."""

    player: int
    token: str

    @property
    def lines(self) -> str:
        """The header lines that are its own, with tabs between them."""
        address = f"203.0.{self.player >> 8}.{self.player & 255}"
        cookie = f"_ga=GA1.1.{self.player * 7919 % 1_000_000_007}.1764400000; theme=dark; consent=a{self.player % 4}"
        return f"X-Forwarded-For: {address}\tCookie: {cookie}\tAuthorization: Bearer {self.token}"


class Mixture:
    """The requests that there are, and the order in which they come."""

    def __init__(self, products: Sequence[RowMapping], senders: Sequence[Sender]) -> None:
        """`products` are all active ones by name; the first `SESSIONS` of `senders` are players, then come admins."""
        self.senders = senders
        dice = random.Random(_SEED)
        by_name = [(row["name_key"], row["id"]) for row in products]
        popular = list(products)
        dice.shuffle(popular)
        ends: list[tuple[str, int] | None] = [None, *by_name[PAGE_SIZE - 1 : -1 : PAGE_SIZE]]
        shelves = [shelf.slug for shelf in words().shelves]
        dice.shuffle(shelves)
        self.asks: dict[str, list[Ask]] = {
            "product": [ask("product", row["sku"], _json(sku=row["sku"])) for row in popular],
            "page": [ask("page", end, _json(after=_cursor(end))) for end in ends],
            "category": [
                ask("category", (slug, sort), _json(slug=slug, sort=sort))
                for slug in shelves
                for sort in ("NAME_ASC", "PRICE_ASC")
            ],
            "search": [ask("search", word, _json(search=word)) for word in _searches(products, dice)],
            "viewer": [ask("viewer", None, "{}")],
            "around": [ask("around", None, _json(board=BOARD))],
            "top": [ask("top", None, _json(board=BOARD))],
            "price": [
                ask("price", row["id"], f'{{"id":"{global_id("Product", row["id"])}","amount":"@price@"}}')
                for row in popular
            ],
        }
        self._scores = [
            ask("score", sender.player, f'{{"score":{score_of(sender.player) // STEP}@n@}}')
            for sender in senders[:SESSIONS]
        ]

    def requests(self) -> Iterator[tuple[Sender, Ask]]:
        """The requests, in their order, `REQUESTS` of them."""
        dice = random.Random(_SEED + 1)
        weights = {kind: _zipf(len(some)) for kind, some in self.asks.items()}
        who = dice.choices(range(SESSIONS), cum_weights=_zipf(SESSIONS), k=REQUESTS)
        kinds = dice.choices(list(SHARES), weights=list(SHARES.values()), k=REQUESTS)
        chosen = {
            kind: iter(dice.choices(some, cum_weights=weights[kind], k=REQUESTS)) for kind, some in self.asks.items()
        }
        for number, kind in zip(who, kinds, strict=True):
            sender = self.senders[number]
            if kind == "score":
                yield sender, self._scores[number]
            else:
                if kind == "price":
                    sender = self.senders[SESSIONS + number % ADMINS]
                yield sender, next(chosen[kind])

    def write(self, path: Path) -> None:
        """Write the plan for wrk (``mixed.lua`` reads it)."""
        bodies: dict[str, int] = {}
        numbers = {sender.token: number for number, sender in enumerate(self.senders)}
        order = [
            f"{numbers[sender.token]} {bodies.setdefault(asked.body, len(bodies))}" for sender, asked in self.requests()
        ]
        lines = [str(len(self.senders)), *(sender.lines for sender in self.senders), str(len(bodies)), *bodies, *order]
        path.write_text("\n".join(lines) + "\n")


def _json(**variables: Any) -> str:
    return json.dumps(variables, separators=(",", ":"))


def _cursor(end: tuple[str, int] | None) -> str | None:
    return None if end is None else paging.write_cursor(paging.Sort.NAME_ASC, *end)


def _searches(products: Iterable[RowMapping], dice: random.Random) -> list[str]:
    """Single words of the products' names, and two words of one product; whoever searches finds something."""
    named = [[word for word in row["search"].split() if word.isalpha() and len(word) > 3] for row in products]
    single = sorted({word for name in named for word in name})
    found = single + sorted({f"{name[0]} {name[2][:4]}" for name in named if len(name) > 2})
    dice.shuffle(found)
    return found[:500]


# --- what SQL says ---


class Truth:
    """Reads from SQL what the answers are."""

    def __init__(self, database: Database) -> None:
        """Read `database`."""
        self._database = database

    async def rows(self, statement: str, **values: Any) -> Sequence[RowMapping]:
        """The rows of a statement."""
        async with self._database.session() as session:
            return (await session.execute(text(statement), values)).mappings().all()

    async def answers(self, asked: Ask, player: int) -> Any:  # noqa: PLR0911 - one for each kind
        """The `data` that answers a read of `player`."""
        match asked.kind, asked.about:
            case "product", sku:
                return await self._product(sku)
            case "page", end:
                return await self._page(end)
            case "category", (slug, sort):
                return await self._list("AND category.slug = :slug", sort, slug=slug)
            case "search", words_:
                return await self._search(words_)
            case "viewer", _:
                return await self._viewer(player)
            case "around", _:
                return await self._around(player)
            case "top", _:
                return {"leaderboard": {"top": {"nodes": [entry for _, entry in (await self._best())[:TOP]]}}}
            case _:
                raise ValueError(asked.kind)

    async def _product(self, sku: str) -> Any:
        rows = await self.rows(f"{SHOWN} AND sku = :sku", sku=sku)
        return {"product": _shown(rows[0]) if rows else None}

    async def _page(self, end: tuple[str, int] | None) -> Any:
        where = "" if end is None else "AND (name_key > :key OR (name_key = :key AND product.id > :id))"
        values = {} if end is None else {"key": end[0], "id": end[1]}
        return await self._list(where, "NAME_ASC", **values)

    async def _search(self, search: str) -> Any:
        terms = search.split()
        where = " ".join(f"AND ' ' || search LIKE :term{n}" for n in range(len(terms)))
        return await self._list(where, "NAME_ASC", **{f"term{n}": f"% {term}%" for n, term in enumerate(terms)})

    async def _list(self, where: str, sort: str, **values: Any) -> Any:
        column = paging.Sort[sort].column
        rows = await self.rows(f"{SHOWN} {where} ORDER BY {column}, product.id LIMIT {PAGE_SIZE + 1}", **values)
        shown = rows[:PAGE_SIZE]
        last = (paging.plain_value(shown[-1][column]), shown[-1]["id"]) if shown else None
        info = {
            "hasNextPage": len(rows) > PAGE_SIZE,
            "endCursor": None if last is None else paging.write_cursor(paging.Sort[sort], *last),
        }
        return {"products": {"nodes": [_shown(row) for row in shown], "pageInfo": info}}

    async def _viewer(self, player: int) -> Any:
        (row,) = await self.rows("SELECT id, email, display_name, role FROM users WHERE id = :id", id=player)
        shown = {"email": row["email"], "displayName": row["display_name"], "role": row["role"]}
        return {"viewer": {"user": {"id": global_id("User", row["id"]), **shown}}}

    async def _best(self) -> list[tuple[int, dict[str, Any]]]:
        """Every player of the board with the entry, the best first."""
        rows = await self.rows(f"SELECT player_id, score, display_name {_SCORES} ORDER BY score DESC", slug=BOARD)
        return [
            (row["player_id"], {"rank": n, "score": row["score"], "player": {"displayName": row["display_name"]}})
            for n, row in enumerate(rows, 1)
        ]

    async def _around(self, player: int) -> Any:
        best = await self._best()
        entries = [entry for _, entry in best]
        own = [one for one, _ in best].index(player)
        around = {"entry": entries[own], "above": entries[max(0, own - 2) : own], "below": entries[own + 1 : own + 3]}
        return {"leaderboard": {"around": around}}

    async def score(self, player: int) -> float:
        """A player's score."""
        rows = await self.rows(f"SELECT score {_SCORES} AND player_id = :player", slug=BOARD, player=player)
        return float(rows[0]["score"])

    async def price(self, product: int) -> str:
        """A product's price."""
        rows = await self.rows("SELECT price FROM product WHERE id = :id", id=product)
        return f"{rows[0]['price'] / 10_000:.2f}"


_SCORES = (
    "FROM scores JOIN seasons ON seasons.id = season_id JOIN boards ON boards.id = board_id "
    "JOIN users ON users.id = player_id WHERE slug = :slug AND state = 'OPEN'"
)


def _shown(row: RowMapping) -> dict[str, Any]:
    product = product_of(row)
    return {**product, "category": {"name": product["category"]["name"]}}
