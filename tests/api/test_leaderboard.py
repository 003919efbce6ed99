"""Leaderboards through the schema, on real services."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from graph.api.node import global_id
from graph.leaderboard.records import BoardRecord, NewBoard
from graph.patterns.ranking import Operator, Ties
from tests.support.apps.api import ADMIN, ANYBODY, SERVICE, Api
from tests.support.engines.either import ABOVE_SQL
from tests.support.engines.statements import statements
from tests.support.models.players import add_players

if TYPE_CHECKING:
    from collections.abc import Callable

    from graph.endpoint.identity import Caller
    from graph.patterns.client import Client
    from graph.services import Services

SUBMIT = """
mutation ($input: SubmitScoreInput!) { submitScore(input: $input) {
  __typename
  ... on ScoreSubmitted { score improved rank previousRank board { slug size } }
  ... on UserError { code }
  ... on InvalidInput { field }
} }"""
CREATE = """
mutation ($input: CreateLeaderboardInput!) { createLeaderboard(input: $input) {
  __typename
  ... on Leaderboard { id slug name operator ties schedule size season { number startsAt endsAt } }
  ... on UserError { code }
  ... on InvalidInput { field }
} }"""
TOP = """
query ($slug: String!, $first: Int!, $after: String, $season: Int) { leaderboard(slug: $slug) {
  top(first: $first, after: $after, season: $season) {
    totalCount edges { cursor node { rank score achievedAt player { id displayName } } } nodes { rank }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
} } }"""
AROUND = """
query ($player: ID, $range: Int! = 2, $season: Int) { leaderboard(slug: "main") {
  around(player: $player, range: $range, season: $season) {
    entry { rank score player { displayName } } above { rank } below { rank }
} } }"""


def player(number: int) -> Caller:
    """A signed-in player."""
    return replace(ANYBODY, user=str(number), role="PLAYER")


@pytest.fixture
async def board(services: Services) -> BoardRecord:
    """A board with competition ties on which player n has 10 * (n // 2)."""
    await add_players(services.database, 60)
    found = await services.leaderboards.create_board(NewBoard("main", "Main", ties=Ties.COMPETITION))
    submit = services.leaderboards.submit
    await asyncio.gather(*(submit(found, number, 10 * (number // 2)) for number in range(1, 56)))
    return found


@ABOVE_SQL
async def test_only_an_admin_makes_a_board(api: Api) -> None:
    """Everything that can be told of it, the defaults, and each way to be refused."""
    made = await api(CREATE, ADMIN, input={"slug": "weekly", "name": "Weekly", "schedule": "WEEKLY", "ties": "DENSE"})
    board = made["createLeaderboard"]
    assert {key: board[key] for key in ("slug", "name", "operator", "ties", "schedule", "size")} == {
        "slug": "weekly",
        "name": "Weekly",
        "operator": "BEST",
        "ties": "DENSE",
        "schedule": "WEEKLY",
        "size": 0,
    }
    assert board["season"]["number"] == 1
    assert board["season"]["endsAt"].endswith("T00:00:00.000000Z")
    again = await api(CREATE, ADMIN, input={"slug": "weekly", "name": "Again"})
    assert again["createLeaderboard"] == {"__typename": "SlugTaken", "code": "SLUG_TAKEN"}
    bad = await api(CREATE, ADMIN, input={"slug": "Not A Slug", "name": "X"})
    assert bad["createLeaderboard"] == {"__typename": "InvalidInput", "code": "INVALID_INPUT", "field": "slug"}
    assert (await api.refused(CREATE, input={"slug": "x", "name": "X"}))["code"] == "UNAUTHENTICATED"
    assert (await api.refused(CREATE, SERVICE, input={"slug": "x", "name": "X"}))["code"] == "FORBIDDEN"
    assert (await api('{ leaderboards { slug } leaderboard(slug: "none") { id } }')) == {
        "leaderboards": [{"slug": "weekly"}],
        "leaderboard": None,
    }
    node = await api("query ($id: ID!) { node(id: $id) { ... on Leaderboard { slug } } }", id=board["id"])
    assert node == {"node": {"slug": "weekly"}}


@ABOVE_SQL
async def test_who_may_submit_for_whom(api: Api, board: BoardRecord) -> None:
    """A PLAYER only for themselves, SERVICE and ADMIN for anybody, an anonymous caller for nobody."""
    own = await api(SUBMIT, player(1), input={"board": "main", "score": 265})
    assert own["submitScore"] == {
        "__typename": "ScoreSubmitted",
        "score": 265,
        "improved": True,
        "rank": 3,
        "previousRank": 55,
        "board": {"slug": "main", "size": 55},
    }
    named = await api(SUBMIT, player(1), input={"board": "main", "score": 1, "player": global_id("Player", 1)})
    assert (named["submitScore"]["improved"], named["submitScore"]["rank"]) == (False, 3)
    other = {"board": "main", "score": 999, "player": global_id("Player", 2)}
    assert (await api.refused(SUBMIT, player(1), input=other))["code"] == "FORBIDDEN"
    assert (await api.refused(SUBMIT, input=other))["code"] == "UNAUTHENTICATED"
    for caller in (SERVICE, ADMIN):
        assert (await api(SUBMIT, caller, input=other))["submitScore"]["rank"] == 1
    for broken in (global_id("Player", 9999), "x", global_id("Product", 1)):
        unknown = await api(SUBMIT, SERVICE, input={**other, "player": broken})
        assert unknown["submitScore"] == {"__typename": "NotFound", "code": "NOT_FOUND"}
    nowhere = await api(SUBMIT, player(1), input={"board": "none", "score": 1})
    assert nowhere["submitScore"]["code"] == "NOT_FOUND"
    assert await api.services.leaderboards.size(board) == 55


@pytest.mark.parametrize("score", ["1e999", "-1e999", "NaN", '"7"'])
@ABOVE_SQL
async def test_what_is_no_finite_number_never_gets_in(api: Api, board: BoardRecord, score: str) -> None:
    """Such a literal is refused, as a request error or as invalid input."""
    document = f'mutation {{ submitScore(input: {{ board: "main", score: {score} }}) {{ __typename }} }}'
    answer = await api.execute(document, player(60))
    assert "errors" in answer or answer["data"] == {"submitScore": {"__typename": "InvalidInput"}}
    assert await api.services.leaderboards.size(board) == 55


@ABOVE_SQL
async def test_a_sum_without_end_is_told_as_invalid(api: Api, services: Services, board: BoardRecord) -> None:
    """Two scores that add up to no finite number."""
    assert board
    await services.leaderboards.create_board(NewBoard("sum", "Sum", Operator.SUM))
    await api(SUBMIT, player(1), input={"board": "sum", "score": 1.7e308})
    refused = await api(SUBMIT, player(1), input={"board": "sum", "score": 1.7e308})
    assert refused["submitScore"] == {"__typename": "InvalidInput", "code": "INVALID_INPUT", "field": "score"}


@ABOVE_SQL
async def test_one_key_gives_one_answer(
    api: Api, services: Services, board: BoardRecord, scaled: Callable[[int, int], int]
) -> None:
    """The same key many times at once: one effect, equal answers."""
    assert board
    await services.leaderboards.create_board(NewBoard("sum", "Sum", Operator.SUM))
    document = {"input": {"board": "sum", "score": 2.5, "key": "match-1"}}
    answers = await asyncio.gather(*(api(SUBMIT, player(1), **document) for _ in range(scaled(100, 30))))
    assert all(answer == answers[0] for answer in answers)
    assert answers[0]["submitScore"]["score"] == 2.5
    long = await api(SUBMIT, player(1), input={"board": "sum", "score": 1, "key": "k" * 101})
    assert long["submitScore"]["field"] == "key"


@ABOVE_SQL
async def test_pages_join(api: Api, board: BoardRecord) -> None:
    """Following endCursor gives everybody once, in order, with names and competition ranks."""
    assert board
    seen: list[dict[str, Any]] = []
    after = None
    while True:
        top = (await api(TOP, slug="main", first=20, after=after))["leaderboard"]["top"]
        assert top["totalCount"] == 55
        assert top["pageInfo"]["hasPreviousPage"] is (after is not None)
        assert top["nodes"] == [{"rank": edge["node"]["rank"]} for edge in top["edges"]]
        seen += [edge["node"] for edge in top["edges"]]
        after = top["pageInfo"]["endCursor"]
        assert after == top["edges"][-1]["cursor"]
        if not top["pageInfo"]["hasNextPage"]:
            break
    assert [entry["player"]["displayName"] for entry in seen[:3]] == ["Player 54", "Player 55", "Player 52"]
    assert [entry["rank"] for entry in seen[:5]] == [1, 1, 3, 3, 5]
    assert len({entry["player"]["id"] for entry in seen}) == 55


@ABOVE_SQL
async def test_around_is_the_viewers_unless_a_player_is_named(api: Api, board: BoardRecord) -> None:
    """The default is the signed-in player; no score gives null; nobody signed in is told to name a player."""
    assert board
    own = (await api(AROUND, player(54)))["leaderboard"]["around"]
    assert own == {
        "entry": {"rank": 1, "score": 270, "player": {"displayName": "Player 54"}},
        "above": [],
        "below": [{"rank": 1}, {"rank": 3}],
    }
    assert api.context.viewer_touched
    other = (await api(AROUND, player=global_id("Player", 2), range=1))["leaderboard"]["around"]
    assert (other["entry"]["rank"], len(other["above"]), len(other["below"])) == (53, 1, 1)
    assert not api.context.viewer_touched, "an answer that names its player is everybody's"
    assert (await api(AROUND, player(60)))["leaderboard"]["around"] is None
    assert (await api(AROUND, player="nonsense"))["leaderboard"]["around"] is None
    assert (await api.refused(AROUND))["code"] == "UNAUTHENTICATED"


@ABOVE_SQL
async def test_entries_of_friends(api: Api, board: BoardRecord) -> None:
    """Chosen players with their ranks on the whole board, best first; those without a score are left out."""
    assert board
    document = 'query ($ids: [ID!]!) { leaderboard(slug: "main") { entries(players: $ids) { rank player { id } } } }'
    friends = [global_id("Player", number) for number in (3, 54, 60, 20)]
    found = (await api(document, ids=[*friends, friends[0], "x"]))["leaderboard"]["entries"]
    assert [(entry["rank"], entry["player"]["id"]) for entry in found] == [
        (1, friends[1]),
        (35, friends[3]),
        (53, friends[0]),
    ]
    assert (await api.refused(document, ids=friends * 30))["code"] == "BAD_USER_INPUT"


@pytest.mark.parametrize(
    ("document", "variables"),
    [
        (TOP, {"slug": "main", "first": 0}),
        (TOP, {"slug": "main", "first": 101}),
        (TOP, {"slug": "main", "first": 1, "after": "bad"}),
        (TOP, {"slug": "main", "first": 1, "season": 2}),
        (TOP, {"slug": "main", "first": 1, "season": 0}),
        (AROUND, {"player": "x", "range": 51}),
        (AROUND, {"player": "x", "range": -1}),
        (AROUND, {"player": global_id("Player", 1), "season": 9}),
    ],
)
@ABOVE_SQL
async def test_arguments_that_make_no_sense(
    api: Api, board: BoardRecord, document: str, variables: dict[str, Any]
) -> None:
    """They are refused with a stable code."""
    assert board
    assert (await api.refused(document, **variables))["code"] == "BAD_USER_INPUT"


async def test_fifty_entries_cost_one_script_and_one_statement(
    api: Api, services: Services, client: Client, board: BoardRecord
) -> None:
    """A page of 50: one script, one statement for the names once, and one for the board each time, as none is kept."""
    await services.leaderboards.size(board)
    await services.leaderboards.board("main")
    with statements(services.database) as seen:
        for names in (1, 0):
            seen.clear()
            await client.execute("CONFIG", "RESETSTAT", retry=False)
            top = (await api(TOP, slug="main", first=50))["leaderboard"]["top"]
            assert len(top["edges"]) == 50
            assert len(seen) == 1 + names, seen
            stats: bytes = await client.execute("INFO", "commandstats", retry=False)
            assert b"cmdstat_zrange:calls=1," in stats, "the page itself, read by its one script"


@ABOVE_SQL
async def test_players_are_nodes(api: Api, board: BoardRecord) -> None:
    """A player shows the name and nothing else of a user."""
    assert board
    ids = [global_id("Player", 5), global_id("Player", 9999)]
    found = await api("query ($ids: [ID!]!) { nodes(ids: $ids) { id ... on Player { displayName } } }", ids=ids)
    assert found == {"nodes": [{"id": ids[0], "displayName": "Player 5"}, None]}


@ABOVE_SQL
async def test_names_are_there_wherever_they_are_asked_for(api: Api, services: Services, board: BoardRecord) -> None:
    """Through fragments, aliases and directives; an answer that shows none loads none."""
    assert board
    outer = "fragment Outer on LeaderboardContext { above { ...Inner } entry { rank } }"
    inner = "fragment Inner on LeaderboardEntry { player { ... on Player { shown: displayName @include(if: $all) } } }"
    document = (
        'query ($player: ID!, $all: Boolean!) { leaderboard(slug: "main") { around(player: $player, range: 1) '
        "{ ...Outer } } }"
    )
    player = global_id("Player", 5)
    found = await api(f"{document} {outer} {inner}", player=player, all=True)
    assert found["leaderboard"]["around"]["above"] == [{"player": {"shown": "Player 4"}}]
    nameless = document.replace("...Outer", "entry { rank player { id } }").replace(", $all: Boolean!", "")
    with statements(services.database) as seen:
        await api(nameless, player=global_id("Player", 20))
        assert [one for one in seen if "FROM boards" not in one] == []


MADE = """
mutation ($input: CreateLeaderboardInput!) { createLeaderboard(input: $input) {
  __typename
  ... on Leaderboard { order cron schedule season { number endsAt } }
  ... on UserError { code }
  ... on InvalidInput { field }
} }"""
REMOVE = """
mutation ($player: ID!, $board: String! = "laps") { removeScore(input: {board: $board, player: $player}) {
  __typename ... on ScoreRemoved { score board { size } } ... on UserError { code }
} }"""
LAPS = """{ leaderboard(slug: "laps") { top { nodes { rank score percentile metadata player { displayName } } } } }"""


async def test_low_scores_first_with_metadata_and_percentiles(api: Api, services: Services) -> None:
    """Lap times: the lowest counts and leads, with the car that it was driven in; removing one takes it out."""
    await add_players(services.database, 5)
    made = await api(MADE, ADMIN, input={"slug": "laps", "name": "Laps", "order": "ASCENDING"})
    assert made["createLeaderboard"]["order"] == "ASCENDING"
    for number, score, car in ((1, 61.5, "a"), (2, 60.0, "b"), (1, 59.25, {"n": [1, None]}), (1, 70, "c")):
        sent = {"board": "laps", "score": score, "metadata": car}
        answer = await api(SUBMIT, player(number), input=sent)
        assert answer["submitScore"]["improved"] is (score != 70)
    assert answer["submitScore"]["score"] == 59.25
    nodes = (await api(LAPS))["leaderboard"]["top"]["nodes"]
    assert [(node["rank"], node["score"], node["percentile"], node["metadata"]) for node in nodes] == [
        (1, 59.25, 100.0, {"n": [1, None]}),
        (2, 60.0, 50.0, "b"),
    ]
    assert (await api.refused(REMOVE, player(1), player=global_id("Player", 1)))["code"] == "FORBIDDEN"
    removed = (await api(REMOVE, SERVICE, player=global_id("Player", 1)))["removeScore"]
    assert removed == {"__typename": "ScoreRemoved", "score": 59.25, "board": {"size": 1}}
    for again in ({"player": global_id("Player", 1)}, {"player": "x"}, {"player": "x", "board": "none"}):
        assert (await api(REMOVE, SERVICE, **again))["removeScore"]["code"] == "NOT_FOUND"
    wrong = {"board": "laps", "score": 1, "metadata": "x" * 2000}
    assert (await api(SUBMIT, player(1), input=wrong))["submitScore"]["field"] == "metadata"
    nodes = (await api(LAPS))["leaderboard"]["top"]["nodes"]
    assert [(node["rank"], node["score"], node["percentile"]) for node in nodes] == [(1, 60.0, 100.0)]


@ABOVE_SQL
async def test_a_player_on_many_boards_is_one_look(api: Api, services: Services) -> None:
    """The viewer's places, or another's, on some boards or on all."""
    await add_players(services.database, 3)
    for slug in ("a", "b", "c"):
        made = await services.leaderboards.create_board(NewBoard(slug, slug.upper()))
        if slug != "b":
            await services.leaderboards.submit(made, 1, 1)
    document = """query ($player: ID, $boards: [String!]) { places(player: $player, boards: $boards) {
      board { slug } entry { rank player { displayName } } } }"""
    found = (await api(document, player(1)))["places"]
    assert [(one["board"]["slug"], one["entry"]["rank"]) for one in found] == [("a", 1), ("c", 1)]
    other = (await api(document, ANYBODY, player=global_id("Player", 1), boards=["c", "none", "b"]))["places"]
    assert [one["board"]["slug"] for one in other] == ["c"]
    assert (await api(document, ANYBODY, player="nobody"))["places"] == []
    assert (await api.refused(document, ANYBODY, boards=["a"]))["code"] == "UNAUTHENTICATED"
    assert (await api.refused(document, player(1), boards=["a"] * 101))["code"] == "BAD_USER_INPUT"


async def test_an_admin_resets_and_deletes_a_board(api: Api, board: BoardRecord) -> None:
    """The old ranks can be read after a reset; after the deletion nothing can. Nobody else may."""
    reset = 'mutation ($b: String! = "main") { resetSeason(board: $b) { '
    reset += "__typename ... on Leaderboard { size season { number } } } }"
    delete = 'mutation ($b: String! = "main") { deleteLeaderboard(slug: $b) { __typename ... on Deleted { id } } }'
    for document in (reset, delete):
        assert (await api.refused(document, SERVICE))["code"] == "FORBIDDEN"
        (answer,) = (await api(document, ADMIN, b="none")).values()
        assert answer["__typename"] == "NotFound"
    done = (await api(reset, ADMIN))["resetSeason"]
    assert done == {"__typename": "Leaderboard", "size": 0, "season": {"number": 2}}
    assert (await api(TOP, ADMIN, slug="main", first=1, season=1))["leaderboard"]["top"]["totalCount"] == 55
    gone = (await api(delete, ADMIN))["deleteLeaderboard"]
    assert gone["id"] == global_id("Leaderboard", board.id)
    assert (await api(TOP, ADMIN, slug="main", first=1))["leaderboard"] is None


@ABOVE_SQL
async def test_a_board_by_a_cron_line(api: Api) -> None:
    """The line is shown; one that cannot be read is refused with the reason."""
    asked = {"slug": "c", "name": "C", "schedule": "CRON", "cron": "0 18 * * FRI"}
    made = (await api(MADE, ADMIN, input=asked))["createLeaderboard"]
    assert made["cron"] == "0 18 * * FRI"
    assert made["season"]["endsAt"].endswith("T18:00:00.000000Z")
    bad = (await api(MADE, ADMIN, input=asked | {"slug": "d", "cron": "* * * * *"}))["createLeaderboard"]
    assert bad == {"__typename": "InvalidInput", "code": "INVALID_INPUT", "field": "cron"}
