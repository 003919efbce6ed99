"""docs/live.md: its application, copied from the page, does what the page says."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from harness.waiting import HANG, within
from tests.support.apps.lifespan import Lifespan
from tests.support.apps.serving import serving
from tests.support.clients.streamed import Body

if TYPE_CHECKING:
    import pytest

    from graph.patterns.client import Client
    from harness.valkey import ValkeyServer

PAGE = (Path(__file__).parents[2] / "docs/live.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


async def test_the_application_of_the_page_is_live(
    valkey: ValkeyServer, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client of one process sees what is sold in another."""
    del client  # it emptied the server
    (program,) = BLOCKS
    (tmp_path / "live_page_app.py").write_text(program)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    create_app: Any = importlib.import_module("live_page_app").create_app
    async with (
        Lifespan(create_app(valkey.url)) as one,
        Lifespan(create_app(valkey.url)) as other,
        serving(one.app) as port,
        serving(other.app) as elsewhere,
        httpx.AsyncClient(timeout=HANG) as http,
    ):
        query = {"query": 'query @live { stock(name: "lamp") }'}
        headers = {"accept": "text/event-stream"}
        url = f"http://127.0.0.1:{port}/graphql/"
        async with http.stream("GET", url, params=query, headers=headers) as response, within("what was sold"):
            body = Body(response)
            for left in (3, 2, 1):
                await body.until(f'event: next\ndata: {{"data":{{"stock":{left}}}}}\n\n'.encode())
                sold = await http.post(
                    f"http://127.0.0.1:{elsewhere}/graphql/", json={"query": 'mutation { sell(name: "lamp") }'}
                )
                assert sold.json() == {"data": {"sell": left - 1}}
