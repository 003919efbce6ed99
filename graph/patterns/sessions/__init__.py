"""Sessions behind opaque tokens. An ended session ends everywhere at once and does not come back.

`Sessions` begins, checks, lists and ends them. `Revocations` tells every process which ones have ended, so that it
closes what is open on their behalf. A `Ledger` has the ends written down outside Redis, and `remind` tells them to a
server that may have lost them. `EpochMoved` stops a sign-in whose credentials were checked before a revocation.
"""

from graph.patterns.sessions.ledger import Ledger, Revocation, remind
from graph.patterns.sessions.revocations import Revocations
from graph.patterns.sessions.session import Session
from graph.patterns.sessions.sessions import EpochMoved, Sessions

__all__ = ["EpochMoved", "Ledger", "Revocation", "Revocations", "Session", "Sessions", "remind"]
