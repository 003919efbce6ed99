"""Limits on guessing passwords, which stop an attacker and never the owner of the account.

An unknown device is limited per account *and* network (an address, or a /64 of IPv6), so guesses from one network do
not lock out anybody on another. A network that goes on guessing waits longer each time: it may make `limit` attempts in
one window, twice that in sixteen windows, four times that in ninety-six. All networks together may make `EVERYWHERE`
times the limit on one account, and each network has a limit over all accounts.

A device on which the owner has signed in before has a limit of its own and uses up none of the others: it sends a
device cookie (OWASP, "Slow Down Online Guessing Attacks with Device Cookies"), which is signed with the hash of the
password that it was issued for, so a new password invalidates it. Changing the password in a live session has its own
limit.

All limits are charged in one step before anything is hashed, and unknown emails are limited like known ones. The keys
of the logs are in `graph.accounts.keys`.
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
"""How many times the limit of an account the unknown devices of all networks together may use."""
_GROWTH = ((1, 1), (2, 16), (4, 96))
"""Pairs: so many times the limit may pass in so many windows."""
_DEVICE_LENGTH = 87
"""Characters of a device cookie: a nonce of 22, a dot, a signature of 64."""


def issue_device(email: str, password_hash: str) -> str:
    """Make the cookie by which a device proves that the account with this email key has used it."""
    nonce = secrets.token_urlsafe(16)
    return f"{nonce}.{_signature(nonce, email, password_hash)}"


def known_device(device: str | None, email: str, password_hash: str) -> str | None:
    """Return the name of the device that sent this cookie; None if the cookie is not valid for the account."""
    nonce, _, signature = (device or "")[:_DEVICE_LENGTH].partition(".")
    right = _signature(nonce, email, password_hash)
    return nonce if nonce and hmac.compare_digest(signature.encode(), right.encode()) else None


def _signature(nonce: str, email: str, password_hash: str) -> str:
    return hmac.digest(password_hash.encode(), f"device\0{nonce}\0{email}".encode("utf-8", "replace"), "sha256").hex()


@dataclass(frozen=True, slots=True)
class AttemptLimits:
    """How many attempts pass in any window of `window` seconds; `per_account` holds for one network or device."""

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
        """Charge one guess at the password of the account with this email key; returns what was charged, or a refusal.

        It comes from `address`, and from a known device if `device` names one.
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
        """Charge one guess at the current password by a signed-in user who wants to change it."""
        return await self._charged(Charge(self._account, self._key("change", user_id)))

    async def forgive(self, charges: Sequence[Charge]) -> None:
        """Refund the account's charge after a correct guess; the address stays charged."""
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
