"""Accounts through GraphQL: registering, signing in and out, sessions, passwords, and what they refuse."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from graph.accounts.attempts import AttemptLimits
from graph.accounts.records import Role, UserRecord
from tests.support.apps.accounts import CHANGE, LOGIN, PASSWORD, REGISTER, VIEWER, Shop, shop

if TYPE_CHECKING:
    from pathlib import Path

    from graph.patterns.client import Client
    from harness.valkey import ValkeyServer


# --- the way in ---


async def test_register_signs_in(app: Shop) -> None:
    """Registering gives a token that opens the new user's session at once."""
    made = await app.register("Ann@Example.org", name="  Ann  E\u0301  ")
    assert made["__typename"] == "AuthPayload"
    viewer = await app.viewer(made["token"])
    assert viewer["user"] == made["user"]
    assert made["user"]["email"] == "Ann@Example.org"
    assert made["user"]["displayName"] == "Ann É"
    assert made["user"]["role"] == "PLAYER"
    assert viewer["session"]["id"] == made["session"]["id"]
    assert viewer["session"]["current"] is True


async def test_login_signs_in(app: Shop) -> None:
    """The right password begins a further session, told with agent and address; the wrong one begins none."""
    made = await app.register("ann@example.org")
    again = await app.login("ANN@EXAMPLE.ORG", headers={"User-Agent": "phone"})
    assert again["token"] != made["token"]
    assert again["session"]["userAgent"] == "phone"
    assert again["session"]["ipAddress"] == "127.0.0.1"
    sessions = (await app.viewer(made["token"]))["sessions"]
    assert [(session["id"], session["current"]) for session in sessions] == [
        (again["session"]["id"], False),
        (made["session"]["id"], True),
    ]
    assert (await app.login("ann@example.org", "wrong password"))["__typename"] == "InvalidCredentials"
    assert len((await app.viewer(made["token"]))["sessions"]) == 2


async def test_unknown_email_and_wrong_password_read_the_same(app: Shop) -> None:
    """The two answers differ in no byte."""
    await app.register("ann@example.org")
    wrong = await app.post(LOGIN, email="ann@example.org", password="wrong password")
    unknown = await app.post(LOGIN, email="bob@example.org", password="wrong password")
    assert wrong.content == unknown.content
    assert wrong.headers.get("set-cookie") is None


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("ann@example.org", "ANN@EXAMPLE.ORG"),
        ("straße@example.org", "STRASSE@example.org"),
        ("é@example.org", "e\u0301@example.org"),
        ("ann@bücher.example", "ann@XN--BCHER-KVA.example"),
        ("ann@example.org", "  ann@example.org\n"),
    ],
)
async def test_two_spellings_are_one_account(app: Shop, first: str, second: str) -> None:
    """An email that differs in case, composition or the form of its domain is taken, and signs in the same user."""
    made = await app.register(first)
    assert (await app.register(second))["__typename"] == "EmailTaken"
    assert (await app.login(second))["user"] == made["user"]


# --- sessions ---


async def test_logout_ends_the_session_in_use(app: Shop) -> None:
    """It ends one session, once; a token that has ended is nobody's."""
    one, two = (await app.register("ann@example.org"))["token"], (await app.login("ann@example.org"))["token"]
    assert (await app.ask("mutation { logout }", token=one))["logout"] is True
    assert (await app.ask("mutation { logout }", token=one))["logout"] is False
    assert (await app.ask("mutation { logout }"))["logout"] is False
    assert await app.codes(VIEWER, token=one) == ["UNAUTHENTICATED"]
    assert await app.viewer(two) is not None


async def test_a_lost_phone_can_be_signed_out(app: Shop) -> None:
    """It ends one session of the viewer's own; no id, however wrong, ends another's or fails."""
    mine, phone = await app.register("ann@example.org"), await app.login("ann@example.org")
    other = await app.register("bob@example.org")
    revoke = "mutation ($id: ID!) { revokeSession(id: $id) }"
    for wrong in (other["session"]["id"], mine["user"]["id"], "nonsense", "", "\ud800", "U2Vzc2lvbjo=", "x" * 100_000):
        answer = await app.post(revoke, token=mine["token"], id=wrong)
        assert (answer.json().get("data") or {"revokeSession": False})["revokeSession"] is False
        assert answer.status_code < 500
    assert (await app.ask(revoke, token=mine["token"], id=phone["session"]["id"]))["revokeSession"] is True
    assert (await app.ask(revoke, token=mine["token"], id=phone["session"]["id"]))["revokeSession"] is False
    assert await app.codes(VIEWER, token=phone["token"]) == ["UNAUTHENTICATED"]
    assert await app.viewer(other["token"]) is not None


