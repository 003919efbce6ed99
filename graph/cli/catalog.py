"""``graph seed`` and ``graph import``: fill the catalog."""

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from graph.cli import support

if TYPE_CHECKING:
    from graph.catalog.importing.files import Problem
    from graph.catalog.importing.importer import Report
    from graph.settings import Settings

SOME_LEFT_OUT = 3
"""Exit status of an import that took some rows and left bad ones out."""

_SHOWN_PROBLEMS = 100

app = typer.Typer()


class FileFormat(Enum):
    """What ``--format`` takes."""

    csv = "csv"
    json = "json"
    ndjson = "ndjson"


@app.command()
def seed(
    products: Annotated[
        int | None, typer.Option(min=0, max=1_000_000, help="How many products there shall be.", show_default="6000")
    ] = None,
    players: Annotated[
        int | None,
        typer.Option(min=0, max=10_000_000, help="How many players shall have a score on --board (no products then)."),
    ] = None,
    board: Annotated[str, typer.Option(help="The leaderboard's slug.")] = "all-time",
) -> None:
    """Fill the catalog, or a leaderboard, with made-up data, the same at every run; what is there already stays."""
    if players is not None:
        from graph.cli.leaderboard import seed_players

        seed_players(players, board)
    if products is None and players is not None:
        return
    count = 6000 if products is None else products
    settings = support.read_settings()
    added = support.run(lambda: _seed(settings, count))
    typer.echo(f"{added:,} products added, {count - added:,} were there already.")


async def _seed(settings: "Settings", count: int) -> int:
    from graph.catalog.seed import seed
    from graph.engines.database import migrate
    from graph.services import open_services

    await migrate(settings.database_url)
    async with open_services(settings) as services:
        with support.progress("Seeding", count) as show:
            return await seed(services.catalog, count, on_progress=lambda done: show(done, done))


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="CSV, JSON or NDJSON.")],
    *,
    strict: Annotated[bool, typer.Option("--strict", help="Change nothing if a single row is bad.")] = False,
    kind: Annotated[FileFormat | None, typer.Option("--format", help="Unless the file's name tells.")] = None,
) -> None:
    """Add or change products by sku.

    Exits with 0 when every row is in, with 3 when bad rows were left out, with 1 when nothing (or, in a file that
    cannot be read to its end, not everything) could be taken.
    """
    settings = support.read_settings()
    size = file.stat().st_size
    report = support.run(lambda: _import(settings, file, size, kind, strict=strict))
    if report.refused:
        support.fail(f"{report.bad:,} of {report.rows:,} rows are bad; nothing was changed")
    typer.echo(
        f"{report.rows:,} rows: {report.created:,} created, {report.updated:,} updated, "
        f"{report.unchanged:,} unchanged, {report.bad:,} bad."
    )
    if report.bad:
        raise typer.Exit(SOME_LEFT_OUT)


async def _import(settings: "Settings", file: Path, size: int, kind: FileFormat | None, *, strict: bool) -> "Report":
    from graph.catalog.importing.files import Unreadable, format_of
    from graph.catalog.importing.importer import import_products
    from graph.engines.database import migrate
    from graph.services import open_services

    shown = 0

    def complain(problem: "Problem") -> None:
        nonlocal shown
        shown += 1
        if shown <= _SHOWN_PROBLEMS:
            typer.echo(f"{file}:{problem.line}: {problem.reason}", err=True)
        elif shown == _SHOWN_PROBLEMS + 1:
            typer.echo("Further bad rows are only counted.", err=True)

    try:
        chosen = kind.value if kind else format_of(file)
        await migrate(settings.database_url)
        async with open_services(settings) as services:
            with support.progress("Importing", size) as show:
                return await import_products(
                    services.catalog,
                    file,
                    kind=chosen,
                    strict=strict,
                    on_progress=lambda report: show(report.bytes, report.rows),
                    on_problem=complain,
                )
    except Unreadable as error:
        support.fail(f"{file}: {error}")
