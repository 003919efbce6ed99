"""The application: one feature of its own beside the accounts. Its settings may refuse a value."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field
from pydantic_settings import SettingsConfigDict
from sqlalchemy import text

from graph.feature import App, Feature, Tools, opening
from graph.jobs import Definition, Progress, Schedule
from graph.product import ACCOUNTS, RATE_LIMIT
from graph.settings_group import SettingsGroup

if TYPE_CHECKING:
    from collections.abc import Sequence

    from graph.engines.database import Database


class BellSettings(SettingsGroup):
    """How loud it may be."""

    model_config: ClassVar[SettingsConfigDict] = SettingsConfigDict(env_prefix="GRAPH_BELLS_")

    loudest: int = Field(default=3, ge=1, description="Strokes of a bell at most")


class Belfry:
    """The bells."""

    def __init__(self, database: Database, loudest: int) -> None:
        self._database = database
        self.loudest = loudest

    async def ring(self, name: str) -> int:
        """Ring a bell; gives how often it has been rung."""
        change = (
            "INSERT INTO bells (name, rung) VALUES (:name, 1) ON CONFLICT (name) DO UPDATE SET rung = bells.rung + 1"
        )
        async with self._database.transaction() as session:
            await session.execute(text(change), {"name": name})
            return await session.scalar(text("SELECT rung FROM bells WHERE name = :name"), {"name": name}) or 0


def _build(tools: Tools) -> Belfry:
    return Belfry(tools.database, tools.option(BellSettings).loudest)


async def _strike(belfry: Belfry, progress: Progress, *, name: str) -> None:
    await belfry.ring(name)
    await progress(1, 1)


def _jobs(tools: Tools) -> Sequence[Definition]:
    return [Definition("strike", partial(_strike, tools.of(BELLS)))]


BELLS = Feature(
    name="bells",
    open=opening(_build),
    schema="tests.support.apps.own.schema:PART",
    jobs=_jobs,
    schedules=(Schedule("strike", 3600.0, {"name": "hour"}),),
    migrations=Path(__file__).parent / "migrations",
    settings=BellSettings,
)
APP = App(features=(*ACCOUNTS, BELLS, RATE_LIMIT), description="A belfry.")
NOT_AN_APP = 1
