"""The product's queries with `@live`: each shows in one process what was written in another, as a fresh query does."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack, asynccontextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import httpx

from graph.catalog.writing import ProductChanges
from graph.leaderboard.records import NewBoard
from harness.waiting import HANG, within
from tests.support.apps.accounts import Shop, shop
from tests.support.apps.products import new
from tests.support.apps.serving import serving
from tests.support.models.players import add_players

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from harness.valkey import ValkeyServer

QUERIES = {
    "page": "{ products(first: 3, sort: PRICE_ASC) { nodes { sku name price { amount } stock } totalCount } }",
    "search": '{ products(filter: { search: "lamp" }) { nodes { sku price { amount } } } }',
    "product": '{ product(by: { sku: "A" }) { name stock category { name } } }',
    "categories": "{ categories { name } }",
    "board": '{ leaderboard(slug: "main") { size top(first: 3) { nodes { rank score player { displayName } } } } }',
    "viewer": "{ viewer { user { displayName } } }",
}


class Screen:
    """What a client shows: the newest answer to one live query."""

    def __init__(self, response: httpx.Response) -> None:
        self._lines = response.aiter_lines()
        self.data: Any = None

    async def shows(self, fresh: Any) -> None:
        """Wait until it shows what a fresh query does."""
        async with within(json.dumps(fresh)):
            while self.data != fresh:
                line = await anext(self._lines)
                if line.startswith("data: {"):
                    result = json.loads(line.removeprefix("data: "))
                    assert "errors" not in result, result
                    self.data = result["data"]


@asynccontextmanager
async def screens(of: Shop, token: str) -> AsyncGenerator[dict[str, Screen]]:
    """A client for each of the queries, of the process `of`."""
    async with AsyncExitStack() as stack:
        port = await stack.enter_async_context(serving(of.app))
        http = await stack.enter_async_context(httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=HANG))
        opened: dict[str, Screen] = {}
        for name, query in QUERIES.items():
            headers = {"accept": "text/event-stream", "authorization": f"Bearer {token}"}
            params = {"query": f"query @live(throttle: 10) {query}"}
            response = await stack.enter_async_context(http.stream("GET", "/graphql", params=params, headers=headers))
            opened[name] = Screen(response)
        yield opened


async def test_every_page_shows_what_was_written_elsewhere(app: Shop, valkey: ValkeyServer, tmp_path: Path) -> None:
    """Products, a search, categories, a board and the viewer, after each kind of write in another process."""
    async with shop(valkey.url, tmp_path) as other:
        catalog, boards = other.services.catalog, other.services.leaderboards
        await add_players(other.services.database, 3)
        board = await boards.create_board(NewBoard("main", "Main"))
        product = await catalog.create(new("A", name="Red lamp", stock=3))
        token = (await other.register("ann@example.org"))["token"]

        writes = [
            lambda: catalog.update(product.id, ProductChanges(price=(Decimal("3.50"), "EUR"))),
            lambda: catalog.create(new("B", name="Blue lamp", amount=Decimal("1.00"))),
            lambda: catalog.create_category("lighting", "Lighting"),
            lambda: boards.submit(board, 1, 10),
            lambda: boards.submit(board, 2, 20),
            lambda: catalog.update(product.id, ProductChanges(stock=0, name="Red chair")),
        ]
        async with screens(app, token) as shown:
            for write in (None, *writes):
                if write is not None:
                    await write()
                for name, screen in shown.items():
                    await screen.shows(await other.ask(QUERIES[name], token=token))
            await asyncio.gather(*(write() for write in writes[3:]))
            for name, screen in shown.items():
                await screen.shows(await other.ask(QUERIES[name], token=token))
