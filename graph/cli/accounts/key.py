"""``graph key``: create, list and revoke API keys. For operators."""

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from graph.cli import support

if TYPE_CHECKING:
    from graph.apikeys import ApiKeyRecord

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
    from graph.errors import Invalid

    async def make() -> str:
        async with support.services() as services:
            try:
                key, _ = await services.api_keys.create(name, [ApiKeyScope(one) for one in scope], limit, by=0)
            except Invalid as problem:
                support.fail(problem.message)
            return key

    typer.echo(support.run(make))


@app.command(name="list")
def list_keys() -> None:
    """List the keys that are not revoked."""
    from rich.markup import escape
    from rich.table import Table

    async def read() -> list["ApiKeyRecord"]:
        async with support.services() as services:
            return await services.api_keys.list()

    table = Table("id", "name", "scopes", "per minute", "last used", "made", box=None, pad_edge=False)
    for one in support.run(read):
        scopes = " ".join(scope.value for scope in one.scopes)
        used = "" if one.last_used_at is None else _moment(one.last_used_at)
        table.add_row(str(one.id), escape(one.name), scopes, str(one.operations), used, _moment(one.created_at))
    support.show(table)


@app.command()
def revoke(number: Annotated[int, typer.Argument(metavar="ID", help="As listed.")]) -> None:
    """Revoke a key everywhere at once."""

    async def end() -> bool:
        async with support.services() as services:
            return await services.api_keys.revoke(number)

    if not support.run(end):
        support.fail(f"there is no key {number}")
    typer.echo(f"Key {number} is revoked.")


def _moment(value: datetime) -> str:
    return value.strftime("%Y-%m-%d %H:%M")
