"""The first steps of `graph serve`: fills an empty database, creates the first admin, prints the addresses."""

import logging
import socket
import sys
from pathlib import Path

from rich.markup import escape

from graph import accounts, log
from graph.catalog import SEED_COUNT, seed_if_empty
from graph.cli import support
from graph.engines.failures import patiently
from graph.errors import Invalid
from graph.leaderboard import seed_demo
from graph.product import APP
from graph.services import Services
from graph.settings import AccountSettings, Settings
from graph.settings_group import without_password

logger = logging.getLogger(__name__)

PASSWORD_FILE = "first-admin-password"  # noqa: S105 - the name of the file that holds it


async def prepare(settings: Settings, services: Services) -> None:
    """Fill an empty database, and report progress; wait for another process that is doing so."""

    def tell(done: int) -> None:
        logger.info("filling the empty catalog with demo products: %s of %s", f"{done:,}", f"{SEED_COUNT:,}")

    demo = services.app is APP  # an application of one's own has data of its own
    if demo and (added := await seed_if_empty(services.catalog, on_progress=tell)):
        logger.info("filled the empty catalog with %s demo products", f"{added:,}")
    # The admin is created only if there are no users, so before the demo players.
    email = settings.accounts.first_admin
    if email != "none" and services.find(accounts.FEATURE) is not None:
        await make_admin(settings, services, email)

    def tell_board(name: str) -> None:
        logger.info("filling the leaderboard %s with demo players", name)

    if demo and (boards := await seed_demo(services.database, services.leaderboards, on_board=tell_board)):
        logger.info("created %s leaderboards with demo players", boards)


async def make_admin(settings: Settings, services: Services, email: str) -> None:
    """Create the first admin if there are no users, and show the password without logging it."""
    chosen = _chosen_password(settings.accounts)
    try:
        password = await patiently(lambda: services.accounts.add_first_admin(email, "Admin", chosen))
    except Invalid as problem:
        support.fail(f"GRAPH_ACCOUNTS_FIRST_ADMIN and its password: {problem.message}")
    if password is None:
        return
    sign_in = f"First start: sign in as {email} with the password"
    if chosen is not None:
        logger.info("%s that was set, and change it (changePassword)", sign_in)
    elif sys.stderr.isatty():
        sys.stderr.write(f"{sign_in} {password} (shown this once), and change it (changePassword)\n")
    else:  # standard error ends in a log
        path = settings.server.data_dir.resolve() / PASSWORD_FILE
        path.unlink(missing_ok=True)
        path.touch(0o600, exist_ok=False)
        path.write_text(f"{password}\n", encoding="utf-8")
        logger.info("%s in %s, change it (changePassword) and remove the file", sign_in, path)


def _chosen_password(chosen: AccountSettings) -> str | None:
    """Return the first admin's password from the settings; None if they have none."""
    if chosen.first_password is not None:
        return chosen.first_password.get_secret_value()
    if chosen.first_password_file is None:
        return None
    try:
        return chosen.first_password_file.read_text(encoding="utf-8").removesuffix("\n").removesuffix("\r")
    except (OSError, UnicodeDecodeError) as error:
        support.fail(f"GRAPH_ACCOUNTS_FIRST_PASSWORD_FILE={chosen.first_password_file}: {error}")


def announce(settings: Settings, listener: socket.socket) -> None:
    """Print the server's addresses: a short table on a terminal, a log line elsewhere."""
    host, port = listener.getsockname()[:2]
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104 - compared
    url = f"{'https' if settings.server.tls_certificate else 'http'}://{shown}:{port}"
    redis = (
        without_password(settings.redis.url)
        if settings.redis.url
        else f"Valkey in {_short(settings.server.data_dir / 'valkey')}"
    )
    path = settings.database_path
    sql = without_password(settings.database_url) if path is None else f"SQLite in {_short(path)}"
    if log.chosen(settings.server.log, sys.stderr) == "json":
        logger.info("Serving %s/graphql", url, extra={"facts": {"url": url, "redis": redis, "sql": sql}})
        return
    browser = "  [dim](in a browser: GraphiQL)[/]" if settings.endpoint.graphiql else ""
    console = support.console(stderr=True)
    console.print()
    console.print(f"  [dim]GraphQL [/] [bold]{escape(url)}/graphql[/]{browser}", soft_wrap=True)
    for name, value in (
        *([("Console", f"{url}/console")] if settings.endpoint.console else []),
        ("Health", f"{url}/readyz"),
        ("Metrics", f"{url}/metrics"),
        ("Redis", redis),
        ("SQL", sql),
    ):
        console.print(f"  [dim]{name:<8}[/] {escape(value)}", soft_wrap=True)  # an address must not be wrapped
    console.print("\n  [dim]Ctrl-C stops it.[/]\n")


def _short(path: Path) -> str:
    """Return `path` relative to the current directory if it is below it."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
