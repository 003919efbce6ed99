"""Who am I: kept for the session that asked, and gone with it, or with a change of its user."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graph.accounts.records import Role

if TYPE_CHECKING:
    from tests.support.apps.accounts import Shop

WHO = "{ viewer { user { email displayName role } } }"


async def test_each_session_has_its_own_answer_until_it_ends(app: Shop) -> None:
    """The second question is answered from what was kept, never with another's, and not after the session's end."""
    ann, bob = [(await app.register(f"{name}@example.org"))["token"] for name in ("ann", "bob")]
    for _ in range(4):
        for name, token in (("ann", ann), ("bob", bob)):
            assert (await app.ask(WHO, token=token))["viewer"]["user"]["email"] == f"{name}@example.org"
    answer = await app.post(WHO, token=ann)
    assert answer.headers["cache-control"] == "private, max-age=0, must-revalidate"
    assert answer.headers["etag"]
    assert (await app.post(WHO)).json() == {"data": {"viewer": None}}
    assert await app.ask("mutation { logout }", token=ann) == {"logout": True}
    ended = await app.post(WHO, token=ann)
    assert ended.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    assert (await app.ask(WHO, token=bob))["viewer"]["user"]["email"] == "bob@example.org"


async def test_a_change_of_the_user_is_seen_at_once(app: Shop) -> None:
    """What was kept before an acknowledged change of the user is not shown after it."""
    made = await app.register("ann@example.org")
    for _ in range(3):
        assert (await app.ask(WHO, token=made["token"]))["viewer"]["user"]["role"] == "PLAYER"
    user = await app.services.accounts.find("ann@example.org")
    assert user is not None
    await app.services.accounts.set_role(user, Role.ADMIN)
    token = (await app.login("ann@example.org"))["token"]
    for _ in range(3):
        assert (await app.ask(WHO, token=token))["viewer"]["user"]["role"] == "ADMIN"


async def test_a_session_is_shown_as_it_is(app: Shop) -> None:
    """The session, and the list of sessions, are read each time: others may end and begin meanwhile."""
    query = "{ viewer { session { current } sessions { id } } }"
    token = (await app.register("ann@example.org"))["token"]
    for number in range(1, 4):
        answer = await app.post(query, token=token)
        assert len(answer.json()["data"]["viewer"]["sessions"]) == number
        assert answer.headers["cache-control"] == "no-store"
        await app.login("ann@example.org")
