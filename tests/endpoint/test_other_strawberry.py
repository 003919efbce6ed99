"""Strawberry without the private names that the compiler builds on, as a later release may be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.waiting import HANG
from tests.support.processes import fork_server

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = """
import asyncio, logging, sys
from importlib import import_module

import strawberry
from graph.endpoint.document import Operations
from graph.endpoint.execution.executors import Executors, Given

logging.basicConfig(level="WARNING", force=True)
for one in [one for one in sys.modules if one.startswith("graph.endpoint.execution.compiled")]:
    del sys.modules[one]  # it was loaded before this process was forked

@strawberry.type
class Query:
    @strawberry.field
    async def hello(self) -> str:
        return "world"

schema = strawberry.Schema(Query)
prepared = Operations(schema._schema).prepare("{{ hello }}")
module = import_module({module!r})
theirs = getattr(module, {name!r})
delattr(module, {name!r})
executors = Executors(schema, errors=10, hide_suggestions=True)
setattr(module, {name!r}, theirs)  # Strawberry itself needs it under some name
made = executors.of(prepared, prepared.select(None), Given({{}}, None, None, None))
print(executors.compiler, asyncio.run(made.execute_operation()).data)
"""


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("strawberry.schema.schema", "_OperationContextAwareGraphQLResolveInfo"),
        ("strawberry.utils.await_maybe", "await_maybe"),
    ],
    ids=["private", "moved"],
)
def test_what_the_compiler_misses_leaves_operations_to_core(module: str, name: str, tmp_path: Path) -> None:
    """The schema is served all the same, by graphql-core, and the log names what is missing."""
    program = PROGRAM.format(module=module, name=name)
    with (tmp_path / "told").open("wb") as out:
        status = fork_server.python("-c", program, out=out).wait(HANG)
    told = (tmp_path / "told").read_text()
    assert status == 0, told
    assert "None {'hello': 'world'}\n" in told.splitlines(keepends=True)
    assert "left to graphql-core" in told
    assert name in told
