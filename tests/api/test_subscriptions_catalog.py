"""productChanged through the whole application: over sockets, filtered, resumed, shared, and private where it must."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import REGISTRY

from graph.api.node import global_id
from graph.catalog.keys import TOPIC
from graph.errors import Taken
from harness.subscriber import subscriber
from harness.waiting import until, within
from tests.support.apps.accounts import Shop, shop
from tests.support.apps.products import add_categories, new
from tests.support.apps.serving import serving

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator
    from pathlib import Path

    from graph.patterns.client import Client
    from harness.valkey import ValkeyServer

EVENT = "{ cursor kind productId gap at product { sku name active category { slug } } }"
FOLLOW = f"subscription {{ productChanged {EVENT} }}"
FILTERED = f"subscription($ids: [ID!], $category: String) {{ productChanged(ids: $ids, category: $category) {EVENT} }}"
RESUME = f"subscription($after: Cursor) {{ productChanged(after: $after) {EVENT} }}"


class House:
    """The application on a port."""

    def __init__(self, app: Shop, port: int) -> None:
        self.app = app
        self.port = port
        self.catalog = app.services.catalog

    async def published(self, count: int) -> None:
        """Wait until that many changes are published."""
        async with within(f"{count} changes to be published"):
            while (await self.app.services.broker.end(TOPIC)).offset < count:
                await asyncio.sleep(0.01)

    async def ready(self, topics: int = 1) -> None:
        """Wait until that many sources listen."""
        broker = self.app.services.broker
        await until(lambda: len(broker._subscriptions) >= topics)  # pyright: ignore[reportPrivateUsage] - the moment they stand


@asynccontextmanager
async def house(url: str, folder: Path) -> AsyncGenerator[House]:
    """One server process, as it were."""
    async with shop(url, folder) as app, serving(app.app) as port:
        yield House(app, port)


@pytest.fixture
async def site(client: Client, valkey: ValkeyServer, tmp_path: Path) -> AsyncIterator[House]:
    """The application on an empty Redis and an empty database."""
    assert await client.execute("DBSIZE") == 0
    async with house(valkey.url, tmp_path) as opened:
        yield opened


def summary(events: list[Any]) -> list[tuple[str, str | None]]:
    """Kind and sku of each event, none of which follows a gap."""
    assert not any(event["gap"] for event in events)
    return [(event["kind"], event["product"] and event["product"]["sku"]) for event in events]


async def test_changes_arrive_as_they_are_committed(site: House) -> None:
    """Created, updated, deleted: each once and in order, with the product as it is, and nothing of what was refused."""
    await add_categories(site.app.services.database, "books")
    async with subscriber(site.port) as socket:
        events = await socket.follow(FOLLOW)
        await site.ready()
        product = await site.catalog.create(new("A", category="books"))
        with pytest.raises(Taken):
            await site.catalog.create(new("A"))
        await events.until(1)
        await site.catalog.update(product.id, {"name": "Better"})
        await events.until(2)
        await site.catalog.delete(product.id)
        await events.until(3)
    values = events.values("productChanged")
    assert summary(values) == [("CREATED", "A"), ("UPDATED", "A"), ("DELETED", None)]
    assert {value["productId"] for value in values} == {global_id("Product", product.id)}
    assert values[1]["product"] == {"sku": "A", "name": "Better", "active": True, "category": {"slug": "books"}}


async def test_filters_share_the_execution_of_an_event(site: House) -> None:
    """Followers of different ids and categories who select the same of a change have it executed once."""
    await add_categories(site.app.services.database, "books")
    product = await site.catalog.create(new("A", category="books"))
    await site.published(1)
    executed = "graph_stream_executions_total"
    async with subscriber(site.port) as socket:
        followed = [
            await socket.follow(FILTERED, ids=[global_id("Product", product.id)]),
            await socket.follow(FILTERED, category="books"),
            await socket.follow(FILTERED, ids=[global_id("Product", product.id)], category="books"),
        ]
        await site.ready(3)
        before = REGISTRY.get_sample_value(executed) or 0
        await site.catalog.update(product.id, {"stock": 1})
        for events in followed:
            await events.until(1)
        assert (REGISTRY.get_sample_value(executed) or 0) - before == 1
    assert [events.values("productChanged") for events in followed] == 3 * [followed[0].values("productChanged")]


async def test_filters(site: House) -> None:
    """By product, and by a category the product is in, comes into or leaves."""
    await add_categories(site.app.services.database, "books", "toys")
    first = await site.catalog.create(new("A", category="books"))
    second = await site.catalog.create(new("B", category="toys"))
    await site.published(2)
    async with subscriber(site.port) as socket:
        by_id = await socket.follow(FILTERED, ids=[global_id("Product", second.id), "nonsense"])
        books = await socket.follow(FILTERED, category="books")
        both = await socket.follow(FILTERED, category="books", ids=[global_id("Product", second.id)])
        await site.ready(3)
        await site.catalog.update(first.id, {"stock": 1})
        await site.catalog.update(second.id, {"stock": 2})
        await site.catalog.update(second.id, {"category": "books"})
        await site.catalog.update(second.id, {"category": None})
        await by_id.until(3)
        await books.until(3)
        await both.until(2)
        refused = await socket.follow(FILTERED, ids=["x"] * 101)
        assert await refused.refused() == "BAD_USER_INPUT"
    assert [len(one.results) for one in (by_id, books, both)] == [3, 3, 2]


async def test_a_client_resumes_at_another_server(client: Client, valkey: ValkeyServer, tmp_path: Path) -> None:
    """Its server is gone, changes go on elsewhere, even Redis is emptied: with `after` it sees each of them once."""
    async with house(valkey.url, tmp_path) as stays:
        async with house(valkey.url, tmp_path) as goes, subscriber(goes.port) as socket:
            events = await socket.follow(FOLLOW)
            await goes.ready()
            await stays.catalog.create(new("A"))
            await events.until(1)
        cursor = events.values("productChanged")[-1]["cursor"]
        await stays.catalog.create(new("B"))
        await client.execute("FLUSHALL", retry=False)
        await stays.catalog.create(new("C"))
        async with subscriber(stays.port) as socket:
            events = await socket.follow(RESUME, after=cursor)
            await events.until(2)
            await stays.catalog.create(new("D"))
            await events.until(3)
            bad = await socket.follow(RESUME, after="nonsense")
            assert await bad.refused() == "BAD_USER_INPUT"
        assert summary(events.values("productChanged")) == [("CREATED", "B"), ("CREATED", "C"), ("CREATED", "D")]


async def test_what_only_an_admin_sees_reaches_only_an_admin(site: House) -> None:
    """All three follow the same subscription; of an inactive product the ADMIN alone gets more than the event."""
    admin = await site.app.admin()
    player = (await site.app.register("ann@example.org"))["token"]
    async with (
        subscriber(site.port, admin) as first,
        subscriber(site.port, player) as second,
        subscriber(site.port) as third,
    ):
        followed = [await socket.follow(FOLLOW) for socket in (first, second, third)]
        await site.ready()
        await site.catalog.create(new("A"))
        for one in followed:
            await one.until(1)
        await site.catalog.create(new("HIDDEN", active=False))
        await site.catalog.create(new("B"))
        for one in followed:
            await one.until(3)
    seen = [[event[1] for event in summary(one.values("productChanged"))] for one in followed]
    assert seen == [["A", "HIDDEN", "B"], ["A", None, "B"], ["A", None, "B"]]


async def test_the_end_of_the_session_ends_the_stream(site: House) -> None:
    """Signing out closes the user's sockets with 4403 within a second; others go on."""
    token = (await site.app.register("ann@example.org"))["token"]
    async with subscriber(site.port, token) as mine, subscriber(site.port) as other:
        await mine.follow(FOLLOW)
        events = await other.follow(FOLLOW)
        await site.ready()
        await site.app.ask("mutation { logout }", token=token)
        assert await mine.closed(1) == 4403
        await site.catalog.create(new("A"))
        await events.until(1)
