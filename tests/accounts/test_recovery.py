"""Forgotten passwords and unconfirmed addresses, on real services and a mail server."""

from __future__ import annotations

import asyncio
import logging
import re
from typing import TYPE_CHECKING

import pytest

from graph.accounts.attempts import AttemptLimits
from graph.accounts.messages.mail import LogSender, SmtpSender
from graph.accounts.messages.recovery import MailOptions, Recovery
from graph.accounts.passwords import Hasher
from graph.accounts.records import Role, SignedIn, TooMany, UserRecord, Visitor
from graph.accounts.service import AccountService
from graph.errors import Invalid
from graph.patterns.cache import Cache
from graph.patterns.limiter import Limiter
from graph.patterns.sessions import Sessions
from harness.waiting import within
from tests.support.clients.mailbox import Mailbox

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from graph.engines.database import Database
    from graph.patterns.client import Client

PASSWORD, NEW = "correct horse battery staple", "another horse battery staple"
VISITOR = Visitor("192.0.2.1")
OPTIONS = MailOptions(reset_page="https://shop.example/reset?t={token}")


@pytest.fixture
async def mailbox() -> AsyncIterator[Mailbox]:
    """A mail server."""
    async with Mailbox() as opened:
        yield opened


@pytest.fixture
async def cache(client: Client) -> AsyncIterator[Cache]:
    """A cache for the users."""
    opened = Cache(client)
    yield opened
    await opened.close()


@pytest.fixture
async def accounts(database: Database, client: Client, cache: Cache) -> AsyncIterator[AccountService]:
    """Accounts with cheap hashes."""
    limits = AttemptLimits(1000, 1000, 900, 1000)
    with Hasher(memory_kib=8, passes=1, threads=1) as hasher:
        yield AccountService(
            database, cache, sessions=Sessions(client), limiter=Limiter(client), hasher=hasher, limits=limits
        )


@pytest.fixture
async def recovery(
    accounts: AccountService, database: Database, client: Client, cache: Cache, mailbox: Mailbox
) -> AsyncIterator[Recovery]:
    """The recovery, by mail."""
    sender = SmtpSender(mailbox.url, "shop@example.org")
    opened = Recovery(
        accounts,
        database=database,
        cache=cache,
        client=client,
        limiter=Limiter(client),
        sender=sender,
        options=OPTIONS,
        retry=0.01,
    )
    yield opened
    await opened.close()


@pytest.fixture
async def user(accounts: AccountService) -> UserRecord:
    """A user."""
    made = await accounts.add("Ann@example.org", PASSWORD, "Ann", Role.PLAYER)
    assert isinstance(made, UserRecord)
    return made


async def token_in(mailbox: Mailbox) -> str:
    """The token of the next message."""
    async with within("the message"):
        message = await mailbox.messages.get()
    found = re.search(r"[\w-]{43}", message.get_content())
    assert found is not None
    return found[0]


async def test_a_forgotten_password_is_replaced_once(
    accounts: AccountService, recovery: Recovery, mailbox: Mailbox, user: UserRecord
) -> None:
    """By the token in the message, by one of a hundred at once; sessions end, and older tokens with them."""
    signed_in = await accounts.login(user.email, PASSWORD, VISITOR)
    assert isinstance(signed_in, SignedIn)
    assert await recovery.request_reset("ann@EXAMPLE.org", "192.0.2.1") is None
    older = await token_in(mailbox)
    assert await recovery.request_reset(user.email, "192.0.2.1") is None
    async with within("the message"):
        message = await mailbox.messages.get()
    assert (message["To"], message["From"]) == ("Ann@example.org", "shop@example.org")
    found = re.search(r"https://shop\.example/reset\?t=([\w-]{43})", message.get_content())
    assert found is not None
    token = found[1]
    with pytest.raises(Invalid):
        await recovery.reset(token, "short")
    with pytest.raises(Invalid):
        await recovery.reset(token, "ann@example.org")
    assert isinstance(await accounts.login(user.email, PASSWORD, VISITOR), SignedIn), "nothing has changed yet"
    ended = await asyncio.gather(*(recovery.reset(token, NEW) for _ in range(100)))
    assert [count for count in ended if count is not None] == [2]
    assert await accounts.sessions.touch(signed_in.token) is None
    assert isinstance(await accounts.login(user.email, NEW, VISITOR), SignedIn)
    assert not isinstance(await accounts.login(user.email, PASSWORD, VISITOR), SignedIn)
    assert await recovery.reset(older, PASSWORD) is None, "it was issued for the password before"
    assert await recovery.reset("x" * 43, PASSWORD) is None


