from __future__ import annotations

import asyncio
import itertools
import math
import random
from dataclasses import replace
from typing import TYPE_CHECKING

import orjson
import pytest
from sqlalchemy import func, select

from graph.errors import Invalid, Missing, Taken
from graph.leaderboard.models import SCORES
from graph.leaderboard.records import BoardRecord, NewBoard, Settlement, player_key, player_number
from graph.leaderboard.service import LeaderboardService
from graph.leaderboard.submission import idempotency as keys
from graph.patterns.ranking import Operator, Order, Ties
from tests.support.engines.either import in_turn
from tests.support.models.players import PLAYERS
from tests.support.models.ranking import RankingModel

if TYPE_CHECKING:
    from collections.abc import Callable

    from graph.engines.database import Database
    from graph.patterns.client import Client
    from graph.patterns.ranking import Entry, Submitted
    from tests.support.models.clock import Clock


PAIRS = [
    (operator, order, ties)
    for (one, operator), (third, ties) in itertools.product(enumerate(Operator), enumerate(Ties))
    for order in sorted(Order, key=list(Order).index, reverse=(one + third) % 2 == 1)
]
"""Every policy of a board, in pairs of either order.

A quick run has the first of each pair, so that each two parts are together in one, and each part is on both engines.
"""
SQLITE_FIRST, POSTGRES_FIRST = ("sqlite", ""), ("postgres", "")


