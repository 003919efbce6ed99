"""Answers that show a board: kept, and outdated by every acknowledged score."""

from __future__ import annotations

import asyncio
import base64
import random
from typing import TYPE_CHECKING, Any

import pytest

from graph.api.node import global_id
from graph.leaderboard.records import Change, NewBoard, Submission
from graph.leaderboard.submission import intake as taking
from graph.patterns.ranking import Operator, Ties
from tests.support.apps.accounts import Shop, shop
from tests.support.models.players import add_players

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable
    from pathlib import Path

    from harness.valkey import ValkeyServer

TOP = """query ($slug: String! = "main") {
    leaderboard(slug: $slug) { size top(first: 3) { nodes { score player { displayName } } } } }"""
MINE = '{ leaderboard(slug: "main") { around(range: 1) { entry { rank score } } } }'


@pytest.fixture
async def apps(app: Shop, valkey: ValkeyServer, tmp_path: Path) -> AsyncGenerator[list[Shop]]:
    """Two processes' worth of the application, with a board and players."""
    async with shop(valkey.url, tmp_path) as other:
        await add_players(app.services.database, 100)
        await app.services.leaderboards.create_board(NewBoard("main", "Main"))
        yield [app, other]


def submitter(of: Shop) -> Callable[[int, float], Awaitable[None]]:
    """What submits a score of a player, acknowledged when it returns."""

    async def submit(player: int, score: float) -> None:
        board = await of.services.leaderboards.board("main")
        assert board is not None
        await of.services.leaderboards.submit(board, player, score)

    return submit


async def best(of: Shop, **variables: str) -> float | None:
    """The highest score, as a client sees it."""
    nodes = (await of.ask(TOP, **variables))["leaderboard"]["top"]["nodes"]
    return nodes[0]["score"] if nodes else None


async def test_the_top_is_kept_until_somebody_scores(apps: list[Shop]) -> None:
    """Between two scores the answer is the kept one; after an acknowledged one no process gives the old one."""
    submit = submitter(apps[0])
    for score in range(1, 6):
        await submit(1, score)
        for one in (*apps, *apps):
            for variables in ({}, {"slug": "main"}):
                assert await best(one, **variables) == score
        kept = await apps[1].post(TOP)
        assert kept.headers["cache-control"] == "public, max-age=0, must-revalidate"


async def test_ones_own_place_is_kept_for_oneself(apps: list[Shop]) -> None:
    """Each player sees their own place, and at once when somebody else moves it."""
    tokens = [(await apps[0].register(f"p{number}@example.org"))["token"] for number in (1, 2)]
    users = [int((await one.services.sessions.touch(token)).user_id) for one, token in zip(apps, tokens, strict=True)]  # pyright: ignore[reportOptionalMemberAccess] - it has just begun
    submit = submitter(apps[0])
    for turn in range(1, 4):
        for ahead, user in enumerate(users):
            await submit(user, turn * 10 + ahead)
            for one in (*apps, *apps):
                found = [
                    (await one.ask(MINE, token=token))["leaderboard"]["around"]["entry"]
                    for token in tokens[: ahead + 1]
                ]
                assert found[ahead]["score"] == turn * 10 + ahead
                assert found[ahead]["rank"] == 1
    answer = await apps[0].post(MINE, token=tokens[0])
    assert answer.headers["cache-control"] == "private, max-age=0, must-revalidate"
    assert "errors" in (await apps[0].post(MINE)).json()


async def test_a_board_that_comes_to_be_is_found(apps: list[Shop]) -> None:
    """An answer that there is no such board is outdated by making it."""
    for _ in range(3):
        assert await apps[1].ask(TOP, slug="other") == {"leaderboard": None}
    await apps[0].services.leaderboards.create_board(NewBoard("other", "Other"))
    assert (await apps[1].ask(TOP, slug="other"))["leaderboard"]["size"] == 0


