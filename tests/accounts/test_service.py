"""The accounts' service on both engines: races between logins and changes, older hashes, the cache, equal times."""

from __future__ import annotations

import asyncio
import statistics
import time
from typing import TYPE_CHECKING

import pytest
import redis
from sqlalchemy import event, insert, select, text

from graph.accounts import queries
from graph.accounts.attempts import AttemptLimits
from graph.accounts.models import USERS
from graph.accounts.passwords import Hasher
from graph.accounts.records import (
    PASSWORD_DUE,
    EmailInUse,
    PasswordReplaced,
    Role,
    SignedIn,
    TooMany,
    UserRecord,
    Visitor,
    WrongCredentials,
)
from graph.accounts.service import AccountService
from graph.errors import Invalid
from graph.patterns.cache import Cache
from graph.patterns.limiter import Limiter
from graph.patterns.sessions import Sessions
from harness.waiting import within
from tests.support.engines.either import ABOVE_SQL, in_turn

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from graph.engines.database import Database
    from graph.patterns.client import Client
    from harness.valkey import ValkeyServer

PASSWORD, OTHER = "correct horse battery staple", "another long phrase"
HERE = Visitor("192.0.2.1", "192.0.2.1", "test")
GENEROUS = AttemptLimits(1_000_000, 1_000_000, 900, 1_000_000)


@pytest.fixture
async def cache(client: Client) -> AsyncGenerator[Cache]:
    """A cache on the empty server."""
    opened = Cache(client)
    yield opened
    await opened.close()


@pytest.fixture
def make(client: Client, database: Database, cache: Cache) -> Callable[[Hasher], AccountService]:
    """The service with a hasher of one's choice."""

    def build(hasher: Hasher) -> AccountService:
        return AccountService(
            database, cache, sessions=Sessions(client), limiter=Limiter(client), hasher=hasher, limits=GENEROUS
        )

    return build


@pytest.fixture
async def accounts(make: Callable[[Hasher], AccountService]) -> AsyncGenerator[AccountService]:
    """The service with cheap hashes."""
    with Hasher(memory_kib=8, passes=1, threads=2) as hasher:
        yield make(hasher)


async def registered(accounts: AccountService, email: str = "ann@example.org") -> SignedIn:
    """A new user, signed in."""
    made = await accounts.register(email, PASSWORD, "Ann", HERE)
    assert isinstance(made, SignedIn)
    return made


async def test_one_of_many_gets_the_email(accounts: AccountService, database: Database) -> None:
    """Of twenty who register one address at once, in twenty spellings, one has it."""
    spellings = [("ann@example.org" if i % 2 else "ANN@EXAMPLE.org").replace("a", "aA"[i % 2]) for i in range(20)]
    outcomes = await asyncio.gather(
        *(accounts.register(one, PASSWORD, f"Ann {i}", HERE) for i, one in enumerate(spellings))
    )
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["EmailInUse"] * 19 + ["SignedIn"]
    async with database.session() as session:
        assert await queries.count(session) == 1


async def test_a_number_is_never_given_twice(accounts: AccountService, database: Database) -> None:
    """A user who is gone leaves no number behind for which an old token might stand."""
    first = await registered(accounts)
    async with database.transaction() as session:
        await session.execute(text("DELETE FROM users"))
    assert (await registered(accounts)).user.id > first.user.id


async def test_no_login_with_the_old_password_survives_its_change(accounts: AccountService) -> None:
    """Of logins under way during a change none that knew only the old password has a session afterwards."""
    for turn in range(10):
        email = f"u{turn}@example.org"
        made = await registered(accounts, email)

        async def late(email: str = email, wait: int = 0) -> SignedIn | WrongCredentials | TooMany:
            for _ in range(wait):
                await asyncio.sleep(0)
            return await accounts.login(email, PASSWORD, HERE)

        change = accounts.change_password(made.session, PASSWORD, OTHER)
        outcome, *_ = await asyncio.gather(change, *(late(wait=wait) for wait in range(0, 45, 3)))
        assert isinstance(outcome, PasswordReplaced)
        renewed = outcome.signed_in.session.id
        assert [session.id for session in await accounts.sessions.list(str(made.user.id))] == [renewed]
        assert isinstance(await accounts.login(email, PASSWORD, HERE), WrongCredentials)
        assert isinstance(await accounts.login(email, OTHER, HERE), SignedIn)


