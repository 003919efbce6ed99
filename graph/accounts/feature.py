"""Opens the accounts feature: the service, the process that hashes, and the sender of messages."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from graph.accounts.attempts import AttemptLimits
from graph.accounts.messages.mail import LogSender, MailSender, NoSender, SmtpSender
from graph.accounts.messages.recovery import MailOptions, Recovery
from graph.accounts.passwords import Hasher
from graph.accounts.service import AccountService
from graph.feature import Feature

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from graph.feature import Tools


@dataclass(frozen=True, slots=True)
class AccountOptions:
    """What an operator may set: how many threads hash passwords (None: half the processors), and the limits."""

    hash_threads: int | None = None
    limits: AttemptLimits = field(default_factory=AttemptLimits)


@asynccontextmanager
async def _open(tools: Tools) -> AsyncGenerator[AccountService]:
    options = tools.option(AccountOptions)
    with Hasher(threads=options.hash_threads) as hasher:
        yield AccountService(
            tools.database,
            tools.cache,
            sessions=tools.sessions,
            limiter=tools.limiter,
            hasher=hasher,
            prefix=tools.prefix,
            limits=options.limits,
        )


def _sender(options: MailOptions) -> MailSender:
    if options.url is not None:
        return SmtpSender(options.url, options.sender)
    return LogSender() if options.logged else NoSender()


@asynccontextmanager
async def _open_recovery(tools: Tools) -> AsyncGenerator[Recovery]:
    options = tools.option(MailOptions)
    recovery = Recovery(
        tools.of(FEATURE),
        database=tools.database,
        cache=tools.cache,
        client=tools.client,
        limiter=tools.limiter,
        sender=_sender(options),
        options=options,
        prefix=tools.prefix,
    )
    try:
        yield recovery
    finally:
        await recovery.close()


FEATURE = Feature(name="accounts", schema="graph.api.accounts:PART", open=_open)
RECOVERY = Feature(name="recovery", open=_open_recovery)
"""Messages with one-time tokens; depends on `FEATURE`."""