SHOWN = "size top(first: 3) { nodes { score player { displayName } } }"
PRODUCT, BOARD = "UHJvZHVjdDox", "TGVhZGVyYm9hcmQ6MQ=="
WAYS: list[tuple[str, dict[str, str]]] = [
    (f'{{ leaderboard(slug: "m\\u0061in") {{ {SHOWN} }} }}', {}),
    (f'{{ leaderboard(slug: """\n    main\n  """) {{ {SHOWN} }} }}', {}),
    (f'{{ a: leaderboard(slug: "other") {{ size }} leaderboard(slug: "main") {{ {SHOWN} }} }}', {}),
    (f'query ($s: String = "main") {{ leaderboard(slug: $s) {{ {SHOWN} }} }}', {}),
    (f'query ($s: String! = "other") {{ leaderboard(slug: $s) {{ {SHOWN} }} }}', {"s": "main"}),
    (
        f"""query ($s: String!, $t: String! = "main") {{ x: leaderboard(slug: $s) {{ size }} ...F }}
        fragment F on Query {{ leaderboard(slug: $t) {{ ...G }} }}
        fragment G on Node {{ id ... on Leaderboard {{ {SHOWN} }} }}""",
        {"s": "other"},
    ),
    (f'query ($n: ID!) {{ leaderboard(slug: "main") {{ {SHOWN} }} node(id: $n) {{ id }} }}', {"n": PRODUCT}),
    (
        f"""query ($n: ID!) {{ node(id: $n) {{ ... on Leaderboard {{ {SHOWN} }} }}
        leaderboard(slug: "main") {{ {SHOWN} }} }}""",
        {"n": BOARD},
    ),
]


async def test_however_a_board_is_named_its_answer_is_outdated(apps: list[Shop]) -> None:
    """Escapes, block strings, aliases, defaults, fragments, and other kept fields beside it: none hides the board."""
    await apps[0].services.leaderboards.create_board(NewBoard("other", "Other"))
    for score in (1.0, 2.0):
        await submitter(apps[0])(1, score)
        for one in (*apps, *apps):
            for document, variables in WAYS:
                found = await one.ask(document, **variables)
                for board in (found["leaderboard"], found.get("node") or found["leaderboard"]):
                    assert board["top"]["nodes"] == [{"score": score, "player": {"displayName": "Player 1"}}], document


async def test_one_document_of_several_viewers_at_once(apps: list[Shop]) -> None:
    """Asked by three sessions at the same time, an own place and an own user beside a board go to nobody else."""
    made = [await apps[0].register(f"v{number}@example.org") for number in range(3)]
    place = 'leaderboard(slug: "main") { around(range: 0) { entry { rank } } }'
    documents = [f"{{ {place} }}", f"query ($n: ID!) {{ {place} node(id: $n) {{ ... on User {{ email }} }} }}"]
    for number, one in enumerate(made):
        _, user = base64.b64decode(one["user"]["id"]).decode().split(":")
        await submitter(apps[0])(int(user), float(-number))

    async def ask(of: Shop, number: int, document: str) -> None:
        found = await of.ask(document, token=made[number]["token"], n=made[0]["user"]["id"])
        assert found["leaderboard"]["around"]["entry"]["rank"] == number + 1
        assert found.get("node") == ({"email": "v0@example.org"} if number == 0 and "node" in found else None)

    for document in 3 * documents:  # the first time no process knows it, and nothing is kept
        await asyncio.gather(*(ask(one, number, document) for _ in range(4) for one in apps for number in range(3)))


STANDING = '{ leaderboard(slug: "main") { id season { number } size } }'


async def test_a_season_that_was_reset_elsewhere_is_over_at_once(apps: list[Shop]) -> None:
    """A process that knew the board shows, and keeps, its new season from the reset's acknowledgement on."""
    service = apps[0].services.leaderboards
    board = await service.board("main")
    assert board is not None
    for season in (1, 2, 3):
        await submitter(apps[season % 2])(1, 1.0)
        for one in (apps[1], *apps):
            found = (await one.ask(STANDING))["leaderboard"]
            assert (found["season"]["number"], found["size"]) == (season, 1)
        board = await service.reset_season(board)


