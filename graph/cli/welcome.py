"""What `graph serve` does for whoever has just started it: fills an empty database, and says where the server is."""

import logging
import socket
import sys
from pathlib import Path

from graph import log
from graph.catalog import SEED_COUNT, seed_if_empty
from graph.cli import support
from graph.leaderboard import seed_demo
from graph.services import Services
from graph.settings import Settings, without_password

logger = logging.getLogger(__name__)


async def prepare(settings: Settings, services: Services) -> None:
    """Fill an empty database, and say how far that is."""

    def tell(done: int) -> None:
        logger.info("filling the empty catalog with made-up products: %s of %s", f"{done:,}", f"{SEED_COUNT:,}")

    if added := await seed_if_empty(services.catalog, on_progress=tell):
        logger.info("filled the empty catalog with %s made-up products", f"{added:,}")
    # The admin is made while there are no users, so before the made-up players.
    email = settings.accounts.first_admin
    if email != "none" and (password := await services.accounts.add_first_admin(email, "Admin")) is not None:
        # Printed, not logged, and kept nowhere else.
        sys.stderr.write(f"First start: sign in as {email} with the password {password} (shown this once)\n")

    def tell_board(name: str) -> None:
        logger.info("filling the leaderboard %s with made-up players", name)

    if boards := await seed_demo(services.database, services.leaderboards, on_board=tell_board):
        logger.info("made %s leaderboards with made-up players", boards)


def announce(settings: Settings, listener: socket.socket) -> None:
    """Say where the server is: a short table on a terminal, a log line elsewhere."""
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
    console = support.console(stderr=True)
    console.print()
    for name, value in (
        ("GraphQL", f"[bold]{url}/graphql[/]  [dim](in a browser: GraphiQL)[/]"),
        ("Health", f"{url}/readyz"),
        ("Metrics", f"{url}/metrics"),
        ("Redis", redis),
        ("SQL", sql),
    ):
        console.print(f"  [dim]{name:<8}[/] {value}", soft_wrap=True)  # an address is copied whole
    console.print("\n  [dim]Ctrl-C stops it.[/]\n")


def _short(path: Path) -> str:
    """`path` as seen from here."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
