"""``graph rebuild leaderboard`` and the players of ``graph seed``."""

from typing import TYPE_CHECKING, Annotated

import typer

from graph.cli import support

if TYPE_CHECKING:
    from graph.leaderboard import BoardRecord
    from graph.services import Services
    from graph.settings import Settings

app = typer.Typer(help="Rebuild data that is derived from the database.", no_args_is_help=True)


@app.callback()
def rebuild() -> None:
    """Rebuild data that is derived from the database."""


@app.command()
def leaderboard(slug: Annotated[str, typer.Argument(help="The board's slug.")]) -> None:
    """Rebuild a board's index in Redis from SQL; the board keeps answering and accepting scores."""
    settings = support.read_settings()
    size = support.run(lambda: _rebuild(settings, slug))
    typer.echo(f"{size:,} players are ranked on {slug}.")


async def _rebuild(settings: "Settings", slug: str) -> int:
    from graph.services import open_services

    async with open_services(settings) as services:
        board = await _board(services, slug)
        total = await services.leaderboards.stored(board)
        done = 0
        with support.progress("Rebuilding", total) as show:

            def tell(rows: int) -> None:
                nonlocal done
                done += rows
                show(done, done)

            if not await services.leaderboards.rebuild(board, on_progress=tell):
                support.fail(f"the index of {slug} is being rebuilt by another process")
        return await services.leaderboards.size(board)


async def _board(services: "Services", slug: str) -> "BoardRecord":
    board = await services.leaderboards.board(slug)
    if board is None:
        known = ", ".join(board.slug for board in await services.leaderboards.boards())
        support.fail(f"there is no board {slug}" + (f"; there are {known}" if known else ""))
    return board


def seed_players(count: int, slug: str) -> None:
    """Give players 1 to `count` a score on a board, which is created if it is a demo board."""
    settings = support.read_settings()
    added = support.run(lambda: _seed(settings, count, slug))
    typer.echo(f"{added:,} scores added to {slug}, {count - added:,} were there already.")


async def _seed(settings: "Settings", count: int, slug: str) -> int:
    from graph.leaderboard import DEMO_BOARDS, seed_players
    from graph.services import open_services

    await support.prepare(settings)
    async with open_services(settings) as services:
        demo = next((new for new in DEMO_BOARDS if new.slug == slug), None)
        if demo is not None and await services.leaderboards.board(slug) is None:
            await services.leaderboards.create_board(demo)
        board = await _board(services, slug)
        with support.progress("Seeding", count) as show:
            return await seed_players(
                services.database, services.leaderboards, board, count, on_progress=lambda done: show(done, done)
            )
