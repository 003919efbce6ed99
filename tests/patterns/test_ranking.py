from __future__ import annotations

import asyncio
import math
import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph.patterns.ranking import Operator, Place, Ranking, RankingMissing, RankingStale, ScoreRow, Ties
from graph.patterns.ranking.ranking import TOGETHER
from harness.waiting import within

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence

    from graph.patterns.client import Client

KEYS = [f"graph:ranking:{{b}}:{part}" for part in ("order", "players", "levels", "state")]


async def source(*chunks: Sequence[ScoreRow]) -> AsyncIterator[Sequence[ScoreRow]]:
    """Chunks as a rebuild reads them."""
    for chunk in chunks:
        yield chunk


def rows(scores: Iterable[float]) -> list[ScoreRow]:
    """Players 0, 1, 2, … who reached their scores one after the other."""
    return [ScoreRow(str(i), score, 1.0 + i, i + 1) for i, score in enumerate(scores)]


@pytest.mark.parametrize("operator", [Operator.BEST, Operator.LATEST])
async def test_every_finite_double_comes_back_bit_by_bit(client: Client, operator: Operator) -> None:
    """Scores are neither rounded nor confused with their neighbours, through submit and through rebuild."""
    draw = random.Random(5)
    scores = [5e-324, -5e-324, 1.7976931348623157e308, -1.7976931348623157e308, 0.1, math.nextafter(0.1, 1), -0.0]
    scores += [draw.uniform(-1, 1) * 10.0 ** draw.randint(-320, 307) for _ in range(300)]
    ranking = Ranking(client, "b", operator=operator, ties=Ties.DENSE)
    await ranking.create()
    for i, score in enumerate(scores):
        await ranking.submit(str(i), score)
    for _ in range(2):
        page = await ranking.page(1000)
        assert {entry.player: entry.score.hex() for entry in page.entries} == {
            str(i): (score + 0.0).hex() for i, score in enumerate(scores)
        }
        assert [entry.score for entry in page.entries] == sorted(scores, reverse=True)
        assert page.entries[-1].rank == len(set(scores))
        await ranking.rebuild(source(rows(scores)))


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
async def test_what_is_no_finite_number_is_refused(client: Client, score: float) -> None:
    """NaN and infinity raise before anything is sent."""
    ranking = Ranking(client, "b")
    await ranking.create()
    with pytest.raises(ValueError, match="finite"):
        await ranking.submit("1", score)
    with pytest.raises(ValueError, match="finite"):
        await ranking.put(ScoreRow("1", score, 1.0, 1))
    assert await ranking.size() == 0


async def test_the_first_to_reach_a_score_stays_ahead(client: Client) -> None:
    """Submitting the same score again does not cost the place; reaching it later does not gain one."""
    ranking = Ranking(client, "b", operator=Operator.LATEST)
    await ranking.create()
    for player in ("c", "b", "a", "c"):
        await ranking.submit(player, 7)
    assert [entry.player for entry in (await ranking.page(3)).entries] == ["c", "b", "a"]
    await ranking.submit("c", 6)
    await ranking.submit("c", 7)
    assert [entry.player for entry in (await ranking.page(3)).entries] == ["b", "a", "c"]


async def test_the_order_of_arrival_survives_a_clock_that_goes_back(client: Client) -> None:
    """Times given by the server strictly increase, even after one from the future."""
    ranking = Ranking(client, "b")
    await ranking.create()
    await ranking.submit("z", 7, at=4e9)
    await ranking.submit("y", 7)
    await ranking.submit("x", 7)
    assert [entry.player for entry in (await ranking.page(3)).entries] == ["z", "y", "x"]


async def test_creating_again_changes_nothing(client: Client) -> None:
    """Only the first `create` makes a ranking, also when two run at once."""
    ranking = Ranking(client, "b")
    await asyncio.gather(ranking.create(), ranking.create())
    await ranking.submit("1", 1)
    await ranking.create()
    assert await ranking.size() == 1


# --- pages while scores change ---


