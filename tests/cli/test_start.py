"""What the command line loads before it does anything: a person waits for it."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from harness.serving import ROOT
from tests.support.patience import environment

if TYPE_CHECKING:
    from pathlib import Path

    from graph.patterns.client import Client
    from harness.valkey import ValkeyServer


def _loaded(folder: Path, code: str, *packages: str, **settings: str) -> list[str]:
    """Which of `packages` are loaded at the end of `code`."""
    code = f"{code}\nimport sys\nprint('loaded', *[name for name in {packages} if name in sys.modules])"
    found = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT, env=environment(folder, **settings), capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    return found.splitlines()[-1].split()[1:]


def test_the_command_line_starts_without_what_only_commands_need(tmp_path: Path) -> None:
    """``graph --help`` loads no settings, no SQL, no GraphQL and no Redis: each command imports those when it runs."""
    heavy = ("pydantic", "sqlalchemy", "strawberry", "redis", "uvicorn", "asyncio", "rich.console")
    assert _loaded(tmp_path, "import graph.cli.commands", *heavy) == []


async def test_a_look_at_the_jobs_loads_the_queue_and_nothing_else(
    client: Client, valkey: ValkeyServer, tmp_path: Path
) -> None:
    """``graph jobs list`` needs Redis and a table: no SQL, no GraphQL and no web framework."""
    code = "import graph.cli.commands as c\ntry: c.app(['jobs', 'list'])\nexcept SystemExit as end: assert not end.code"
    heavy = ("sqlalchemy", "alembic", "sqlmodel", "strawberry", "graphql", "fastapi", "starlette", "uvicorn")
    assert _loaded(tmp_path, code, *heavy, "redis", GRAPH_REDIS_URL=valkey.url) == ["redis"]
