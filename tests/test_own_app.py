"""An application that `GRAPH_APP` names runs on this server: its features, and of ours those that it lists."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import typer
from pydantic_settings import SettingsConfigDict

from graph.api.schema import sdl
from graph.app import create_app
from graph.background.jobs import definitions, schedules
from graph.catalog.keys import WARM_CATALOG
from graph.cli import support
from graph.cli.doctor import check_sql
from graph.engines.database import Database, migrate
from graph.engines.revisions import Migrations, head_revision
from graph.feature import App, BadApp, Feature, NotListed, load_app
from graph.product import ACCOUNTS
from graph.product import APP as PRODUCT
from graph.services import open_services
from graph.settings import DatabaseSettings, RedisSettings, ServerSettings, Settings, sqlite_url, unknown_variables
from graph.settings_group import SettingsError, SettingsGroup
from tests.support.apps.accounts import REGISTER
from tests.support.apps.lifespan import Lifespan
from tests.support.apps.own.app import APP, BELLS, BellSettings
from tests.support.processes.fork_server import command

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from graph.patterns.client import Client
    from graph.services import Services
    from harness.valkey import ValkeyServer

PLACE = "tests.support.apps.own.app:APP"


@pytest.fixture
def settings(database_url: str, valkey: ValkeyServer) -> Settings:
    """Those of the application, on an empty database of each engine."""
    return Settings(
        server=ServerSettings(app=PLACE),
        redis=RedisSettings(url=valkey.url),
        database=DatabaseSettings(url=database_url),
        others=(BellSettings(loudest=5),),
    )


@pytest.fixture
async def services(settings: Settings, client: Client) -> AsyncIterator[Services]:
    """Everything that the application has."""
    await migrate(settings.database_url, more=APP.migrations)
    async with open_services(settings) as opened:
        yield opened


async def test_it_is_served(settings: Settings, services: Services) -> None:
    """Its fields and those of the features of ours are answered; what is not listed is not there."""
    async with (
        Lifespan(create_app(settings, services)) as manager,
        httpx.AsyncClient(transport=httpx.ASGITransport(manager.app), base_url="http://test") as web,
    ):

        async def ask(query: str, token: str = "", **variables: str) -> Any:
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            sent = {"query": query, "variables": variables}
            return (await web.post("/graphql", json=sent, headers=headers)).json()

        rung: list[Any] = [await ask('mutation { ring(name: "tenor") }') for _ in range(2)]
        assert rung == [{"data": {"ring": 1}}, {"data": {"ring": 2}}]
        assert await ask("{ loudest rateLimit { limit } }") == {"data": {"loudest": 5, "rateLimit": {"limit": 20}}}
        registered = await ask(REGISTER, email="a@example.org", password="correct horse battery staple", name="Ann")
        token: str = registered["data"]["register"]["token"]
        web.cookies.clear()
        exported = await ask("{ exportMe { user { email } scores { board } } }", token)
        assert exported == {"data": {"exportMe": {"user": {"email": "a@example.org"}, "scores": []}}}
        deleted = await ask('mutation { deleteMe(password: "correct horse battery staple") { __typename } }', token)
        assert deleted == {"data": {"deleteMe": {"__typename": "AccountDeleted"}}}
        refused = await ask("{ products { nodes { id } } }")
        assert [error["extensions"]["code"] for error in refused["errors"]] == ["GRAPHQL_VALIDATION_FAILED"]


async def test_its_jobs_are_the_workers(services: Services) -> None:
    """Those of its features, and the schedules."""
    names = [definition.name for definition in definitions(services)]
    assert "strike" in names
    assert WARM_CATALOG not in names
    assert ("strike", 3600.0) in [(one.name, one.every) for one in schedules(services.app)]
    with pytest.raises(NotListed, match="no feature catalog"):
        _ = services.catalog


async def test_its_migrations_are_a_line_of_their_own(services: Services, settings: Settings) -> None:
    """Both lines are at their newest, whichever comes first; a newer one of either is found and made."""
    (line,) = APP.migrations
    assert await services.database.revision(line) == "0001_bells"
    assert await services.database.revision() == head_revision()
    told = [finding.fact async for finding in check_sql(settings) if finding.about == "migrations"]
    assert told == [f"at {head_revision()}, the newest", "at 0001_bells, the newest"]


async def test_a_feature_that_comes_later_finds_its_place(tmp_path: Path) -> None:
    """A database of the server alone gets the tables of a feature, then those of its next migration."""
    url = sqlite_url(tmp_path / "graph.db")
    await migrate(url)
    folder = tmp_path / "versions"
    folder.mkdir()
    first = (APP.migrations[0].folder / "0001_bells.py").read_text()
    (folder / "0001.py").write_text(first)
    line = Migrations(folder, "alembic_version_bells")
    await migrate(url, more=[line])
    second = first.replace('revision = "0001_bells"', 'revision = "0002"', 1).replace("None", '"0001_bells"', 1)
    (folder / "0002.py").write_text(second.replace('"bells"', '"chimes"'))
    async with Database(url) as database:
        assert await database.revision(line) == "0001_bells"
        await migrate(url, more=[line])
        assert await database.revision(line) == "0002"
        assert await database.revision() == head_revision()
    (folder / "0003.py").write_text(second.replace('"0002"', '"0003"'))
    with pytest.raises(ValueError, match="one newest migration that no other comes after: 0002, 0003"):
        await migrate(url, more=[line])


def test_its_schema_is_printed() -> None:
    """With its own description; ours is the one that is in the repository."""
    printed = sdl(APP)
    assert printed.startswith('"""A belfry."""')
    assert "ring(name: String!): Int!" in printed
    assert "type Product " not in printed
    assert load_app("graph.product:APP") is PRODUCT


def test_an_application_without_nodes_has_no_field_for_them() -> None:
    """Nor a mutation, if no feature has one."""
    printed = sdl(App(features=[Feature(name="limit", schema="graph.api.quota:PART")]))
    assert "node(" not in printed
    assert "type Mutation" not in printed


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("tests.support.apps.nowhere:APP", "there is no module tests.support.apps.nowhere"),
        ("nowhere_at_all.app:APP", "there is no module nowhere_at_all"),
        ("tests.support.apps.own.app:NOTHING", "tests.support.apps.own.app has no NOTHING"),
        ("tests.support.apps.own.app:NOT_AN_APP", "is no graph.feature.App"),
    ],
)
def test_a_name_that_leads_nowhere_is_told(
    place: str, told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a sentence that names the setting, by every command."""
    with pytest.raises(BadApp, match=re.escape(told)):
        load_app(place)
    monkeypatch.setenv("GRAPH_APP", place)
    with pytest.raises(typer.Exit):
        support.read_settings()
    said = capsys.readouterr().err
    assert said.startswith(f"graph: GRAPH_APP={place}: ")
    assert told in said


