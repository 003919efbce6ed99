"""Notes in GraphQL: `cached` says how long an answer may be kept, `requires` who may use a field."""

from __future__ import annotations

from typing import Annotated

import strawberry

from graph.api.auth import SIGNED_IN, requires
from graph.api.context import Info
from graph.api.errors import InvalidAsResult, InvalidInput
from graph.api.schema_part import SchemaPart
from graph.endpoint.declare import cached
from newproject.notes.feature import NOTES
from newproject.notes.service import NOTES_TTL


@strawberry.type
class Note:
    """What somebody wrote."""

    text: str


AddNoteResult = Annotated[Note | InvalidInput, strawberry.union("AddNoteResult")]


@strawberry.type
class NotesQuery:
    """Reads."""

    @strawberry.field(description="The newest notes first.", metadata=cached(NOTES_TTL))
    async def notes(self, info: Info) -> list[Note]:
        """Answered from the cache until somebody adds a note."""
        return [Note(text=text) for text in await info.context.services.of(NOTES).newest()]


@strawberry.type
class NotesMutation:
    """Writes."""

    @strawberry.mutation(description="Adds a note.", extensions=[requires(SIGNED_IN), InvalidAsResult()])
    async def add_note(self, info: Info, text: str) -> AddNoteResult:
        """What `Invalid` says of the text is an answer, not an error."""
        await info.context.services.of(NOTES).add(text)
        return Note(text=text.strip())


PART = SchemaPart(query=NotesQuery, mutation=NotesMutation)
