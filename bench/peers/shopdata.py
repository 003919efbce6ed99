"""The data all servers answer from: our own seeded catalog and a board with players, and the answers they must give.

`prepare` fills the SQL database and the Redis of ours through its own services, then reads what the peers need back
from SQL by plain statements, so that the expected answers come from the data and from no server.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import uvloop
from sqlalchemy import insert, text

from graph.accounts.models import USERS
from graph.catalog.seed import seed_catalog
from graph.engines.database import migrate
from graph.leaderboard.records import NewBoard
from graph.services import open_services
from graph.settings import DatabaseSettings, RedisSettings, ServerSettings, Settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from sqlalchemy import RowMapping

    from graph.engines.database import Database

PRODUCTS, PLAYERS = 6_000, 300
BOARD = "bench"
WITH_SQL = ("mercurius", "yoga", "apollo")
"""The peers that keep scores in SQL, each on a board of its own."""
VIEWER = 150  # the number of the signed-in user, who stands in the middle of the board


@dataclass(frozen=True, slots=True)
class Shop:
    """The data as JSON for the peers, and a token that signs `VIEWER` in."""

    token: str
    products: list[dict[str, Any]]
    cheapest: list[dict[str, Any]]
    viewer: dict[str, Any]
    players: dict[int, str]
    scores: dict[int, int]

    def as_json(self) -> str:
        """What the stock Python servers read: they hold it in memory."""
        return json.dumps({"board": BOARD, "products": self.products, "cheapest": self.cheapest})


def prepare(folder: Path, redis_url: str, database_url: str | None = None) -> Shop:
    """Fill the Redis and a new database: an SQLite file in `folder`, unless it has a URL."""
    settings = Settings(
        server=ServerSettings(data_dir=folder),
        redis=RedisSettings(url=redis_url),
        database=DatabaseSettings(url=database_url),
    )
    scores = {player: player * 10 for player in range(1, PLAYERS + 1)}
    return uvloop.run(_fill(settings, scores))


SHOWN = """
    SELECT product.*, category.slug AS shelf, category.name AS shelf_name
    FROM product LEFT JOIN category ON category.id = product.category_id
    WHERE active
"""


async def _read(database: Database, token: str, scores: dict[int, int]) -> Shop:
    """What is in SQL."""

    async def rows(statement: str) -> Sequence[RowMapping]:
        async with database.session() as session:
            return (await session.execute(text(statement))).mappings().all()

    users = {row["id"]: row for row in await rows("SELECT id, email, display_name, role FROM users")}
    viewer = users[VIEWER]
    return Shop(
        token=token,
        products=[product_of(row) for row in await rows(f"{SHOWN} ORDER BY name_key, product.id")],
        cheapest=[product_of(row) for row in await rows(f"{SHOWN} ORDER BY price, product.id LIMIT 100")],
        viewer={
            "id": global_id("User", VIEWER),
            "email": viewer["email"],
            "displayName": viewer["display_name"],
            "role": viewer["role"],
        },
        players={number: user["display_name"] for number, user in users.items()},
        scores=scores,
    )


def product_of(row: RowMapping) -> dict[str, Any]:
    """A row of `SHOWN` as the API shows a product."""
    return {
        "id": global_id("Product", row["id"]),
        "sku": row["sku"],
        "name": row["name"],
        "description": row["description"],
        "category": {"id": global_id("Category", row["category_id"]), "slug": row["shelf"], "name": row["shelf_name"]},
        "price": {"amount": f"{row['price'] / 10_000:.2f}", "currency": row["currency"]},  # USD, all of them
        "stock": row["stock"],
        "active": bool(row["active"]),
    }


def global_id(kind: str, number: int) -> str:
    """The id of an object in the API."""
    return base64.b64encode(f"{kind}:{number}".encode()).decode()


async def _fill(settings: Settings, scores: dict[int, int]) -> Shop:
    await migrate(settings.database_url)
    async with open_services(settings) as services:
        await seed_catalog(services.catalog, PRODUCTS)
        await add_users(services.database, dict.fromkeys(scores, "PLAYER"))
        for slug in (BOARD, *(f"{BOARD}-{name}" for name in WITH_SQL)):
            board = await services.leaderboards.create_board(NewBoard(slug=slug, name="Bench"))
            for player, score in scores.items():
                await services.leaderboards.submit(board, player, float(score))
        token, _ = await services.sessions.create(str(VIEWER), role="PLAYER")
        return await _read(services.database, token, scores)


async def add_users(database: Database, roles: Mapping[int, str]) -> None:
    """Add users with these ids."""
    now = datetime.now(UTC)
    users = [
        {
            "id": number,
            "email": f"player{number}@example.com",
            "email_key": f"player{number}@example.com",
            "display_name": f"Player {number}",
            "password_hash": "!",  # nobody signs in with a password here
            "role": role,
            "created_at": now,
            "password_changed_at": now,
        }
        for number, role in roles.items()
    ]
    async with database.transaction() as session:
        await session.execute(insert(USERS), users)
        await session.commit()
