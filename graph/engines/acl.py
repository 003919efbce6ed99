"""Prints the minimal ACL user that this version of the product needs on Redis, as a line to paste.

`COMMANDS` lists what the client, the scripts and the queue send; a test reads the sources and fails if one is missing.
All keys and channels begin with the prefix. No command is administrative: no CONFIG, KEYS, FLUSHALL or MONITOR.
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
"""In the notation of ``ACL SETUSER``: a subcommand follows a bar."""

NEWER = ("waitaof", "client|setinfo")
"""Commands that Redis 7.0 does not have, and that the product can do without."""

ONCE = ("scan",)
"""Needed only to start beside a restored database: it tells keys of others, too, so it is not allowed for good."""


def acl_line(prefix: str, *, user: str = "graph", newer: bool = True) -> str:
    """Return the line; with `newer` for Valkey and for Redis 7.2 or later."""
    allowed = " ".join(f"+{name}" for name in COMMANDS if newer or name not in NEWER)
    return f"ACL SETUSER {user} reset on >PASSWORD ~{prefix}:* &{prefix}:* {allowed}"