async def test_logout_everywhere(app: Shop) -> None:
    """All sessions of the viewer end, or all but the one in use; others' go on."""
    tokens = [(await app.register("ann@example.org"))["token"]]
    tokens += [(await app.login("ann@example.org"))["token"] for _ in range(3)]
    other = (await app.register("bob@example.org"))["token"]
    everywhere = "mutation ($keep: Boolean!) { logoutEverywhere(keepCurrent: $keep) }"
    assert (await app.ask(everywhere, token=tokens[1], keep=True))["logoutEverywhere"] == 3
    assert [bool(await app.codes(VIEWER, token=token)) for token in tokens] == [True, False, True, True]
    assert (await app.ask(everywhere, token=tokens[1], keep=False))["logoutEverywhere"] == 1
    assert await app.codes(VIEWER, token=tokens[1]) == ["UNAUTHENTICATED"]
    assert await app.viewer(other) is not None


async def test_nodes_show_what_is_the_viewers_own(app: Shop) -> None:
    """A user or a session is found by its id by its owner (and a user by an ADMIN), by nobody else."""
    ann, bob = await app.register("ann@example.org"), await app.register("bob@example.org")
    query = "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }"
    ids = [ann["user"]["id"], ann["session"]["id"]]
    for token, seen in ((ann["token"], ids), (bob["token"], [None, None]), (None, [None, None])):
        found = (await app.ask(query, token=token, ids=ids))["nodes"]
        assert [node and node["id"] for node in found] == seen
    found = (await app.ask(query, token=await app.admin(), ids=ids))["nodes"]
    assert [node and node["id"] for node in found] == [ann["user"]["id"], None]


# --- passwords ---


async def test_changing_the_password(app: Shop) -> None:
    """The new password signs in, the old one no longer; every session has ended, the one in use has another token."""
    here = (await app.register("ann@example.org"))["token"]
    there = (await app.login("ann@example.org"))["token"]
    wrong = await app.ask(CHANGE, token=here, current="wrong password", new="another long phrase")
    assert wrong["changePassword"]["__typename"] == "InvalidCredentials"
    weak = await app.ask(CHANGE, token=here, current=PASSWORD, new="password1")
    assert (weak["changePassword"]["__typename"], weak["changePassword"]["field"]) == ("InvalidInput", "newPassword")
    assert await app.viewer(there) is not None
    done = await app.ask(CHANGE, token=here, current=PASSWORD, new="another long phrase")
    changed = done["changePassword"]
    assert (changed["__typename"], changed["revokedSessions"]) == ("PasswordChanged", 1)
    assert await app.codes(VIEWER, token=there) == ["UNAUTHENTICATED"]
    assert await app.codes(VIEWER, token=here) == ["UNAUTHENTICATED"]
    viewer = await app.viewer(changed["token"])
    assert viewer is not None
    assert viewer["session"]["expiresAt"] >= changed["expiresAt"]
    assert [one["current"] for one in viewer["sessions"]] == [True]
    assert (await app.login("ann@example.org"))["__typename"] == "InvalidCredentials"
    assert (await app.login("ann@example.org", "another long phrase"))["__typename"] == "AuthPayload"


async def test_who_must_change_the_password_has_no_role_until_then(app: Shop) -> None:
    """The first admin signs in and reads the shop; what needs a role is refused with the reason, until the change."""
    password = await app.services.accounts.add_first_admin("admin@example.com", "Admin")
    assert password is not None
    signed_in = await app.login("admin@example.com", password)
    token = signed_in["token"]
    asked = await app.post("{ products(filter: {includeInactive: true}) { nodes { id } } }", token=token)
    (error,) = asked.json()["errors"]
    assert (error["extensions"]["code"], error["extensions"]["reason"]) == ("FORBIDDEN", "PASSWORD_DUE")
    assert (await app.viewer(token))["user"]["role"] == "ADMIN"
    changed = (await app.ask(CHANGE, token=token, current=password, new="another long phrase"))["changePassword"]
    assert await app.ask("{ products(filter: {includeInactive: true}) { nodes { id } } }", token=changed["token"])
    due = "mutation($e: String!, $p: String!) { login(input: {email: $e, password: $p}) {"
    due += " ... on AuthPayload { passwordDue } } }"
    again = await app.ask(due, e="admin@example.com", p="another long phrase")
    assert again["login"] == {"passwordDue": False}


