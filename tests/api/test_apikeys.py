"""API keys through the whole application: what one may do, its own limit, its end everywhere, and after a flush."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event, select

from graph.accounts import Role
from graph.api.node import global_id
from graph.apikeys.models import KEYS
from graph.apikeys.records import ApiKeyScope
from graph.apikeys.service import ApiKeys
from graph.errors import Invalid
from graph.leaderboard.records import NewBoard
from tests.support.apps.api import ADMIN
from tests.support.engines.either import ABOVE_SQL
from tests.support.models.players import add_players

if TYPE_CHECKING:
    from collections.abc import Callable

    from graph.patterns.client import Client
    from graph.services import Services
    from tests.support.apps.accounts import Shop
    from tests.support.apps.api import Api

CREATE = """mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) {
  __typename ... on ApiKeyCreated { key apiKey { id name scopes operationsPerMinute lastUsedAt } }
  ... on InvalidInput { field }
} }"""
KEYS_OF = "{ apiKeys { id name scopes lastUsedAt } }"
REVOKE = "mutation ($id: ID!) { revokeApiKey(id: $id) }"
SUBMIT = """mutation ($player: ID) { submitScore(input: {board: "b", score: 1, player: $player}) {
  __typename ... on ScoreSubmitted { rank } ... on UserError { code } } }"""
BOARD = """mutation ($slug: String!) { createLeaderboard(input: {slug: $slug, name: "B"}) {
  __typename ... on UserError { code } } }"""
TOP = '{ leaderboard(slug: "b") { top(first: 1) { totalCount } } }'
VIEWER = "{ viewer { user { id } } }"


async def made(app: Shop, *scopes: str, **options: Any) -> dict[str, Any]:
    """A new key."""
    given = {"name": "server", "scopes": list(scopes), **options}
    found = (await app.ask(CREATE, token=await app.admin(), input=given))["createApiKey"]
    assert found["__typename"] == "ApiKeyCreated"
    return {"key": found["key"], **found["apiKey"]}


async def test_a_key_outlives_who_made_it(app: Shop) -> None:
    """It is no user's: a key goes on when its maker is disabled, demoted and deleted, and tells whose it was."""
    key = (await made(app, "BOARDS"))["key"]
    accounts = app.services.accounts
    maker = await accounts.find("root@example.org")
    assert maker is not None
    await accounts.lock(maker)
    await accounts.set_role(maker, Role.PLAYER)
    gone = await accounts.credentials(maker.id)
    assert gone is not None
    await accounts.erase(gone)
    assert await app.ask(BOARD, token=key, slug="x") == {"createLeaderboard": {"__typename": "Leaderboard"}}
    await app.services.api_keys.create("cli", [ApiKeyScope.SCORES], 1, by=0)
    listed = (await app.ask("{ apiKeys { name createdBy } }", token=await app.admin()))["apiKeys"]
    assert [one["createdBy"] for one in listed] == [None, global_id("User", maker.id)]


async def test_a_key_may_what_its_scopes_say(app: Shop) -> None:
    """Scores of any player, and nothing that is a user's or an ADMIN's."""
    await add_players(app.services.database, 3)
    await app.services.leaderboards.create_board(NewBoard("b", "B"))
    key = (await made(app, "SCORES"))["key"]
    sent = (await app.ask(SUBMIT, token=key, player=global_id("Player", 2)))["submitScore"]
    assert sent == {"__typename": "ScoreSubmitted", "rank": 1}
    assert await app.codes(SUBMIT, token=key) == ["BAD_USER_INPUT"], "a key is no player"
    assert await app.viewer(key) is None
    assert (await app.ask("mutation { logout }", token=key)) == {"logout": False}
    for document in (
        KEYS_OF,
        BOARD.replace("$slug", '"x"').replace('("x": String!)', ""),
        'mutation { deleteProduct(id: "x") { __typename } }',
        'mutation { renameMe(displayName: "x") { __typename } }',
        "mutation { logoutEverywhere }",
        "mutation { deleteMe { __typename } }",
        "{ exportMe { user { id } } }",
        REVOKE.replace("($id: ID!)", "").replace("$id", '"x"'),
    ):
        assert await app.codes(document, token=key) == ["FORBIDDEN"], document
    boards = (await made(app, "BOARDS", "CATALOG"))["key"]
    assert (await app.ask(BOARD, token=boards, slug="c"))["createLeaderboard"] == {"__typename": "Leaderboard"}
    assert await app.codes(SUBMIT, token=boards, player=global_id("Player", 2)) == ["FORBIDDEN"]
    deleted = await app.ask('mutation { deleteProduct(id: "x") { __typename } }', token=boards)
    assert deleted == {"deleteProduct": {"__typename": "NotFound"}}


async def test_a_key_of_the_catalog_asks_for_its_jobs(app: Shop) -> None:
    """By their id, as it may follow them; a key of another scope does not."""
    job = await app.services.jobs.enqueue("import", {}, durable=False)
    document = f'{{ node(id: "{global_id("Job", job)}") {{ ... on Job {{ state }} }} }}'
    catalog, scores = [(await made(app, scope))["key"] for scope in ("CATALOG", "SCORES")]
    assert await app.ask(document, token=catalog) == {"node": {"state": "QUEUED"}}
    assert await app.codes(document, token=scores) == ["FORBIDDEN"]