async def test_no_session_keeps_a_role_that_was_taken(accounts: AccountService) -> None:
    """Of logins under way while a role is taken none has a session with the old role afterwards."""
    made = await registered(accounts)
    await accounts.set_role(made.user, Role.ADMIN)
    logins = [asyncio.create_task(accounts.login("ann@example.org", PASSWORD, HERE)) for _ in range(20)]
    await asyncio.sleep(0)
    await accounts.set_role(made.user, Role.PLAYER)
    await asyncio.gather(*logins)
    assert {session.role for session in await accounts.sessions.list(str(made.user.id))} <= {"PLAYER"}
    user = await accounts.user(made.user.id)
    assert user is not None
    assert user.role is Role.PLAYER


async def test_sessions_end_before_a_change_is_committed(
    accounts: AccountService, database: Database, valkey: ValkeyServer
) -> None:
    """A process that dies right after its commit leaves no session of before: they had ended already."""
    made = await registered(accounts)
    other = await accounts.login("ann@example.org", PASSWORD, HERE)
    assert isinstance(other, SignedIn)
    alive: list[tuple[int, ...]] = []
    keys = [str(accounts.sessions.session_key(one.token)) for one in (made, other)]
    with redis.Redis(unix_socket_path=str(valkey.socket)) as plain:

        def look(_: object) -> None:
            alive.append(tuple(int(plain.exists(key)) for key in keys))  # pyright: ignore[reportArgumentType, reportUnknownMemberType] - redis-py types sync and async replies alike

        event.listen(database.engine.sync_engine, "commit", look)
        await accounts.change_password(made.session, PASSWORD, OTHER)
        await accounts.set_role(made.user, Role.ADMIN)
        event.remove(database.engine.sync_engine, "commit", look)
    assert alive == [(0, 0), (0, 0)]


async def test_only_one_of_two_changes_wins(accounts: AccountService) -> None:
    """Two changes at once from one old password: one is done, the other finds the old password gone."""
    made = await registered(accounts)
    outcomes = await asyncio.gather(
        *(accounts.change_password(made.session, PASSWORD, f"{OTHER} {i}") for i in range(4))
    )
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["PasswordReplaced"] + ["WrongCredentials"] * 3
    (won,) = [outcome for outcome in outcomes if isinstance(outcome, PasswordReplaced)]
    assert won.signed_in.user == made.user
    signed_in = [isinstance(await accounts.login("ann@example.org", f"{OTHER} {i}", HERE), SignedIn) for i in range(4)]
    assert signed_in == [isinstance(outcome, PasswordReplaced) for outcome in outcomes]


@pytest.mark.parametrize("other", ["changed", "deleted"])
async def test_one_of_two_wins_that_have_both_found_the_old_password(
    accounts: AccountService, monkeypatch: pytest.MonkeyPatch, other: str
) -> None:
    """A change, and a second one or the account's deletion, both about to be written: one is done."""
    made = await registered(accounts)
    both, ending, arrivals = asyncio.Barrier(2), accounts.sessions.revoke_all, list[str]()

    async def end(user_id: str, *, keep: str | None = None) -> int:
        arrivals.append(user_id)
        if len(arrivals) <= both.parties:  # the last step before it is written
            async with within("the other one"):
                await both.wait()
        return await ending(user_id, keep=keep)

    monkeypatch.setattr(accounts.sessions, "revoke_all", end)
    first, second = await asyncio.gather(
        accounts.change_password(made.session, PASSWORD, OTHER),
        accounts.delete(made.session, PASSWORD)
        if other == "deleted"
        else accounts.change_password(made.session, PASSWORD, f"{OTHER} 2"),
    )
    monkeypatch.undo()
    assert [isinstance(first, WrongCredentials), isinstance(second, WrongCredentials)].count(True) == 1
    signed_in = await accounts.login("ann@example.org", OTHER, HERE)
    assert isinstance(signed_in, SignedIn) == isinstance(first, PasswordReplaced)


