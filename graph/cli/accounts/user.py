"""``graph user``: add users, change passwords and roles, list and end sessions. For operators.

A password is prompted for without an echo, or read as one line from standard input if that is not a terminal, so that
it does not get into the shell history or the process list.
"""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from graph.cli import support

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from graph.accounts import AccountService, NoAdminLeft, UserRecord
    from graph.services import Services

T = TypeVar("T")

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

    shown = name if name is not None else email.strip().partition("@")[0]
    made = support.with_services(lambda services: services.accounts.add(email, password, shown, Role(role)))
    if isinstance(made, EmailInUse):
        support.fail(f"there is a user {email} already")
    _tell(f"{email} may sign in as {role}.", password if random else None)


@app.command()
def passwd(email: _Email, *, random: _Random = False) -> None:
    """Change a user's password; all their sessions end."""
    password = _password(random=random)
    ended = _with_user(email, lambda accounts, user: accounts.reset_password(user, password))
    _tell(f"{email} has a new password; {_ended(ended)}", password if random else None)


@app.command()
def role(email: _Email, role: Annotated[RoleOption, typer.Argument(case_sensitive=False)]) -> None:
    """Change a user's role; all their sessions, which carry the old one, end."""
    from graph.accounts import Role

    ended = _with_user(email, lambda accounts, user: accounts.set_role(user, Role(role)))
    _tell(f"{email} is now {role}; {_ended(ended)}")


@app.command()
def sessions(email: _Email) -> None:
    """List a user's sessions, the most recently used first."""
    from rich.markup import escape
    from rich.table import Table

    table = Table("session", "last active", "begun", "ends", "address", "user agent", box=None, pad_edge=False)
    for one in _with_user(email, lambda accounts, user: accounts.sessions.list(str(user.id))):
        times = (support.moment(seconds) for seconds in (one.last_active_at, one.created_at, one.expires_at))
        table.add_row(one.id, *times, escape(one.ip_address or ""), escape(one.user_agent or ""))
    support.show(table)


@app.command(name="list")
def list_users() -> None:
    """List all users, by id."""
    from rich.markup import escape
    from rich.table import Table

    async def read(services: "Services") -> Table:
        table = Table("id", "email", "name", "role", "made", "", box=None, pad_edge=False)
        after = 0
        while page := await services.accounts.listed(after=after):
            for user, locked in page:
                made = support.moment(user.created_at)
                state = "deleted" if user.deleted else "disabled" if locked else ""
                table.add_row(str(user.id), escape(user.email), escape(user.display_name), user.role, made, state)
            after = page[-1][0].id
        return table

    support.show(support.with_services(read))


@app.command()
def disable(email: _Email) -> None:
    """Prevent a user from signing in, and end all their sessions; `enable` undoes it. API keys they made go on."""
    ended = _with_user(email, lambda accounts, user: accounts.lock(user))
    _tell(f"{email} is disabled; {_ended(ended)}")


@app.command()
def enable(email: _Email) -> None:
    """Let a user who was disabled sign in again."""
    _with_user(email, lambda accounts, user: accounts.unlock(user))
    _tell(f"{email} may sign in.")


@app.command()
def delete(
    email: _Email, *, yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False
) -> None:
    """Delete a user's personal data for good. Scores stay, under a player without a name, unless they are set to go."""
    if not yes:
        typer.confirm(f"Delete {email} for good?", abort=True, err=True)

    from graph import leaderboard

    async def erase(services: "Services") -> None:
        accounts, boards = services.accounts, services.find(leaderboard.FEATURE)
        found = await accounts.credentials((await _find(accounts, email)).id)
        if found is None or await accounts.erase(found, also=boards and boards.leaving) is None:
            support.fail(f"{email} was changed at the same time; try again")
        if boards is not None:
            await boards.left(found.user.id)

    support.with_services(erase)
    _tell(f"{email} is deleted.")


@app.command()
def reset(email: _Email) -> None:
    """Print a token with which the user can set a new password (resetPassword), once and within an hour."""

    async def issue(services: "Services") -> str:
        found = await services.accounts.credentials((await _find(services.accounts, email)).id)
        if found is None or found.locked:
            support.fail(f"{email} is disabled")
        return await services.recovery.issue_reset(found)

    typer.echo(support.with_services(issue))


# Ids of sessions may begin with a hyphen.
@app.command(context_settings={"ignore_unknown_options": True, "help_option_names": ["--help"]})
def revoke(
    email: _Email,
    session: Annotated[
        str | None, typer.Argument(help="The session's id as `sessions` shows it; without it, all sessions.")
    ] = None,
) -> None:
    """End one session of a user, or all of them."""

    async def end(accounts: "AccountService", user: "UserRecord") -> int:
        if session is None:
            return await accounts.sessions.revoke_all(str(user.id))
        return int(await accounts.sessions.revoke(str(user.id), session))

    ended = _with_user(email, end)
    if session is not None and not ended:
        support.fail(f"{email} has no such session")
    _tell(_ended(ended))


# --- what the commands share ---


def _with_user(email: str, work: "Callable[[AccountService, UserRecord], Coroutine[Any, Any, T]]") -> T:
    """Run `work` on the user with this email; ends the command if there is none."""

    async def main(services: "Services") -> T:
        return await work(services.accounts, await _find(services.accounts, email))

    return support.with_services(main)


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


def _ended(count: "int | NoAdminLeft") -> str:
    assert isinstance(count, int), "an operator may do all"
    return f"{count} session{'' if count == 1 else 's'} ended."


def _tell(message: str, password: str | None = None) -> None:
    typer.echo(message)
    if password is not None:
        typer.echo(f"Password: {password}")
