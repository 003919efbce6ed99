"""How often a password may be guessed: limits per account and per address, charged together before anything is hashed.

Unknown emails are limited like known ones. Guesses at the sign-in and at the change of a password spend the same
budget. The keys of the logs are in `graph.accounts.keys`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from graph.accounts.keys import account_name, attempts_key
from graph.accounts.records import TooMany
from graph.patterns.limiter import Charge, Limit

if TYPE_CHECKING:
    from graph.patterns.limiter import Limiter


@dataclass(frozen=True, slots=True)
class AttemptLimits:
    """How many attempts may be made in any window of so many seconds.

    The limit of an account also bounds how long a stranger can keep its owner out: one window.
    """

    per_account: int = 10
    per_address: int = 100
    window: float = 900.0
    registrations_per_address: int = 20
    registration_window: float = 3600.0


class Attempts:
    """Charges attempts. Every method raises `graph.patterns.client.RedisUnavailable` while Redis is away."""

    def __init__(self, limiter: Limiter, limits: AttemptLimits, *, prefix: str = "graph") -> None:
        """Keep the logs under `prefix`."""
        self._limiter = limiter
        self._prefix = prefix
        self._account = Limit("account", limits.per_account, limits.window)
        self._address = Limit("address", limits.per_address, limits.window)
        self._newcomer = Limit("registration", limits.registrations_per_address, limits.registration_window)

    async def guess(self, email: str, address: str) -> TooMany | None:
        """Charge one guess at the password of the account with this key of an email, made from `address`."""
        return await self._charge(self._account_charge(email), self._charge_of(self._address, address))

    async def forgive(self, email: str) -> None:
        """Give the account its charge back: the guess was right."""
        await self._limiter.refund(self._account_charge(email))

    async def register(self, address: str) -> TooMany | None:
        """Charge one registration from `address`."""
        return await self._charge(self._charge_of(self._newcomer, address))

    def _charge_of(self, limit: Limit, name: str) -> Charge:
        return Charge(limit, attempts_key(self._prefix, limit.name, name))

    def _account_charge(self, email: str) -> Charge:
        return self._charge_of(self._account, account_name(email))

    async def _charge(self, *charges: Charge) -> TooMany | None:
        verdict = await self._limiter.charge(*charges)
        return None if verdict.allowed else TooMany(verdict.retry_after)
