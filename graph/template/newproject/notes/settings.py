"""What an operator may set. ``graph settings`` lists it with the server's own."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from graph.settings_group import SettingsGroup


class NoteSettings(SettingsGroup):
    """``GRAPH_NOTES_LONGEST`` and so on."""

    model_config: ClassVar[SettingsConfigDict] = SettingsConfigDict(env_prefix="GRAPH_NOTES_")

    longest: int = Field(default=200, ge=1, description="Characters of a note at most")