async def test_a_login_renews_an_older_hash(
    accounts: AccountService, make: Callable[[Hasher], AccountService], database: Database
) -> None:
    """The first login after the parameters changed replaces the hash; the next leaves it alone; sessions go on."""
    made = await registered(accounts)

    async def stored() -> str:
        async with database.session() as session:
            return str(await session.scalar(select(USERS.c.password_hash)))

    before = await stored()
    with Hasher(memory_kib=16, passes=2) as stronger:
        newer = make(stronger)
        assert isinstance(await newer.login("ann@example.org", "wrong guess", HERE), WrongCredentials)
        assert await stored() == before
        assert isinstance(await newer.login("ann@example.org", PASSWORD, HERE), SignedIn)
        renewed = await stored()
        assert "m=16,t=2" in renewed
        assert isinstance(await newer.login("ann@example.org", PASSWORD, HERE), SignedIn)
        assert await stored() == renewed
    assert await accounts.sessions.touch(made.token) is not None


async def test_logins_survive_a_renewal_beside_them(
    accounts: AccountService, make: Callable[[Hasher], AccountService]
) -> None:
    """Ten logins at once, each of which would renew the hash, all succeed."""
    await registered(accounts)
    with Hasher(memory_kib=16, passes=1) as stronger:
        newer = make(stronger)
        outcomes = await asyncio.gather(*(newer.login("ann@example.org", PASSWORD, HERE) for _ in range(10)))
    assert all(isinstance(outcome, SignedIn) for outcome in outcomes)


async def test_an_operator_resets_a_password(accounts: AccountService) -> None:
    """A reset ends every session and lets the new password in."""
    made = await registered(accounts)
    assert await accounts.reset_password(made.user, OTHER) == 1
    assert await accounts.sessions.touch(made.token) is None
    assert isinstance(await accounts.login("ann@example.org", PASSWORD, HERE), WrongCredentials)
    assert isinstance(await accounts.login("ann@example.org", OTHER, HERE), SignedIn)


async def test_the_first_admin_is_made_once(accounts: AccountService) -> None:
    """Only an empty table gets an ADMIN with a random password, whoever else starts at the same moment."""
    passwords = await asyncio.gather(*(accounts.add_first_admin("admin@example.com", "Admin") for _ in range(3)))
    (password,) = [one for one in passwords if one is not None]
    found = await accounts.login("admin@example.com", password, HERE)
    assert isinstance(found, SignedIn)
    assert found.user.role is Role.ADMIN
    assert found.session.role == PASSWORD_DUE
    changed = await accounts.change_password(found.session, password, OTHER)
    assert isinstance(changed, PasswordReplaced)
    assert changed.signed_in.session.role == "ADMIN"
    again = await accounts.login("admin@example.com", OTHER, HERE)
    assert isinstance(again, SignedIn)
    assert again.session.role == "ADMIN"
    assert await accounts.add_first_admin("admin2@example.com", "Admin") is None


async def test_the_first_admins_password_may_be_chosen(accounts: AccountService) -> None:
    """By the rules for any password, and to be changed as well; an operator's reset is such a change."""
    with pytest.raises(Invalid):
        await accounts.add_first_admin("admin@example.com", "Admin", "password1")
    assert await accounts.add_first_admin("admin@example.com", "Admin", PASSWORD) == PASSWORD
    found = await accounts.login("admin@example.com", PASSWORD, HERE)
    assert isinstance(found, SignedIn)
    assert found.session.role == PASSWORD_DUE
    await accounts.reset_password(found.user, OTHER)
    again = await accounts.login("admin@example.com", OTHER, HERE)
    assert isinstance(again, SignedIn)
    assert again.session.role == "ADMIN"


