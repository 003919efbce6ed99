from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from typer.testing import CliRunner

from graph.cli.commands import app
from graph.leaderboard.records import NewBoard
from graph.leaderboard.seed import DEMO_BOARDS, seed_demo, seed_players
from graph.leaderboard.service import LeaderboardService

if TYPE_CHECKING:
    from pathlib import Path

    from graph.engines.database import Database
    from graph.patterns.client import Client
    from harness.valkey import ValkeyServer


async def test_the_demo_has_three_boards_of_different_policies(database: Database, client: Client) -> None:
    """Made once, with players whose scores believably tie, on boards that differ in operator and tie policy."""
    async with LeaderboardService(database, client, upkeep=0) as service:
        assert await seed_demo(database, service, players=120) == 3
        assert await seed_demo(database, service, players=120) == 0
        boards = await service.boards()
        assert len({board.operator for board in boards}) == len({board.ties for board in boards}) == 3
        assert {board.slug for board in boards} == {new.slug for new in DEMO_BOARDS}
        for board in boards:
            page = await service.top(board, first=100)
            assert page.total == 120
            scores = Counter(placed.entry.score for placed in page.entries)
            assert max(scores.values()) > 1, "ties"
            assert len(scores) > 10


async def test_seeding_again_adds_the_rest(database: Database, client: Client) -> None:
    """A player's score is the same at every run; what is there stays; a larger number adds."""
    async with LeaderboardService(database, client, upkeep=0) as service:
        board = await service.create_board(NewBoard("b", "B"))
        seen: list[int] = []
        assert await seed_players(database, service, board, 30, on_progress=seen.append) == 30
        first = {placed.player: placed.entry.score for placed in (await service.top(board, first=100)).entries}
        assert await seed_players(database, service, board, 30) == 0
        assert await seed_players(database, service, board, 50) == 20
        again = {placed.player: placed.entry.score for placed in (await service.top(board, first=100)).entries}
        assert {player: again[player] for player in first} == first
        assert len(again) == 50
        assert seen == [30]


def test_the_command_line_seeds_and_rebuilds(tmp_path: Path, valkey: ValkeyServer) -> None:
    """``graph seed --players`` makes a demo board; ``graph rebuild leaderboard`` builds an index that was lost."""
    environment = {"GRAPH_DATA_DIR": str(tmp_path), "GRAPH_REDIS_URL": valkey.url, "GRAPH_REDIS_PREFIX": "seeded"}
    run = CliRunner().invoke
    seeded = run(app, ["seed", "--players", "40"], env=environment)
    assert "40 scores added to all-time" in seeded.stdout, seeded.output
    rebuilt = run(app, ["rebuild", "leaderboard", "all-time"], env=environment)
    assert "40 players are ranked" in rebuilt.stdout, rebuilt.output
    unknown = run(app, ["rebuild", "leaderboard", "none"], env=environment)
    assert unknown.exit_code == 1
    assert "there is no board none; there are all-time" in unknown.stderr
