"""The composition root: builds every service from the settings, and takes all of it down again.

`open_services` is used by the web server, the worker, the command line and the tests alike. What it enters, it leaves
in reverse order, with no task, connection or process left running. It raises `EmbeddedError` or
`graph.patterns.client.RedisUnavailable` where Redis cannot be had.
"""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import orjson

from graph.accounts.attempts import AttemptLimits
from graph.accounts.passwords import Hasher
from graph.accounts.service import AccountService
from graph.catalog.outbox import Outbox
from graph.catalog.service import CatalogService
from graph.engines.database import Database
from graph.engines.embedded import redis_url
from graph.jobs import Jobs, announce_job
from graph.leaderboard.live.boards import LiveBoards
from graph.leaderboard.seasons.upkeep import CLOSE_SEASONS
from graph.leaderboard.service import LeaderboardService
from graph.patterns.broker import Broker
from graph.patterns.cache import ByteCache, Cache, JsonCodec
from graph.patterns.client import Client, open_client
from graph.patterns.limiter import Limiter
from graph.patterns.lock import Locks
from graph.patterns.sessions import Revocations, Sessions

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from graph.settings import Settings


@dataclass(frozen=True)
class Services:
    """Everything a resolver, a job or a command works with."""

    client: Client
    cache: Cache
    answers: ByteCache
    limiter: Limiter
    database: Database
    broker: Broker
    sessions: Sessions
    revocations: Revocations
    accounts: AccountService
    catalog: CatalogService
    leaderboards: LeaderboardService
    live_boards: LiveBoards
    jobs: Jobs
    locks: Locks
    imports: Path


@asynccontextmanager
async def open_services(settings: Settings) -> AsyncGenerator[Services]:
    """Open everything that `settings` ask for, for the length of the block."""
    async with AsyncExitStack() as stack:
        redis = settings.redis
        url = await stack.enter_async_context(
            redis_url(redis.url, settings.server.data_dir, max_memory=redis.max_memory)
        )
        client = await stack.enter_async_context(open_client(url))
        prefix, local_bytes = settings.redis.prefix, settings.cache.local_bytes
        codec = JsonCodec(orjson.dumps, orjson.loads)
        room = settings.cache.shared_bytes // settings.server.workers
        cache = Cache(client, prefix=prefix, l1_bytes=local_bytes, codec=codec, room=room)
        stack.push_async_callback(cache.close)
        answers = ByteCache(client, cache.generations, prefix=prefix, local_bytes=local_bytes, room=cache.room)
        stack.push_async_callback(answers.close)
        database = await stack.enter_async_context(Database(settings.database_url))
        limiter = Limiter(client)
        broker = await stack.enter_async_context(Broker(client, prefix=prefix))
        outbox = await stack.enter_async_context(Outbox(database, broker, cache))
        revocations = await stack.enter_async_context(Revocations(client, broker))
        sessions = _sessions(settings, client, revocations)
        hasher = stack.enter_context(Hasher(threads=settings.accounts.hash_threads or None))
        limits = _attempt_limits(settings)
        accounts = AccountService(database, cache, sessions, limiter, hasher, prefix=prefix, limits=limits)
        jobs = Jobs(client, prefix=prefix, announce=partial(announce_job, broker))
        close_seasons = partial(jobs.enqueue, CLOSE_SEASONS, {}, unique=CLOSE_SEASONS, durable=False)
        leaderboards = await stack.enter_async_context(
            LeaderboardService(database, client, prefix=prefix, delegate=close_seasons, invalidate=cache.invalidate)
        )
        live_boards = await stack.enter_async_context(LiveBoards(leaderboards, broker))
        yield Services(
            client=client,
            cache=cache,
            answers=answers,
            limiter=limiter,
            database=database,
            broker=broker,
            sessions=sessions,
            revocations=revocations,
            accounts=accounts,
            catalog=CatalogService(database, cache, committed=outbox.nudge, outdate=outbox.outdate),
            leaderboards=leaderboards,
            live_boards=live_boards,
            jobs=jobs,
            locks=await stack.enter_async_context(Locks(client, prefix=prefix)),
            imports=settings.jobs.imports,
        )


def _sessions(settings: Settings, client: Client, revocations: Revocations) -> Sessions:
    """Sessions whose ends every process hears of."""
    return Sessions(
        client,
        prefix=settings.redis.prefix,
        sliding=settings.accounts.idle,
        absolute=settings.accounts.lifetime,
        max_per_user=settings.accounts.sessions,
        announce=revocations.announce,
    )


def _attempt_limits(settings: Settings) -> AttemptLimits:
    return AttemptLimits(
        per_account=settings.accounts.attempts,
        per_address=settings.accounts.attempts_per_address,
        registrations_per_address=settings.accounts.registrations,
    )
