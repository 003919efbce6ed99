"""The ends of sessions as they are written down outside Redis, and how a server is reminded of them.

A server that was restarted or failed over may have lost the last revocations, so that sessions which were ended are
there again. A `Ledger` (a table in SQL) has the revocations of the last hours. `remind` makes them again on one server,
before anybody believes what that server says of a session (`graph.patterns.client.open_client`, `prepare`).

Failure: `remind` raises what the ledger raises, and `RedisUnavailable` where the server does not take the reminder.
The server is then not used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from graph.patterns.client import Command, RedisUnavailable, Script, command, error_word
from graph.patterns.sessions.session import EPOCH_LIFETIME_MS, SessionKeys

if TYPE_CHECKING:
    from collections.abc import Sequence

    from graph.patterns.client import Newcomer, Reply

_REMIND = Script(__name__, "remind", idempotent=True)
_ELSEWHERE = ("MOVED", "ASK")  # another node of the cluster has the user's keys
_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Revocation:
    """Sessions of a user that were ended: `digests`, and with `everything` all that had begun by `epoch` but `spared`.

    `epoch` is the user's epoch that the revocation made, hence the server's clock (microseconds); 0 where it only named
    sessions.
    """

    user_id: str
    epoch: int
    digests: tuple[str, ...] = ()
    everything: bool = False
    spared: str = ""


class Ledger(Protocol):
    """Where revocations are written down."""

    async def record(self, revocation: Revocation) -> None:
        """Write it down for good, before it is acknowledged."""
        ...

    async def recent(self) -> Sequence[Revocation]:
        """Those of the last hours, in the order in which they were made."""
        ...


async def remind(newcomer: Newcomer, ledger: Ledger, *, prefix: str = "graph") -> int:
    """End the sessions again that the ledger says have ended, as far as `newcomer` holds them; say how many it had."""
    keys, ended = SessionKeys(prefix), 0
    revocations = await ledger.recent()
    for first in range(0, len(revocations), _AT_ONCE):
        some = revocations[first : first + _AT_ONCE]
        listed = await newcomer.ask([command("ZRANGE", keys.index(one.user_id), 0, -1) for one in some])
        here = [
            _reminder(keys, one, [digest.decode() for digest in reply] if one.everything else [])
            for one, reply in zip(some, listed, strict=True)
            if not _is_elsewhere(reply)
        ]
        ended += sum(reply for reply in await newcomer.ask(here) if not _is_elsewhere(reply))
    return ended


def _reminder(keys: SessionKeys, one: Revocation, listed: Sequence[str]) -> Command:
    digests = [*one.digests, *(digest for digest in listed if digest not in one.digests)]
    names = [keys.index(one.user_id), keys.epoch(one.user_id), *(keys.session(one.user_id, each) for each in digests)]
    return _REMIND(names, [EPOCH_LIFETIME_MS, one.epoch, one.spared, len(one.digests), *digests])


def _is_elsewhere(reply: Reply) -> bool:
    if error_word(reply) in _ELSEWHERE:
        return True
    if isinstance(reply, RedisUnavailable):
        raise reply
    if isinstance(reply, Exception):
        raise RedisUnavailable(f"the server was not reminded of ended sessions: {reply}") from reply
    return False
