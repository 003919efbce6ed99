"""What an ADMIN decides about users: roles, and who may sign in. It counts at once, and one ADMIN is always left."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from graph.accounts import NoAdminLeft, Role
from graph.api.node import global_id
from harness.subscriber import subscriber
from tests.support.apps.accounts import PASSWORD
from tests.support.apps.serving import serving

if TYPE_CHECKING:
    import pytest

    from tests.support.apps.accounts import Shop

RESULT = """{ __typename ... on UserAccountChanged { endedSessions account { disabled user { email role } } }
  ... on UserError { code } }"""
ROLE = f"mutation ($user: ID!, $role: Role! = PLAYER) {{ setUserRole(user: $user, role: $role) {RESULT} }}"
DISABLE = f"mutation ($user: ID!) {{ disableUser(user: $user) {RESULT} }}"
ENABLE = f"mutation ($user: ID!) {{ enableUser(user: $user) {RESULT} }}"
LOGIN = """mutation ($input: LoginInput!) { login(input: $input) { __typename } }"""


async def decide(app: Shop, document: str, token: str, **variables: Any) -> Any:
    """The result of one of the mutations."""
    (result,) = (await app.ask(document, token=token, **variables)).values()
    return result


async def test_they_are_for_an_admin(app: Shop) -> None:
    """Neither a stranger nor a player decides about anybody, themselves included."""
    player = await app.register("p@example.org")
    for document in (ROLE, DISABLE, ENABLE):
        assert await app.codes(document, user=player["user"]["id"]) == ["UNAUTHENTICATED"]
        assert await app.codes(document, token=player["token"], user=player["user"]["id"]) == ["FORBIDDEN"]


async def test_a_role_counts_at_once(app: Shop, caplog: pytest.LogCaptureFixture) -> None:
    """Sessions with the old role end, open sockets with them; the next has the new role. The log tells who did it."""
    token = await app.admin()
    other = await app.register("p@example.org")
    user = other["user"]["id"]
    caplog.set_level(logging.INFO, "graph.accounts")
    async with serving(app.app) as port, subscriber(port, other["token"]) as socket:
        changed = await decide(app, ROLE, token, user=user, role="ADMIN")
        assert changed["endedSessions"] == 1
        assert changed["account"] == {"disabled": False, "user": {"email": "p@example.org", "role": "ADMIN"}}
        assert (await socket.closed()) == 4403
    assert await app.codes("{ viewer { user { id } } }", token=other["token"]) == ["UNAUTHENTICATED"]
    again = (await app.login("p@example.org"))["token"]
    assert (await decide(app, ROLE, again, user=user, role="SERVICE"))["account"]["user"]["role"] == "SERVICE"
    assert [record.message for record in caplog.records if record.name == "graph.accounts.standing"] == [
        "User 2 has the role ADMIN (had PLAYER), by user 1",
        "User 2 has the role SERVICE (had ADMIN), by user 2",
    ]


async def test_a_disabled_user_is_out_at_once_until_enabled(app: Shop) -> None:
    """Sessions end, the right password does not sign in, and does again once the user is enabled; twice is as once."""
    token = await app.admin()
    other = await app.register("p@example.org")
    user = other["user"]["id"]
    assert (await decide(app, DISABLE, token, user=user))["endedSessions"] == 1
    assert await app.codes("{ viewer { user { id } } }", token=other["token"]) == ["UNAUTHENTICATED"]
    assert (await decide(app, DISABLE, token, user=user))["account"]["disabled"] is True
    signing_in: dict[str, Any] = {"input": {"email": "p@example.org", "password": PASSWORD}}
    assert await app.ask(LOGIN, **signing_in) == {"login": {"__typename": "InvalidCredentials"}}
    for _ in range(2):
        assert (await decide(app, ENABLE, token, user=user))["account"]["disabled"] is False
    assert await app.ask(LOGIN, **signing_in) == {"login": {"__typename": "AuthPayload"}}


async def test_one_admin_is_always_left(app: Shop) -> None:
    """The last one stays one, and stays signed in; beside a second one it may go; a disabled one does not count."""
    token = await app.admin()
    root = global_id("User", 1)
    for document in (ROLE, DISABLE):
        assert await decide(app, document, token, user=root) == {"__typename": "LastAdmin", "code": "LAST_ADMIN"}
    assert await app.viewer(token) is not None
    assert (await decide(app, ROLE, token, user=root, role="ADMIN"))["endedSessions"] == 1  # it stays one
    token = (await app.login("root@example.org"))["token"]
    second = (await app.register("p@example.org"))["user"]["id"]
    await decide(app, ROLE, token, user=second, role="ADMIN")
    await decide(app, DISABLE, token, user=second)
    assert (await decide(app, DISABLE, token, user=root))["code"] == "LAST_ADMIN"
    await decide(app, ENABLE, token, user=second)
    assert (await decide(app, DISABLE, token, user=root))["account"]["disabled"] is True


async def test_the_last_admin_does_not_delete_themselves(app: Shop) -> None:
    """They are told so, and stay signed in; with a wrong password they are told no more than that."""
    await app.admin()
    token = (await app.login("root@example.org"))["token"]
    document = (
        "mutation ($password: String!) { deleteMe(password: $password) { __typename ... on UserError { code } } }"
    )
    wrong = {"__typename": "InvalidCredentials", "code": "INVALID_CREDENTIALS"}
    assert await decide(app, document, token, password="x") == wrong
    refused = {"__typename": "LastAdmin", "code": "LAST_ADMIN"}
    assert await decide(app, document, token, password=PASSWORD) == refused
    assert await app.viewer(token) is not None


async def test_two_admins_who_disable_each_other_leave_one(app: Shop) -> None:
    """However the two are interleaved."""
    await app.admin()
    accounts = app.services.accounts
    await app.register("p@example.org")
    for _ in range(5):
        first, second = [await accounts.find(email) for email in ("root@example.org", "p@example.org")]
        assert first is not None
        assert second is not None
        await accounts.set_role(second, Role.ADMIN)
        done = await asyncio.gather(accounts.lock(second, by=first.id), accounts.lock(first, by=second.id))
        assert sum(isinstance(one, NoAdminLeft) for one in done) == 1
        for user in (first, second):
            await accounts.unlock(user)


async def test_nobody_is_told_apart_from_a_deleted_user(app: Shop) -> None:
    """An ID that is none, of something else, of nobody, of a deleted user: NOT_FOUND."""
    token = await app.admin()
    other = await app.register("p@example.org")
    deleted = await app.services.accounts.credentials(2)
    assert deleted is not None
    await app.services.accounts.erase(deleted)
    for user in ("", "\0", "x", global_id("Product", 1), global_id("User", 99), other["user"]["id"]):
        for document in (ROLE, DISABLE, ENABLE):
            assert await decide(app, document, token, user=user) == {"__typename": "NotFound", "code": "NOT_FOUND"}
