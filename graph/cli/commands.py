"""Every command of ``graph``, joined into one application."""

from pathlib import Path
from typing import Annotated

import typer

from graph.cli import catalog, jobs, leaderboard, new, server, support
from graph.cli.accounts import key, user

app = typer.Typer(
    name="graph",
    help="A GraphQL API server whose resolvers live in Redis.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
# A file's commands join the top level; one that is a group gets a name.
app.add_typer(server.app)
app.add_typer(new.app)
app.add_typer(catalog.app)
app.add_typer(jobs.app, name="jobs")
app.add_typer(leaderboard.app, name="rebuild")
app.add_typer(user.app, name="user")
app.add_typer(key.app, name="key")


def _tell_version(value: bool) -> None:
    if value:
        from importlib.metadata import version

        typer.echo(version("graph-server"))
        raise typer.Exit


@app.callback()
def graph(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """A GraphQL API server whose resolvers live in Redis."""
    assert not version
    support.read_dotenv(Path(".env"))
