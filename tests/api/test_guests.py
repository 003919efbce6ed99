"""Guests through GraphQL, and what users do to their own accounts; no score of a guest is ever lost."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from graph.leaderboard.records import NewBoard
from graph.patterns.ranking import Operator
from graph.settings import AccountSettings
from tests.support.apps.accounts import LOGIN, PASSWORD, shop

if TYPE_CHECKING:
    from pathlib import Path

    from graph.patterns.client import Client
    from harness.valkey import ValkeyServer
    from tests.support.apps.accounts import Shop

PLAY = """mutation ($name: String) { playAsGuest(displayName: $name) {
  __typename ... on GuestPayload { secret auth { token user { id guest email displayName } } }
  ... on InvalidInput { field }
} }"""
RESUME = (
    "mutation ($secret: String!) { resumeGuest(secret: $secret) { __typename ... on AuthPayload { user { id } } } }"
)
CLAIM = """mutation ($email: String!, $password: String!) {
  claimAccount(input: {email: $email, password: $password}) {
    __typename ... on User { id email guest } ... on UserError { code } ... on InvalidInput { field }
  }
}"""
SUBMIT = """mutation ($score: Float!, $key: String) { submitScore(input: {board: "arena", score: $score, key: $key}) {
  __typename ... on ScoreSubmitted { score }
} }"""
EXPORT = "{ exportMe { user { email } sessions { current } scores { board season score } } }"


async def ask(app: Shop, document: str, token: str | None = None, **variables: Any) -> Any:
    """The data of an operation without errors."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    answer = (await app.post(document, headers=headers, **variables)).json()
    assert "errors" not in answer, answer
    return answer["data"]


async def played(app: Shop) -> dict[str, Any]:
    """A new guest."""
    return (await ask(app, PLAY))["playAsGuest"]


async def test_a_guest_plays_and_keeps_the_scores(app: Shop) -> None:
    """Scores of a guest are there after the claim, under the same player, and the new password signs in."""
    await app.services.leaderboards.create_board(NewBoard("arena", "Arena"))
    guest = await played(app)
    token = guest["auth"]["token"]
    assert guest["auth"]["user"] | {"id": ""} == {
        "id": "",
        "guest": True,
        "email": guest["secret"].partition(".")[0] + "@guests.invalid",
        "displayName": "Guest",
    }
    await ask(app, SUBMIT, token, score=12.0)
    claimed = (await ask(app, CLAIM, token, email="ann@example.org", password=PASSWORD))["claimAccount"]
    assert claimed == {
        "__typename": "User",
        "id": guest["auth"]["user"]["id"],
        "email": "ann@example.org",
        "guest": False,
    }
    told = (await ask(app, EXPORT, token))["exportMe"]
    assert told["scores"] == [{"board": "arena", "season": 1, "score": 12.0}]
    assert (told["user"], told["sessions"]) == ({"email": "ann@example.org"}, [{"current": True}])
    login = await app.post(LOGIN, email="ann@example.org", password=PASSWORD)
    assert login.json()["data"]["login"]["__typename"] == "AuthPayload"
    gone = (await ask(app, RESUME, secret=guest["secret"]))["resumeGuest"]
    assert gone == {"__typename": "InvalidCredentials"}


async def test_scores_sent_while_the_account_is_claimed_all_count(app: Shop) -> None:
    """Submissions and claims at once: the board has the sum of every acknowledged score, whoever won the claim."""
    board = await app.services.leaderboards.create_board(NewBoard("arena", "Arena", Operator.SUM))
    guest = await played(app)
    token = guest["auth"]["token"]

    async def submit(number: int) -> int:
        answer = await ask(app, SUBMIT, token, score=1.0, key=str(number))
        return int(answer["submitScore"]["__typename"] == "ScoreSubmitted")

    async def claim(number: int) -> str:
        answer = await ask(app, CLAIM, token, email=f"a{number}@example.org", password=PASSWORD)
        return str(answer["claimAccount"]["__typename"])

    submitted, claims = await asyncio.gather(
        asyncio.gather(*(submit(n) for n in range(25))), asyncio.gather(*(claim(n) for n in range(4)))
    )
    assert (sum(submitted), sorted(claims)) == (25, ["NotAGuest"] * 3 + ["User"])
    found = await app.services.leaderboards.top(board)
    assert [placed.entry.score for placed in found.entries] == [25.0]


async def test_renaming_and_deleting(app: Shop) -> None:
    """A new name is seen at once; a deleted account's sessions are over, and its board entry has no name."""
    await app.services.leaderboards.create_board(NewBoard("arena", "Arena"))
    token = (await played(app))["auth"]["token"]
    await ask(app, SUBMIT, token, score=3.0)
    rename = 'mutation { renameMe(displayName: "%s") { __typename ... on User { displayName } } }'
    assert (await ask(app, rename % "Zoë", token))["renameMe"] == {"__typename": "User", "displayName": "Zoë"}
    assert (await ask(app, rename % " ", token))["renameMe"] == {"__typename": "InvalidInput"}
    top = '{ leaderboard(slug: "arena") { top { nodes { player { displayName } } } } }'
    named = {"leaderboard": {"top": {"nodes": [{"player": {"displayName": "Zoë"}}]}}}
    assert await ask(app, top) == named
    assert (await ask(app, "mutation { deleteMe { __typename } }", token))["deleteMe"] == {
        "__typename": "AccountDeleted"
    }
    named["leaderboard"]["top"]["nodes"][0]["player"]["displayName"] = "Deleted player"
    assert await ask(app, top) == named
    refused = (await app.post(EXPORT, headers={"Authorization": f"Bearer {token}"})).json()
    assert refused["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


async def test_scores_of_a_deleted_user_are_removed_where_that_is_set(
    client: Client, valkey: ValkeyServer, tmp_path: Path
) -> None:
    """The answer to deleteMe comes when no page of the board, kept or not, shows the player any more."""
    assert await client.execute("DBSIZE") == 0
    top = '{ leaderboard(slug: "arena") { top { totalCount nodes { rank score } } } }'
    async with shop(valkey.url, tmp_path, accounts=AccountSettings(deleted_scores="remove")) as app:
        await app.services.leaderboards.create_board(NewBoard("arena", "Arena"))
        for score in (1, 2):
            app.web.cookies.clear()
            token = (await played(app))["auth"]["token"]
            await ask(app, SUBMIT, token, score=float(score), key="k")
        nodes = [{"rank": 1, "score": 2.0}, {"rank": 2, "score": 1.0}]
        assert await ask(app, top) == {"leaderboard": {"top": {"totalCount": 2, "nodes": nodes}}}
        await ask(app, "mutation { deleteMe { __typename } }", token)
        assert await ask(app, top) == {"leaderboard": {"top": {"totalCount": 1, "nodes": [{"rank": 1, "score": 1.0}]}}}


async def test_deleting_asks_for_the_password(app: Shop) -> None:
    """A stolen session alone deletes no account."""
    made = await app.register("ann@example.org")
    for document in ("mutation { deleteMe { __typename } }", 'mutation { deleteMe(password: "x") { __typename } }'):
        answer = await ask(app, document, made["token"])
        assert answer == {"deleteMe": {"__typename": "InvalidCredentials"}}
