"""The GraphQL types of API keys."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, TypeAlias

import strawberry

from graph.api.enums import enum
from graph.api.errors import InvalidInput
from graph.api.node import global_id
from graph.apikeys import ApiKeyRecord, ApiKeyScope

enum(
    ApiKeyScope,
    description="What an API key may do.",
    values={
        "SCORES": "Submit and remove scores of any player.",
        "BOARDS": "Make and delete leaderboards, reset seasons.",
        "CATALOG": "Change products and categories, import products and follow that.",
    },
)


@strawberry.type(
    description="A key of a program: a game server, an importer. It is no user's: it ends when it is revoked, not with "
    "the ADMIN who made it. Seen by an ADMIN."
)
class ApiKey:
    """A key without its secret."""

    id: strawberry.ID
    name: str
    scopes: list[ApiKeyScope]
    operations_per_minute: int = strawberry.field(description="Its own rate limit, in the window of the others.")
    created_by: strawberry.ID | None = strawberry.field(
        description="The User who made it; null is an operator on the command line."
    )
    created_at: datetime
    last_used_at: datetime | None = strawberry.field(description="Accurate to a minute.")

    @classmethod
    def of(cls, record: ApiKeyRecord) -> ApiKey:
        return cls(
            id=global_id("ApiKey", record.id),
            name=record.name,
            scopes=list(record.scopes),
            operations_per_minute=record.operations,
            created_by=None if record.created_by is None else global_id("User", record.created_by),
            created_at=record.created_at,
            last_used_at=record.last_used_at,
        )


@strawberry.input(description="A key to be created.")
class CreateApiKeyInput:
    """The service checks it."""

    name: str = strawberry.field(description="What it is for; at most 100 characters.")
    scopes: list[ApiKeyScope]
    operations_per_minute: int = strawberry.field(default=1000, description="1 to 100,000.")


@strawberry.type(description="The key is shown here and never again.")
class ApiKeyCreated:
    """The result of a successful createApiKey."""

    key: str = strawberry.field(description="Send it as `Authorization: Bearer <key>`.")
    api_key: ApiKey


CreateApiKeyResult: TypeAlias = Annotated[ApiKeyCreated | InvalidInput, strawberry.union("CreateApiKeyResult")]
