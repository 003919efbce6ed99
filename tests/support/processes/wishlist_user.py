"""Uses the wishlist that docs/adding-a-feature.md builds, in the copy of the package that this process runs on.

Called with the URL of a Redis and a folder; prints, as JSON, what it saw.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from sqlalchemy import event

from graph.accounts.records import Role, UserRecord
from graph.api.context import Context
from graph.api.schema import build_schema
from graph.catalog.seed import seed_catalog
from graph.endpoint.identity import Caller
from graph.engines.database import migrate
from graph.services import Services, open_services
from graph.settings import DatabaseSettings, RedisSettings, Settings, sqlite_url
from harness.waiting import HANG

LIST = "{ products { sku } }"


async def use(services: Services) -> dict[str, Any]:
    """Read, change and follow a list."""
    await seed_catalog(services.catalog, 3)
    user = await services.accounts.add("a@example.com", "correct horse battery staple", "A", Role.PLAYER)
    assert isinstance(user, UserRecord)
    schema = build_schema()
    caller = Caller("192.0.2.1", user=str(user.id), role="PLAYER")
    statements: list[str] = []
    event.listen(
        services.database.engine.sync_engine, "before_cursor_execute", lambda *given: statements.append(given[2])
    )

    async def ask(document: str) -> Any:
        result = await schema.execute(document, context_value=Context(services, caller))
        assert result.errors is None, result.errors
        return result.data

    followed: asyncio.Queue[Any] = asyncio.Queue()

    async def follow() -> None:
        events: Any = await schema.subscribe(
            f"subscription {{ wishlistChanged {LIST} }}", context_value=Context(services, caller)
        )
        async for result in events:
            assert result.errors is None, result.errors
            followed.put_nowait(result.data)

    following = asyncio.create_task(follow())
    seen: dict[str, Any] = {"followed": [await followed.get()]}
    products = (await ask("{ products { nodes { id sku } } }"))["products"]["nodes"]
    seen["before"] = await ask(f"{{ wishlist {LIST} }}")
    add = f'mutation {{ addToWishlist(product: "{products[0]["id"]}") {{ __typename ... on Wishlist {LIST} }} }}'
    seen["added"] = await ask(add)
    seen["followed"].append(await followed.get())
    seen["after"] = await ask(f"{{ wishlist {LIST} }}")
    statements.clear()
    seen["again"] = await ask(f"{{ wishlist {LIST} }}")
    seen["statements"] = [one for one in statements if "product_event" not in one]  # the outbox looks by itself
    missing = 'mutation { addToWishlist(product: "UHJvZHVjdDo5OTk5") { __typename } }'  # Product:9999
    seen["missing"] = await ask(missing)
    removed = f'mutation {{ removeFromWishlist(product: "{products[0]["id"]}") {LIST} }}'
    seen["removed"] = await ask(removed)
    seen["sku"] = products[0]["sku"]
    following.cancel()
    await asyncio.wait((following,))
    return seen


async def main(redis: str, folder: Path) -> None:
    """Open everything on an empty database, and use it."""
    url = sqlite_url(folder / "wishlist.db")
    await migrate(url)
    settings = Settings(redis=RedisSettings(url=redis), database=DatabaseSettings(url=url))
    async with open_services(settings) as services:
        seen = await use(services)
    print(json.dumps(seen))


if __name__ == "__main__":
    asyncio.run(asyncio.wait_for(main(sys.argv[1], Path(sys.argv[2])), HANG))
