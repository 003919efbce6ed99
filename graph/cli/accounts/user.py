"""``graph user``: add users, change passwords and roles, list and end sessions. For operators.

A password is prompted for without an echo, or read as one line from standard input if that is not a terminal, so that
it does not get into the shell history or the process list.
"""

from contextlib import asynccontextmanager
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from graph.cli import support

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from graph.accounts import AccountService, UserRecord

app = typer.Typer(no_args_is_help=True, help="Users: add, list, disable, delete; passwords, roles and sessions.")


class RoleOption(StrEnum):
    """The members of `graph.accounts.records.Role`, which takes too long to import for ``--help``."""

    PLAYER = "PLAYER"
    SERVICE = "SERVICE"
    ADMIN = "ADMIN"


_Email = Annotated[str, typer.Argument(help="The user's email.")]
_Random = Annotated[bool, typer.Option("--random", help="Generate a password and print it.")]
_Role = Annotated[RoleOption, typer.Option(case_sensitive=False, help="What the user may do.")]


@app.command()
def add(
    email: _Email,
    *,
    name: Annotated[str | None, typer.Option(help="What others see; by default the email's first part.")] = None,
    role: _Role = RoleOption.PLAYER,
    random: _Random = False,
) -> None:
    """Create a user."""
    from graph.accounts import EmailInUse, Role

    password = _password(random=random)

    async def create() -> None:
        async with _accounts() as accounts:
            shown = name if name is not None else email.strip().partition("@")[0]
            if isinstance(await accounts.add(email, password, shown, Role(role)), EmailInUse):
                support.fail(f"there is a user {email} already")

    support.run(create)
    _tell(f"{email} may sign in as {role}.", password if random else None)


@app.command()
def passwd(email: _Email, *, random: _Random = False) -> None:
    """Change a user's password; all their sessions end."""
    password = _password(random=random)

    async def change() -> int:
        async with _accounts() as accounts:
            return await accounts.reset_password(await _find(accounts, email), password)

    ended = support.run(change)
    _tell(f"{email} has a new password; {_ended(ended)}", password if random else None)


@app.command()
def role(email: _Email, role: Annotated[RoleOption, typer.Argument(case_sensitive=False)]) -> None:
    """Change a user's role; all their sessions, which carry the old one, end."""
    from graph.accounts import Role

    async def change() -> int:
        async with _accounts() as accounts:
            return await accounts.set_role(await _find(accounts, email), Role(role))

    _tell(f"{email} is now {role}; {_ended(support.run(change))}")


@app.command()
def sessions(email: _Email) -> None:
    """List a user's sessions, the most recently used first."""
    from rich.markup import escape
    from rich.table import Table

    async def read() -> Table:
        async with _accounts() as accounts:
            listed = await accounts.sessions.list(str((await _find(accounts, email)).id))
        table = Table("session", "last active", "begun", "ends", "address", "user agent", box=None, pad_edge=False)
        for one in listed:
            times = (_moment(seconds) for seconds in (one.last_active_at, one.created_at, one.expires_at))
            table.add_row(one.id, *times, escape(one.ip_address or ""), escape(one.user_agent or ""))
        return table

    support.show(support.run(read))


@app.command(name="list")
def list_users() -> None:
    """List all users, by id."""
    from rich.markup import escape
    from rich.table import Table

    async def read() -> Table:
        table = Table("id", "email", "name", "role", "made", "", box=None, pad_edge=False)
        async with _accounts() as accounts:
            after = 0
            while page := await accounts.listed(after=after):
                for user, locked in page:
                    made, state = user.created_at.strftime("%Y-%m-%d %H:%M:%SZ"), "disabled" if locked else ""
                    table.add_row(str(user.id), escape(user.email), escape(user.display_name), user.role, made, state)
                after = page[-1][0].id
        return table

    support.show(support.run(read))


@app.command()
def disable(email: _Email) -> None:
    """Prevent a user from signing in, and end all their sessions; `enable` undoes it."""

    async def lock() -> int:
        async with _accounts() as accounts:
            return await accounts.lock(await _find(accounts, email))

    _tell(f"{email} is disabled; {_ended(support.run(lock))}")


@app.command()
def enable(email: _Email) -> None:
    """Let a user who was disabled sign in again."""

    async def unlock() -> None:
        async with _accounts() as accounts:
            await accounts.lock(await _find(accounts, email), locked=False)

    support.run(unlock)
    _tell(f"{email} may sign in.")


@app.command()
def delete(
    email: _Email, *, yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False
) -> None:
    """Delete a user's personal data for good; scores stay, under a player without a name."""
    if not yes:
        typer.confirm(f"Delete {email} for good?", abort=True, err=True)

    async def erase() -> None:
        async with _accounts() as accounts:
            found = await accounts.credentials((await _find(accounts, email)).id)
            if found is None or await accounts.erase(found) is None:
                support.fail(f"{email} was changed at the same time; try again")

    support.run(erase)
    _tell(f"{email} is deleted.")


@app.command()
def reset(email: _Email) -> None:
    """Print a token with which the user can set a new password (resetPassword), once and within an hour."""

    async def issue() -> str:
        async with support.services() as services:
            found = await services.accounts.credentials((await _find(services.accounts, email)).id)
            if found is None or found.locked:
                support.fail(f"{email} is disabled")
            return await services.recovery.issue_reset(found)

    typer.echo(support.run(issue))


@app.command()
def revoke(
    email: _Email,
    session: Annotated[
        str | None, typer.Argument(help="The session's id as `sessions` shows it; without it, all sessions.")
    ] = None,
) -> None:
    """End one session of a user, or all of them."""

    async def end() -> int:
        async with _accounts() as accounts:
            user = str((await _find(accounts, email)).id)
            if session is None:
                return await accounts.sessions.revoke_all(user)
            return int(await accounts.sessions.revoke(user, session))

    ended = support.run(end)
    if session is not None and not ended:
        support.fail(f"{email} has no such session")
    _tell(_ended(ended))


# --- what the commands share ---


@asynccontextmanager
async def _accounts() -> "AsyncGenerator[AccountService]":
    async with support.services() as services:
        yield services.accounts


async def _find(accounts: "AccountService", email: str) -> "UserRecord":
    found = await accounts.find(email)
    if found is None:
        support.fail(f"there is no user {email}")
    return found


def _password(*, random: bool) -> str:
    import secrets
    import sys

    if random:
        return secrets.token_urlsafe(12)
    if sys.stdin.isatty():
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
    return sys.stdin.readline().removesuffix("\n").removesuffix("\r")


def _ended(count: int) -> str:
    return f"{count} session{'' if count == 1 else 's'} ended."


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def _tell(message: str, password: str | None = None) -> None:
    typer.echo(message)
    if password is not None:
        typer.echo(f"Password: {password}")
