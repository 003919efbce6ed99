"""What each part of the library costs beside the other of docs/rivals.md: the same work, in turn, on one server.

Both are used as that page shows, in one process and one event loop. A step is done `STEPS` times in a round, and the
rounds of the two take turns; the median round counts. What is told is the processor's time of this process, which
other load on the machine does not lengthen much; what the server does for a step is not in it. Requests are given to
the application itself, without a web server or a client around it.
"""

from __future__ import annotations

import gc
import secrets
import statistics
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, cast

import cashews
import redis.asyncio
import strawberry
import uvloop
from broadcaster import Broadcast
from fastapi import Depends, FastAPI, Request
from slowapi import Limiter
from slowapi.util import get_remote_address
from starsessions import SessionAutoloadMiddleware, SessionMiddleware
from starsessions.stores.redis import RedisStore
from strawberry.fastapi import GraphQLRouter
from taskiq_redis import RedisStreamBroker

from bench.report import Report
from graph.library import RateLimit, Redis, cached
from harness.valkey import ValkeyServer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Step: TypeAlias = Callable[[], Awaitable[object]]

STEPS, ROUNDS = 200, 5
RATE = "1000000/minute"
BODY = b'{"query": "{ hello }"}'


class Pair(NamedTuple):
    """One piece of work, as ours does it and as the other does."""

    work: str
    ours: Step
    other: str
    theirs: Step


@strawberry.type
class Query:
    """One field."""

    @strawberry.field
    async def hello(self) -> str:
        """A greeting."""
        return "world"


async def _context() -> dict[str, Any]:
    """A context that costs no thread, as the default does."""
    return {}


async def _ask(app: FastAPI, path: str, body: bytes = b"", **headers: str) -> dict[str, str]:
    """Give a request to an application; the headers of its answer, which must be a success."""
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    given = {"content-type": "application/json", "host": "test", **headers}
    scope: Any = {
        "type": "http", "http_version": "1.1", "method": "POST", "scheme": "http", "path": path,
        "raw_path": path.encode(), "query_string": b"", "root_path": "", "client": ("10.0.0.1", 1),
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
    }  # fmt: skip
    await app(scope, receive, send)
    assert sent[0]["status"] == 200, sent
    return {name.decode(): value.decode() for name, value in sent[0]["headers"]}


async def _rate_limit(server: ValkeyServer, redis_: Redis, _stack: AsyncExitStack) -> Pair:
    ours, theirs = FastAPI(), FastAPI()
    schema = strawberry.Schema(Query, extensions=[cast("Any", RateLimit(redis_, RATE))])
    ours.include_router(GraphQLRouter(schema, context_getter=_context), prefix="/graphql")
    bare = GraphQLRouter(strawberry.Schema(Query), context_getter=_context)
    limiter: Any = Limiter(key_func=get_remote_address, storage_uri=server.tcp_url)
    theirs.state.limiter = limiter
    (route,) = [one for one in bare.routes if "POST" in (getattr(one, "methods", None) or ())]
    serve = cast("Any", route).endpoint
    theirs.post("/graphql")(limiter.limit(RATE)(serve))
    return Pair("a request of one field, limited", lambda: _ask(ours, "/graphql", BODY), "slowapi",
                lambda: _ask(theirs, "/graphql", BODY))  # fmt: skip


async def _cache(server: ValkeyServer, redis_: Redis, stack: AsyncExitStack) -> Pair:
    rival: Any = cashews.Cache()
    rival.setup(server.tcp_url)
    stack.push_async_callback(rival.close)
    recipe = {"number": 1, "name": "Bread", "steps": ["Mix.", "Wait.", "Bake."]}

    @cached(redis_, ttl=60, tags="recipe:{number}")
    async def ours(number: int) -> dict[str, Any]:  # noqa: ARG001 - the key is made of it
        return recipe

    @rival(ttl=60, key="recipe:{number}", tags=["recipe:{number}"])
    async def theirs(number: int) -> dict[str, Any]:  # noqa: ARG001 - the same
        return recipe

    return Pair("a read that is kept", lambda: ours(1), "cashews", lambda: theirs(1))


async def _sessions(server: ValkeyServer, redis_: Redis, stack: AsyncExitStack) -> Pair:
    store = RedisStore(connection=await _bare(server, stack))
    sessions = redis_.sessions(idle=3600)
    ours, theirs = FastAPI(), FastAPI()
    signed_in: Any = Depends(sessions.current)

    @ours.post("/me")
    async def me(member: Any = signed_in) -> str:
        return member.user

    theirs.add_middleware(SessionAutoloadMiddleware)
    theirs.add_middleware(SessionMiddleware, store=store, lifetime=3600, rolling=True, cookie_https_only=False)

    @theirs.post("/in")
    async def sign_in(request: Request) -> str:
        request.session["user"] = "ann"
        return "ann"

    @theirs.post("/me")
    async def who(request: Request) -> str:
        return request.session["user"]

    token = await sessions.begin("ann")
    cookie = (await _ask(theirs, "/in"))["set-cookie"].partition(";")[0]
    return Pair("a request of somebody signed in", lambda: _ask(ours, "/me", authorization=f"Bearer {token}"),
                "starsessions", lambda: _ask(theirs, "/me", cookie=cookie))  # fmt: skip


