"""leaderboardChanged and myRankChanged through the whole application: state first, then changes, merged, healed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from graph.accounts.records import Role
from graph.leaderboard.live import boards as live
from graph.leaderboard.records import NewBoard
from harness.subscriber import Following, subscriber
from harness.waiting import until
from tests.support.apps.accounts import PASSWORD, Shop, shop
from tests.support.apps.serving import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from graph.leaderboard.records import BoardRecord
    from graph.patterns.client import Client
    from harness.valkey import ValkeyServer

TOP = 'subscription { leaderboardChanged(board: "b", first: 3) { entries { rank score player { displayName } } } }'
MINE = """subscription { myRankChanged(board: "b", range: 1) {
  previousRank context { entry { rank score } above { score } below { score } }
} }"""


class Arena:
    """The application with a board and players."""

    def __init__(self, app: Shop, port: int, board: BoardRecord) -> None:
        self.app = app
        self.port = port
        self.board = board
        self.players: list[int] = []
        self.tokens: list[str] = []

    async def enlist(self, count: int) -> None:
        """Make players."""
        for n in range(count):
            found = await self.app.services.accounts.add(f"p{n}@example.org", PASSWORD, f"P{n}", Role.PLAYER)
            key = int(getattr(found, "id"))  # noqa: B009 - the other members of the union have none
            self.players.append(key)
            self.tokens.append((await self.app.services.sessions.create(str(key), role="PLAYER"))[0])

    async def score(self, player: int, score: float) -> None:
        """Submit a score."""
        await self.app.services.leaderboards.submit(self.board, self.players[player], score)


@pytest.fixture
async def arena(
    client: Client, valkey: ValkeyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Arena]:
    """One board, five players, and checks that come soon."""
    assert await client.execute("DBSIZE") == 0
    monkeypatch.setattr(live, "_GRACE", 0.2)
    async with shop(valkey.url, tmp_path) as app, serving(app.app) as port:
        board = await app.services.leaderboards.create_board(NewBoard("b", "Board"))
        app.services.live_boards._check_every = 0.2
        opened = Arena(app, port, board)
        await opened.enlist(5)
        yield opened


def scores(following: Following) -> list[list[float]]:
    """The scores of each snapshot of a top."""
    return [[entry["score"] for entry in one["entries"]] for one in following.values("leaderboardChanged")]


def places(following: Following) -> list[tuple[int | None, int | None]]:
    """The previous and the present rank of each snapshot."""
    values: list[Any] = following.values("myRankChanged")
    return [(one["previousRank"], one["context"] and one["context"]["entry"]["rank"]) for one in values]


async def settled(following: Following, last: Any, read: Any) -> None:
    """Wait until the newest snapshot is `last`."""
    await until(lambda: bool(following.results) and read(following)[-1] == last)


async def test_the_top_comes_first_and_then_changes(arena: Arena) -> None:
    """State first; a change below the top is silent; who joins late gets the state as it is then."""
    await arena.score(0, 10)
    async with subscriber(arena.port) as socket, subscriber(arena.port) as other:
        top = await socket.follow(TOP)
        await settled(top, [10], scores)
        await arena.score(1, 20)
        await settled(top, [20, 10], scores)
        await arena.score(2, 30)
        await settled(top, [30, 20, 10], scores)
        count = len(top.results)
        await arena.score(3, 5)
        late = await other.follow(TOP)
        await late.until(1)
        assert scores(late) == [[30, 20, 10]]
        await arena.score(3, 40)
        await settled(top, [40, 30, 20], scores)
        await settled(late, [40, 30, 20], scores)
        assert len(top.results) == count + 1
        assert top.values("leaderboardChanged")[-1]["entries"][0]["player"]["displayName"] == "P3"


async def test_bursts_are_merged(arena: Arena) -> None:
    """Two hundred submissions come as at most ten snapshots a second, the last of them right."""
    async with subscriber(arena.port) as socket:
        top = await socket.follow(TOP)
        await top.until(1)
        started = asyncio.get_running_loop().time()
        for n in range(200):
            await arena.score(n % 5, n)
        await settled(top, [199, 198, 197], scores)
        took = asyncio.get_running_loop().time() - started
        assert len(top.results) <= 3 + took * 10


async def test_my_rank_moves_with_others(arena: Arena) -> None:
    """It tells when somebody else's score moved me, or a neighbour; not when something moved far away."""
    for player, score in enumerate([50, 40, 30, 20]):
        await arena.score(player, score)
    async with subscriber(arena.port, arena.tokens[2]) as socket, subscriber(arena.port, arena.tokens[4]) as other:
        mine, nobody = await socket.follow(MINE), await other.follow(MINE)
        await settled(mine, (None, 3), places)
        await settled(nobody, (None, None), places)
        await arena.score(3, 45)
        await settled(mine, (3, 4), places)
        count = len(mine.results)
        await arena.score(0, 60)
        await arena.score(1, 41)
        await until(lambda: len(mine.results) > count)
        assert mine.values("myRankChanged")[-1]["context"]["above"] == [{"score": 41}]
        await arena.score(4, 1)
        await settled(nobody, (None, 5), places)
        await settled(mine, (4, 4), places)
        assert len(nobody.results) == 2