async def test_a_key_has_a_limit_of_its_own(app: Shop) -> None:
    """In the fast lane and beside it; another key, and users, have theirs. An altered limit makes another key."""
    key = (await made(app, "SCORES", operationsPerMinute=5))["key"]
    other = (await made(app, "SCORES", operationsPerMinute=5))["key"]
    answers = [await app.post(TOP if turn % 2 else VIEWER, token=key) for turn in range(7)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 2
    assert (await app.post(TOP, token=other)).status_code == 200
    forged = key.replace("-5.", "-50000.")
    refused = await app.codes(VIEWER, token=forged)
    assert refused == ["UNAUTHENTICATED"]


async def test_a_key_is_told_once_and_kept_as_a_digest(app: Shop, client: Client) -> None:
    """Neither store has the key; the list says when it was used."""
    made_key = await made(app, "SCORES", "BOARDS", operationsPerMinute=7)
    key = made_key.pop("key")
    assert made_key == {
        "id": global_id("ApiKey", 1),
        "name": "server",
        "scopes": ["SCORES", "BOARDS"],
        "operationsPerMinute": 7,
        "lastUsedAt": None,
    }
    await app.ask(TOP, token=key)
    (listed,) = (await app.ask(KEYS_OF, token=await app.admin()))["apiKeys"]
    assert listed["lastUsedAt"] is not None
    async with app.services.database.session() as session:
        rows = (await session.execute(select(KEYS))).all()
    secret = key.partition(".")[2]
    assert rows[0].digest == hashlib.sha256(key.encode()).hexdigest()
    assert secret not in str(rows)
    assert not [name for name in await client.execute("KEYS", "*") if secret.encode() in name]


async def test_a_revoked_key_ends_everywhere_and_stays_ended(app: Shop, client: Client) -> None:
    """Also after Redis was emptied; one that is not revoked works on."""
    ended, left = await made(app, "SCORES"), await made(app, "SCORES")
    for one in (ended, left):
        assert (await app.post(TOP, token=one["key"])).json()["data"] == {"leaderboard": None}
    admin = await app.admin()
    assert await app.ask(REVOKE, token=admin, id=ended["id"]) == {"revokeApiKey": True}
    assert await app.ask(REVOKE, token=admin, id=ended["id"]) == {"revokeApiKey": False}
    assert await app.ask(REVOKE, token=admin, id="x") == {"revokeApiKey": False}
    for _ in range(2):
        assert await app.codes(VIEWER, token=ended["key"]) == ["UNAUTHENTICATED"]
        assert await app.codes(VIEWER, token=left["key"]) == []
        await client.execute("FLUSHALL", retry=False)
    (listed,) = (await app.ask(KEYS_OF, token=await app.admin()))["apiKeys"]
    assert listed["id"] == left["id"]
    assert listed["lastUsedAt"] is not None, "written down when its session was begun again"


async def test_a_key_that_is_revoked_while_it_is_restored_stays_revoked(
    services: Services, client: Client, scaled: Callable[[int, int], int]
) -> None:
    """However the two meet: once the revocation is acknowledged, the key is in no session."""
    for _ in range(scaled(10, 5)):
        key, record = await services.api_keys.create("k", [ApiKeyScope.SCORES], 10, by=1)
        other = ApiKeys(services.database, services.sessions)
        await asyncio.gather(other.restore(key), services.api_keys.revoke(record.id), services.api_keys.restore(key))
        assert await services.sessions.touch(key) is None
        assert await other.restore(key) is None
        assert await services.api_keys.list() == []
        await client.execute("FLUSHALL", retry=False)


@ABOVE_SQL
async def test_keys_that_nobody_has_cost_sql_no_look_each(services: Services) -> None:
    """A hundred guesses are one look into SQL at most, at the list of all digests."""
    await services.api_keys.create("k", [ApiKeyScope.SCORES], 10, by=1)
    looks: list[str] = []

    def look(_c: object, _k: object, statement: str, *_: object) -> None:
        if "api_keys" in statement:
            looks.append(statement)

    event.listen(services.database.engine.sync_engine, "before_cursor_execute", look)
    guesses = [services.api_keys.restore(f"key-1-10.{n:043}") for n in range(100)]
    assert set(await asyncio.gather(*guesses)) == {None}
    assert await services.api_keys.restore(f"1.{0:043}") is None
    assert len(looks) <= 1


async def test_the_use_of_a_key_is_written_down_before_redis_forgets_it(services: Services, client: Client) -> None:
    """The hourly job puts it into SQL."""
    key, _ = await services.api_keys.create("k", [ApiKeyScope.SCORES], 10, by=1)
    assert await services.api_keys.restore(key) is not None
    (before,) = await services.api_keys.list()
    await services.api_keys.note_use()
    await client.execute("FLUSHALL", retry=False)
    assert [one.last_used_at for one in await services.api_keys.list()] == [before.last_used_at]


@ABOVE_SQL
async def test_keys_that_make_no_sense_are_refused(api: Api, services: Services) -> None:
    """Names, scopes and limits; and only an ADMIN makes one."""
    good = {"name": "n", "scopes": ["SCORES"], "operationsPerMinute": 1}
    cases: tuple[tuple[dict[str, Any], str], ...] = (
        ({"name": " "}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"scopes": []}, "scopes"),
        ({"operationsPerMinute": 0}, "operationsPerMinute"),
        ({"operationsPerMinute": 100_001}, "operationsPerMinute"),
    )
    for wrong, field in cases:
        refused = (await api(CREATE, ADMIN, input=good | wrong))["createApiKey"]
        assert refused == {"__typename": "InvalidInput", "field": field}
    assert (await api.refused(CREATE, input=good))["code"] == "UNAUTHENTICATED"
    with pytest.raises(Invalid):
        await services.api_keys.create("n\n", [ApiKeyScope.SCORES], 1, by=1)
