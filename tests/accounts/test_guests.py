"""Guests and what users do to their own accounts, on both engines: one claim wins, nothing of a guest is lost."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import text

from graph.accounts import queries, writing
from graph.accounts.attempts import AttemptLimits
from graph.accounts.passwords import Hasher
from graph.accounts.records import (
    EmailInUse,
    GuestSignedIn,
    NoAdminLeft,
    NoGuest,
    Role,
    SignedIn,
    UserRecord,
    Visitor,
    WrongCredentials,
)
from graph.accounts.service import AccountService
from graph.errors import Invalid
from graph.patterns.cache import Cache
from graph.patterns.client import RedisUnavailable, open_client
from graph.patterns.limiter import Limiter
from graph.patterns.sessions import Sessions
from harness.valkey import ValkeyServer
from harness.waiting import HANG, until, within

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from graph.engines.database import Database
    from graph.patterns.client import Client

PASSWORD = "correct horse battery staple"
HERE = Visitor("192.0.2.1", "192.0.2.1", "test")


@pytest.fixture
def hasher() -> Generator[Hasher]:
    """Hashes that cost little; three callers have a turn at a time."""
    with Hasher(memory_kib=8, passes=1, threads=2) as made:
        yield made


@pytest.fixture
async def accounts(client: Client, database: Database, hasher: Hasher) -> AsyncGenerator[AccountService]:
    """The service with generous limits."""
    async with service(client, database, hasher) as made:
        yield made


@asynccontextmanager
async def service(
    client: Client, database: Database, hasher: Hasher, *, patience: float = HANG
) -> AsyncGenerator[AccountService]:
    """The service on this Redis, whose confirmation of a write it awaits for `patience` seconds."""
    cache = Cache(client, patience=patience)
    limits = AttemptLimits(1_000_000, 1_000_000, 900, 1_000_000)
    yield AccountService(
        database, cache, sessions=Sessions(client), limiter=Limiter(client), hasher=hasher, limits=limits
    )
    await cache.close()


async def guest(accounts: AccountService) -> GuestSignedIn:
    """A new guest."""
    made = await accounts.play_as_guest(None, HERE)
    assert isinstance(made, GuestSignedIn)
    return made


async def test_a_guest_comes_back_with_the_secret(accounts: AccountService) -> None:
    """The secret signs the same user in again; a wrong one, and one that is none, sign nobody in."""
    made = await guest(accounts)
    user = made.signed_in.user
    assert user.guest
    again = await accounts.resume_guest(made.secret, HERE)
    assert isinstance(again, SignedIn)
    assert again.user.id == user.id
    for wrong in (f"{made.secret}x", made.secret.partition(".")[0], "", ".", "a.b", "\0.\0", "é" * 500):
        assert isinstance(await accounts.resume_guest(wrong, HERE), WrongCredentials)
    assert made.secret not in repr(made)


async def test_a_guest_takes_an_email_and_stays_the_same_user(accounts: AccountService) -> None:
    """After the claim the password signs in and the secret does not; the session in use goes on, others end."""
    made = await guest(accounts)
    other = await accounts.resume_guest(made.secret, HERE)
    assert isinstance(other, SignedIn)
    claimed = await accounts.claim(made.signed_in.session, "Ann@example.org", PASSWORD, HERE)
    assert isinstance(claimed, UserRecord)
    assert (claimed.id, claimed.email, claimed.guest) == (made.signed_in.user.id, "Ann@example.org", False)
    assert await accounts.user(claimed.id) == claimed
    assert isinstance(await accounts.login("ann@example.org", PASSWORD, HERE), SignedIn)
    assert isinstance(await accounts.resume_guest(made.secret, HERE), WrongCredentials)
    assert await accounts.sessions.touch(made.signed_in.token) is not None
    assert await accounts.sessions.touch(other.token) is None
    assert isinstance(await accounts.claim(made.signed_in.session, "b@example.org", PASSWORD, HERE), NoGuest)


async def test_one_of_many_claims_wins(accounts: AccountService) -> None:
    """Of claims of one guest at once one counts; of guests who claim one email one gets it, and all others stay."""
    made = await guest(accounts)
    found = await asyncio.gather(
        *(accounts.claim(made.signed_in.session, f"a{n}@example.org", PASSWORD, HERE) for n in range(6))
    )
    (won,) = [one for one in found if isinstance(one, UserRecord)]
    assert [one for one in found if one is not won] == [NoGuest()] * 5
    assert await accounts.user(won.id) == won
    guests = [await guest(accounts) for _ in range(5)]
    told = await asyncio.gather(
        *(accounts.claim(one.signed_in.session, "same@example.org", PASSWORD, HERE) for one in guests)
    )
    assert sum(isinstance(one, UserRecord) for one in told) == 1
    assert sum(isinstance(one, EmailInUse) for one in told) == 4
    back = [await accounts.resume_guest(one.secret, HERE) for one in guests]
    assert sum(isinstance(one, SignedIn) for one in back) == 4


async def test_a_claim_does_not_enable_who_is_disabled_meanwhile(accounts: AccountService, hasher: Hasher) -> None:
    """A guest who is disabled while the new password waits to be hashed stays a guest, and disabled."""
    made = await guest(accounts)
    async with AsyncExitStack() as turns:
        for _ in range(3):
            await turns.enter_async_context(hasher.turn())
        claiming = asyncio.create_task(accounts.claim(made.signed_in.session, "a@example.org", PASSWORD, HERE))
        await until(lambda: REGISTRY.get_sample_value("graph_password_hashes_waiting") == 4)
        await accounts.lock(made.signed_in.user)
    assert isinstance(await claiming, NoGuest)
    found = await accounts.credentials(made.signed_in.user.id)
    assert found is not None
    assert found.locked
    assert found.user.guest


async def test_nobody_registers_as_a_guest(accounts: AccountService) -> None:
    """The addresses that stand for guests and for deleted users are nobody's to take."""
    for email in ("x@guests.invalid", "X@GUESTS.INVALID", "1@deleted.invalid"):
        with pytest.raises(Invalid):
            await accounts.register(email, PASSWORD, "X", HERE)