async def test_a_password_may_be_any_text(app: Shop) -> None:
    """Spaces, emoji, NUL and composed or decomposed letters are a password's right; no class of character is asked."""
    for i, password in enumerate(
        ("        ~~", "👩‍👩‍👧‍👦 famille", "nul\x00 inside", "пароль-фраза", "e\u0301\u00e0" * 5, "z9" * 128)
    ):
        assert (await app.register(f"u{i}@example.org", password))["__typename"] == "AuthPayload", password
        assert (await app.login(f"u{i}@example.org", password))["__typename"] == "AuthPayload", password
    assert (await app.login("u4@example.org", "éà" * 5))["__typename"] == "AuthPayload"
    assert (await app.login("u2@example.org", "nul"))["__typename"] == "InvalidCredentials"


# --- brute force ---


async def test_guesses_at_an_account_are_limited(client: Client, valkey: ValkeyServer, tmp_path: Path) -> None:
    """After the limit even the right password is not tried; a right one before it gives its charge back."""
    assert await client.execute("DBSIZE") == 0
    async with shop(valkey.url, tmp_path, limits=AttemptLimits(3, 1000, 900, 1000)) as app:
        token = (await app.register("ann@example.org"))["token"]
        for _ in range(5):
            assert (await app.login("ann@example.org"))["__typename"] == "AuthPayload"
        for password in ("wrong 1", "wrong 2"):
            assert (await app.login("ann@example.org", password))["__typename"] == "InvalidCredentials"
        wrong = await app.ask(CHANGE, token=token, current="wrong 3", new="another long phrase")
        assert wrong["changePassword"]["__typename"] == "InvalidCredentials"
        assert (await app.login("ann@example.org", "wrong 4"))["__typename"] == "InvalidCredentials"
        refused = await app.login("Ann@Example.org")
        assert (refused["__typename"], refused["code"]) == ("TooManyAttempts", "TOO_MANY_ATTEMPTS")
        assert 890 <= refused["retryAfterSeconds"] <= 900
        changed = await app.ask(CHANGE, token=token, current=PASSWORD, new="another long phrase")
        assert changed["changePassword"]["__typename"] == "PasswordChanged"
        assert (await app.login("bob@example.org"))["__typename"] == "InvalidCredentials"


async def test_a_limited_caller_passes_after_the_wait(client: Client, valkey: ValkeyServer, tmp_path: Path) -> None:
    """The wait that is told is the truth: by then, and not long before, the attempt is let in."""
    assert await client.execute("DBSIZE") == 0
    async with shop(valkey.url, tmp_path, limits=AttemptLimits(1, 1000, 1.5, 1000)) as app:
        await app.register("ann@example.org")
        assert (await app.login("ann@example.org", "wrong"))["__typename"] == "InvalidCredentials"
        refused = await app.login("ann@example.org")
        assert refused["__typename"] == "TooManyAttempts"
        assert 1 <= refused["retryAfterSeconds"] <= 2
        await asyncio.sleep(refused["retryAfterSeconds"])
        assert (await app.login("ann@example.org"))["__typename"] == "AuthPayload"


async def test_attempts_from_one_address_are_limited(client: Client, valkey: ValkeyServer, tmp_path: Path) -> None:
    """One address cannot try many accounts, nor create many; nothing is hashed for a refused one."""
    assert await client.execute("DBSIZE") == 0
    async with shop(valkey.url, tmp_path, limits=AttemptLimits(1000, 3, 900, 2)) as app:
        outcomes = [(await app.login(f"u{i}@example.org"))["__typename"] for i in range(5)]
        assert outcomes == ["InvalidCredentials"] * 3 + ["TooManyAttempts"] * 2
        made = [(await app.register(f"u{i}@example.org"))["__typename"] for i in range(3)]
        assert made == ["AuthPayload", "AuthPayload", "TooManyAttempts"]


# --- roles ---


async def test_a_new_role_ends_the_old_sessions(app: Shop) -> None:
    """A role is the session's: whoever gets another one signs in again, and then has it."""
    made = await app.register("ann@example.org")
    user = await app.services.accounts.find("ann@example.org")
    assert isinstance(user, UserRecord)
    assert await app.services.accounts.set_role(user, Role.ADMIN) == 1
    assert await app.codes(VIEWER, token=made["token"]) == ["UNAUTHENTICATED"]
    assert (await app.login("ann@example.org"))["user"]["role"] == "ADMIN"