@pytest.mark.parametrize("operator", Operator)
async def test_pages_neither_repeat_anybody_nor_skip_who_did_not_move(client: Client, operator: Operator) -> None:
    """While others move up and down between pages, nobody is seen twice and everybody who stood still is seen."""
    draw = random.Random(11)
    ranking = Ranking(client, "b", operator=operator)
    await ranking.create()
    for i in range(200):
        await ranking.submit(str(i), draw.randint(0, 40))
    still = {str(i) for i in range(0, 200, 2)}
    page = await ranking.page(10)
    seen = [entry.player for entry in page.entries]
    while page.has_next:
        for _ in range(25):
            await ranking.submit(str(draw.randrange(1, 200, 2)), draw.randint(-20, 60))
        await ranking.submit(f"new-{len(seen)}", draw.randint(0, 40))
        assert page.end is not None
        page = await ranking.page_after(10, Place.decode(page.end.encode()))
        seen += [entry.player for entry in page.entries]
    assert len(seen) == len(set(seen))
    assert still <= set(seen)


async def test_a_page_goes_on_after_an_entry_that_is_gone(client: Client) -> None:
    """A place stays where it is when its entry moved away or was removed, among equals too."""
    ranking = Ranking(client, "b")
    await ranking.create()
    for i in range(6):
        await ranking.submit(str(i), 5)
    page = await ranking.page(3)
    await ranking.remove("2")
    await ranking.submit("1", 9)
    after = await ranking.page_after(10, page.place(page.entries[2]))
    assert [(entry.player, entry.rank) for entry in after.entries] == [("3", 3), ("4", 4), ("5", 5)]


async def submit(ranking: Ranking, scores: dict[str, float]) -> None:
    """Submit them a hundred at a time: a busy machine may need longer for all than one command may take."""
    left = list(scores.items())
    while left:
        await asyncio.gather(*(ranking.submit(player, score) for player, score in left[:100]))
        del left[:100]


async def test_a_crowd_that_moved_is_passed_over_in_bounded_steps(client: Client) -> None:
    """When more entries moved than one read may scan, a page may be empty, yet it says where to go on."""
    ranking = Ranking(client, "b", operator=Operator.LATEST)
    await ranking.create()
    await submit(ranking, {str(i): 0.0 for i in range(2500)})
    page = await ranking.page(1)
    await submit(ranking, {str(i): -1.0 - i for i in range(2450)})
    seen: list[str] = []
    reads = 0
    while page.has_next:
        assert page.end is not None
        page = await ranking.page_after(100, page.end)
        seen += [entry.player for entry in page.entries]
        reads += 1
    assert set(seen) == {str(i) for i in range(2450, 2500)}
    assert reads <= 4


@given(st.text(max_size=60))
def test_a_place_that_nobody_gave_out_is_refused(text: str) -> None:
    """Any text either raises ValueError or reads as a place that could stand in a ranking."""
    try:
        place = Place.decode(text)
    except ValueError:
        return
    assert math.isfinite(place.score)


# --- an index that is not whole ---


@pytest.mark.parametrize("ties", Ties)
@pytest.mark.parametrize("lost", [0, 1, 2, 3])
async def test_an_index_that_lost_a_key_answers_nothing(client: Client, ties: Ties, lost: int) -> None:
    """Whichever key is gone, reads and writes raise instead of giving a wrong rank; a rebuild heals it."""
    ranking = Ranking(client, "b", ties=ties)
    await ranking.create()
    for row in rows([3, 1, 2]):
        await ranking.put(row)
    if await client.execute("DEL", KEYS[lost], retry=False) == 0:
        assert (ties, lost) != (Ties.DENSE, 2), "only other policies keep no levels"
        return
    for call in (
        lambda: ranking.page(5),
        lambda: ranking.around("1"),
        lambda: ranking.entries(["1"]),
        ranking.size,
        lambda: ranking.submit("1", 9),
        lambda: ranking.put(ScoreRow("9", 1, 1, 99)),
        lambda: ranking.remove("1"),
    ):
        with pytest.raises(RankingMissing):
            await call()
    await ranking.rebuild(source(rows([3, 1, 2])))
    assert [entry.player for entry in (await ranking.page(5)).entries] == ["0", "2", "1"]