async def test_my_rank_needs_a_session(arena: Arena) -> None:
    """An anonymous caller is refused; a board that does not exist is the client's mistake."""
    async with subscriber(arena.port) as socket, subscriber(arena.port, arena.tokens[0]) as mine:
        assert await (await socket.follow(MINE)).refused() == "UNAUTHENTICATED"
        assert await (await socket.follow(TOP.replace('"b"', '"x"'))).refused() == "BAD_USER_INPUT"
        assert await (await mine.follow(MINE.replace('"b"', '"x"'))).refused() == "BAD_USER_INPUT"
        assert await (await mine.follow(MINE.replace("range: 1", "range: 51"))).refused() == "BAD_USER_INPUT"


async def test_a_change_that_was_not_announced_is_found(arena: Arena) -> None:
    """A process that dies between the commit and its announcement leaves no watcher with an old state for long."""
    await arena.score(0, 10)
    async with subscriber(arena.port, arena.tokens[0]) as socket:
        top, mine = await socket.follow(TOP), await socket.follow(MINE)
        await settled(top, [10], scores)
        await settled(mine, (None, 1), places)
        await asyncio.sleep(0.5)
        arena.app.services.leaderboards.moved = None
        await arena.score(1, 20)
        await settled(top, [20, 10], scores)
        await settled(mine, (1, 2), places)


@pytest.mark.parametrize("announced", [True, False])
async def test_a_reset_shows_in_the_season_too(arena: Arena, *, announced: bool) -> None:
    """Whoever follows a board is told its new season, though there is no entry before nor after, and then of it."""
    service = arena.app.services.leaderboards
    async with subscriber(arena.port) as socket:
        top = await socket.follow(TOP.replace("entries", "board { season { number } } entries"))
        await top.until(1)
        if not announced:  # the process died before
            service.moved = None
        arena.board = await service.reset_season(arena.board)
        await until(lambda: [one["board"]["season"]["number"] for one in top.values("leaderboardChanged")] == [1, 2])
        await arena.score(0, 10)
        await settled(top, [10], scores)


@pytest.mark.parametrize("announced", [True, False])
async def test_a_board_of_a_deleted_ones_slug_is_not_followed(arena: Arena, *, announced: bool) -> None:
    """Whoever follows a board is told that it is gone, though another one has its slug by then."""
    service = arena.app.services.leaderboards
    await arena.score(0, 10)
    async with subscriber(arena.port, arena.tokens[0]) as socket:
        top, mine = await socket.follow(TOP), await socket.follow(MINE)
        await settled(top, [10], scores)
        await settled(mine, (None, 1), places)
        tell, service.moved = service.moved, None
        await service.delete_board(arena.board)
        await service.create_board(NewBoard("b", "Another"))
        if announced:
            assert tell is not None
            tell(arena.board, "", None)
        await until(lambda: top.complete and mine.complete)


async def test_watching_ends_with_the_socket(arena: Arena) -> None:
    """No board is followed any more once nobody watches."""
    async with subscriber(arena.port, arena.tokens[0]) as socket:
        await (await socket.follow(TOP)).until(1)
        await (await socket.follow(MINE)).until(1)
        assert arena.app.services.live_boards._boards
    await until(lambda: not arena.app.services.live_boards._boards)