async def test_who_scores_or_names_a_board_sees_what_was_reset_or_deleted_elsewhere(apps: list[Shop]) -> None:
    """The board in the answer to a score, and the one found by its ID, are those of now in a process that knew them."""
    service = apps[0].services.leaderboards
    token, _ = await apps[0].services.sessions.create("1")
    send = """mutation { submitScore(input: {board: "main", score: 7}) {
        ... on ScoreSubmitted { board { season { number } size } } } }"""
    board = await service.board("main")
    assert board is not None
    node = f'{{ node(id: "{global_id("Leaderboard", board.id)}") {{ ... on Leaderboard {{ season {{ number }} }} }} }}'
    for season in (1, 2, 3):
        standing = {"season": {"number": season}}
        assert [await one.ask(node) for one in apps] == [{"node": standing}] * 2
        assert await apps[1].ask(send, token=token) == {"submitScore": {"board": standing | {"size": 1}}}
        board = await service.reset_season(board)
    await service.delete_board(board)
    assert await apps[1].ask(node) == {"node": None}


async def test_a_board_of_a_deleted_ones_slug_is_another(apps: list[Shop]) -> None:
    """A process that knew the deleted board shows the new one at once, or none, and accepts scores for it."""
    service = apps[0].services.leaderboards
    token, _ = await apps[0].services.sessions.create("1")
    send = """mutation { submitScore(input: {board: "main", score: 7}) {
        ... on ScoreSubmitted { score board { id } } ... on NotFound { message } } }"""
    for number in range(3):
        known = (await apps[1].ask(STANDING))["leaderboard"]["id"]
        board = await service.board("main")
        assert board is not None
        await service.delete_board(board)
        if number:
            for one in (apps[1], *apps):
                assert await one.ask(STANDING) == {"leaderboard": None}
        await service.create_board(NewBoard("main", "Main"))
        sent = (await apps[1].ask(send, token=token))["submitScore"] if number != 1 else None
        found = [(await one.ask(STANDING))["leaderboard"] for one in (apps[1], *apps)]
        assert found[0]["id"] != known
        assert found == [found[0]] * 3
        assert found[0]["size"] == (sent is not None)
        assert sent in (None, {"score": 7.0, "board": {"id": found[0]["id"]}})


@pytest.mark.parametrize("put", [False, True], ids=["before it was put", "before it was told"])
@pytest.mark.parametrize("key", [None, "k"], ids=["", "key"])
async def test_who_sends_again_to_another_process_is_told_no_sooner(
    apps: list[Shop], key: str | None, *, put: bool
) -> None:
    """A score is committed by a process that dies then; once its player has an answer from another, reads show it."""
    service = apps[0].services.leaderboards
    board = await service.board("main")
    assert board is not None
    await service.submit(board, 1, 1.0)
    for _ in range(3):
        assert await best(apps[1]) == 1.0
    async with apps[0].services.database.transaction() as session:
        sent = Submission(board, 1, 2.0, key)
        (change,) = await taking.take_in(await session.connection(), board, [sent], None)
    assert isinstance(change, Change)
    if put:
        await service.indexes.put(board, change.season.number, [change.row])
    outcome = await apps[1].services.leaderboards.submit(board, 1, 2.0, key=key)
    assert (outcome.score, outcome.rank) == (2.0, 1)
    assert await best(apps[1]) == 2.0


async def test_readers_among_writers_see_every_acknowledged_score(
    apps: list[Shop], scaled: Callable[[int, int], int]
) -> None:
    """Whatever is read, and kept, while scores come in: no read begun after an acknowledgement shows less."""
    acknowledged = 0.0
    done = asyncio.Event()

    async def write() -> None:
        nonlocal acknowledged
        submits = [submitter(one) for one in apps]
        for score in range(1, scaled(300, 50)):
            await submits[score % 2](1 + score % 5, float(score))
            acknowledged = max(acknowledged, float(score))
            if score % 7 == 0:
                await asyncio.sleep(0.01)
        done.set()

    async def read(of: Shop) -> int:
        reads = 0
        while not done.is_set():
            least = acknowledged
            assert (await best(of) or 0.0) >= least
            reads += 1
        return reads

    reads = await asyncio.gather(write(), *[read(one) for one in apps * 4])
    assert sum(number or 0 for number in reads) > 30


