"""How often a password may be guessed: limits that stop whoever guesses, and never the owner of the account.

A stranger spends budgets of an account *and* a network (an address, or a /64 of IPv6), so what is guessed from one
network refuses nobody on another. A network that goes on guessing waits longer each time: the limit holds for one
window, twice as much for sixteen of them, four times as much for ninety-six. Strangers from all networks together have
`EVERYWHERE` times the limit, and one network a limit over all accounts.

A device on which the owner has signed in before has a budget of its own and spends none of those: it shows a device
cookie (OWASP, "Slow Down Online Guessing Attacks with Device Cookies"), which is signed with the hash of the password
that it was issued for, so that the next password ends it. A change of a password in a live session has its own budget.

Everything is charged together before anything is hashed, and unknown emails are limited like known ones. The keys of
the logs are in `graph.accounts.keys`.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from graph.accounts.keys import account_name, attempts_key
from graph.accounts.records import TooMany
from graph.patterns.limiter import Charge, Limit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from graph.patterns.limiter import Limiter


EVERYWHERE = 10
"""Times the limit of an account, for the strangers of all networks together."""
_GROWTH = ((1, 1), (2, 16), (4, 96))
"""Times the limit, in times the window."""
_DEVICE_LENGTH = 87


def issue_device(email: str, password_hash: str) -> str:
    """What a device shows to be known to the account with this key of an email."""
    nonce = secrets.token_urlsafe(16)
    return f"{nonce}.{_signature(nonce, email, password_hash)}"


def known_device(device: str | None, email: str, password_hash: str) -> str | None:
    """The name of a device that the account knows; None for any other."""
    nonce, _, signature = (device or "")[:_DEVICE_LENGTH].partition(".")
    right = _signature(nonce, email, password_hash)
    return nonce if nonce and hmac.compare_digest(signature.encode(), right.encode()) else None


def _signature(nonce: str, email: str, password_hash: str) -> str:
    return hmac.digest(password_hash.encode(), f"device\0{nonce}\0{email}".encode("utf-8", "replace"), "sha256").hex()


@dataclass(frozen=True, slots=True)
class AttemptLimits:
    """How many attempts may be made in any window of so many seconds; `per_account` from one network or device."""

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
        self._network = [
            Limit("account", times * limits.per_account, windows * limits.window) for times, windows in _GROWTH
        ]
        self._everywhere = Limit("account", EVERYWHERE * limits.per_account, limits.window)
        self._address = Limit("address", limits.per_address, limits.window)
        self._newcomer = Limit("registration", limits.registrations_per_address, limits.registration_window)

    async def guess(self, email: str, address: str, device: str | None = None) -> TooMany | Sequence[Charge]:
        """Charge one guess at the password of the account with this key of an email: what was charged, or a refusal.

        It is made from `address`; on a `device` that the account knows, if it gives the name of one.
        """
        name = account_name(email)
        if device is not None:
            return await self._charged(Charge(self._account, self._key("device", f"{name}:{device}")))
        network = [
            Charge(limit, self._key("network", f"{name}:{address}:{n}")) for n, limit in enumerate(self._network)
        ]
        everywhere = Charge(self._everywhere, self._key("account", name))
        return await self._charged(*network, everywhere, Charge(self._address, self._key("address", address)))

    async def change(self, user_id: str) -> TooMany | Sequence[Charge]:
        """Charge one guess at the password of a user who is signed in already, and wants to change it."""
        return await self._charged(Charge(self._account, self._key("change", user_id)))

    async def forgive(self, charges: Sequence[Charge]) -> None:
        """Give back what the account was charged: the guess was right. What the address was charged stays."""
        for charge in charges:
            if charge.limit is not self._address:
                await self._limiter.refund(charge)

    async def register(self, address: str) -> TooMany | None:
        """Charge one registration from `address`."""
        charged = await self._charged(Charge(self._newcomer, self._key("registration", address)))
        return charged if isinstance(charged, TooMany) else None

    def _key(self, kind: str, name: str) -> str:
        return attempts_key(self._prefix, kind, name)

    async def _charged(self, *charges: Charge) -> TooMany | Sequence[Charge]:
        verdict = await self._limiter.charge(*charges)
        return charges if verdict.allowed else TooMany(verdict.retry_after)
