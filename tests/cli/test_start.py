from __future__ import annotations

import subprocess
import sys


def test_the_command_line_starts_without_what_only_commands_need() -> None:
    """``graph --help`` loads no settings, no SQL, no GraphQL and no Redis: each command imports those when it runs."""
    heavy = ("pydantic", "sqlalchemy", "strawberry", "redis", "uvicorn", "taskiq", "asyncio")
    code = f"import sys, graph.cli.commands; print([name for name in {heavy} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert found.strip() == "[]"