@in_turn(
    "operator, order, ties",
    PAIRS,
    [*POSTGRES_FIRST, *3 * SQLITE_FIRST, *2 * POSTGRES_FIRST, *SQLITE_FIRST, *POSTGRES_FIRST, *SQLITE_FIRST],
)
async def test_sql_and_index_agree_with_a_sorted_list(
    service: LeaderboardService,
    without_redis: LeaderboardService,
    clock: Clock,
    client: Client,
    scaled: Callable[[int, int], int],
    *,
    operator: Operator,
    order: Order,
    ties: Ties,
) -> None:
    """Scores sent through the service rank as the sorted list does, from the index, from SQL, and from a new index."""
    draw = random.Random(3)
    board = await service.create_board(NewBoard("b", "B", operator, ties, order=order))
    model = RankingModel(operator, ties, order)
    clock.step = 0  # a score has the time of the test, however often the service asks for it
    steps = scaled(50, 25)
    for step in range(steps):
        player, score = draw.randint(1, 10), draw.choice([-1.5, 0.0, 2.0, 2.0, 3.25, 1e300, 5e-324])
        before = next((e for e in model.entries() if e.player == player_key(player)), None)
        clock.now = at = round(clock.now + 0.001, 6)
        metadata = draw.choice([None, {"car": draw.randint(1, 9)}])
        model.submit(player_key(player), score, at, None if metadata is None else orjson.dumps(metadata).decode())
        outcome = await service.submit(board, player, score, metadata=metadata)
        after = next(e for e in model.entries() if e.player == player_key(player))
        assert (outcome.rank, outcome.score) == (after.rank, after.score)
        assert outcome.previous_rank == (before.rank if before else None)
        better = before is None or order.merit(after.score) > order.merit(before.score)
        assert outcome.improved is better
        if draw.random() < 0.15:
            gone = draw.randint(1, 10)
            held = next((e.score for e in model.entries() if e.player == player_key(gone)), None)
            model.remove(player_key(gone))
            assert await service.remove_score(board, gone) == held
        if step in {0, steps // 2}:
            await check(service, board, model.entries())
    for _ in range(2):
        await check(service, board, model.entries())
        await client.execute("FLUSHALL", retry=False)
    await check(without_redis, board, model.entries())


async def check(service: LeaderboardService, board: BoardRecord, expected: list[Entry]) -> None:
    """Every answer about `board` is a slice of `expected`."""
    size = await service.size(board)
    assert size == len(expected)
    seen: list[Entry] = []
    after = None
    while True:
        page = await service.top(board, first=4, after=after, metadata=True)
        assert page.total == len(expected)
        seen += [placed.entry for placed in page.entries]
        if not page.has_next:
            break
        after = page.end
    assert seen == expected
    assert [entry.percentile for entry in seen] == [entry.percentile for entry in expected]
    for at, entry in enumerate(expected):
        context = await service.around(board, player_number(entry.player), neighbours=2, metadata=True)
        assert context is not None
        assert context.entry == entry
        assert context.entry.percentile == entry.percentile
        assert [*context.above, *context.below] == [*expected[max(0, at - 2) : at], *expected[at + 1 : at + 3]]
    players = [player_number(entry.player) for entry in reversed(expected)]
    found = await service.entries(board, players, metadata=True)
    assert found == expected
    assert [entry.percentile for entry in found] == [entry.percentile for entry in expected]
    assert await service.around(board, PLAYERS) is None
    assert await service.entries(board, [PLAYERS]) == []


async def test_what_makes_no_sense_is_refused(service: LeaderboardService, board: BoardRecord) -> None:
    """Scores that are not finite, unknown players, bad slugs, names, keys, cursors and seasons."""
    for score in (math.nan, math.inf, -math.inf):
        with pytest.raises(Invalid):
            await service.submit(board, 1, score)
    with pytest.raises(Missing):
        await service.submit(board, 10_000, 1)
    with pytest.raises(Invalid):
        await service.submit(board, 1, 1, key="")
    with pytest.raises(Invalid):
        await service.submit(board, 1, 1, key="k" * 101)
    for new in (
        NewBoard("-x", "X"),
        NewBoard("X", "X"),
        NewBoard("a" * 65, "X"),
        NewBoard("x", " "),
        NewBoard("x", "a\n"),
    ):
        with pytest.raises(Invalid):
            await service.create_board(new)
    with pytest.raises(Taken):
        await service.create_board(NewBoard("main", "Again"))
    with pytest.raises(Invalid):
        await service.top(board, after="nonsense")
    for season in (0, -1, 2):
        with pytest.raises(Invalid):
            await service.top(board, season=season)
        with pytest.raises(Invalid):
            await service.around(board, 1, season=season)
    assert await service.size(board) == 0
    assert await service.board("nowhere") is None


async def test_a_name_that_no_board_can_have_finds_none(service: LeaderboardService, board: BoardRecord) -> None:
    """Whatever text a client asks for, also one that an engine cannot take, is answered as an unknown board is."""
    for slug in ("main\0", "\0", "\ud800", "MAIN", " main", "", "a" * 10_000):
        assert await service.board(slug) is None
    assert await service.board("main") == board


async def test_a_sum_that_overflows_is_refused_and_changes_nothing(service: LeaderboardService) -> None:
    """Both engines refuse it alike, and go on adding up to the largest double."""
    board = await service.create_board(NewBoard("sum", "Sum", Operator.SUM))
    largest = 1.7976931348623157e308
    for sign, player in ((1, 1), (-1, 2)):
        await service.submit(board, player, sign * largest)
        with pytest.raises(Invalid):
            await service.submit(board, player, sign * 1e300)
        assert (await service.submit(board, player, sign * 1.0)).score == sign * largest
        assert (await service.submit(board, player, -sign * largest)).score == 0
        assert (await service.submit(board, player, sign * 5e-324)).score == sign * 5e-324


async def test_scores_come_back_bit_by_bit(service: LeaderboardService) -> None:
    """The smallest, the largest and the most precise doubles survive SQL and Redis."""
    board = await service.create_board(NewBoard("exact", "Exact", Operator.LATEST))
    scores = [5e-324, -5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, 0.1 + 0.2, -0.0, 2.0**53 + 2]
    for player, score in enumerate(scores, 1):
        assert (await service.submit(board, player, score)).score.hex() == (score + 0.0).hex()
    page = await service.top(board, first=10)
    assert [placed.entry.score.hex() for placed in page.entries] == [
        (score + 0.0).hex() for score in sorted(scores, reverse=True)
    ]


async def test_one_key_has_one_effect_and_one_answer(
    service: LeaderboardService, database: Database, client: Client, clock: Clock
) -> None:
    """The same key, sent at once through three services, adds up once and answers alike, then and later."""
    board = await service.create_board(NewBoard("sum", "Sum", Operator.SUM))
    await service.submit(board, 2, 50)
    await service.submit(board, 1, 5)
    async with (
        LeaderboardService(database, client, upkeep=0, clock=clock) as second,
        LeaderboardService(database, client, upkeep=0, clock=clock) as third,
    ):
        senders = [service, second, third]
        answers = await asyncio.gather(*(senders[i % 3].submit(board, 1, 60, key="match-7") for i in range(100)))
        assert len(set(answers)) == 1
        assert answers[0].score == 65
        assert (answers[0].rank, answers[0].previous_rank, answers[0].improved) == (1, 2, True)
        await service.submit(board, 2, 100)
        assert await third.submit(board, 1, 1, key="match-7") == answers[0]
        assert (await service.submit(board, 2, 1, key="match-7")).score == 151, "another player's key is another key"
    context = await service.around(board, 1)
    assert context is not None
    assert context.entry.score == 65


async def test_the_answer_of_a_process_that_died_is_completed(
    service: LeaderboardService, database: Database, client: Client, clock: Clock, board: BoardRecord
) -> None:
    """When the first sender dies after its commit, the key still has one effect and gets one lasting answer."""

    def die(*_: object) -> None:
        raise asyncio.CancelledError

    died = LeaderboardService(database, client, upkeep=0, clock=clock)
    died.moved = die
    with pytest.raises(asyncio.CancelledError):
        await died.submit(board, 1, 9, key="k")
    answers = await asyncio.gather(*(service.submit(board, 1, 9, key="k") for _ in range(5)))
    assert len(set(answers)) == 1
    assert answers[0].score == 9
    assert await service.submit(board, 1, 3, key="k") == answers[0]


async def test_an_answer_is_settled_once(service: LeaderboardService, database: Database, board: BoardRecord) -> None:
    """Of two processes that complete the same answer the first one counts, and both give it."""
    first = await service.submit(board, 1, 9, key="k")
    async with database.transaction() as session:
        late = Settlement(board.id, 1, "k", replace(first, rank=77, previous_rank=78))
        assert await keys.settle(await session.connection(), [late]) == [first]
    assert await service.submit(board, 1, 9, key="k") == first


async def test_a_refused_submission_leaves_its_key_free(service: LeaderboardService, board: BoardRecord) -> None:
    """A key is used up by an effect, not by a mistake."""
    with pytest.raises(Missing):
        await service.submit(board, 10_000, 1, key="k")
    assert (await service.submit(board, 1, 4, key="k")).score == 4


async def test_old_keys_are_forgotten(service: LeaderboardService, clock: Clock, board: BoardRecord) -> None:
    """After 30 days a key may be used again; before that it may not."""
    await service.submit(board, 1, 1, key="k")
    clock.now += 29 * 86400
    await service.upkeep.forget_keys()
    assert (await service.submit(board, 1, 2, key="k")).score == 1
    clock.now += 2 * 86400
    await service.upkeep.forget_keys()
    assert (await service.submit(board, 1, 2, key="k")).score == 2


async def test_changes_are_announced_after_the_commit(
    database: Database, service: LeaderboardService, board: BoardRecord
) -> None:
    """The listener hears of a change once it can be read, hears nothing of what changed nothing, and may fail."""
    heard: list[tuple[str, int | None]] = []
    reading: list[asyncio.Task[int]] = []

    async def in_sql() -> int:
        async with database.session() as session:
            return (await session.execute(select(func.count()).select_from(SCORES))).scalar_one()

    def listen(_: BoardRecord, player: str, submitted: Submitted | None) -> None:
        heard.append((player, None if submitted is None else submitted.rank))
        reading.append(asyncio.create_task(in_sql()))
        raise RuntimeError

    service.moved = listen
    await service.submit(board, 1, 5)
    assert await reading[0] == 1
    await service.submit(board, 1, 4)
    await service.submit(board, 2, 4)
    assert await reading[1] == 2
    assert heard == [(player_key(1), 1), (player_key(2), 2)]


async def test_players_order_by_number(service: LeaderboardService) -> None:
    """Keys of players sort as their numbers do, in Redis's byte order too, and read back."""
    numbers = [1, 9, 10, 99, 100, 2**63 - 1]
    assert sorted(player_key(number).encode() for number in reversed(numbers)) == [
        player_key(number).encode() for number in numbers
    ]
    assert [player_number(player_key(number)) for number in numbers] == numbers