async def test_an_index_of_another_server_process_is_stale(client: Client) -> None:
    """A derived index answers only on the process it was completed on; it goes on once it was caught up."""
    ranking = Ranking(client, "b", derived=True)
    await ranking.rebuild(source(rows([3, 1])), through=2)
    await client.execute("HSET", KEYS[3], "server", "0" * 40, retry=False)
    for call in (lambda: ranking.page(5), lambda: ranking.around("1"), lambda: ranking.entries(["1"]), ranking.size):
        with pytest.raises(RankingStale):
            await call()
    with pytest.raises(RankingStale):
        await ranking.put(ScoreRow("5", 5, 1, 3))
    server, state = await ranking.server_id(), await ranking.state()
    assert state.stale
    assert state.through == 2, "what was put since says nothing about what was lost"
    assert await ranking.catch_up(source(rows([3, 1, 2]))) == 1
    assert await ranking.catch_up(source([ScoreRow("7", 7, 1, 9)])) == 1
    assert not await ranking.verify(state, b"1" * 40, 9)
    assert await ranking.verify(state, server, 9)
    assert (await ranking.state()).through == 9
    assert [entry.player for entry in (await ranking.page(9)).entries] == ["7", "5", "0", "2", "1"]


# --- rebuilding ---


async def test_one_process_rebuilds_at_a_time(client: Client) -> None:
    """A second builder is turned away without reading its source."""
    ranking = Ranking(client, "b")

    async def outer() -> AsyncIterator[Sequence[ScoreRow]]:
        yield rows([1])
        assert not await ranking.rebuild(untouched())
        yield []

    async def untouched() -> AsyncIterator[Sequence[ScoreRow]]:
        raise AssertionError
        yield []

    assert await ranking.rebuild(outer())
    assert await ranking.size() == 1


async def test_a_rebuild_whose_builder_died_is_taken_over(client: Client) -> None:
    """What a dead builder leaves expires with its lease, rows that were put into it included."""
    dead = Ranking(client, "b", lease=0.2)
    build = dead._build()  # pyright: ignore[reportPrivateUsage] - dies half way
    assert await build.begin(if_missing=False)
    script = build._load_command(rows([5, 6]))  # pyright: ignore[reportPrivateUsage] - as above
    assert await client.send(script) == 1
    with pytest.raises(RankingMissing):
        await dead.put(ScoreRow("late", 1, 1, 100))
    heir = Ranking(client, "b")
    assert not await heir.rebuild(source(rows([1])))
    async with within("the dead builder's lease to expire"):
        while not await heir.rebuild(source(rows([1, 2]))):
            await asyncio.sleep(0.02)
    assert [entry.player for entry in (await heir.page(9)).entries] == ["1", "0"]
    assert sorted(await client.execute("KEYS", "*", retry=False)) == sorted(
        key.encode() for key in KEYS if "levels" not in key
    )


async def test_no_key_of_a_successor_outlives_its_lease(client: Client) -> None:
    """Rows put while a rebuild has only begun get the lease's lifetime, not an endless one."""
    ranking = Ranking(client, "b", ties=Ties.DENSE, lease=5)
    ttls: list[int] = []

    async def begun() -> AsyncIterator[Sequence[ScoreRow]]:
        with pytest.raises(RankingMissing):
            await ranking.put(ScoreRow("1", 1, 1, 1))
        keys: list[bytes] = await client.execute("KEYS", "*next*", retry=False)
        assert len(keys) == 4
        ttls.extend([await client.execute("PTTL", key) for key in keys])
        yield []

    await ranking.rebuild(begun())
    assert all(0 < ttl <= 5000 for ttl in ttls)
    for key in KEYS:
        assert await client.execute("TTL", key) == -1, "the index itself is durable"


async def test_a_rebuild_that_redis_forgot_is_not_put_in_place(client: Client) -> None:
    """FLUSHALL, or a key of the successor lost, amid a rebuild: it fails, and half an index never shows."""
    ranking = Ranking(client, "b")
    for loss in (("FLUSHALL",), ("DEL", "graph:ranking:{b}:next:order")):

        async def forgetful(loss: tuple[str, ...] = loss) -> AsyncIterator[Sequence[ScoreRow]]:
            yield rows([1, 2, 3])
            await asyncio.sleep(0)
            while not await client.execute("EXISTS", "graph:ranking:{b}:next:order"):
                await asyncio.sleep(0)
            await client.execute(*loss, retry=False)

        with pytest.raises(RankingMissing):
            await ranking.rebuild(forgetful())
        with pytest.raises(RankingMissing):
            await ranking.page(1)
    assert await ranking.rebuild(source(rows([1, 2, 3])))
    assert await ranking.size() == 3