CREATE = 'mutation { createProduct(input: {sku: "A", name: "A", price: {amount: "1"}}) { __typename } }'


async def test_only_an_admin_changes_the_catalog(app: Shop) -> None:
    """Anonymous callers are UNAUTHENTICATED, players FORBIDDEN, an ADMIN gets through."""
    player = (await app.register("ann@example.org"))["token"]
    assert await app.codes(CREATE) == ["UNAUTHENTICATED"]
    assert await app.codes(CREATE, token="nonsense") == ["UNAUTHENTICATED"]
    assert await app.codes(CREATE, token=player) == ["FORBIDDEN"]
    assert (await app.ask(CREATE, token=await app.admin()))["createProduct"]["__typename"] == "Product"


# --- bad input ---

LONG = "x" * 90_000
REFUSED = {"BAD_REQUEST", "BAD_USER_INPUT", "GRAPHQL_VALIDATION_FAILED"}
BAD: list[tuple[str, dict[str, Any], str]] = [
    ("empty email", {"email": ""}, "email"),
    ("no at", {"email": "ann.example.org"}, "email"),
    ("no dot", {"email": "ann@localhost"}, "email"),
    ("two ats", {"email": "a@b@example.org"}, "email"),
    ("space", {"email": "a b@example.org"}, "email"),
    ("NUL in email", {"email": "a\x00@example.org"}, "email"),
    ("surrogate in email", {"email": "a\ud800@example.org"}, "email"),
    ("surrogate in domain", {"email": "a@exam\ud800ple.org"}, "email"),
    ("right-to-left override", {"email": "a\u202e@example.org"}, "email"),
    ("zero width", {"email": "a\u200b@example.org"}, "email"),
    ("address literal", {"email": "a@[127.0.0.1]"}, "email"),
    ("long email", {"email": "a" * 65 + "@example.org"}, "email"),
    ("longest email", {"email": f"a@{LONG}.org"}, "email"),
    ("empty password", {"password": ""}, "password"),
    ("short password", {"password": "1234567"}, "password"),
    ("common password", {"password": "QWERTYuiop"}, "password"),
    ("own email", {"password": "Ann@Example.ORG1"}, "password"),
    ("own name", {"password": "ANNABELLA2020", "name": "Annabella"}, "password"),
    ("one character", {"password": "ééééééééé"}, "password"),
    ("long password", {"password": "ab" * 129}, "password"),
    ("longest password", {"password": LONG}, "password"),
    ("surrogate in password", {"password": "12345678\ud800"}, "password"),
    ("empty name", {"name": "  "}, "displayName"),
    ("long name", {"name": "n" * 65}, "displayName"),
    ("longest name", {"name": LONG}, "displayName"),
    ("NUL in name", {"name": "a\x00b"}, "displayName"),
    ("surrogate in name", {"name": "a\udfffb"}, "displayName"),
    ("override in name", {"name": "a\u202eb"}, "displayName"),
]


async def test_register_names_the_field_that_is_wrong(app: Shop) -> None:
    """Whatever is given, the answer is InvalidInput for that field or a request that is refused; never a failure."""
    for case, given, field in BAD:
        answer = await app.post(REGISTER, **{"email": "ann@example.org", "password": PASSWORD, "name": "Ann", **given})
        assert answer.status_code < 500, case
        body = answer.json()
        if body.get("data") is None:  # text that JSON or GraphQL cannot carry
            assert body["errors"][0]["extensions"]["code"] in REFUSED, case
        else:
            refusal = body["data"]["register"]
            assert (refusal["__typename"], refusal["field"]) == ("InvalidInput", field), case
        assert all(len(value) < 8 or value not in answer.text for value in given.values()), case


async def test_login_takes_anything(app: Shop) -> None:
    """What no account can have is a wrong credential like any other."""
    for case, given, _ in BAD:
        if "name" in given:
            continue
        answer = await app.post(LOGIN, **{"email": "ann@example.org", "password": PASSWORD, **given})
        assert answer.status_code < 500, case
        body = answer.json()
        assert body.get("data") is None or body["data"]["login"]["__typename"] == "InvalidCredentials", case


async def test_names_in_every_script_are_welcome(app: Shop) -> None:
    """Right-to-left letters, joiners that scripts need and emoji are part of a name."""
    for i, name in enumerate(("שלום עולם", "محمد", "क\u094d\u200dष", "नमस्ते", "山田太郎", "😀")):
        made = await app.register(f"u{i}@example.org", name=name)
        assert made["user"]["displayName"] == name