async def test_a_name_is_changed_for_everybody_at_once(accounts: AccountService) -> None:
    """The new name is read through the cache right after; one that breaks a rule changes nothing."""
    made = await guest(accounts)
    number = made.signed_in.user.id
    assert (await accounts.display_names([number]))[number] == "Guest"
    renamed = await accounts.rename(number, "  Zoë  ")
    assert renamed is not None
    assert renamed.display_name == "Zoë"
    assert await accounts.display_names([number]) == {number: "Zoë"}
    with pytest.raises(Invalid):
        await accounts.rename(number, " ")
    assert await accounts.rename(number + 1, "Nobody") is None


async def test_a_deleted_user_is_forgotten(accounts: AccountService) -> None:
    """Name, email and password are gone, every session has ended, the number stays; the password is asked for."""
    made = await accounts.register("ann@example.org", PASSWORD, "Ann", HERE)
    assert isinstance(made, SignedIn)
    assert isinstance(await accounts.delete(made.session, "wrong password"), WrongCredentials)
    assert isinstance(await accounts.delete(made.session, PASSWORD), UserRecord)
    left = await accounts.user(made.user.id)
    assert left is not None
    assert "ann" not in f"{left.email} {left.display_name}".casefold()
    assert isinstance(await accounts.login("ann@example.org", PASSWORD, HERE), WrongCredentials)
    assert isinstance(await accounts.login(left.email, PASSWORD, HERE), WrongCredentials)
    assert await accounts.sessions.touch(made.token) is None
    assert isinstance(await accounts.register("ann@example.org", PASSWORD, "Ann", HERE), SignedIn)


async def signed_in_admin(accounts: AccountService, email: str) -> SignedIn:
    """A new ADMIN, signed in."""
    assert isinstance(await accounts.add(email, PASSWORD, "Ann", Role.ADMIN), UserRecord)
    made = await accounts.login(email, PASSWORD, HERE)
    assert isinstance(made, SignedIn)
    return made


async def test_the_last_admin_does_not_leave(accounts: AccountService) -> None:
    """The last one stays, and stays signed in, unless an operator deletes them; beside a second one they may go."""
    made = await signed_in_admin(accounts, "a@example.org")
    assert isinstance(await accounts.delete(made.session, PASSWORD), NoAdminLeft)
    assert await accounts.sessions.touch(made.token) is not None
    second = await signed_in_admin(accounts, "b@example.org")
    await accounts.lock(second.user)
    assert isinstance(await accounts.delete(made.session, PASSWORD), NoAdminLeft)
    await accounts.unlock(second.user)
    assert isinstance(await accounts.delete(made.session, PASSWORD), UserRecord)
    left = await accounts.credentials(second.user.id)
    assert left is not None
    assert isinstance(await accounts.erase(left), UserRecord)


