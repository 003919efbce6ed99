"""From an operation to its answer.

`Engine` admits and executes operations, whatever carried them: compiled where that is possible, by graphql-core where
it is not. Nothing but cancellation is raised; every error is in an `Answer`.
"""

from graph.endpoint.execution.answer import Answer, encode
from graph.endpoint.execution.compiled.program import Compiler
from graph.endpoint.execution.engine import RUNNABLE, Engine, Ready, Ticketed
from graph.endpoint.execution.event_executor import EventExecutor
from graph.endpoint.execution.hooks import HooksRunner, hook_of

__all__ = [
    "RUNNABLE",
    "Answer",
    "Compiler",
    "Engine",
    "EventExecutor",
    "HooksRunner",
    "Ready",
    "Ticketed",
    "encode",
    "hook_of",
]
