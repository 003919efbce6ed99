"""The composition root: builds every service from the settings, and takes all of it down again.

`open_services` is used by the web server, the worker, the command line and the tests alike. What it enters, it leaves
in reverse order, with no task, connection or process left running. It raises `EmbeddedError` or
`graph.patterns.client.RedisUnavailable` where Redis cannot be had, `graph.patterns.keyspace.ForeignKeyspace` where
processes on another database use it, and `graph.feature.BadApp` where the settings name no application.

Which features are opened is the application's list (`graph.product`, or one's own); what a feature's service is built
from is in its own package (`graph.feature`).
"""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Generic, TypeVar

import orjson

from graph import accounts, apikeys, catalog, leaderboard
from graph.accounts import RECOVERY
from graph.engines.database import Database
from graph.engines.embedded import redis_url
from graph.engines.origin import DatabaseOrigin
from graph.feature import App, Feature, Tools, load_app
from graph.jobs import Jobs, announce_job
from graph.patterns.broker import Broker
from graph.patterns.cache import ByteCache, Cache, JsonCodec
from graph.patterns.client import Client, open_client
from graph.patterns.keyspace import Keyspace
from graph.patterns.limiter import Limiter
from graph.patterns.lock import Locks
from graph.patterns.sessions import Ledger, Revocations, Sessions, remind
from graph.telemetry import telemetry

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from graph.settings import Settings
    from graph.telemetry import Telemetry

S = TypeVar("S")


class Opened(Generic[S]):
    """An attribute of `Services` that is the service of a feature of this product."""

    def __init__(self, feature: Feature[S]) -> None:
        """Look for the service of `feature`."""
        self.feature = feature

    def __get__(self, services: Services, _owner: type[Services]) -> S:
        """The service."""
        return services.of(self.feature)


class Services(Tools):
    """Everything a resolver, a job or a command works with: the tools, and the service of every feature.

    The attributes are short for `of`, and raise `graph.feature.NotListed` in an application without the feature, too.
    """

    catalog = Opened(catalog.FEATURE)
    accounts = Opened(accounts.FEATURE)
    recovery = Opened(RECOVERY)
    leaderboards = Opened(leaderboard.FEATURE)
    live_boards = Opened(leaderboard.LIVE)
    api_keys = Opened(apikeys.FEATURE)


@asynccontextmanager
async def open_services(settings: Settings, traces: Telemetry | None = None) -> AsyncGenerator[Services]:
    """Open everything that `settings` ask for, for the length of the block.

    Spans are made by `traces`; left out, by what the environment asks for (`graph.telemetry`).
    """
    async with AsyncExitStack() as stack:
        if traces is None and (traces := telemetry()) is not None:
            stack.push_async_callback(traces.close)
        app = load_app(settings.server.app)
        services = await _tools(settings, app, stack, traces)
        for feature in app.features:
            services.opened[feature] = await stack.enter_async_context(feature.open(services))
        yield services


async def _tools(settings: Settings, app: App, stack: AsyncExitStack, traces: Telemetry | None) -> Services:
    """The stores and the patterns on them; no feature is open yet."""
    redis = settings.redis
    url = await stack.enter_async_context(redis_url(redis.url, settings.server.data_dir, max_memory=redis.max_memory))
    prefix, local_bytes = settings.redis.prefix, settings.cache.local_bytes
    database = await stack.enter_async_context(Database(settings.database_url))
    ledger = accounts.RevocationLedger(database)
    if traces is not None:
        traces.watch_sql(database.engine.sync_engine)
        database.listened(traces.listens)
    reminding = partial(remind, ledger=ledger, prefix=prefix)
    client = await stack.enter_async_context(
        open_client(url, prepare=reminding, observe=traces.redis if traces is not None else None)
    )
    room = settings.cache.shared_bytes // settings.server.workers
    codec = JsonCodec(orjson.dumps, orjson.loads)
    locks = await stack.enter_async_context(Locks(client, prefix=prefix))
    origin = DatabaseOrigin(database, on_rewound=partial(catalog.rename_log, database))
    await stack.enter_async_context(Keyspace(client, locks, origin, prefix=prefix))
    cache = Cache(client, prefix=prefix, l1_bytes=local_bytes, codec=codec, room=room)
    stack.push_async_callback(cache.close)
    answers = ByteCache(client, cache.generations, prefix=prefix, local_bytes=local_bytes, room=cache.room)
    stack.push_async_callback(answers.close)
    broker = await stack.enter_async_context(Broker(client, prefix=prefix))
    revocations = await stack.enter_async_context(Revocations(client, broker))
    return Services(
        app=app,
        prefix=prefix,
        client=client,
        cache=cache,
        answers=answers,
        limiter=Limiter(client),
        database=database,
        broker=broker,
        sessions=_sessions(settings, client, revocations, ledger),
        revocations=revocations,
        jobs=Jobs(
            client,
            prefix=prefix,
            announce=partial(announce_job, broker),
            trace=traces.parent if traces is not None else str,
        ),
        telemetry=traces,
        locks=locks,
        imports=settings.jobs.imports.absolute(),
        options=(
            _account_options(settings),
            _mail_options(settings),
            _leaderboard_options(settings),
            *settings.of(app.settings),
        ),
    )


def _sessions(settings: Settings, client: Client, revocations: Revocations, ledger: Ledger) -> Sessions:
    """Sessions whose ends every process hears of, and no server forgets."""
    return Sessions(
        client,
        prefix=settings.redis.prefix,
        sliding=settings.accounts.idle,
        absolute=settings.accounts.lifetime,
        max_per_user=settings.accounts.sessions,
        announce=revocations.announce,
        ledger=ledger,
    )


def _mail_options(settings: Settings) -> accounts.MailOptions:
    mail = settings.mail
    logged = settings.server.env != "production"
    return accounts.MailOptions(mail.url, mail.sender, mail.reset_page, mail.confirm_page, logged)


def _leaderboard_options(settings: Settings) -> leaderboard.LeaderboardOptions:
    return leaderboard.LeaderboardOptions(remove_departed=settings.accounts.deleted_scores == "remove")


def _account_options(settings: Settings) -> accounts.AccountOptions:
    return accounts.AccountOptions(
        hash_threads=settings.accounts.hash_threads or None,
        limits=accounts.AttemptLimits(
            per_account=settings.accounts.attempts,
            per_address=settings.accounts.attempts_per_address,
            registrations_per_address=settings.accounts.registrations,
        ),
    )