async def test_of_admins_who_leave_at_once_one_stays(accounts: AccountService, database: Database) -> None:
    """However they are interleaved: neither of two who find the other there before anything is locked."""
    for turn in range(5):
        both = [await signed_in_admin(accounts, f"{name}{turn}@example.org") for name in "ab"]
        read = [await accounts.credentials(one.user.id) for one in both]
        done = await asyncio.gather(*(accounts.erase(one, guarded=True) for one in read if one is not None))
        assert sorted(type(one).__name__ for one in done) == ["NoAdminLeft", "UserRecord"]
        (stayed,) = [one.user for one, outcome in zip(both, done, strict=True) if isinstance(outcome, NoAdminLeft)]
        async with database.session() as session:
            assert await queries.is_last_admin(session, stayed.id)
        await accounts.set_role(stayed, Role.PLAYER)


async def test_a_role_that_came_meanwhile_is_not_deleted_unseen(accounts: AccountService) -> None:
    """Who was made an ADMIN since the deletion looked stays: it did not look for others then."""
    made = await accounts.register("ann@example.org", PASSWORD, "Ann", HERE)
    assert isinstance(made, SignedIn)
    read = await accounts.credentials(made.user.id)
    assert read is not None
    await accounts.set_role(made.user, Role.ADMIN)
    assert await accounts.erase(read) is None
    assert isinstance(await accounts.login("ann@example.org", PASSWORD, HERE), SignedIn)


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
async def test_who_became_an_admin_while_others_waited_counts(accounts: AccountService, database: Database) -> None:
    """One who is made an ADMIN by the last one, who leaves in the same moment, is the last one then."""
    first = await signed_in_admin(accounts, "a@example.org")
    second = await accounts.register("b@example.org", PASSWORD, "Bea", HERE)
    assert isinstance(second, SignedIn)
    async with AsyncExitStack() as stack:
        async with database.transaction() as other:
            assert await queries.is_last_admin(other, first.user.id, lock=True)
            session = await stack.enter_async_context(database.transaction())
            asking = asyncio.create_task(queries.is_last_admin(session, second.user.id, lock=True))
            await a_statement_waits(database)
            await writing.set_role(other, second.user.id, Role.ADMIN)
            await writing.lock(other, first.user.id, locked=True)
        assert await asking


async def test_who_is_deleted_is_told_with_who_did_it(
    accounts: AccountService, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever leaves, and whom an operator deletes, has a line; who was not deleted has none."""
    caplog.set_level(logging.INFO, "graph.accounts")
    leaving = await accounts.register("ann@example.org", PASSWORD, "Ann", HERE)
    staying = await accounts.register("bea@example.org", PASSWORD, "Bea", HERE)
    assert isinstance(leaving, SignedIn)
    assert isinstance(staying, SignedIn)
    assert isinstance(await accounts.delete(leaving.session, "another phrase"), WrongCredentials)
    assert isinstance(await accounts.delete(leaving.session, PASSWORD), UserRecord)
    read = await accounts.credentials(staying.user.id)
    assert read is not None
    assert isinstance(await accounts.erase(read), UserRecord)
    assert await accounts.erase(read) is None
    first, second = leaving.user.id, staying.user.id
    assert [record.getMessage() for record in caplog.records if record.name == "graph.accounts.standing"] == [
        f"User {first} is deleted, by user {first}",
        f"User {second} is deleted, by an operator",
    ]


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
async def test_what_is_committed_is_told_even_if_redis_goes(
    database: Database, hasher: Hasher, caplog: pytest.LogCaptureFixture
) -> None:
    """A user is disabled, and the log says who did it, although Redis is away when sessions are ended once more."""
    caplog.set_level(logging.INFO, "graph.accounts")
    with ValkeyServer() as valkey:
        async with (
            open_client(valkey.url) as client,
            service(client, database, hasher, patience=0.5) as accounts,
        ):
            user = await accounts.add("ann@example.org", PASSWORD, "Ann", Role.PLAYER)
            assert isinstance(user, UserRecord)
            async with database.transaction() as other:
                await writing.rename(other, user.id, "Zoë")
                locking = asyncio.create_task(accounts.lock(user))
                await a_statement_waits(database)
                valkey.kill()
            with pytest.raises(RedisUnavailable):
                await locking
    assert [record.message for record in caplog.records if record.name == "graph.accounts.standing"] == [
        "User 1 is disabled, by an operator"
    ]


async def a_statement_waits(database: Database) -> None:
    """Wait until a statement waits in PostgreSQL for what another transaction has locked."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    async with within("a statement waits"):
        while True:
            async with database.session() as session:
                if await session.scalar(text(waiting)):
                    return
            await asyncio.sleep(0.002)
