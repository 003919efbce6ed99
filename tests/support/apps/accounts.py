"""The product's application for tests that sign in: cheap hashes, generous limits, one line a request."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx

from graph.accounts import FEATURE
from graph.accounts.attempts import AttemptLimits
from graph.accounts.passwords import Hasher
from graph.accounts.records import Role, UserRecord
from graph.accounts.service import AccountService
from graph.app import create_app
from graph.services import Services, open_services
from graph.settings import AccountSettings, BoundSettings, RateLimitSettings, RedisSettings, ServerSettings, Settings
from harness.waiting import HANG
from tests.support.apps.lifespan import Lifespan
from tests.support.apps.one_schema import schema_made_once
from tests.support.engines.migrated import migrated

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping
    from pathlib import Path

    from starlette.types import ASGIApp

PASSWORD = "correct horse battery staple"
USER = "user { id email displayName role } "
SESSION = "session { id current userAgent ipAddress createdAt lastActiveAt expiresAt } "
PAYLOAD = f"... on AuthPayload {{ token expiresAt {USER} {SESSION} }} "
ERROR = "... on UserError { code message } "
REGISTER = f"""mutation ($email: String!, $password: String!, $name: String!) {{
  register(input: {{email: $email, password: $password, displayName: $name}}) {{
    __typename {PAYLOAD} {ERROR} ... on InvalidInput {{ field }} ... on TooManyAttempts {{ retryAfterSeconds }}
  }}
}}"""
LOGIN = f"""mutation ($email: String!, $password: String!) {{
  login(input: {{email: $email, password: $password}}) {{
    __typename {PAYLOAD} {ERROR} ... on TooManyAttempts {{ retryAfterSeconds }}
  }}
}}"""
CHANGE = f"""mutation ($current: String!, $new: String!) {{
  changePassword(input: {{currentPassword: $current, newPassword: $new}}) {{
    __typename ... on PasswordChanged {{ revokedSessions token expiresAt }} {ERROR} ... on InvalidInput {{ field }}
    ... on TooManyAttempts {{ retryAfterSeconds }}
  }}
}}"""
VIEWER = f"{{ viewer {{ {USER} {SESSION} sessions {{ id current userAgent }} }} }}"


class Shop:
    """The running application and its services."""

    def __init__(self, app: ASGIApp, services: Services, web: httpx.AsyncClient) -> None:
        self.app = app
        self.services = services
        self.web = web

    async def post(
        self, query: str, *, token: str | None = None, headers: Any = None, **variables: Any
    ) -> httpx.Response:
        """Send one operation; `token` goes into the Authorization header."""
        sent = httpx.Headers(headers)
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        sent["Content-Type"] = "application/json"
        body = json.dumps({"query": query, "variables": variables})  # escaped, so that lone surrogates can be sent
        return await self.web.post("/graphql", content=body, headers=sent)

    async def ask(self, query: str, *, token: str | None = None, headers: Any = None, **variables: Any) -> Any:
        """The data of an operation that has no errors."""
        answer = await self.post(query, token=token, headers=headers, **variables)
        body = answer.json()
        assert "errors" not in body, body
        return body["data"]

    async def codes(
        self, query: str, *, token: str | None = None, headers: Mapping[str, str] | None = None, **variables: Any
    ) -> list[str]:
        """The codes of an operation's errors."""
        answer = await self.post(query, token=token, headers=headers, **variables)
        return [error["extensions"]["code"] for error in answer.json().get("errors", [])]

    async def register(self, email: str, password: str = PASSWORD, name: str = "Ann", **options: Any) -> Any:
        """Register; the cookie that comes with it is dropped."""
        found = await self.ask(REGISTER, email=email, password=password, name=name, **options)
        self.web.cookies.clear()
        return found["register"]

    async def login(self, email: str, password: str = PASSWORD, **options: Any) -> Any:
        """Sign in; the cookie that comes with it is dropped."""
        found = await self.ask(LOGIN, email=email, password=password, **options)
        self.web.cookies.clear()
        return found["login"]

    async def viewer(self, token: str | None = None, **options: Any) -> Any:
        """Who the token is."""
        return (await self.ask(VIEWER, token=token, **options))["viewer"]

    async def admin(self) -> str:
        """The token of an ADMIN."""
        accounts = self.services.accounts
        found = await accounts.find("root@example.org")
        user = found or await accounts.add("root@example.org", PASSWORD, "Root", Role.ADMIN)
        assert isinstance(user, UserRecord)
        token, _ = await self.services.sessions.create(str(user.id), role=user.role)
        return token


@contextlib.asynccontextmanager
async def shop(
    url: str, folder: Path, *, limits: AttemptLimits | None = None, accounts: AccountSettings | None = None
) -> AsyncGenerator[Shop]:
    """Run the application on the Redis at `url` and a database in `folder`."""
    settings = Settings(
        bounds=BoundSettings(seconds=HANG),  # no test here is about the time that an operation may take
        server=ServerSettings(data_dir=folder),
        redis=RedisSettings(url=url),
        rate_limit=RateLimitSettings(anonymous=1_000_000, authenticated=1_000_000),
        accounts=accounts or AccountSettings(),
    )
    migrated(folder / "graph.db")
    async with open_services(settings) as opened:
        with Hasher(memory_kib=8, passes=1, threads=1) as hasher, schema_made_once():
            cheap = AccountService(
                opened.database,
                opened.cache,
                sessions=opened.sessions,
                limiter=opened.limiter,
                hasher=hasher,
                limits=limits or AttemptLimits(100_000, 100_000, 900, 100_000),
            )
            services = replace(opened, opened=opened.opened | {FEATURE: cheap})
            async with (
                Lifespan(create_app(settings, services)) as manager,
                httpx.AsyncClient(transport=httpx.ASGITransport(manager.app), base_url="http://test") as web,
            ):
                yield Shop(manager.app, services, web)