async def test_users_are_read_through_the_cache(accounts: AccountService, database: Database) -> None:
    """A user that was read is not asked of SQL again, and one that did not exist is seen as soon as it does."""
    assert await accounts.users([1, 2]) == {}
    made = await registered(accounts)
    assert (await accounts.users([made.user.id, 10_000])) == {made.user.id: made.user}
    async with database.transaction() as session:
        await session.execute(text("UPDATE users SET display_name = 'changed behind its back'"))
    assert await accounts.user(made.user.id) == made.user


@in_turn("wanted", [0, 1, 2, 9, 65, 130])
async def test_however_many_users_are_read_at_a_time(accounts: AccountService, database: Database, wanted: int) -> None:
    """Each statement has a fixed number of places; those that stay empty find nobody twice."""
    first = await accounts.add("ann@example.org", PASSWORD, "Ann", Role.SERVICE)
    assert isinstance(first, UserRecord)
    numbers = range(first.id, first.id + 131)
    async with database.transaction() as session:
        row = (await session.execute(select(USERS))).mappings().one()
        others = [{**row, "id": n, "email": f"{n}@example.org", "email_key": f"{n}@example.org"} for n in numbers[1:]]
        await session.execute(insert(USERS), others)
    ids = [*reversed(numbers)][:wanted]
    assert sorted(one.id for one in await queries.users(database, ids)) == sorted(ids)
    assert await queries.users(database, [first.id, 10**9]) == [first]


async def test_adding_twice_is_told(accounts: AccountService) -> None:
    """An operator who adds a user twice is told; the first stays as it is."""
    first = await accounts.add("ann@example.org", PASSWORD, "Ann", Role.SERVICE)
    assert isinstance(first, UserRecord)
    assert isinstance(await accounts.add("Ann@Example.org", OTHER, "Ann", Role.ADMIN), EmailInUse)
    assert await accounts.find("ANN@example.org") == first


async def test_values_that_hold_secrets_do_not_show_them(accounts: AccountService, database: Database) -> None:
    """The repr of an outcome or of a row holds neither token nor hash."""
    made = await registered(accounts)
    async with database.session() as session:
        row = await queries.credentials_by_id(session, made.user.id)
    assert row is not None
    assert made.token not in repr(made)
    assert row.password_hash not in repr(row)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # the hash takes the time, not the engine
async def test_time_does_not_tell_who_exists(
    make: Callable[[Hasher], AccountService], record_property: Callable[..., None]
) -> None:
    """An unknown email and a wrong password take equally long: the medians lie within each other's quartiles."""
    unknown: list[float] = []
    wrong: list[float] = []
    with Hasher(threads=1) as hasher:
        accounts = make(hasher)
        await registered(accounts)
        for i in range(25):
            for email, taken in ((f"nobody{i}@example.org", unknown), ("ann@example.org", wrong)):
                began = time.perf_counter()
                assert isinstance(await accounts.login(email, "a wrong guess", HERE), WrongCredentials)
                taken.append(time.perf_counter() - began)
    figures = {name: statistics.quantiles(times, n=4) for name, times in (("unknown", unknown), ("wrong", wrong))}
    for name, (low, median, high) in figures.items():
        record_property(name, f"{low * 1000:.2f} {median * 1000:.2f} {high * 1000:.2f} ms")
    # A hash takes most of it: had one of the two none, the quartiles would lie far apart.
    assert figures["unknown"][0] * 0.8 < figures["wrong"][1] < figures["unknown"][2] * 1.25, figures
    assert figures["wrong"][0] * 0.8 < figures["unknown"][1] < figures["wrong"][2] * 1.25, figures


# --- guessing ---


@pytest.fixture
async def guarded(client: Client, database: Database, cache: Cache) -> AsyncGenerator[AccountService]:
    """The service with the limits that it has by itself."""
    with Hasher(memory_kib=8, passes=1, threads=2) as hasher:
        yield AccountService(database, cache, sessions=Sessions(client), limiter=Limiter(client), hasher=hasher)


