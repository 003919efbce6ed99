"""How the accounts are opened."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from graph.accounts.attempts import AttemptLimits
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
            *(tools.database, tools.cache, tools.sessions, tools.limiter, hasher),
            prefix=tools.prefix,
            limits=options.limits,
        )


FEATURE = Feature(name="accounts", open=_open)
