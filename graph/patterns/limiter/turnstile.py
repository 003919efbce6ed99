"""The turnstile: one script for what nearly every request needs, a session that is alive and a charge that passes.

It does what a check of the session (`Sessions.touch`) and a charge (`Limiter.charge`) do, at a third of the server's
time, but only where there is nothing else to do: the session's use was noted less than `accuracy` ago, and the limit
has room. In any other case it changes nothing and says so; then call the other two.

Failure: as `Limiter.charge`. It is never sent twice; when its reply was lost the charge may have been made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from graph.patterns.client import Script

if TYPE_CHECKING:
    from collections.abc import Sequence

    from graph.patterns.client import Argument, Command, Reply
    from graph.patterns.limiter.limiter import Charge

_MICROSECONDS = 1_000_000

_TURNSTILE = Script(__name__, "turnstile")


class Passage(NamedTuple):
    """A charge that was made: the server's clock (Unix time), the units left, and seconds until all are free again."""

    at: float
    remaining: int
    reset_after: float


def passage_command(charge: Charge, *, guards: Sequence[str] = (), args: Sequence[Argument] = ()) -> Command:
    """Build the command that makes `charge` if its limit has room.

    `guards` is empty; or the session's key, which must exist; or that and the index that must list it, with `args` as
    `Sessions.turnstile` knows them. All keys share one hash tag. Read the reply with `passage`.
    """
    limit = charge.limit
    return _TURNSTILE([charge.key, *guards], [limit.count, int(limit.window * _MICROSECONDS), charge.weight, *args])


def passage(reply: Reply) -> Passage | None:
    """Read the reply of `passage_command`; None: nothing was changed. An exception in the reply's place is raised."""
    if isinstance(reply, Exception):
        raise reply
    return None if reply is None else Passage(reply[0] / _MICROSECONDS, reply[1], reply[2] / _MICROSECONDS)