async def _ranking(server: ValkeyServer, redis_: Redis, stack: AsyncExitStack) -> Pair:
    bare, darts = await _bare(server, stack), redis_.ranking("darts")
    for number in range(1_000):
        await darts.submit(f"p{number}", number)
        await bare.zadd("darts", {f"p{number}": number})

    async def ours() -> None:
        await darts.submit("p500", 500)
        await darts.page(10)
        await darts.around("p500", 1)

    async def theirs() -> None:
        await bare.zadd("darts", {"p500": 500})
        await bare.zrevrange("darts", 0, 9, withscores=True)
        rank = await bare.zrevrank("darts", "p500")
        await bare.zrevrange("darts", rank - 1, rank + 1, withscores=True)

    return Pair("a score, ten best, two neighbours", ours, "redis-py", theirs)


async def _topics(server: ValkeyServer, redis_: Redis, stack: AsyncExitStack) -> Pair:
    room = redis_.topic("room")
    events = room.follow(after=str(await room.publish("first")))
    broadcast: Any = Broadcast(server.tcp_url)
    await broadcast.connect()
    stack.push_async_callback(broadcast.disconnect)
    await stack.enter_async_context(broadcast.subscribe(channel="first"))  # which hears nothing with redis-py 8
    heard = await stack.enter_async_context(broadcast.subscribe(channel="room"))
    stack.push_async_callback(events.aclose)
    waiting = heard.__aiter__()

    async def ours() -> None:
        await room.publish("hello")
        assert (await anext(events)).data == "hello"

    async def theirs() -> None:
        await broadcast.publish(channel="room", message="hello")
        assert (await anext(waiting)).message == "hello"

    return Pair("a message, published and heard", ours, "broadcaster", theirs)


async def _lock(server: ValkeyServer, redis_: Redis, stack: AsyncExitStack) -> Pair:
    bare = await _bare(server, stack)

    async def ours() -> None:
        async with redis_.lock("oven", ttl=10, wait=1):
            pass

    async def theirs() -> None:
        async with bare.lock("oven", timeout=10, blocking_timeout=1):
            pass

    return Pair("a lock, taken and given back", ours, "redis-py", theirs)


async def _tokens(server: ValkeyServer, redis_: Redis, stack: AsyncExitStack) -> Pair:
    bare, invitations = await _bare(server, stack), redis_.tokens("invitation")

    async def ours() -> None:
        assert await invitations.take(await invitations.issue("ann")) == "ann"

    async def theirs() -> None:
        token = secrets.token_urlsafe()
        await bare.set(f"invitation:{token}", "ann", ex=3600)
        assert await bare.getdel(f"invitation:{token}") == b"ann"

    return Pair("a token, issued and taken", ours, "redis-py", theirs)


async def _jobs(server: ValkeyServer, redis_: Redis, stack: AsyncExitStack) -> Pair:
    broker = RedisStreamBroker(server.tcp_url)

    @redis_.jobs.job()
    async def ours(to: str) -> None:
        """Nothing."""

    @broker.task
    async def theirs(to: str) -> None:
        """Nothing."""

    await broker.startup()
    stack.push_async_callback(broker.shutdown)
    return Pair("a job, queued", lambda: ours.enqueue("ann"), "taskiq", lambda: theirs.kiq("ann"))


async def _bare(server: ValkeyServer, stack: AsyncExitStack) -> Any:
    return await stack.enter_async_context(cast("Any", redis.asyncio.Redis).from_url(server.tcp_url))


PARTS = _rate_limit, _cache, _sessions, _ranking, _topics, _lock, _tokens, _jobs


async def _timed(step: Step, steps: int) -> float:
    """Microseconds of the processor that a step takes."""
    gc.collect()
    began = time.process_time()
    for _ in range(steps):
        await step()
    return (time.process_time() - began) / steps * 1e6


async def _measure(report: Report, steps: int, rounds: int) -> None:
    with ValkeyServer() as server:
        async with AsyncExitStack() as stack:
            ours = await stack.enter_async_context(Redis(server.tcp_url, prefix="bench"))
            for part in PARTS:
                pair = await part(server, ours, stack)
                times: tuple[list[float], list[float]] = ([], [])
                for step in (pair.ours, pair.theirs):
                    await _timed(step, 20)
                for _ in range(rounds):
                    for taken, step in zip(times, (pair.ours, pair.theirs), strict=True):
                        taken.append(await _timed(step, steps))
                mine, other = map(statistics.median, times)
                report.add(pair.work, mine, "µs", peer=f"{pair.other}, {other:.0f} µs", ratio=mine / other)


def run(steps: int = STEPS, rounds: int = ROUNDS) -> Report:
    """Measure."""
    report = Report("The parts beside other libraries, processor time a step")
    uvloop.run(_measure(report, steps, rounds))
    return report


if __name__ == "__main__":
    print(run().as_markdown())
