"""The database that keys are derived from, as far as a keyspace has to know it.

A database has an identity, and a *pulse*: a random value that is renewed while the database is used. It remembers its
latest pulses. So a copy of it that is put in its place later does not know the newest ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class OriginAway(Exception):
    """The database does not answer, or has not been prepared yet."""


@dataclass(frozen=True, slots=True)
class Mark:
    """The state of a database: who it is, its pulse, and the pulses before that, the newest first."""

    identity: str
    pulse: str
    before: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The mark as Redis keeps it."""
        return f"{self.identity}:{self.pulse}"

    def knows(self, name: str) -> bool:
        """Whether the database has been in the state that `name` stands for."""
        return self.age(name) is not None

    def age(self, name: str) -> int | None:
        """How many pulses ago the database was in the state that `name` stands for; None if it does not know it."""
        identity, _, pulse = name.partition(":")
        pulses = (self.pulse, *self.before)
        return pulses.index(pulse) if identity == self.identity and pulse in pulses else None


class Origin(Protocol):
    """What a database must offer. Every method raises `OriginAway` while it cannot."""

    async def read(self) -> Mark:
        """Return the mark; a database without one is given its first."""
        ...

    async def renew(self, seen: Mark) -> Mark:
        """Give the database another pulse, unless it has one that is newer than `seen`; return the mark."""
        ...

    async def rewound(self) -> None:
        """Prepare the database for a Redis that has lost everything, before it is made to lose it."""
        ...
