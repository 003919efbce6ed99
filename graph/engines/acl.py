"""The smallest ACL user that this version of the product needs on Redis, as a line to paste.

`COMMANDS` is what the client, the scripts and the queue send; a test reads the sources and fails when one is missing.
All keys and channels begin with the prefix. Nothing of it is administrative: no CONFIG, KEYS, FLUSHALL or MONITOR.
"""

COMMANDS = (
    *("ping", "info", "select", "time", "client|setname", "client|setinfo", "cluster|slots", "cluster|shards"),
    *("asking", "readonly", "script|load", "evalsha", "eval", "waitaof"),
    *("publish", "spublish", "subscribe", "unsubscribe", "ssubscribe", "sunsubscribe"),
    *(
        "get",
        "getdel",
        "set",
        "mget",
        "del",
        "unlink",
        "exists",
        "expire",
        "pexpire",
        "pexpireat",
        "persist",
        "pttl",
        "rename",
    ),
    *("getrange", "setrange", "hget", "hset", "hmget", "hgetall", "hdel", "hexists", "hincrby", "hstrlen"),
    *("zadd", "zcard", "zcount", "zpopmin", "zrange", "zrank", "zrem", "zremrangebyscore", "zscore"),
    *("xack", "xadd", "xautoclaim", "xclaim", "xdel", "xgroup|create", "xgroup|createconsumer", "xgroup|delconsumer"),
    *(
        "xinfo|consumers",
        "xinfo|groups",
        "xinfo|stream",
        "xlen",
        "xpending",
        "xrange",
        "xreadgroup",
        "xrevrange",
        "xtrim",
    ),
)
"""In the words of ``ACL SETUSER``: a subcommand after a bar."""

NEWER = ("waitaof", "client|setinfo")
"""Those that Redis 7.0 does not know, and the product can do without."""


def acl_line(prefix: str, *, user: str = "graph", newer: bool = True) -> str:
    """The line for a server; `newer` is for Redis from 7.2 on, and for Valkey."""
    allowed = " ".join(f"+{name}" for name in COMMANDS if newer or name not in NEWER)
    return f"ACL SETUSER {user} reset on >PASSWORD ~{prefix}:* &{prefix}:* {allowed}"
