"""One connection to one server, and what keeps it.

`Dialer` finds the server and opens a `Wire`, over which batches travel; a `Link` replaces the wire whenever it is lost,
lets batches wait meanwhile, and remembers what the server refuses. `Newcomers` prepare a server that is met for the
first time.
"""

from graph.patterns.client.connection.dialer import Address, BadRedisUrl, Dialer
from graph.patterns.client.connection.link import COMMAND_DEADLINE, Link
from graph.patterns.client.connection.newcomers import Newcomer, Newcomers, Prepare
from graph.patterns.client.connection.retries import BACKOFF_CAP, LOCAL_BACKOFF_CAP, PAUSE, backoff
from graph.patterns.client.connection.wire import Wire, hurry

__all__ = [
    "BACKOFF_CAP",
    "COMMAND_DEADLINE",
    "LOCAL_BACKOFF_CAP",
    "PAUSE",
    "Address",
    "BadRedisUrl",
    "Dialer",
    "Link",
    "Newcomer",
    "Newcomers",
    "Prepare",
    "Wire",
    "backoff",
    "hurry",
]
