"""Strawberry without the private names that the compiler builds on, as a later release may be."""

from __future__ import annotations

import subprocess
import sys

import pytest

from harness.serving import ROOT

PROGRAM = """
import asyncio, logging
from importlib import import_module

import strawberry
from graph.endpoint.document import Operations
from graph.endpoint.execution.executors import Executors, Given

logging.basicConfig(level="WARNING")

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
def test_what_the_compiler_misses_leaves_operations_to_core(module: str, name: str) -> None:
    """The schema is served all the same, by graphql-core, and the log names what is missing."""
    program = PROGRAM.format(module=module, name=name)
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "None {'hello': 'world'}\n"
    assert "left to graphql-core" in done.stderr
    assert name in done.stderr
