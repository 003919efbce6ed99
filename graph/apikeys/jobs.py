"""What API keys need in the background: noting when they were used, before Redis forgets it."""

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
    """The kinds of jobs."""
    return [Definition(NOTE_USE, partial(note_use, keys))]


async def note_use(keys: ApiKeys, progress: Progress) -> None:
    """Write down when keys were last used."""
    await keys.note_use()
    await progress(1, 1)
