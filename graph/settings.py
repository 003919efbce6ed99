"""Every setting, its default and its meaning: the one place that knows the names of environment variables.

A setting is a field of a group. Its variable is the group's prefix and the field's name in capitals: `port` of
`ServerSettings` (prefix ``GRAPH_``) is ``GRAPH_PORT``, `url` of `RedisSettings` (``GRAPH_REDIS_``) is
``GRAPH_REDIS_URL``. ``Settings()`` holds the defaults and looks at nothing; `Settings.from_environment` reads
``os.environ`` and raises `SettingsError` naming the variable where a value makes no sense. The README's table is
printed from here by ``make settings``.

Units: seconds, bytes. Settings are frozen.
"""

from __future__ import annotations

import difflib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, ConfigDict, Field, FilePath, SecretStr, field_validator
from pydantic_settings import SettingsConfigDict

from graph.settings_accounts import AccountSettings, MailSettings
from graph.settings_group import PREFIX, SettingsGroup

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pydantic.fields import FieldInfo


class ServerSettings(SettingsGroup):
    """The server itself."""

    model_config = SettingsConfigDict(env_prefix=PREFIX)

    env: Literal["development", "production"] = Field(
        default="development",
        description="`production` turns introspection and GraphiQL off unless they are set, and does not start with "
        "what is unsafe (docs/security.md)",
    )
    app: str = Field(
        default="graph.product:APP",
        pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$",
        description="The application to serve, as `module:attribute`: one of your own (docs/new-project.md)",
    )
    host: str = Field(default="127.0.0.1", description="Address to listen on; `0.0.0.0` for every interface")
    port: int = Field(default=8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one")
    workers: int = Field(default=1, ge=1, description="Server processes")
    data_dir: Path = Field(default=Path(".graph"), description="Directory of the SQLite file and the embedded Valkey")
    debug: bool = Field(
        default=False, description="Show clients suggestions and tracebacks of bugs; not for production"
    )
    log: Literal["auto", "text", "json"] = Field(
        default="auto", description="Log format: `text`, `json`, or `auto` (text on a terminal, else JSON lines)"
    )
    access_log: bool = Field(default=True, description="Log a line for each request")
    keep_alive: int = Field(default=75, ge=1, description="Seconds a connection may be idle; more than at the balancer")
    grace: float = Field(default=10.0, ge=0, description="Seconds that requests under way get to finish on shutdown")
    trusted_proxies: str = Field(
        default="",
        description="Comma-separated addresses or networks of proxies whose `X-Forwarded-*` headers are believed",
    )
    root_path: str = Field(
        default="",
        pattern=r"^((/[A-Za-z0-9._~-]+)+)?$",
        description="Path prefix that a proxy serves this server under, as `/shop`; or it sends `X-Forwarded-Prefix`",
    )
    tls_certificate: FilePath | None = Field(
        default=None, description="PEM file with the certificate chain; turns TLS on"
    )
    tls_key: FilePath | None = Field(default=None, description="PEM file with the key of the certificate")


class RedisSettings(SettingsGroup):
    """Redis or Valkey."""

    model_config = SettingsConfigDict(env_prefix=f"{PREFIX}REDIS_")

    url: str | None = Field(
        default=None,
        pattern=r"^(rediss?(\+sentinel|\+cluster)?|unix)://",
        description="`redis://`, `rediss://` or `unix://` URL; unset: the embedded Valkey in the data directory",
    )
    prefix: str = Field(default="graph", pattern=r"^[A-Za-z0-9_.-]+$", description="First part of every Redis key")
    max_memory: int = Field(
        default=512 << 20, ge=16 << 20, description="Bytes the embedded Valkey may hold before it evicts cached values"
    )

    @field_validator("url")
    @classmethod
    def _port_is_one(cls, url: str | None) -> str | None:
        if url is not None and url.startswith(("redis://", "rediss://")):
            _check_port(url)
        return url


def _check_port(url: str) -> None:
    """Refuse a URL whose port is none; what stands there may be the beginning of a password, and is not shown."""
    try:
        _ = urlsplit(url).port
    except ValueError:
        raise ValueError("the port makes no sense; in a password write / as %2F, # as %23, ? as %3F") from None


class DatabaseSettings(SettingsGroup):
    """SQL."""

    model_config = SettingsConfigDict(env_prefix=f"{PREFIX}DATABASE_")

    url: str | None = Field(
        default=None,
        pattern=r"^(sqlite|postgres|postgresql)(\+[a-z]+)?://",
        description="`sqlite+aiosqlite://` or `postgresql+asyncpg://` URL; unset: SQLite in the data directory",
    )

    @field_validator("url")
    @classmethod
    def _tls_as_the_driver_has_it(cls, url: str | None) -> str | None:
        """Take libpq's word for TLS, too; asyncpg takes files only from the environment, through SQLAlchemy."""
        if url is not None and re.search(r"[?&]ssl(rootcert|cert|key)=", url):
            raise ValueError("say ssl=verify-full, and name the files in PGSSLROOTCERT, PGSSLCERT and PGSSLKEY")
        if url is not None:
            _check_port(url)
        return url and re.sub(r"([?&])sslmode=", r"\1ssl=", url)


class CacheSettings(SettingsGroup):
    """The cache of values in Redis, and the copies of them in each process."""

    model_config = SettingsConfigDict(env_prefix=f"{PREFIX}CACHE_")

    local_bytes: int = Field(
        default=16 << 20, ge=0, description="Bytes of cached values that each process keeps a copy of; 0 keeps none"
    )
    shared_bytes: int = Field(
        default=256 << 20, ge=1 << 20, description="Bytes of cached values and answers in Redis: well below its memory"
    )
    responses: bool = Field(
        default=True, description="Keep whole answers of queries that may be kept; off, each one is resolved"
    )


class RateLimitSettings(SettingsGroup):
    """The sliding-window limit of every caller."""

    model_config = SettingsConfigDict(env_prefix=f"{PREFIX}RATE_LIMIT_")

    authenticated: int = Field(default=100, ge=1, description="Requests that a signed-in user may make in a window")
    anonymous: int = Field(
        default=20, ge=1, description="Requests that an address may make in a window without signing in"
    )
    window_seconds: float = Field(default=60.0, gt=0, description="Length of the window in seconds")
    mode: Literal["count", "cost"] = Field(
        default="count",
        description="`count` charges 1 an operation, and for searches and counts more; `cost` all fields, in hundreds",
    )


class BoundSettings(SettingsGroup):
    """What one request or connection may take (docs/endpoint.md tells what each refusal means)."""

    model_config = SettingsConfigDict(env_prefix=f"{PREFIX}MAX_")

    body: int = Field(default=100_000, ge=1, description="Bytes of a request body or a WebSocket message")
    files: int = Field(default=10, ge=0, description="Files that come with one request, in a form")
    file: int = Field(default=32 << 20, ge=1, description="Bytes of such a file")
    form: int = Field(default=64 << 20, ge=1, description="Bytes of such a form, with all its files")
    tokens: int = Field(default=1_000, ge=1, description="Lexical tokens of a document")
    depth: int = Field(default=10, ge=1, description="Fields nested in one another")
    aliases: int = Field(default=15, ge=0, description="Aliases in a document, fragments spread out")
    directives: int = Field(default=50, ge=0, description="Directives in a document, fragments spread out")
    complexity: int = Field(default=5_000, ge=1, description="Cost of an operation: fields times the lists around them")
    batch: int = Field(default=10, ge=1, description="Operations in one request")
    operations: int = Field(default=100, ge=1, description="Operations that one WebSocket runs at a time")
    backlog: int = Field(default=100, ge=1, description="Results of one operation that wait for a slow client")
    page: int = Field(default=100, ge=1, le=100, description="What `first` and `last` may ask for, 100 at most")
    connections: int = Field(
        default=0, ge=0, description="Connections of a process; 0: 256 fewer than it may have descriptors"
    )
    connections_per_address: int = Field(
        default=2048, ge=1, description="Of which from one address, or /64 of IPv6; trusted proxies have no such bound"
    )
    seconds: float = Field(default=10.0, gt=0, description="Time an operation may run before it is cancelled")


class EndpointSettings(SettingsGroup):
    """The GraphQL endpoint."""

    model_config = SettingsConfigDict(env_prefix=PREFIX)

    introspection: bool = Field(default=True, description="Let clients ask for the schema")
    graphiql: bool = Field(default=True, description="Show browsers GraphiQL at `/graphql`")
    console: bool = Field(default=True, description="Serve the console of an ADMIN at `/console`")
    cors_origins: str = Field(
        default="", description="Comma-separated origins whose pages may use the endpoint, as `https://shop.example`"
    )
    trusted_manifest: Path | None = Field(
        default=None, description="Manifest of persisted documents, in Apollo's or Relay's format"
    )
    trusted_documents: Literal["", "only"] = Field(
        default="", description="`only` runs the documents of the manifest and refuses every other"
    )
    prepared_bytes: int = Field(
        default=32 << 20, ge=1 << 20, description="Bytes of parsed documents that each process keeps"
    )
    slow_seconds: float = Field(
        default=1.0, ge=0, description="Seconds from which on an operation is logged as slow; 0 logs none"
    )
    metrics_operations: int = Field(
        default=100, ge=0, le=10_000, description="Names of operations that have metrics, beside trusted documents'"
    )


class JobSettings(SettingsGroup):
    """Background jobs."""

    model_config = SettingsConfigDict(env_prefix=f"{PREFIX}JOBS_")

    concurrency: int = Field(default=2, ge=1, le=1000, description="Jobs that one worker process runs at a time")
    beside: bool = Field(default=True, description="Run a worker process beside `graph serve`")
    metrics_port: int | None = Field(
        default=None,
        ge=0,
        le=65535,
        description="Port of `GRAPH_HOST` on which `graph worker` shows `/metrics`; unset: none",
    )
    imports: Path = Field(
        default=Path("imports"),
        description="Directory of files to import, and of uploads; below where the process starts, unless absolute",
    )


class Settings(BaseModel):
    """All groups."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    server: ServerSettings = ServerSettings()
    redis: RedisSettings = RedisSettings()
    database: DatabaseSettings = DatabaseSettings()
    cache: CacheSettings = CacheSettings()
    rate_limit: RateLimitSettings = RateLimitSettings()
    accounts: AccountSettings = AccountSettings()
    mail: MailSettings = MailSettings()
    bounds: BoundSettings = BoundSettings()
    endpoint: EndpointSettings = EndpointSettings()
    jobs: JobSettings = JobSettings()
    others: tuple[SettingsGroup, ...] = ()
    """Groups that are not the server's own, where they are not to be read from the environment (`of`)."""

    @classmethod
    def from_environment(cls) -> Self:
        """Read every variable; raises `SettingsError`. In production what shows the schema is off unless it is set."""
        read = cls.model_validate({name: group.from_environment() for name, group in cls.groups()})
        if read.server.env == "development":
            return read
        chosen: dict[str, Any] = {"introspection": False, "graphiql": False}
        chosen |= read.endpoint.model_dump(exclude_unset=True)
        return read.model_copy(update={"endpoint": EndpointSettings(**chosen)})

    @classmethod
    def groups(cls) -> Iterator[tuple[str, type[SettingsGroup]]]:
        """Each group's field name and class, in the order of the README's table."""
        for name, field in cls.model_fields.items():
            if name != "others":
                group: Any = field.annotation
                yield name, group

    @classmethod
    def fields(cls) -> Iterator[tuple[str, type[SettingsGroup], str, FieldInfo]]:
        """Each variable with its group, its field's name and its field."""
        for _, group in cls.groups():
            for name, field in group.model_fields.items():
                yield group.variable(name), group, name, field

    def of(self, kinds: Iterable[type[SettingsGroup]]) -> list[SettingsGroup]:
        """The groups of these kinds, from the environment unless they are among `others`; raises `SettingsError`."""
        known = {type(group): group for group in self.others}
        return [known.get(kind) or kind.from_environment() for kind in kinds]

    @property
    def database_url(self) -> str:
        """The SQL database in use."""
        return self.database.url or sqlite_url(self.server.data_dir.resolve() / "graph.db")

    @property
    def database_path(self) -> Path | None:
        """The SQLite file in use; None where another database is."""
        url = self.database_url
        return Path(unquote(url.partition(":///")[2].partition("?")[0])) if url.startswith("sqlite") else None

    def environment(self) -> dict[str, str]:
        """The variables that make `from_environment` give these settings again; defaults are left out."""
        found: dict[str, str] = {}
        for name, group in self.groups():
            values: SettingsGroup = getattr(self, name)
            for field in values.model_fields_set:
                value = getattr(values, field)
                if value is not None:
                    secret = isinstance(value, SecretStr)
                    found[group.variable(field)] = value.get_secret_value() if secret else str(value)
        return found


def sqlite_url(path: Path) -> str:
    """The URL of the SQLite database in the file at `path`, whatever characters the path has."""
    return "sqlite+aiosqlite:///" + str(path).replace("%", "%25").replace("?", "%3F")  # SQLAlchemy unquotes it


def unknown_variables(others: Iterable[type[SettingsGroup]] = ()) -> list[tuple[str, str | None]]:
    """Variables that start like a setting and are none, each with the setting it was perhaps meant to be.

    `others` are the groups of the application's features.
    """
    known = [variable for variable, *_ in Settings.fields()]
    known += [group.variable(field) for group in others for field in group.model_fields]
    strangers = sorted(name for name in os.environ if name.startswith(PREFIX) and name not in known)
    return [(name, next(iter(difflib.get_close_matches(name, known, n=1)), None)) for name in strangers]
