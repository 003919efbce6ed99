"""Settings: their variables, their errors, and that a worker process gets the same ones."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import ValidationError
from sqlalchemy.engine import make_url

from graph.cli.settings import shown
from graph.settings import DatabaseSettings, RedisSettings, ServerSettings, Settings, sqlite_url, unknown_variables
from graph.settings_group import SettingsError
from tests.support.processes.fork_server import command


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start from an environment without any."""
    for name in [name for name in os.environ if name.startswith("GRAPH_")]:
        monkeypatch.delenv(name)


def test_defaults_are_those_of_the_documentation() -> None:
    """The names and defaults that users rely on."""
    defaults = {variable: field.default for variable, _, _, field in Settings.fields()}
    promised = {
        "GRAPH_HOST": "127.0.0.1",
        "GRAPH_PORT": 8000,
        "GRAPH_DATA_DIR": Path(".graph"),
        "GRAPH_REDIS_URL": None,
        "GRAPH_DATABASE_URL": None,
        "GRAPH_DEBUG": False,
        "GRAPH_RATE_LIMIT_AUTHENTICATED": 100,
        "GRAPH_RATE_LIMIT_ANONYMOUS": 20,
    }
    assert promised.items() <= defaults.items()


def test_every_setting_has_its_own_variable_and_a_meaning() -> None:
    """No two fields share a variable, and each says what it is for."""
    fields = list(Settings.fields())
    assert len({variable for variable, *_ in fields}) == len(fields)
    assert [variable for variable, _, _, field in fields if not field.description] == []


def test_a_plain_construction_reads_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """``Settings()`` is the defaults whatever the environment says."""
    monkeypatch.setenv("GRAPH_PORT", "9000")
    assert Settings().server.port == ServerSettings().port == 8000
    assert Settings.from_environment().server.port == 9000


def test_tls_to_postgresql_may_be_said_as_libpq_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """``sslmode=`` means what it means elsewhere; files, which the driver takes otherwise, are told how."""
    monkeypatch.setenv("GRAPH_DATABASE_URL", "postgresql+asyncpg://u@h/d?sslmode=verify-full")
    assert Settings.from_environment().database_url == "postgresql+asyncpg://u@h/d?ssl=verify-full"
    monkeypatch.setenv("GRAPH_DATABASE_URL", "postgresql+asyncpg://u@h/d?sslmode=require&sslrootcert=ca.pem")
    with pytest.raises(SettingsError, match="PGSSLROOTCERT"):
        Settings.from_environment()


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    """``GRAPH_REDIS_URL=`` means the embedded Valkey, as compose files have it."""
    monkeypatch.setenv("GRAPH_REDIS_URL", "")
    assert Settings.from_environment().redis.url is None


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("GRAPH_PORT", "tcp://10.0.0.1:80"),
        ("GRAPH_PORT", "70000"),
        ("GRAPH_LOG", "loud"),
        ("GRAPH_REDIS_PREFIX", "a{b}"),
    ],
)
def test_a_senseless_value_is_told_by_its_variable(variable: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the variable and the value, in one line."""
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as caught:
        Settings.from_environment()
    assert str(caught.value).startswith(f"{variable}='{value}': ")
    assert "\n" not in str(caught.value)


def test_a_mistyped_variable_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown GRAPH_ variable is reported with the setting that was perhaps meant."""
    monkeypatch.setenv("GRAPH_REDIS_ULR", "redis://x")
    assert unknown_variables() == [("GRAPH_REDIS_ULR", "GRAPH_REDIS_URL")]


def test_settings_survive_the_way_through_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `environment` gives, `from_environment` reads back, so that worker processes have the same settings."""
    settings = Settings(
        server=ServerSettings(port=0, data_dir=Path("/A b"), debug=True, workers=3, grace=2.5),
        redis=RedisSettings(url="rediss://:p%40ss@host:6380/1"),
    )
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    assert Settings.from_environment() == settings


def test_settings_cannot_be_changed() -> None:
    """They are frozen, group by group."""
    with pytest.raises(ValidationError):
        Settings().server.port = 1


def test_passwords_are_not_shown() -> None:
    """``graph settings`` prints URLs without their passwords."""
    assert shown("rediss://user:hunter2@host:6380/1") == "rediss://user:***@host:6380/1"
    assert "hunter2" not in shown("postgresql+asyncpg://u:hunter2@h/db")
    assert "hunter2" not in shown("redis+sentinel://:hunter2@a:1,b:2/mymaster")
    assert "hunter2" not in shown("unix:///run/redis?password=hunter2&db=1")
    assert "hunter2" not in shown("redis://:hunt/er2:hunter2@h")


def test_the_command_lists_what_is_in_force(tmp_path: Path) -> None:
    """``graph settings`` shows the value that a variable set."""
    done = command(tmp_path, "settings", GRAPH_PORT="9123")
    assert done.returncode == 0
    assert "9123" in done.stdout


def test_a_file_is_found_by_its_url_whatever_its_name() -> None:
    """The path that settings give is the one that SQLAlchemy opens, and a URL of one's own may be quoted."""
    path = Path("/srv/ünï #1 %41 ?x=1&y :@/graph.db")
    mine = Settings(database=DatabaseSettings(url=sqlite_url(path)))
    assert mine.database_path == path
    assert make_url(sqlite_url(path)).database == str(path)
    quoted = Settings(database=DatabaseSettings(url="sqlite:////srv/my%20shop/graph.db?timeout=3"))
    assert quoted.database_path == Path("/srv/my shop/graph.db")
