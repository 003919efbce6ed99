"""A process that runs or shares an embedded Valkey: ``python -m … FOLDER [--no-death-signal]``.

It tells what it sees as JSON lines whenever that changes, and leaves when its standard input ends.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import uvloop

from graph.engines import embedded


async def main(folder: Path) -> None:
    """Open, report, wait."""
    loop = asyncio.get_running_loop()
    leave = loop.run_in_executor(None, sys.stdin.buffer.read)
    async with embedded.embedded_valkey(folder) as server:
        told = None
        while not leave.done():
            seen = {"url": server.url, "owned": server.owned, "pid": server.pid}
            if seen != told and (server.pid or not server.owned):
                told = seen
                print(json.dumps(seen), flush=True)
            await asyncio.sleep(0.01)


def no_death_signal(_parent: int) -> None:
    """Do what a system without PR_SET_PDEATHSIG does."""


if "--no-death-signal" in sys.argv:
    embedded.die_with_parent = no_death_signal
uvloop.run(main(Path(sys.argv[1])))
