"""Classifies the errors of a server that answers but refuses, for every pattern.

There are four kinds of failure for the sender of a command:

- gone: the server cannot be reached, or does not answer in time (`batch.RedisUnavailable`, `batch.OutcomeUnknown`);
- refused for now (`RedisRefused`): it answers, but takes no such command at the moment. It is short of memory (OOM),
  cannot write its disk (MISCONF), has too few replicas (NOREPLICAS), is no primary (READONLY, MASTERDOWN), runs a long
  script (BUSY), reads its data (LOADING), or its cluster lacks a node or is being changed (CLUSTERDOWN, TRYAGAIN);
- refused for good (`RedisRefused` with `lasting`): the user may not do this (NOPERM, NOAUTH), or somebody else has put
  something into the key (WRONGTYPE), until that is changed;
- ours: any other error reply (`redis.exceptions.ResponseError`), which is a bug in what was sent.

The first three are one family, `RedisUnavailable`, so that whatever helps against a dead server helps against one that
refuses. A refused command has done nothing.
"""

from __future__ import annotations

from redis.exceptions import ResponseError

from graph.patterns.client.batch import RedisUnavailable

DEPOSED = frozenset({"READONLY", "MASTERDOWN"})
"""The server is a replica: reads and writes are refused in different words."""
BLOCKING = DEPOSED | {"BUSY", "LOADING"}
"""While one of these lasts the server is of no use: the link fails at once instead of asking again."""
WRITES = frozenset({"OOM", "MISCONF", "NOREPLICAS"})
"""While one of these lasts the server still answers reads."""
SLOTS = frozenset({"CLUSTERDOWN"})
"""While one of these lasts a node of a cluster may still answer for other slots."""
SPOILED = frozenset({"WRONGTYPE"})
"""A key holds what nobody here has put there; all others may be well."""
LASTING = frozenset({"NOPERM", "NOAUTH", "WRONGPASS"}) | SPOILED
_PASSING = frozenset({"TRYAGAIN"})
_REFUSALS = BLOCKING | WRITES | SLOTS | LASTING | _PASSING
_ACL_IN_SCRIPT = "ACL failure in script"


class RedisRefused(RedisUnavailable, ResponseError):
    """The server answered that it does not take the command, for now or (`lasting`) until somebody changes that."""

    def __init__(self, word: str, message: str) -> None:
        """Refused for `word`, the first of the server's own `message`."""
        Exception.__init__(self, message)  # neither parent's constructor does more
        self.word = word

    @property
    def lasting(self) -> bool:
        """Whether asking again later will not help."""
        return self.word in LASTING


def error_word(reply: object) -> str:
    """The first word of an error reply, which is its kind; empty for any other reply."""
    if type(reply) is RedisRefused:
        return reply.word
    if type(reply) is not ResponseError:
        return ""
    text = str(reply)
    return "NOPERM" if _ACL_IN_SCRIPT in text else text.partition(" ")[0]


def refusal_of(reply: object) -> RedisRefused | None:
    """`reply` as a refusal; None if it is not one."""
    word = error_word(reply)
    return RedisRefused(word, str(reply)) if word in _REFUSALS else None
