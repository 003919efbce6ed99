"""The background job of API keys: stores when keys were last used, before that expires in Redis."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from graph.apikeys.keys import NOTE_USE
from graph.jobs import Definition, Schedule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from graph.apikeys.service import ApiKeys
    from graph.jobs import Progress

SCHEDULES = (Schedule(NOTE_USE, 3600.0, {}),)


def definitions(keys: ApiKeys) -> Sequence[Definition]:
    """Return the kinds of jobs of API keys."""
    return [Definition(NOTE_USE, partial(note_use, keys))]


async def note_use(keys: ApiKeys, progress: Progress) -> None:
    """Store in SQL when keys were last used."""
    await keys.note_use()
    await progress(1, 1)
