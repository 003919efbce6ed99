"""Prints the minimal ACL user that this version of the product needs on Redis, as a line to paste.

`COMMANDS` lists what the client, the scripts and the queue send; a test reads the sources and fails if one is missing.
All keys and channels begin with the prefix. No command is administrative: no CONFIG, KEYS, FLUSHALL or MONITOR.
"""

from typing import Final

KEY: Final = "KEY"
"""Stands in `COMMANDS` for a key that holds nothing."""
CHANNEL: Final = "CHANNEL"
"""Stands in `COMMANDS` for a channel that nobody listens to."""

COMMANDS = {
    "ping": "",
    "info": "server",
    "select": "0",
    "time": "",
    "client|setname": "graph-doctor",
    "client|setinfo": "LIB-NAME graph",
    "cluster|slots": "",
    "asking": "",
    "script|load": "return",
    "evalsha": "0000000000000000000000000000000000000000 0",
    "eval": "return 0",
    "wait": "0 1",
    "waitaof": "0 0 1",
    "publish": "CHANNEL -",
    "spublish": "CHANNEL -",
    "subscribe": "CHANNEL",
    "unsubscribe": "CHANNEL",
    "ssubscribe": "CHANNEL",
    "sunsubscribe": "CHANNEL",
    "get": "KEY",
    "getdel": "KEY",
    "set": "KEY - XX",
    "mget": "KEY",
    "del": "KEY",
    "unlink": "KEY",
    "exists": "KEY",
    "expire": "KEY 1",
    "pexpire": "KEY 1",
    "pexpireat": "KEY 1",
    "persist": "KEY",
    "pttl": "KEY",
    "rename": "KEY KEY",
    "getrange": "KEY 0 0",
    "setrange": "KEY WRONG -",
    "hget": "KEY -",
    "hset": "KEY - - WRONG",
    "hmget": "KEY -",
    "hgetall": "KEY",
    "hdel": "KEY -",
    "hexists": "KEY -",
    "hincrby": "KEY - WRONG",
    "hstrlen": "KEY -",
    "zadd": "KEY XX 0 -",
    "zcard": "KEY",
    "zcount": "KEY 0 0",
    "zpopmin": "KEY",
    "zrange": "KEY 0 0",
    "zrank": "KEY -",
    "zrem": "KEY -",
    "zremrangebyscore": "KEY 0 0",
    "zscore": "KEY -",
    "xack": "KEY - 0-0",
    "xadd": "KEY NOMKSTREAM * - -",
    "xautoclaim": "KEY - - 1 0",
    "xclaim": "KEY - - 1 0-0",
    "xdel": "KEY 0-0",
    "xgroup|create": "KEY - 0",
    "xgroup|createconsumer": "KEY - -",
    "xgroup|delconsumer": "KEY - -",
    "xinfo|consumers": "KEY -",
    "xinfo|groups": "KEY",
    "xinfo|stream": "KEY",
    "xlen": "KEY",
    "xpending": "KEY -",
    "xrange": "KEY - +",
    "xreadgroup": "GROUP - - STREAMS KEY >",
    "xrevrange": "KEY + -",
    "xtrim": "KEY MAXLEN 0",
}
"""Names in the notation of ``ACL SETUSER`` (a subcommand follows a bar), with arguments that change nothing.

Redis looks at the permissions before it finds that there is no such key, or that an argument makes no sense.
"""

NEWER = ("waitaof", "client|setinfo")
"""Commands that Redis 7.0 does not have, and that the product can do without."""

OPTIONAL = (*NEWER, "client|setname", "script|load")
"""Commands that the product does without where they are denied: scripts are then sent in full."""

IN_CLUSTERS = ("cluster|slots", "asking", "spublish", "ssubscribe", "sunsubscribe")
"""Commands that are sent to the nodes of a cluster alone."""

ELSEWHERE = ("select", "publish", "subscribe", "unsubscribe")
"""Commands that are sent to servers alone that are in no cluster."""

ONCE = ("scan",)
"""Needed only to start beside a restored database: it tells keys of others, too, so it is not allowed for good."""


def acl_line(prefix: str, *, user: str = "graph", newer: bool = True) -> str:
    """Return the line; with `newer` for Valkey and for Redis 7.2 or later."""
    allowed = " ".join(f"+{name}" for name in COMMANDS if newer or name not in NEWER)
    return f"ACL SETUSER {user} reset on >PASSWORD ~{prefix}:* &{prefix}:* {allowed}"