async def test_rows_put_during_a_rebuild_stand(client: Client) -> None:
    """Newer rows win over those the builder read before, older ones lose, whichever comes first."""
    ranking = Ranking(client, "b", ties=Ties.DENSE)
    await ranking.rebuild(source(rows([1, 2, 3])))

    async def busy() -> AsyncIterator[Sequence[ScoreRow]]:
        await ranking.put(ScoreRow("0", 10, 9, 50))
        yield rows([1, 2, 3])
        await ranking.put(ScoreRow("1", 20, 9, 51))
        yield [ScoreRow("2", 30, 9, 52), ScoreRow("2", 31, 9, 53), ScoreRow("2", 29, 9, 51)]
        await ranking.put(ScoreRow("3", 0, 9, 54))

    await ranking.rebuild(busy())
    page = await ranking.page(9)
    assert [(e.player, e.score, e.rank) for e in page.entries] == [
        ("2", 31, 1),
        ("1", 20, 2),
        ("0", 10, 3),
        ("3", 0, 4),
    ]
    assert page.size == 4


@pytest.mark.parametrize("ties", Ties)
async def test_rows_that_are_put_together_are_put_one_after_the_other(client: Client, ties: Ties) -> None:
    """A crowd in a few scripts, which store what one script a row would: index, successor, places before and after."""
    draw = random.Random(7)
    crowd = [
        ScoreRow(str(draw.randrange(12)), float(draw.randrange(6)), 1.0 + at, draw.randrange(1, 60), f"m{at}")
        for at in range(90)
    ]
    together, alone = (Ranking(client, board, ties=ties, derived=True) for board in ("together", "alone"))
    for ranking in (together, alone):
        assert [type(one) for one in await ranking.put_all(crowd[:2])] == [RankingMissing] * 2
        await ranking.rebuild(source(rows([3, 1, 2])))
        assert await ranking.remove("2", version=40)
    calls = await put_calls(client)
    found = await together.put_all(crowd)
    assert await put_calls(client) - calls == -(-len(crowd) // TOGETHER)
    assert found == [await alone.put(row) for row in crowd]

    async def more(ranking: Ranking) -> AsyncIterator[Sequence[ScoreRow]]:
        late = [ScoreRow(str(player), float(player % 4), 200.0 + player, 200 + player) for player in range(40)]
        await (ranking.put_all(late) if ranking is together else asyncio.gather(*map(ranking.put, late)))
        yield rows([3, 1, 2])

    for _ in range(2):
        pages = [await ranking.page(100, metadata=True) for ranking in (together, alone)]
        assert pages[0].entries == pages[1].entries
        assert pages[0].size == pages[1].size
        states = [await ranking.state() for ranking in (together, alone)]
        assert states[0].seq == states[1].seq
        for ranking in (together, alone):
            await ranking.rebuild(more(ranking))


async def put_calls(client: Client) -> int:
    """How many scripts the server has run by their hashes."""
    told = (await client.execute("INFO", "commandstats", retry=True)).decode()
    return int(told.partition("cmdstat_evalsha:calls=")[2].partition(",")[0])


async def test_one_process_has_a_turn(client: Client) -> None:
    """A turn is given once in its time, each work having its own."""
    ranking = Ranking(client, "b")
    assert await ranking.turn("one", 10)
    assert not await ranking.turn("one", 10)
    assert await ranking.turn("other", 10)


async def test_dropping_leaves_nothing(client: Client) -> None:
    """No key is left behind."""
    ranking = Ranking(client, "b", ties=Ties.DENSE)
    await ranking.create()
    await ranking.submit("1", 1)
    await ranking.drop()
    assert await client.execute("DBSIZE") == 0
