"""Password resets and email confirmations, by a one-time token in a message.

The answer to a request for a message is the same, and takes the same time, whether or not the account exists: the
account is looked up and the message sent after the answer. Messages are limited per account and per network. A token is
bound to what it changes: a reset token is valid as long as the password is the one that it was issued for, so a reset
or any other change of the password invalidates all others; a confirmation token is valid as long as the user has that
address.

Failure: `RedisUnavailable` and `graph.errors.Unavailable` while a store is away. A message is tried `TRIES` times; then
its loss is logged, and the user has to ask again.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from graph.accounts import rules, writing
from graph.accounts.keys import account_name, attempts_key, user_tag
from graph.accounts.messages.mail import Message, NotSent
from graph.accounts.records import TooMany, UserRecord
from graph.patterns.limiter import Charge, Limit
from graph.patterns.tasks import Tasks
from graph.patterns.tokens import OneTimeTokens

if TYPE_CHECKING:
    from graph.accounts.messages.mail import MailSender
    from graph.accounts.queries import Credentials
    from graph.accounts.service import AccountService
    from graph.engines.database import Database
    from graph.patterns.cache import Cache
    from graph.patterns.client import Client
    from graph.patterns.limiter import Limiter

RESET_TTL = 3600.0
"""Seconds for which a token resets a password."""
CONFIRM_TTL = 3 * 86_400.0
"""Seconds for which a token confirms an address."""
TRIES = 3
"""How often a message is tried."""
RETRY = 5.0
"""Seconds before it is tried again."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class MailOptions:
    """What an operator may set: how messages are sent, and the URLs of the pages that take a ``{token}``."""

    url: str | None = None
    sender: str = "graph@localhost"
    reset_page: str | None = None
    confirm_page: str | None = None
    logged: bool = True
    """Whether messages go to the log if `url` is None; else they are not sent."""


class Recovery:
    """Resets of passwords, and confirmations of addresses; `close` it at the end."""

    def __init__(
        self,
        accounts: AccountService,
        *,
        database: Database,
        cache: Cache,
        client: Client,
        limiter: Limiter,
        sender: MailSender,
        options: MailOptions,
        prefix: str = "graph",
        retry: float = RETRY,
    ) -> None:
        """Work with `accounts`; `retry` is the pause in seconds before a message is tried again."""
        self._accounts = accounts
        self._database = database
        self._cache = cache
        self._limiter = limiter
        self._sender = sender
        self._options = options
        self._prefix = prefix
        self._retry = retry
        self._resets = OneTimeTokens(client, "reset", prefix=prefix, ttl=RESET_TTL)
        self._confirmations = OneTimeTokens(client, "confirm", prefix=prefix, ttl=CONFIRM_TTL)
        self._account = Limit("account", 3, 3600.0)
        self._network = Limit("address", 20, 3600.0)
        self._tasks = Tasks()

    async def close(self) -> None:
        """Stop; messages that are not sent yet are lost."""
        await self._tasks.close()

    # --- a forgotten password ---

    async def request_reset(self, email: str, address: str) -> TooMany | None:
        """Send a reset token to this address in the background, if it belongs to an account."""
        key = rules.email_key(email) or email[: rules.MAX_EMAIL]
        if (refusal := await self._charged("reset", key, address)) is not None:
            return refusal
        self._tasks.spawn(self._send_reset(key))
        return None

    async def _send_reset(self, key: str) -> None:
        try:
            await self._find_and_send(key)
        except Exception as error:  # noqa: BLE001 - it has no caller; whoever waits for the message asks again
            logger.warning("a password reset was not started: %r", error)

    async def _find_and_send(self, key: str) -> None:
        found = await self._accounts.credentials_of(key)
        if found is None or found.user.guest or found.locked:
            return
        token = await self.issue_reset(found)
        text = f"Somebody, perhaps you, wants to give the account of {found.user.email} another password.\n\n"
        text += _with_token(self._options.reset_page, token) + "\n\nIt works once, within an hour. Else do nothing."
        await self._send(Message(found.user.email, "Another password", text))

    async def issue_reset(self, found: Credentials) -> str:
        """Issue a token by which this user's password can be replaced, valid until the password changes."""
        return await self._resets.issue(f"{found.user.id} {_state(found.password_hash)}")

    async def reset(self, token: str, new: str) -> int | None:
        """Replace the password and end all sessions; returns how many ended, or None for a token that is not valid.

        Raises `graph.errors.Invalid` for a password that is not allowed; the token stays valid then.
        """
        found = await self._holder(await self._resets.peek(token))
        rules.check_password(new, *((found.user.email, found.user.display_name) if found else ()), field="newPassword")
        if found is None or await self._holder(await self._resets.take(token)) is None:
            return None
        return await self._accounts.replace_password(found, new)

    async def _holder(self, value: str | None) -> Credentials | None:
        """Return the user of a token, if the password is still the one that it was issued for."""
        if value is None:
            return None
        number, state = value.split()
        found = await self._accounts.credentials(int(number))
        return found if found is not None and not found.locked and _state(found.password_hash) == state else None

    # --- an address ---

    async def request_confirmation(self, user: UserRecord, address: str) -> TooMany | None:
        """Send a confirmation token to the user's address, unless the user is a guest or has confirmed it already."""
        if (refusal := await self._charged("confirm", user.email, address)) is not None:
            return refusal
        if not user.guest and not user.email_confirmed:
            token = await self._confirmations.issue(f"{user.id} {_state(user.email)}")
            self._tasks.spawn(self._send_confirmation(user, token))
        return None

    async def _send_confirmation(self, user: UserRecord, token: str) -> None:
        text = "Please confirm that this address is yours.\n\n" + _with_token(self._options.confirm_page, token)
        await self._send(Message(user.email, "Your address", text + "\n\nIt works once, within three days."))

    async def confirm(self, token: str) -> UserRecord | None:
        """Mark the address of the token's user as confirmed; returns None for a token that is not valid."""
        value = await self._confirmations.take(token)
        if value is None:
            return None
        number, state = value.split()
        user = await self._accounts.user(int(number))
        if user is None or _state(user.email) != state:
            return None
        async with self._cache.invalidating(user_tag(user.id)), self._database.transaction() as session:
            confirmed = await writing.confirm_email(session, user.id, user.email)
        return user if confirmed else None

    # --- messages ---

    async def _charged(self, kind: str, email: str, address: str) -> TooMany | None:
        charges = (
            Charge(self._account, attempts_key(self._prefix, f"mail-{kind}", account_name(email))),
            Charge(self._network, attempts_key(self._prefix, "mail", address)),
        )
        verdict = await self._limiter.charge(*charges)
        return None if verdict.allowed else TooMany(verdict.retry_after)

    async def _send(self, message: Message) -> None:
        for left in reversed(range(TRIES)):
            try:
                await self._sender.send(message)
            except (OSError, NotSent) as error:
                if not left:
                    logger.warning("a message to a user was not sent: %s", error)
                    return
                await asyncio.sleep(self._retry)
            else:
                return


def _with_token(page: str | None, token: str) -> str:
    return f"Token: {token}" if page is None else page.replace("{token}", token)


def _state(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
