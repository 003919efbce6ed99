"""The small schema on a real uvicorn, for clients in other languages: ``python -m tests.conformance.server``.

Prints the URL once it listens; ends when its standard input closes, so that no test leaves one behind.
"""

from __future__ import annotations

import asyncio
import os
import sys

import uvicorn

from graph.endpoint.document import Bounds, Persisted
from graph.patterns.client import open_client
from harness.valkey import ValkeyServer, free_port
from tests.support.apps.small import make_endpoint


async def main() -> None:
    """Serve until standard input closes."""
    port = free_port()
    with ValkeyServer() as valkey:
        async with open_client(valkey.url) as client:
            bounds = Bounds(body_timeout=float(os.environ.get("BODY_TIMEOUT", "10")))
            endpoint = make_endpoint(client, bounds=bounds, persisted=Persisted(client))
            config = uvicorn.Config(endpoint, port=port, lifespan="off", log_level="warning", ws="none")
            server = uvicorn.Server(config)
            serving = asyncio.create_task(server.serve())
            while not server.started:
                await asyncio.sleep(0.01)
            print(f"http://127.0.0.1:{port}/graphql", flush=True)
            await asyncio.to_thread(sys.stdin.read)
            server.should_exit = True
            await serving


if __name__ == "__main__":
    asyncio.run(main())