def network(n: int) -> Visitor:
    """Somebody on a network of their own."""
    return Visitor(f"198.51.100.{n}")


@ABOVE_SQL
async def test_a_stranger_locks_nobody_out(guarded: AccountService, scaled: Callable[[int, int], int]) -> None:
    """Whoever guesses at an account is stopped on their network alone; the owner signs in from any other."""
    await registered(guarded)
    for _ in range(10):
        assert isinstance(await guarded.login("ann@example.org", "wrong", network(1)), WrongCredentials)
    for _ in range(scaled(50, 15)):
        assert isinstance(await guarded.login("ann@example.org", "wrong", network(1)), TooMany)
        assert isinstance(await guarded.login("ann@example.org", PASSWORD, network(2)), SignedIn)


@ABOVE_SQL
async def test_a_known_device_has_a_budget_of_its_own(guarded: AccountService) -> None:
    """A device that the owner signed in on is let in amid guesses from its own network and from all others."""
    made = await registered(guarded)
    owner = Visitor("198.51.100.1", device=made.device)
    for n in range(1, 11):
        for _ in range(10):
            await guarded.login("ann@example.org", "wrong", network(n))
    assert isinstance(await guarded.login("ann@example.org", PASSWORD, network(99)), TooMany)  # a new device waits
    for _ in range(15):
        assert isinstance(await guarded.login("ann@example.org", PASSWORD, owner), SignedIn)
    outcomes = [await guarded.login("ann@example.org", "wrong", owner) for _ in range(12)]
    assert [type(one) for one in outcomes] == [WrongCredentials] * 10 + [TooMany] * 2  # a stolen one is limited, too


@ABOVE_SQL
async def test_a_device_is_known_to_its_account_and_password_alone(guarded: AccountService) -> None:
    """A made-up device, one of another account and one of an earlier password are strangers."""
    made, other = await registered(guarded), await registered(guarded, "bob@example.org")
    await guarded.change_password(made.session, PASSWORD, OTHER)
    for _ in range(10):
        await guarded.login("ann@example.org", "wrong", network(1))
    for device in ("", "x", "x.y", made.device, other.device, made.device[:-1] + "é"):
        visitor = Visitor("198.51.100.1", device=device)
        assert isinstance(await guarded.login("ann@example.org", OTHER, visitor), TooMany)


@ABOVE_SQL
async def test_changing_the_password_is_not_refused_for_the_guesses_of_others(guarded: AccountService) -> None:
    """A live session has a budget of its own, which bounds what a stolen one may guess."""
    made = await registered(guarded)
    for _ in range(20):
        await guarded.login("ann@example.org", "wrong", HERE)
    assert isinstance(await guarded.change_password(made.session, PASSWORD, OTHER), PasswordReplaced)
    outcomes = [await guarded.change_password(made.session, "wrong", PASSWORD) for _ in range(11)]
    assert [type(one) for one in outcomes] == [WrongCredentials] * 10 + [TooMany]
    assert isinstance(await guarded.login("ann@example.org", OTHER, network(7)), SignedIn)


async def test_a_network_that_goes_on_guessing_waits_longer(client: Client, database: Database, cache: Cache) -> None:
    """After a second window of guesses the third is not the next one."""
    limits = AttemptLimits(per_account=2, window=60)
    with Hasher(memory_kib=8, passes=1, threads=2) as hasher:
        waits: list[float] = []
        for _ in range(2):
            limiter = Limiter(client)  # one that remembers no refusal
            accounts = AccountService(
                database, cache, sessions=Sessions(client), limiter=limiter, hasher=hasher, limits=limits
            )
            outcome = None
            while not isinstance(outcome, TooMany):
                outcome = await accounts.login("ann@example.org", "wrong", network(1))
            waits.append(outcome.retry_after)
            for key in await client.execute("KEYS", "*attempts*"):  # only the first window is over
                if not key.endswith((b":1", b":2")):
                    await client.execute("DEL", key)
        assert waits[0] <= 60 < waits[1] <= 16 * 60
