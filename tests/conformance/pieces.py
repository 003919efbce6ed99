"""A schema that answers in pieces, for clients in other languages: ``python -m tests.conformance.pieces``.

Prints the URL once it listens; ends when its standard input closes, so that no test leaves one behind.
"""

from __future__ import annotations

import asyncio
import sys

from graph.patterns.client import open_client
from harness.valkey import ValkeyServer
from tests.support.apps.pieces import Gates, make_pieces
from tests.support.apps.serving import serving


async def main() -> None:
    """Serve until standard input closes."""
    with ValkeyServer() as valkey:
        async with (
            open_client(valkey.url) as client,
            make_pieces(client, Gates()) as endpoint,
            serving(endpoint) as port,
        ):
            print(f"http://127.0.0.1:{port}/graphql", flush=True)
            await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
