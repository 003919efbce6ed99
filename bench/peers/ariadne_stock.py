"""Stock Ariadne: its ASGI application, no cache, no session, no limit, no Redis; the data are ready dicts in memory."""

from __future__ import annotations

import json
import os
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ariadne import QueryType, make_executable_schema
from ariadne.asgi import GraphQL

if TYPE_CHECKING:
    from starlette.types import ASGIApp


def app() -> ASGIApp:
    """The application; the products are in the file that ``DATA`` names."""
    data = json.loads(Path(os.environ["DATA"]).read_text())
    shelves: dict[str, list[dict[str, Any]]] = {"NAME_ASC": data["products"], "PRICE_ASC": data["cheapest"]}
    by_sku = {product["sku"]: product for product in data["products"]}
    query: Any = QueryType()  # its decorators are untyped

    async def one(_root: Any, _info: Any, by: dict[str, str]) -> dict[str, Any] | None:
        return by_sku.get(by["sku"])

    async def page(
        _root: Any,
        _info: Any,
        first: int,
        sort: str,
        filter: dict[str, str] | None = None,  # noqa: A002 - the contract's name
    ) -> dict[str, Any]:
        least = Decimal(filter["minPrice"] if filter is not None else 0)
        found = (product for product in shelves[sort] if Decimal(product["price"]["amount"]) >= least)
        return {"nodes": list(islice(found, first))}

    query.set_field("product", one)
    query.set_field("products", page)
    sdl = Path(__file__).with_name("schema.graphql").read_text()
    return GraphQL(make_executable_schema(sdl, query))
