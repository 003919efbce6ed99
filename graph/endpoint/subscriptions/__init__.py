"""Subscriptions, whatever carries them: one execution for all who follow the same, and a bounded queue for each client.

A transport makes a `Sink` of each operation and hands it to `Streams`.
"""

from graph.endpoint.subscriptions.backlog import Backlog
from graph.endpoint.subscriptions.entry import entered
from graph.endpoint.subscriptions.event_stream import nobody
from graph.endpoint.subscriptions.outlet import Outlet, TextOutlet
from graph.endpoint.subscriptions.patches import PiecesFormat
from graph.endpoint.subscriptions.resume import resumed
from graph.endpoint.subscriptions.sink import Runner, Sink, errors_json, refused
from graph.endpoint.subscriptions.streams import ANONYMOUS, Follow, LiveRunner, Streams

__all__ = [
    "ANONYMOUS",
    "Backlog",
    "Follow",
    "LiveRunner",
    "Outlet",
    "PiecesFormat",
    "Runner",
    "Sink",
    "Streams",
    "TextOutlet",
    "entered",
    "errors_json",
    "nobody",
    "refused",
    "resumed",
]
