"""Commands and Lua scripts as values that the client sends.

A `Script` is one file in the ``lua/`` beside the module that sends it: one operation, whose header names KEYS, ARGV,
the result and the rule it keeps. Building a `Command` sends nothing; `Client.execute`, `Client.run` and `Client.batch`
do.
"""

from __future__ import annotations

import hashlib
import re
from functools import cached_property
from importlib.resources import files
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

Argument: TypeAlias = bytes | str | int | float
"""What a command may carry; text is sent as UTF-8, numbers as their shortest decimal form."""

# Commands that change nothing, so that sending one twice is harmless. Any other command is sent only once.
READS = frozenset(
    {
        *("GET", "MGET", "EXISTS", "STRLEN", "GETRANGE", "TTL", "PTTL", "TYPE", "EXPIRETIME", "PEXPIRETIME"),
        *("HGET", "HMGET", "HGETALL", "HLEN", "HEXISTS", "HKEYS", "HVALS"),
        *("SCARD", "SISMEMBER", "SMEMBERS", "LLEN", "LRANGE", "LINDEX"),
        *("ZCARD", "ZSCORE", "ZMSCORE", "ZRANK", "ZREVRANK", "ZRANGE", "ZCOUNT", "ZLEXCOUNT"),
        *("XLEN", "XRANGE", "XREVRANGE", "XINFO"),
        *("PING", "TIME", "INFO", "DBSIZE", "CONFIG GET", "SCAN", "SSCAN", "HSCAN", "ZSCAN"),
    }
)

_INCLUDE = re.compile(rb"^--@include (\w+)$", re.MULTILINE)


class Command(NamedTuple):
    """One command ready to be sent.

    `key` decides the node in a cluster (None: any). `retry` says that sending it twice is harmless: only then is it
    sent again when a connection was lost before its reply came.
    """

    args: tuple[Argument, ...]
    key: Argument | None
    retry: bool
    script: Script | None = None
    packed: bytes | None = None
    """The command as it is sent, for one that is sent again and again."""


def command(name: str, *args: Argument, retry: bool | None = None) -> Command:
    """Build a plain command whose first argument, if any, is its key. `retry` defaults to whether it is a read."""
    return Command((name, *args), args[0] if args else None, name in READS if retry is None else retry)


ASKING = Command(("ASKING",), None, retry=True)
"""Lets the command behind it be run by a node that a slot is being moved to."""


class Script:
    """A Lua script, known to the server by its SHA-1.

    `idempotent` promises that running it twice with the same arguments has the effect and the reply of running it
    once; such a script (a pure read is one) is sent again after a lost connection, any other never.
    """

    def __init__(self, module: str, name: str, *, idempotent: bool = False) -> None:
        """Take the file ``lua/{name}.lua`` beside `module` (its ``__name__``); it is read on first use."""
        self._package = module.rpartition(".")[0]
        self._file = name
        self.name = f"{self._package.rpartition('.')[2]}.{name}"
        self.idempotent = idempotent

    @cached_property
    def source(self) -> bytes:
        """The text of the script; a line ``--@include name`` stands for what ``lua/{name}.lua`` says."""
        return _INCLUDE.sub(lambda found: self._text(found[1].decode()), self._text(self._file))

    def _text(self, name: str) -> bytes:
        return files(self._package).joinpath("lua", f"{name}.lua").read_bytes()

    @cached_property
    def sha(self) -> bytes:
        """The SHA-1 under which EVALSHA finds it."""
        return hashlib.sha1(self.source, usedforsecurity=False).hexdigest().encode()

    def __call__(self, keys: Sequence[Argument], args: Sequence[Argument] = ()) -> Command:
        """Build the EVALSHA command; all of `keys` share one hash tag."""
        return Command(
            (b"EVALSHA", self.sha, len(keys), *keys, *args), keys[0] if keys else None, self.idempotent, self
        )

    def whole(self, one: Command) -> Command:
        """`one`, which runs this script by its SHA-1, as an EVAL that carries the script itself."""
        return one._replace(args=(b"EVAL", self.source, *one.args[2:]), packed=None)

    def __repr__(self) -> str:
        return f"Script({self.name!r})"