def test_an_error_in_ones_own_module_is_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the developer's to see, with its place."""
    (tmp_path / "broken_one.py").write_text("import not_installed_here\n")
    (tmp_path / "broken_two.py").write_text("[].nothing\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="not_installed_here"):
        load_app("broken_one:APP")
    with pytest.raises(AttributeError, match="nothing"):
        load_app("broken_two:APP")


def test_its_settings_are_the_servers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """They are read from the environment, told when they make no sense, and known; `graph settings` lists them."""
    monkeypatch.setenv("GRAPH_APP", PLACE)
    monkeypatch.setenv("GRAPH_BELLS_LOUDEST", "7")
    assert Settings().of(APP.settings) == [BellSettings(loudest=7)]
    assert ("GRAPH_BELLS_LOUDEST", None) not in unknown_variables(APP.settings)
    monkeypatch.setenv("GRAPH_BELLS_LOUDEST", "0")
    with pytest.raises(SettingsError, match="GRAPH_BELLS_LOUDEST"):
        Settings().of(APP.settings)
    with pytest.raises(typer.Exit):
        support.read_settings()
    assert "GRAPH_BELLS_LOUDEST='0'" in capsys.readouterr().err
    done = command(tmp_path, "settings", GRAPH_APP=PLACE, GRAPH_BELLS_LOUDEST="9", GRAPH_BELL_LOUDEST="1")
    assert re.search(r"GRAPH_BELLS_LOUDEST\s+9", done.stdout)
    assert "GRAPH_BELL_LOUDEST is no setting; did you mean GRAPH_BELLS_LOUDEST?" in done.stderr


def test_what_would_go_wrong_later_is_refused() -> None:
    """Two features of a name, a name that no table can have, settings that are another program's."""

    class Foreign(SettingsGroup):
        """Another program's."""

        model_config = SettingsConfigDict(env_prefix="HOME_")
        page: int = 1

    with pytest.raises(ValueError, match="two features are called bells"):
        App(features=[BELLS, *ACCOUNTS, BELLS])
    with pytest.raises(ValueError, match="names a table of migrations"):
        Feature(name="my bells", migrations=Path())
    with pytest.raises(ValueError, match="must begin with GRAPH_"):
        Feature(name="bells", settings=Foreign)