RANKS = "nodes { rank score player { displayName } }"
TOPS = {
    "ranks": f"top(first: 10) {{ {RANKS} }}",
    "percentiles": "top(first: 10) { nodes { rank percentile } }",
    "total": f"top(first: 20) {{ totalCount {RANKS} }}",
    "more": "top(first: 40) { pageInfo { hasNextPage endCursor } nodes { rank score } }",
    "size": "size",
    "both": f"a: top(first: 3) {{ {RANKS} }} entries(players: [%s]) {{ rank score }}",
    "alone": "name",
}
PLACE = """{ leaderboard(slug: "main") { around(range: 3) {
    entry { rank score } above { rank score } below { rank score %s } } } }"""


@pytest.mark.parametrize(
    ("ties", "operator"),
    [
        (Ties.EARLIEST_FIRST, Operator.BEST),
        pytest.param(Ties.EARLIEST_FIRST, Operator.SUM, marks=pytest.mark.heavy),
        (Ties.COMPETITION, Operator.SUM),
        pytest.param(Ties.DENSE, Operator.BEST, marks=pytest.mark.heavy),
    ],
)
async def test_whatever_is_shown_of_a_board_is_current(
    apps: list[Shop], scaled: Callable[[int, int], int], ties: Ties, operator: Operator
) -> None:
    """Whichever part of a board is asked for, in any process: after an acknowledged score it is as it would be made."""
    dice = random.Random(f"{ties} {operator}")
    one, other = apps
    service = other.services.leaderboards
    await one.services.leaderboards.create_board(NewBoard("ranks", "Ranks", operator=operator, ties=ties))
    board = await service.board("ranks")
    assert board is not None
    await asyncio.gather(*(service.submit(board, player, float(dice.randrange(200))) for player in range(1, 61)))
    shown = ", ".join(f'"{player}"' for player in map(_player_id, (2, 30, 70)))
    documents = [f'{{ leaderboard(slug: "ranks") {{ {part.replace("%s", shown)} }} }}' for part in TOPS.values()]
    tokens = [await one.services.sessions.create(str(player)) for player in (3, 40, 88)]
    places = [(PLACE.replace("main", "ranks") % extra, token) for token, _ in tokens for extra in ("", "percentile")]
    for _ in range(scaled(12, 5)):
        player = dice.randrange(1, 100)
        await apps[dice.randrange(2)].services.leaderboards.submit(board, player, float(dice.randrange(1, 60)))
        for document, token in [*((document, None) for document in documents), *places]:
            made = await one.ask(
                f"query Unkept {{ ...F leaderboards {{ id }} }} fragment F on Query {document}", token=token
            )
            for app in apps:
                assert await app.ask(document, token=token) == {"leaderboard": made["leaderboard"]}, document


async def test_a_score_far_below_leaves_the_top_kept(
    apps: list[Shop], monkeypatch: pytest.MonkeyPatch, scaled: Callable[[int, int], int]
) -> None:
    """A score outdates what shows the ranks that it moved, and nothing above or below."""
    submit = submitter(apps[1])
    await asyncio.gather(*(submit(player, 10.0 * player) for player in range(1, 101)))
    document = '{ leaderboard(slug: "main") { top(first: 10) { nodes { rank score } } } }'
    made = 0
    indexes = apps[0].services.leaderboards.indexes
    real = indexes.ask

    async def ask(*arguments: Any) -> Any:
        nonlocal made
        made += 1
        return await real(*arguments)

    monkeypatch.setattr(indexes, "ask", ask)
    first = await apps[0].ask(document)
    for player in range(1, 40, scaled(1, 3)):
        await submit(player, 10.0 * player + 5)
        assert await apps[0].ask(document) == first
    assert made <= 3  # until it is kept
    await submit(95, 952.0)
    assert await apps[0].ask(document) != first


def _player_id(number: int) -> str:
    return base64.b64encode(f"Player:{number}".encode()).decode()
