"""``graph user``: what an operator does with users and their sessions."""

from __future__ import annotations

import os
import re
from importlib.metadata import version
from typing import TYPE_CHECKING

import pytest
import typer
import uvloop
from typer.testing import CliRunner, Result

from graph.accounts.records import Role, Visitor
from graph.cli import support
from graph.cli.accounts.user import RoleOption
from graph.cli.commands import app
from graph.patterns.client import open_client
from graph.services import open_services
from graph.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

    from harness.valkey import ValkeyServer

PASSWORD = "correct horse battery staple"


@pytest.fixture(autouse=True)
def environment(valkey: ValkeyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty Redis and an empty data directory."""

    async def empty() -> None:
        async with open_client(valkey.url) as client:
            await client.execute("FLUSHALL", retry=False)

    uvloop.run(empty())
    monkeypatch.setenv("GRAPH_REDIS_URL", valkey.url)
    monkeypatch.setenv("GRAPH_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("NO_COLOR", "1")


def user(*arguments: str, stdin: str | None = None) -> Result:
    """Run ``graph user ARGUMENTS``."""
    return CliRunner().invoke(app, ["user", *arguments], input=stdin)


def sign_in(email: str, password: str) -> str:
    """How a login ends."""

    async def login() -> str:
        async with open_services(Settings.from_environment()) as services:
            outcome = await services.accounts.login(email, password, Visitor("192.0.2.1", "192.0.2.1", "Lynx"))
            return type(outcome).__name__

    return uvloop.run(login())


def test_a_user_is_added_and_signs_in() -> None:
    """The password comes from standard input and is shown nowhere."""
    added = user("add", "Ann@example.org", "--role", "admin", "--name", "Ann", stdin=f"{PASSWORD}\n")
    assert added.exit_code == 0, added.output
    assert PASSWORD not in added.output
    assert sign_in("ann@example.org", PASSWORD) == "SignedIn"
    again = user("add", "ann@EXAMPLE.org", stdin=f"{PASSWORD}\n")
    assert (again.exit_code, "already" in again.output) == (1, True)


def test_a_random_password_is_told_once() -> None:
    """With --random the password is printed, and it works."""
    for command in ("add", "passwd"):
        told = re.search(r"Password: (\S+)", user(command, "ann@example.org", "--random").output)
        assert told is not None
        assert len(told[1]) >= 16
        assert sign_in("ann@example.org", told[1]) == "SignedIn"


def test_sessions_are_listed_and_ended() -> None:
    """Each session stands on a line; one is ended by its id, the rest together."""
    user("add", "ann@example.org", stdin=f"{PASSWORD}\n")
    for _ in range(3):
        sign_in("ann@example.org", PASSWORD)
    listed = user("sessions", "ann@example.org").output.splitlines()
    assert len(listed) == 4
    assert all("192.0.2.1" in line and "Lynx" in line for line in listed[1:])
    first = listed[1].split()[0]
    assert user("revoke", "ann@example.org", first).output == "1 session ended.\n"
    assert user("revoke", "ann@example.org", first).exit_code == 1
    assert user("revoke", "ann@example.org").output == "2 sessions ended.\n"
    assert len(user("sessions", "ann@example.org").output.splitlines()) == 1


@pytest.mark.parametrize("session", ["-A4b", "-h4b", "--A4b", "-"])
def test_the_id_of_a_session_may_begin_with_a_hyphen(session: str) -> None:
    """It is random, in the letters of URLs; it is taken for an id, not for an option."""
    user("add", "ann@example.org", stdin=f"{PASSWORD}\n")
    assert "no such session" in user("revoke", "ann@example.org", session).output


def test_a_new_password_or_role_ends_the_sessions() -> None:
    """What a session stood for is gone: the user signs in again."""
    user("add", "ann@example.org", stdin=f"{PASSWORD}\n")
    sign_in("ann@example.org", PASSWORD)
    assert "1 session ended" in user("role", "ann@example.org", "service").output
    sign_in("ann@example.org", PASSWORD)
    assert "1 session ended" in user("passwd", "ann@example.org", stdin="another long phrase\n").output
    assert sign_in("ann@example.org", PASSWORD) == "WrongCredentials"


@pytest.mark.parametrize(
    ("arguments", "stdin", "complaint"),
    [
        (("add", "nonsense"), PASSWORD, "not an email"),
        (("add", "ann@example.org"), "short", "at least 8"),
        (("add", "ann@example.org"), "password1", "attacker"),
        (("passwd", "nobody@example.org"), PASSWORD, "no user"),
        (("role", "nobody@example.org", "ADMIN"), None, "no user"),
        (("sessions", "nobody@example.org"), None, "no user"),
        (("revoke", "nobody@example.org"), None, "no user"),
    ],
)
def test_what_cannot_be_done_is_told_in_a_sentence(
    arguments: tuple[str, ...], stdin: str | None, complaint: str
) -> None:
    """Exit status 1 and one line, never a traceback."""
    result = user(*arguments, stdin=stdin)
    assert result.exit_code == 1
    assert complaint in result.output
    assert len(result.output.splitlines()) == 1


def test_every_role_can_be_given() -> None:
    """The command line names the roles that there are."""
    assert {one.name: one.value for one in RoleOption} == {one.name: one.value for one in Role}


def test_an_api_key_is_made_listed_and_revoked() -> None:
    """It is printed once, alone on its line, so that a script can take it."""

    def key(*arguments: str) -> Result:
        return CliRunner().invoke(app, ["key", *arguments])

    made = key("add", "lobby [7]", "--scope", "scores", "--scope", "CATALOG", "--limit", "50")
    assert made.exit_code == 0, made.output
    assert re.fullmatch(r"key-1-50\.[\w-]{43}\n", made.stdout)
    listed = key("list").stdout
    assert re.search(r"1\s+lobby \[7\]\s+SCORES CATALOG\s+50\s", listed)
    assert key("revoke", "1").exit_code == 0
    assert "lobby" not in key("list").stdout
    assert key("revoke", "1").exit_code == 1
    assert key("add", " ", "--scope", "scores").exit_code == 1


def test_users_are_listed_disabled_and_deleted() -> None:
    """Every change is seen in the list; deleting asks, and nothing brings the password back."""
    for name in ("ann", "bob"):
        assert user("add", f"{name}@example.org", stdin=f"{PASSWORD}\n").exit_code == 0
    listed = user("list").stdout
    assert re.search(r"1\s+ann@example\.org\s+ann\s+PLAYER", listed)
    assert "disabled" not in listed
    assert user("disable", "ann@example.org").exit_code == 0
    assert sign_in("ann@example.org", PASSWORD) == "WrongCredentials"
    assert re.search(r"ann@example\.org.*disabled", user("list").stdout)
    assert user("reset", "ann@example.org").exit_code == 1
    assert user("enable", "ann@example.org").exit_code == 0
    assert sign_in("ann@example.org", PASSWORD) == "SignedIn"
    assert user("delete", "bob@example.org", stdin="n\n").exit_code == 1
    assert sign_in("bob@example.org", PASSWORD) == "SignedIn"
    assert user("delete", "bob@example.org", "--yes").exit_code == 0
    listed = user("list").stdout
    assert "bob" not in listed
    gone = re.search(r"2\s+(\S+@deleted\.invalid).*deleted$", listed, re.MULTILINE)
    assert gone is not None
    assert "disabled" not in listed
    assert user("delete", "bob@example.org", "--yes").exit_code == 1
    for command in (("passwd", "--random"), ("enable",), ("disable",), ("reset",), ("role", "ADMIN"), ("sessions",)):
        refused = user(command[0], gone[1], *command[1:])
        assert (refused.exit_code, "there is no user" in refused.output) == (1, True), command


def test_a_password_is_reset_by_a_token() -> None:
    """An operator hands it out; it stands alone on its line and works."""
    assert user("add", "ann@example.org", stdin=f"{PASSWORD}\n").exit_code == 0
    token = user("reset", "ann@example.org").stdout.strip()

    async def replace() -> int | None:
        async with open_services(Settings.from_environment()) as services:
            return await services.recovery.reset(token, "another horse battery staple")

    assert uvloop.run(replace()) == 0
    assert sign_in("ann@example.org", "another horse battery staple") == "SignedIn"


def test_settings_are_read_from_an_env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the environment says nothing; other variables in the file are left alone. The version is told."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GRAPH_PORT", "8123")
    for name in ("GRAPH_HOST", "OTHER_SECRET"):  # so that they are taken away at the end
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    (tmp_path / ".env").write_text("GRAPH_PORT=8124\nGRAPH_HOST='192.0.2.7'\nOTHER_SECRET=1\n")
    shown = CliRunner().invoke(app, ["settings"]).output
    assert "192.0.2.7" in shown
    assert "8123" in shown
    assert "8124" not in shown
    assert "OTHER_SECRET" not in os.environ
    told = CliRunner().invoke(app, ["--version"])
    assert (told.exit_code, told.output.strip()) == (0, version("graph-server"))


def test_a_new_database_is_made_after_asking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal; whoever says no has an empty directory as before."""
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setenv("GRAPH_DATA_DIR", str(tmp_path / "new"))
    answer = iter([False, True])

    def confirm(text: str, *, abort: bool, err: bool) -> None:
        assert "no database" in text
        assert abort
        assert err
        if not next(answer):
            raise typer.Abort

    monkeypatch.setattr(typer, "confirm", confirm)

    async def prepare() -> None:
        await support.prepare(Settings.from_environment())

    with pytest.raises(typer.Abort):
        uvloop.run(prepare())
    assert not (tmp_path / "new").exists()
    uvloop.run(prepare())
    assert (tmp_path / "new" / "graph.db").exists()
    uvloop.run(prepare())
