"""How the notes are opened, and what of the schema, the database and the settings is theirs."""

from __future__ import annotations

from pathlib import Path

from graph.feature import Feature, Tools, opening
from newproject.notes.service import NoteService
from newproject.notes.settings import NoteSettings


def _build(tools: Tools) -> NoteService:
    return NoteService(tools.database, tools.cache, longest=tools.option(NoteSettings).longest)


NOTES = Feature(
    name="notes",
    open=opening(_build),
    schema="newproject.notes.schema:PART",
    migrations=Path(__file__).parent / "migrations",
    settings=NoteSettings,
)
