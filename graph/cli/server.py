"""``graph serve``, ``worker``, ``doctor``, ``schema``, ``settings`` and ``metrics``.

They are implemented in `serve`, `graph.background.worker`, `doctor`, `graph.api.schema`, `settings` and `metrics`.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from graph.cli import support

app = typer.Typer()


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on [GRAPH_HOST].")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 chooses a free one [GRAPH_PORT].")] = None,
    workers: Annotated[int | None, typer.Option(help="Server processes [GRAPH_WORKERS].")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Directory for data [GRAPH_DATA_DIR].")] = None,
) -> None:
    """Migrate, seed an empty database, start everything."""
    settings = support.read_settings(host=host, port=port, workers=workers, data_dir=data_dir)
    from graph import log
    from graph.cli.listening import listening

    log.configure(settings.server.log)
    with listening(settings) as listener:
        from graph.cli.serve import serve as run  # takes a second; errors of settings come first

        run(settings, listener)


@app.command()
def worker() -> None:
    """Run background jobs until stopped; start as many workers as needed, on any machine."""
    import signal

    signal.signal(signal.SIGTERM, _leave)  # until the event loop handles the signal
    settings = support.read_settings()
    from graph import log
    from graph.background import work

    log.configure(settings.server.log)
    if (port := settings.jobs.metrics_port) is None:
        support.run(lambda: work(settings))
        return
    from graph.cli.listening import listen

    with listen(settings.server.host, port, variable="GRAPH_JOBS_METRICS_PORT", command="worker") as listener:
        support.run(lambda: work(settings, listener))


def _leave(_number: int, _frame: object) -> None:
    sys.exit(0)


@app.command()
def schema() -> None:
    """Print the GraphQL schema."""
    from graph.api.schema import sdl

    typer.echo(sdl(support.application(support.read_settings())), nl=False)


@app.command()
def doctor(
    *,
    repair: Annotated[
        bool,
        typer.Option("--repair", help="First cut off the damaged end of the embedded Valkey's data; a copy is kept."),
    ] = False,
    acl: Annotated[
        bool,
        typer.Option("--acl", help="Print the minimal Redis user as an ACL SETUSER line, and exit."),
    ] = False,
) -> None:
    """Check the Redis and the SQL database that this server uses, and give advice."""
    from graph.cli import doctor as checks
    from graph.cli.doctor import report

    settings = support.read_settings()
    if acl:
        from graph.engines.acl import NEWER, acl_line

        typer.echo(acl_line(settings.redis.prefix))
        typer.echo(f"graph: leave +{', +'.join(NEWER)} out on Redis 7.0 and 7.1", err=True)
        return
    if repair and not checks.repair(settings):
        raise typer.Exit(1)
    if not support.run(lambda: report(settings)):
        raise typer.Exit(1)


@app.command()
def settings(
    into: Annotated[
        Path | None,
        typer.Option(help="Write the table of settings into this Markdown file.", exists=True, dir_okay=False),
    ] = None,
) -> None:
    """List every setting: its variable, value and meaning."""
    from graph.cli.settings import rewrite, show

    if into is not None:
        try:
            into.write_text(rewrite(into.read_text(encoding="utf-8")), encoding="utf-8")
        except (OSError, ValueError) as error:
            support.fail(f"{into}: {error}")
    else:
        show(support.read_settings(), support.console())


@app.command()
def metrics(
    into: Annotated[
        Path | None,
        typer.Option(help="Write the tables into this Markdown file.", exists=True, dir_okay=False),
    ] = None,
    dashboard: Annotated[
        Path | None, typer.Option(help="Write a Grafana dashboard of them to this file.", dir_okay=False)
    ] = None,
) -> None:
    """List every metric that `/metrics` tells, and what it means."""
    from graph.cli import metrics as pages

    try:
        if into is not None:
            into.write_text(pages.rewrite(into.read_text(encoding="utf-8")), encoding="utf-8")
        if dashboard is not None:
            dashboard.write_text(pages.dashboard(), encoding="utf-8")
    except (OSError, ValueError) as error:
        support.fail(str(error))
    if into is None and dashboard is None:
        typer.echo(pages.as_markdown().strip())
