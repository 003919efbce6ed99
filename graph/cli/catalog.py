"""``graph seed``, ``graph import`` and ``graph export``: fill the catalog, and write it out."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from graph.cli import support

if TYPE_CHECKING:
    from graph.catalog.importing import ImportOptions, Report
    from graph.cli.importing import Screen
    from graph.settings import Settings

SOME_LEFT_OUT = 3
"""Exit status of an import that left out bad rows."""

app = typer.Typer()


@app.command()
def seed(
    products: Annotated[
        int | None,
        typer.Option(min=0, max=1_000_000, help="How many demo products the catalog should have.", show_default="6000"),
    ] = None,
    players: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=10_000_000,
            help="How many demo players should have a score on --board (no products are added then).",
        ),
    ] = None,
    board: Annotated[str, typer.Option(help="The leaderboard's slug.")] = "all-time",
) -> None:
    """Fill the catalog, or a leaderboard, with demo data, the same at every run; existing data stays."""
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
    from graph.catalog import seed_catalog
    from graph.services import open_services

    await support.prepare(settings)
    async with open_services(settings) as services:
        with support.progress("Seeding", count) as show:
            return await seed_catalog(services.catalog, count, on_progress=lambda done: show(done, done))


@app.command("import")
def import_(
    file: Annotated[
        Path,
        typer.Argument(exists=True, dir_okay=False, readable=True, help="CSV, JSON or NDJSON; also gzip or zip."),
    ],
    *,
    strict: Annotated[bool, typer.Option("--strict", help="Change nothing if a single row is bad.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be done, but change nothing.")] = False,
    kind: Annotated[
        str | None,
        typer.Option(
            "--format", help="csv, json, ndjson or xml, or the program that exported it: shopify, woocommerce, ..."
        ),
    ] = None,
    columns: Annotated[
        list[str] | None, typer.Option("--map", help='What a column means: sku="Variant SKU", or sku=1,name=2.')
    ] = None,
    defaults: Annotated[
        list[str] | None, typer.Option("--default", help="Value for rows that have none: currency=EUR.")
    ] = None,
    decimal: Annotated[str | None, typer.Option(help="The decimal mark, . or , if the file is ambiguous.")] = None,
    encoding: Annotated[str | None, typer.Option(help="The file's encoding, if it is detected wrongly.")] = None,
    rejects: Annotated[
        Path | None,
        typer.Option(
            help="File for the rows that are left out, to be corrected and imported.", show_default="beside it"
        ),
    ] = None,
) -> None:
    """Add or change products by sku. docs/importing.md lists the formats and what their columns mean.

    Exits with 0 if every row was imported, with 3 if bad rows were left out, with 1 if nothing could be imported (or
    not everything, because the file cannot be read to its end), with 130 if it was interrupted. A dry run exits as the
    import would.
    """
    from graph.cli.importing import Screen, options

    chosen = options(kind, columns or (), defaults or (), decimal, encoding)
    settings = support.read_settings()
    screen = Screen(file, rejects, dry_run=dry_run)
    try:
        report = support.run(lambda: _import(settings, screen, chosen, strict=strict, dry_run=dry_run))
    finally:
        screen.close()
    if report.refused:
        support.fail(f"{report.bad:,} of {report.rows:,} rows are bad; nothing was changed")
    if report.bad:
        raise typer.Exit(SOME_LEFT_OUT)


async def _import(
    settings: "Settings", screen: "Screen", chosen: "ImportOptions", *, strict: bool, dry_run: bool
) -> "Report":
    import asyncio

    from graph.catalog.importing import Report, Told, Unreadable, import_products
    from graph.services import open_services

    report = Report()
    try:
        await support.prepare(settings)
        async with open_services(settings) as services:
            with support.progress("Checking" if dry_run else "Importing", screen.file.stat().st_size) as show:
                told = Told(
                    lambda at: show(at.bytes, at.rows),
                    screen.problem,
                    screen.note,
                )
                found = await import_products(
                    services.catalog, screen.file, chosen, strict=strict, dry_run=dry_run, report=report, told=told
                )
    except Unreadable as error:
        screen.tell(report)
        support.fail(f"{screen.file}: {error}")
    except (asyncio.CancelledError, KeyboardInterrupt):
        screen.interrupted(report)
        raise
    screen.tell(found)
    return found


@app.command()
def formats(
    into: Annotated[
        Path | None, typer.Option(help="Write the tables into this Markdown file.", exists=True, dir_okay=False)
    ] = None,
) -> None:
    """List the formats that `graph import` recognises, and what their columns mean."""
    from graph.cli.importing import as_markdown, rewrite

    if into is None:
        typer.echo(as_markdown())
        return
    try:
        into.write_text(rewrite(into.read_text(encoding="utf-8")), encoding="utf-8")
    except (OSError, ValueError) as error:
        support.fail(f"{into}: {error}")


@app.command()
def export(
    file: Annotated[
        Path | None,
        typer.Argument(help="The file to write; its extension determines the format. Standard output if left out."),
    ] = None,
    *,
    kind: Annotated[str | None, typer.Option("--format", help="csv, json or ndjson.", show_default="csv")] = None,
) -> None:
    """Write all products, active or not, to a file that `graph import` reads; the same catalog gives the same bytes."""
    from graph.catalog.importing import shape_of

    form = kind or (shape_of(file.name) if file is not None else None) or "csv"
    if form not in ("csv", "json", "ndjson"):
        support.fail(f"--format {form}: csv, json or ndjson")
    settings = support.read_settings()
    count = support.run(lambda: _export(settings, file, form))
    typer.echo(f"{count:,} products written.", err=True)


async def _export(settings: "Settings", file: Path | None, form: str) -> int:
    import sys

    from graph.catalog import Export
    from graph.engines.database import Database

    await support.prepare(settings)
    async with Database(settings.database_url) as database:
        written = Export(database, form)  # pyright: ignore[reportArgumentType] - checked above
        if file is None:
            async for piece in written.pieces():
                sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
            return written.count
        part = file.with_name(f"{file.name}.part")
        with part.open("wb") as out:
            async for piece in written.pieces():
                out.write(piece)
        part.replace(file)
    return written.count
