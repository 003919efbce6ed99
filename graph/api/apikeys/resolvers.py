"""Creating, listing and revoking API keys; only an ADMIN may, and no API key."""

from __future__ import annotations

import strawberry

from graph.api.apikeys.types import ApiKey, ApiKeyCreated, CreateApiKeyInput, CreateApiKeyResult
from graph.api.auth import ADMIN, admin_of, requires
from graph.api.context import Info
from graph.api.errors import InvalidAsResult
from graph.api.node import integer_key, parse_id
from graph.api.schema_part import SchemaPart
from graph.endpoint.declare import cost


@strawberry.type
class ApiKeysQuery:
    @strawberry.field(
        description="The API keys that are not revoked, by name. Needs the role ADMIN.",
        extensions=[requires(ADMIN)],
        metadata=cost(5, assumed=20),
    )
    async def api_keys(self, info: Info) -> list[ApiKey]:
        return [ApiKey.of(record) for record in await info.context.services.api_keys.list()]


@strawberry.type
class ApiKeysMutation:
    @strawberry.mutation(
        description="Makes an API key for a program. Needs the role ADMIN.",
        extensions=[requires(ADMIN), InvalidAsResult()],
    )
    async def create_api_key(self, info: Info, input: CreateApiKeyInput) -> CreateApiKeyResult:
        key, record = await info.context.services.api_keys.create(
            input.name, input.scopes, input.operations_per_minute, by=admin_of(info.context)
        )
        return ApiKeyCreated(key=key, api_key=ApiKey.of(record))

    @strawberry.mutation(
        description="Ends an API key everywhere at once; true when there was one. Needs the role ADMIN.",
        extensions=[requires(ADMIN)],
    )
    async def revoke_api_key(self, info: Info, id: strawberry.ID) -> bool:
        parsed = parse_id(id)
        number = integer_key(parsed[1]) if parsed is not None and parsed[0] == "ApiKey" else None
        return number is not None and await info.context.services.api_keys.revoke(number)


PART = SchemaPart(query=ApiKeysQuery, mutation=ApiKeysMutation, private=frozenset({"ApiKey", "ApiKeyCreated"}))
