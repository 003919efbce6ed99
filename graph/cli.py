"""The ``graph`` command: each feature's commands live in a ``cli_*.py`` beside this file and are joined here.

Those files import typer and `cli_support` at their top and everything else inside their functions.
"""

import typer

from graph import cli_catalog, cli_jobs, cli_leaderboard, cli_server, cli_user

app = typer.Typer(
    name="graph",
    help="A GraphQL API server whose resolvers live in Redis.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
# A file's commands join the top level; one that is a group gets a name: app.add_typer(cli_user.app, name="user")
app.add_typer(cli_server.app)
app.add_typer(cli_catalog.app)
app.add_typer(cli_jobs.app, name="jobs")
app.add_typer(cli_leaderboard.app, name="rebuild")
app.add_typer(cli_user.app, name="user")


def main() -> None:
    """Run the command line."""
    app()
