"""The first admin of a new server: where the password comes from, and where it goes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import sys
from functools import partial
from typing import TYPE_CHECKING

import pytest
import typer

from graph.accounts.records import SignedIn, Visitor
from graph.catalog import seed_if_empty
from graph.cli import welcome
from graph.cli.welcome import PASSWORD_FILE, make_admin, prepare
from graph.engines.database import migrate
from graph.leaderboard import seed_demo
from graph.services import open_services
from graph.settings import AccountSettings, RedisSettings, ServerSettings, Settings
from harness.waiting import HANG, until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from graph.patterns.client import Client
    from harness.valkey import ValkeyServer

ADMIN = "admin@example.com"
CHOSEN = "a phrase that was chosen"


@pytest.fixture
def settings(valkey: ValkeyServer, client: Client, tmp_path: Path) -> Settings:
    """A server in an empty directory."""
    assert client
    return Settings(server=ServerSettings(data_dir=tmp_path), redis=RedisSettings(url=valkey.url))


async def made(settings: Settings, **accounts: object) -> SignedIn | object:
    """Make the admin twice, as two starts do, and sign in with what stands in the file, or with `CHOSEN`."""
    chosen = settings.model_copy(update={"accounts": AccountSettings(**accounts)})  # pyright: ignore[reportArgumentType] - a table
    await migrate(settings.database_url)
    async with open_services(chosen) as services:
        for _ in range(2):
            await make_admin(chosen, services, ADMIN)
        file = settings.server.data_dir / PASSWORD_FILE
        password = file.read_text().strip() if file.exists() else CHOSEN
        return await services.accounts.login(ADMIN, password, Visitor("192.0.2.1"))


def version(connection: sqlite3.Connection) -> int:
    """A number that another one's commit changes."""
    return connection.execute("PRAGMA data_version").fetchone()[0]


async def test_a_first_start_waits_while_another_process_writes(
    settings: Settings,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    scaled: Callable[[int, int], int],
) -> None:
    """However long and often another one holds the database, everything is there in the end."""
    caplog.set_level(logging.INFO)
    products, players = scaled(6000, 1500), scaled(1000, 250)
    monkeypatch.setattr("graph.engines.database.BUSY_TIMEOUT", 0.01)
    monkeypatch.setattr("graph.catalog.seed.BATCH", products - 100)  # two transactions
    monkeypatch.setattr(welcome, "seed_if_empty", partial(seed_if_empty, count=products))
    monkeypatch.setattr(welcome, "seed_demo", partial(seed_demo, players=players))
    await migrate(settings.database_url)
    path = settings.database_path
    assert path is not None
    async with open_services(settings) as services:
        with contextlib.closing(
            sqlite3.connect(path, timeout=HANG, isolation_level=None, check_same_thread=False)
        ) as other:
            other.execute("BEGIN IMMEDIATE")
            starting = asyncio.create_task(prepare(settings, services))
            while not starting.done():
                told = caplog.text.count("another process is writing")
                await until(lambda told=told: starting.done() or caplog.text.count("another process is writing") > told)
                other.execute("COMMIT")
                before = version(other)
                await until(lambda before=before: starting.done() or version(other) != before)
                await asyncio.to_thread(other.execute, "BEGIN IMMEDIATE")
            other.execute("COMMIT")
            await starting
            counts = (
                "SELECT (SELECT count(*) FROM product), (SELECT count(*) FROM users), (SELECT count(*) FROM scores)"
            )
            assert other.execute(counts).fetchone() == (products, players + 1, 3 * players)
    assert "another process is writing" in caplog.text


async def test_where_output_ends_in_a_log_the_password_goes_into_a_file(
    settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its owner alone reads the file, and neither a link nor an older file at its place is written into."""
    caplog.set_level(logging.INFO)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.touch(0o644)
    (tmp_path / PASSWORD_FILE).symlink_to(elsewhere)
    assert isinstance(await made(settings), SignedIn)
    file = tmp_path / PASSWORD_FILE
    assert not file.is_symlink()
    assert file.stat().st_mode & 0o777 == 0o600
    assert elsewhere.read_text() == ""
    assert file.read_text().strip() not in caplog.text
    assert str(file) in caplog.text


async def test_on_a_terminal_it_is_shown_once(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And stands in no file."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    await made(settings)
    assert capsys.readouterr().err.count(f"sign in as {ADMIN} with the password ") == 1
    assert not (tmp_path / PASSWORD_FILE).exists()


@pytest.mark.parametrize("how", ["variable", "file"])
async def test_it_may_be_chosen(
    settings: Settings, tmp_path: Path, how: str, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """By a variable or a file; then it is told nowhere, and settings do not show it."""
    caplog.set_level(logging.DEBUG)
    given = tmp_path / "given"
    given.write_text(f"{CHOSEN}\n")
    options: dict[str, object] = {"first_password": CHOSEN} if how == "variable" else {"first_password_file": given}
    found = await made(settings, **options)
    assert isinstance(found, SignedIn)
    assert not (tmp_path / PASSWORD_FILE).exists()
    assert CHOSEN not in caplog.text + capsys.readouterr().err
    accounts = AccountSettings(**options)  # pyright: ignore[reportArgumentType] - a table
    assert CHOSEN not in repr(accounts) + str(accounts.first_password)
    whole = Settings(accounts=accounts).environment()
    assert whole == ({"GRAPH_ACCOUNTS_FIRST_PASSWORD": CHOSEN} if how == "variable" else whole)


@pytest.mark.parametrize("bad", ["password1", "short", ADMIN])
async def test_a_bad_choice_ends_the_command(settings: Settings, bad: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With a sentence, and without an account."""
    with pytest.raises(typer.Exit):
        await made(settings, first_password=bad)
    assert "GRAPH_ACCOUNTS_FIRST_ADMIN" in capsys.readouterr().err