async def test_nobody_learns_who_has_an_account(
    accounts: AccountService, recovery: Recovery, mailbox: Mailbox, user: UserRecord
) -> None:
    """Unknown addresses, disabled users and text that is no address are answered and limited like known ones."""
    other = await accounts.add("bob@example.org", PASSWORD, "Bob", Role.PLAYER)
    assert isinstance(other, UserRecord)
    assert await accounts.lock(other) == 0
    for email in ("nobody@example.org", "no address", other.email, user.email):
        answers = [await recovery.request_reset(email, f"192.0.2.{n}") for n in range(4)]
        assert [isinstance(answer, TooMany) for answer in answers] == [False, False, False, True]
    for _ in range(3):
        await token_in(mailbox)
    assert mailbox.messages.empty(), "the known one's three"
    many = [await recovery.request_reset(f"{n}@example.org", "198.51.100.7") for n in range(21)]
    assert [isinstance(answer, TooMany) for answer in many] == [False] * 20 + [True]


async def test_text_that_no_database_takes_writes_no_line(recovery: Recovery, caplog: pytest.LogCaptureFixture) -> None:
    """PostgreSQL refuses a text with a NUL, which anybody may send as an address: it is nobody's, and no failure."""
    for email in ("\0", "a\0b@example.org", "\ud800@example.org"):
        assert await recovery.request_reset(email, "192.0.2.1") is None
    while len(recovery._tasks):
        await asyncio.sleep(0.01)
    assert not caplog.records


async def test_a_disabled_user_stays_out(accounts: AccountService, recovery: Recovery, user: UserRecord) -> None:
    """Neither the password nor a token from before lets them in, until they are enabled again."""
    found = await accounts.credentials(user.id)
    assert found is not None
    token = await recovery.issue_reset(found)
    signed_in = await accounts.login(user.email, PASSWORD, VISITOR)
    assert isinstance(signed_in, SignedIn)
    assert await accounts.lock(user) == 1
    assert await accounts.lock(user) == 0
    assert await accounts.sessions.touch(signed_in.token) is None
    assert not isinstance(await accounts.login(user.email, PASSWORD, VISITOR), SignedIn)
    assert await recovery.reset(token, NEW) is None
    await accounts.unlock(user)
    await accounts.unlock(user)
    assert isinstance(await accounts.login(user.email, PASSWORD, VISITOR), SignedIn)


async def test_an_address_is_confirmed(
    accounts: AccountService, recovery: Recovery, mailbox: Mailbox, user: UserRecord
) -> None:
    """By the token in the message, once; the user is shown so at once."""
    assert not user.email_confirmed
    assert await recovery.request_confirmation(user, "192.0.2.1") is None
    token = await token_in(mailbox)
    confirmed = await asyncio.gather(*(recovery.confirm(token) for _ in range(20)))
    assert [one.email for one in confirmed if one is not None] == [user.email]
    shown = await accounts.user(user.id)
    assert shown is not None
    assert shown.email_confirmed
    assert await recovery.request_confirmation(shown, "192.0.2.1") is None
    guest = await accounts.play_as_guest(None, VISITOR)
    assert not isinstance(guest, TooMany)
    assert await recovery.request_confirmation(guest.signed_in.user, "192.0.2.1") is None
    assert mailbox.messages.empty()


async def test_a_message_that_is_refused_is_sent_again(
    accounts: AccountService, database: Database, client: Client, cache: Cache, user: UserRecord
) -> None:
    """A mail server that does not take it at first gets it again."""
    async with Mailbox(refusals=2) as mailbox:
        sender = SmtpSender(mailbox.url, "shop@example.org")
        limiter = Limiter(client)
        recovery = Recovery(
            accounts,
            database=database,
            cache=cache,
            client=client,
            limiter=limiter,
            sender=sender,
            options=OPTIONS,
            retry=0.01,
        )
        await recovery.request_reset(user.email, "192.0.2.1")
        assert await token_in(mailbox)
        assert mailbox.refused == 2
        await recovery.close()


async def test_without_a_mail_server_the_log_gets_the_message(
    accounts: AccountService,
    database: Database,
    client: Client,
    cache: Cache,
    *,
    user: UserRecord,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Whoever tries it out finds the token there."""
    caplog.set_level(logging.INFO, "graph.accounts.messages.mail")
    recovery = Recovery(
        accounts,
        database=database,
        cache=cache,
        client=client,
        limiter=Limiter(client),
        sender=LogSender(),
        options=MailOptions(),
        retry=0.01,
    )
    await recovery.request_reset(user.email, "192.0.2.1")

    async def logged() -> str:
        while (found := re.search(r"Token: ([\w-]{43})", caplog.text)) is None:
            await asyncio.sleep(0.01)
        return found[1]

    async with within("the line"):
        assert await recovery.reset(await logged(), NEW) == 0
    await recovery.close()
