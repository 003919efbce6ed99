"""The Redis client: one multiplexed connection to each server; commands of one event-loop turn leave in one write.

`open_client` connects to a single server, a Sentinel group or a cluster, as the URL says. `Client` then sends commands
(`command`), Lua scripts (`Script`) and batches of both, and listens to channels (`Listener`). A `LazyClient` is made
at module level and opens itself. They fail with `RedisUnavailable`, or its subclasses `OutcomeUnknown`,
`RedisOverloaded` and `RedisRefused`.
"""

from graph.patterns.client.batch import (
    OutcomeUnknown,
    Receiver,
    RedisOverloaded,
    RedisUnavailable,
    Replies,
    Reply,
    pack,
)
from graph.patterns.client.client import Client, open_client
from graph.patterns.client.commands import Argument, Command, Script, command
from graph.patterns.client.connection import BadRedisUrl, Newcomer, Prepare, hurry
from graph.patterns.client.lazy import LazyClient
from graph.patterns.client.listener import Listener
from graph.patterns.client.permissions import Denied, Wanted, denied
from graph.patterns.client.refusals import RedisRefused, error_word
from graph.patterns.client.replies import parse_info

__all__ = [
    "Argument",
    "BadRedisUrl",
    "Client",
    "Command",
    "Denied",
    "LazyClient",
    "Listener",
    "Newcomer",
    "OutcomeUnknown",
    "Prepare",
    "Receiver",
    "RedisOverloaded",
    "RedisRefused",
    "RedisUnavailable",
    "Replies",
    "Reply",
    "Script",
    "Wanted",
    "command",
    "denied",
    "error_word",
    "hurry",
    "open_client",
    "pack",
    "parse_info",
]
