"""From an operation to its answer.

`Engine` admits and executes operations, whatever carried them: compiled where that is possible, by graphql-core where
it is not. Nothing but cancellation is raised; every error is in an `Answer`.
"""

from graph.endpoint.execution.answer import Answer, blank_response, encode, is_untouched
from graph.endpoint.execution.deadline import Deadlines
from graph.endpoint.execution.engine import RUNNABLE, Engine
from graph.endpoint.execution.event_executor import EventExecutor
from graph.endpoint.execution.hooks import HooksRunner
from graph.endpoint.execution.monitor import Monitor, describe
from graph.endpoint.execution.ready import InPieces, Ready, Ticketed

__all__ = [
    "RUNNABLE",
    "Answer",
    "Deadlines",
    "Engine",
    "EventExecutor",
    "HooksRunner",
    "InPieces",
    "Monitor",
    "Ready",
    "Ticketed",
    "blank_response",
    "describe",
    "encode",
    "is_untouched",
]
