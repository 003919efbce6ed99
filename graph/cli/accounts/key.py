"""``graph key``: create, list and revoke API keys. For operators."""

from enum import StrEnum
from typing import Annotated

import typer

from graph.cli import support

app = typer.Typer(no_args_is_help=True, help="API keys of game servers and importers: create, list, revoke.")


class ScopeOption(StrEnum):
    """The members of `graph.apikeys.ApiKeyScope`, which takes too long to import for ``--help``."""

    SCORES = "SCORES"
    BOARDS = "BOARDS"
    CATALOG = "CATALOG"


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="What it is for.")],
    *,
    scope: Annotated[list[ScopeOption], typer.Option(case_sensitive=False, help="What it may do; may be repeated.")],
    limit: Annotated[int, typer.Option(min=1, help="Operations that may pass in a minute.")] = 1000,
) -> None:
    """Create a key; it is printed once, and not stored."""
    from graph.apikeys import ApiKeyScope

    scopes = [ApiKeyScope(one) for one in scope]
    key, _ = support.with_services(lambda services: services.api_keys.create(name, scopes, limit, by=0))
    typer.echo(key)


@app.command(name="list")
def list_keys() -> None:
    """List the keys that are not revoked."""
    from rich.markup import escape
    from rich.table import Table

    table = Table("id", "name", "scopes", "per minute", "last used", "made", "by user", box=None, pad_edge=False)
    for one in support.with_services(lambda services: services.api_keys.list()):
        scopes = " ".join(scope.value for scope in one.scopes)
        used = "" if one.last_used_at is None else support.moment(one.last_used_at)
        made, by = support.moment(one.created_at), str(one.created_by or "")
        table.add_row(str(one.id), escape(one.name), scopes, str(one.operations), used, made, by)
    support.show(table)


@app.command()
def revoke(number: Annotated[int, typer.Argument(metavar="ID", help="As listed.")]) -> None:
    """Revoke a key everywhere at once."""
    if not support.with_services(lambda services: services.api_keys.revoke(number)):
        support.fail(f"there is no key {number}")
    typer.echo(f"Key {number} is revoked.")
