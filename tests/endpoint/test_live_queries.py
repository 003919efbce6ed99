"""Live queries: what is sent when, what is executed once, what is refused, and that nothing stays behind."""

from __future__ import annotations

import asyncio
import gc
import json
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import REGISTRY

from graph.endpoint.identity import Caller
from graph.endpoint.live.follower import LiveFollower
from graph.endpoint.live.patching import difference
from graph.endpoint.live.texts import LARGEST, Texts
from graph.endpoint.websocket import SocketLimits
from graph.patterns.client import open_client
from graph.patterns.fair_queue import Sharers, on_behalf_of
from harness.patches import applied, read
from harness.valkey import ValkeyServer
from harness.waiting import HANG, until, within
from tests.support.apps.answers import AnswersApp, KeyTokens
from tests.support.apps.live import Notes
from tests.support.models.truth import Truth

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from graph.patterns.client import Client

THING = 'query @live(throttle: 0) { thing(key: "a") { version } }'
THINGS = 'query @live(throttle: 0) { things(keys: ["a", "b", "c"]) { key version } }'
INVALID = "GRAPHQL_VALIDATION_FAILED"
SOCKETS = SocketLimits(operations=5)


@pytest.fixture
def truth() -> Truth:
    """Three things, at version 1."""
    truth = Truth()
    truth.versions.update(dict.fromkeys("abc", 1))
    return truth


@pytest.fixture
def own_valkey() -> Iterator[ValkeyServer]:
    """A server to break."""
    with ValkeyServer() as server:
        yield server


@pytest.fixture
async def launch(client: Client, truth: Truth) -> AsyncIterator[Callable[..., AnswersApp]]:
    """Starts processes that share one Redis and one truth."""
    made: list[AnswersApp] = []

    def start(**options: Any) -> AnswersApp:
        made.append(AnswersApp(client, truth, sockets=SOCKETS, **options))
        return made[-1]

    yield start
    for app in made:
        await app.close()


@pytest.fixture
async def app(launch: Callable[..., AnswersApp]) -> AnswersApp:
    """One process."""
    return launch()


async def write(app: AnswersApp, *keys: str) -> None:
    """Change things, as the mutation does."""
    async with app.cache.invalidating(*keys):
        for key in keys:
            app.truth.versions[key] += 1


async def shows(sink: Notes, version: int, *path: str | int) -> None:
    """Wait until the newest answer says so."""
    await until(lambda: bool(sink.payloads) and sink.values(*(path or ("thing", "version")))[-1] == version)


async def test_the_answer_comes_first_and_again_when_it_changes(app: AnswersApp) -> None:
    """Each change of what was read is a new answer; a change of anything else, or of nothing, is none."""
    sink = await app.follow(THING)
    await shows(sink, 1)
    for version in range(2, 6):
        await write(app, "a")
        await shows(sink, version)
    await write(app, "b")
    await app.cache.invalidate("a")
    await write(app, "a")
    await shows(sink, 6)
    assert sink.values("thing", "version") == [1, 2, 3, 4, 5, 6]


async def test_the_query_is_executed_by_compiled_code(app: AnswersApp) -> None:
    """The directive does not leave a live query to graphql-core: it runs many times."""

    def counted(outcome: str) -> float:
        return REGISTRY.get_sample_value("graph_compiled_operations_total", {"outcome": outcome}) or 0.0

    compiled, left = counted("compiled"), counted("left")
    sink = await app.follow(THINGS)
    await shows(sink, 1, "things", 0, "version")
    assert (counted("compiled") - compiled, counted("left") - left) == (1, 0)


async def test_what_is_new_in_the_answer_is_followed_too(app: AnswersApp) -> None:
    """A thing that did not exist when the query began is shown when it comes, and followed from then on."""
    sink = await app.follow('query @live(throttle: 0) { things(keys: ["a", "new"]) { key version } }')
    await sink.until(1)
    async with app.cache.invalidating("new"):
        app.truth.versions["new"] = 1
    await sink.until(2)
    assert [one["key"] for one in sink.values("things")[-1]] == ["a", "new"]
    await write(app, "new")
    await sink.until(3)
    assert sink.values("things")[-1][1]["version"] == 2


async def test_one_execution_a_change_for_all_who_follow(launch: Callable[..., AnswersApp], truth: Truth) -> None:
    """Three processes with five followers each: a change is executed once among them, and each text is one string."""
    apps = [launch(kept={"lease": HANG, "patience": HANG}) for _ in range(3)]
    sinks = [[await app.follow(THING, address=str(n)) for n in range(5)] for app in apps]
    everyone = [sink for group in sinks for sink in group]
    for sink in everyone:
        await shows(sink, 1)
    for version in range(2, 12):
        await write(apps[0], "a")
        for sink in everyone:
            await shows(sink, version)
    assert sum(app.resolved for app in apps) <= 11 + 10  # a reading that meets a writer is not kept for the others
    assert truth.versions["a"] == 11
    for group in sinks:
        assert all(sink.payloads[-1] is group[0].payloads[-1] for sink in group)
        assert all(sink.values("thing", "version") == sorted(set(sink.values("thing", "version"))) for sink in group)
    assert [len(app.endpoint.live or ()) for app in apps] == [1, 1, 1]


_HEAD = "query Q($keys: [String!]!, $wait: Int!) @live(throttle: $wait, patch: false)"
_PARTS = "fragment A on Thing { key } fragment B on Thing { version }"
SAME = (
    f"{_HEAD} {{ things(keys: $keys) {{ ...A ...B }} }} {_PARTS}",
    """fragment B on Thing{version}
    query Q( $wait:Int!,$keys:[String!]! )@live(patch:false,throttle:$wait){
      things(keys:$keys){...A,...B} # the same
    }fragment A on Thing{key}""",
    f"{_HEAD} {{ things(keys: $keys) {{ ...A ...B }} }} {_PARTS} query Beside {{ things(keys: []) {{ ...A ...B }} }}",
)
ALIKE = (
    f"{_HEAD} {{ things(keys: $keys) {{ ...B ...A }} }} {_PARTS}",
    f"{_HEAD} {{ things: things(keys: $keys) {{ ...A ...B }} }} {_PARTS}",
)


async def test_queries_that_differ_in_how_they_are_written_are_one(launch: Callable[..., AnswersApp]) -> None:
    """Two processes with three spellings of a query execute once a change; another order of fields is another query."""
    apps = [launch(kept={"lease": HANG, "patience": HANG}) for _ in range(2)]
    variables: dict[str, Any] = {"keys": ["a", "b"], "wait": 0}
    sinks = [await app.follow(text, operation="Q", **variables) for app in apps for text in SAME]
    for sink in sinks:
        await shows(sink, 1, "things", 0, "version")
    assert [len(app.endpoint.live or ()) for app in apps] == [1, 1]
    for version in range(2, 7):
        await write(apps[0], "a")
        for sink in sinks:
            await shows(sink, version, "things", 0, "version")
    assert sum(app.resolved for app in apps) <= 6 + 5  # a reading that meets a writer is not kept for the others
    for text in ALIKE:
        await shows(await apps[0].follow(text, operation="Q", **variables), 6, "things", 0, "version")
    assert len(apps[0].endpoint.live or ()) == 1 + len(ALIKE)


PACED = (
    'query @live(throttle: 0) { thing(key: "a") { version } }',
    'query @live(throttle: 1, patch: true) { thing(key: "a") { version } }',
    'query($t: Int!, $patch: Boolean) @live(throttle: $t, patch: $patch) { thing(key: "a") { version } }',
    'query($if: Boolean) @live(if: $if, throttle: 3) { thing(key: "a") { version } }',
)


async def test_one_execution_a_change_however_often_each_wants_it(launch: Callable[..., AnswersApp]) -> None:
    """What the directive asks for makes other queries, which share what is executed; a wrong value is its sender's."""
    apps = [launch(kept={"lease": HANG, "patience": HANG}) for _ in range(2)]
    sinks = [await app.follow(text, t=2, patch=False) for app in apps for text in PACED]
    for sink in sinks:
        await sink.until(1)
    assert [len(app.endpoint.live or ()) for app in apps] == [len(PACED)] * 2
    for count in range(2, 7):
        await write(apps[0], "a")
        for sink in sinks:
            await sink.until(count)
    assert sum(app.resolved for app in apps) <= 6 + 5  # a reading that meets a writer is not kept for the others
    for wrong in ({"t": None}, {}):
        refused = await apps[0].follow(PACED[2], address="there", **wrong)
        await refused.end()
        assert refused.code == "BAD_USER_INPUT"
    assert [sink.ended for sink in sinks] == [None] * len(sinks)


async def test_a_burst_is_read_once_when_the_throttle_is_over(app: AnswersApp) -> None:
    """Changes within the throttle execute nothing; whoever joins is answered at once, with the last state."""
    throttled = 'query @live(throttle: 3600000) { thing(key: "a") { version } }'
    sink = await app.follow(throttled)
    await shows(sink, 1)
    before = app.resolved
    for _ in range(300):
        await write(app, "a")
    assert app.resolved == before
    late = await app.follow(throttled)
    await shows(late, 301)
    await shows(sink, 301)
    assert sink.values("thing", "version") == [1, 301]


async def test_whoever_joins_gets_an_answer_read_after_it_came(app: AnswersApp, truth: Truth) -> None:
    """A change that was announced to nobody, because it was made past the cache's scripts, is seen by who joins."""
    first = await app.follow(THING)
    await shows(first, 1)
    truth.versions["a"] = 7
    await app.cache._client.execute("SET", "graph:tag:{a}", "another", "PX", 100000, retry=False)
    second = await app.follow(THING)
    await shows(second, 7)
    await shows(first, 7)
    assert second.values("thing", "version") == [7]


async def test_who_asks_is_told_apart(app: AnswersApp, client: Client, truth: Truth) -> None:
    """An answer that depends on the session is each session's own: because the schema, or an execution, says so."""
    for user in ("ann", "bob"):
        await client.execute("SET", KeyTokens.key(user), "1", "PX", 1_000_000, retry=False)
        truth.versions[f"user:{user}"] = 1
    declared = "query @live(throttle: 0) { mine { key version } }"
    noticed = 'query @live(throttle: 0) { thing(key: "a") { version owner } }'
    sinks = {user: (await app.follow(declared, user), await app.follow(noticed, user)) for user in ("ann", "bob", None)}
    for user, (mine, thing) in sinks.items():
        await mine.until(1)
        await thing.until(1)
        assert mine.values("mine") == [None if user is None else {"key": user, "version": 1}]
        assert thing.values("thing", "owner") == [user]
    async with app.cache.invalidating("user:ann"):
        truth.versions["user:ann"] = 2
    await sinks["ann"][0].until(2)
    await write(app, "a")
    for user, (mine, thing) in sinks.items():
        await shows(thing, 2)
        assert thing.values("thing", "owner") == [user] * 2
        assert len(mine.payloads) == (2 if user == "ann" else 1)


@pytest.mark.parametrize(
    ("query", "code", "named"),
    [
        ("query @live { plain }", INVALID, "Query.plain"),
        (
            'query @live { thing(key: "a") { ...F } } fragment F on Thing { now }',
            INVALID,
            "Thing.now",
        ),
        ("query @live { __schema { types { name } } }", INVALID, "Query.__schema"),
        ('mutation @live { write(key: "a") }', INVALID, "mutation"),
        ("query @live { brief }", "CANNOT_BE_LIVE", "Query.brief"),
        ("query @live { past }", "CANNOT_BE_LIVE", "Query.past"),
        ("query @live { __typename }", "CANNOT_BE_LIVE", "query"),
        ('query @live(throttle: -1) { thing(key: "a") { version } }', "BAD_USER_INPUT", "throttle"),
        ('query($t: Int) @live(throttle: $t) { thing(key: "a") { version } }', "BAD_USER_INPUT", "throttle"),
        ('query @live(throttle: 2147483648) { thing(key: "a") { version } }', INVALID, "Int"),
        ('query @live(throttle: "1") { thing(key: "a") { version } }', INVALID, "Int"),
        ('query($t: Float) @live(throttle: $t) { thing(key: "a") { version } }', INVALID, "t"),
        ('query @live { thing(key: "a") { ...F } } fragment F on Thing @live { version }', INVALID, "live"),
        ("query @live(if: false) { plain }", INVALID, "Query.plain"),
        ('query @live(throttle: 3600001) { thing(key: "a") { version } }', "BAD_USER_INPUT", "3600000"),
        ('query @live @live { thing(key: "a") { version } }', INVALID, "live"),
        ('query { thing(key: "a") @live { version } }', INVALID, "live"),
        ('query @live { thing(key: "a") { ... @defer { version } } }', INVALID, "defer"),
        (
            'query @live { thing(key: "a") { ...F } } fragment F on Thing { ...G } fragment G on Thing { now }',
            INVALID,
            "Thing.now",
        ),
    ],
)
async def test_what_cannot_be_live_is_refused(app: AnswersApp, query: str, code: str, named: str) -> None:
    """The refusal has a code, and names what is in the way."""
    sink = await app.follow(query, t="often")
    await sink.end()
    assert (sink.code, sink.payloads) == (code, [])
    assert named in json.loads(sink.ended or "")[0]["message"]


async def test_what_is_the_same_is_shared_and_nothing_else(app: AnswersApp) -> None:
    """The order of variables, and those that are not declared, make no difference; what the directive says does."""
    query = "query($key: String!, $delay: Float) @live(throttle: 0) { thing(key: $key, delay: $delay) { version } }"
    sinks = [
        await app.follow(query, key="a", delay=0.0),
        await app.follow(query, delay=0.0, key="a", other=1),
    ]
    for sink in sinks:
        await shows(sink, 1)
    live = app.endpoint.live
    assert live is not None
    assert len(live) == 1
    patched = (
        'query($patch: Boolean!) @live(throttle: 0, patch: $patch) { things(keys: ["a", "b", "c"]) { key version } }'
    )
    whole, patches = await app.follow(patched, patch=False), await app.follow(patched, patch=True)
    for version in (1, 2):
        for sink in (whole, patches):
            await sink.until(version)
        await write(app, "a")
    assert len(live) == 3
    assert [sorted(json.loads(text)) for text in whole.payloads[:2]] == [["data"], ["data"]]
    assert [json.loads(text)["revision"] for text in patches.payloads[:2]] == [1, 2]


def test_a_large_answer_is_sent_whole() -> None:
    """Two of them are not compared: that would keep the process from everything else."""
    follower = LiveFollower(sink := Notes(), Caller("here"), 1)
    before: str | None = None
    for number in range(3):
        text = json.dumps({"data": {"number": number, "text": "x" * LARGEST}})
        Texts(text, before, patch=True).send(follower, first=before is None)
        before = text
    assert [json.loads(payload)["revision"] for payload in sink.payloads] == [1, 1, 1]
    assert sink.values("number") == [0, 1, 2]


async def test_a_query_that_is_not_to_be_live_is_answered_once(app: AnswersApp) -> None:
    """`if: false`, as a variable too, makes it an ordinary query."""
    for query in (THING.replace("throttle: 0", "if: false"), "query($on: Boolean!) @live(if: $on)" + THING[24:]):
        sink = await app.follow(query, on=False)
        assert (sink.ended, sink.values("thing", "version")) == ("complete", [1])


async def test_each_follower_is_charged_once_and_bounded(launch: Callable[..., AnswersApp]) -> None:
    """The one over the limit is refused although the others go on; refreshes are not charged; at most N a caller."""
    app = launch(limits={"anonymous": 6})
    sinks = [await app.follow(THING) for _ in range(7)]
    await until(lambda: sinks[5].ended is not None and sinks[6].ended is not None)
    assert [sinks[5].code, sinks[6].code] == ["TOO_MANY_OPERATIONS", "RATE_LIMITED"]
    for version in range(2, 12):
        await write(app, "a")
        await shows(sinks[0], version)
    assert [sink.ended for sink in sinks[:5]] == [None] * 5
    assert sinks[0].close is not None
    sinks[0].close()
    other = await app.follow(THING, address="there")
    await shows(other, 11)


async def test_an_answer_is_read_on_behalf_of_those_who_follow(launch: Callable[..., AnswersApp]) -> None:
    """It waits for SQL in the queues of its followers, and not as the program itself, whose places have no limit."""
    noted: list[set[str | None]] = []

    def sight(one: Any) -> Any:
        working = on_behalf_of.get()
        if isinstance(working, Sharers):
            noted.append(set(working.callers))
        return one

    app = launch(sight=sight)
    sinks = [await app.follow(THING, address=address) for address in ("here", "there")]
    for version in (1, 2):
        for sink in sinks:
            await shows(sink, version)
        await write(app, "a")
    await shows(sinks[0], 3)
    assert noted[-1] == {"here", "there"}
    assert all(None not in callers for callers in noted)


async def test_refreshes_are_charged_where_fields_are(launch: Callable[..., AnswersApp]) -> None:
    """In the mode "cost" each new answer costs its followers; the one who has nothing left is told so."""
    app = launch(limits={"anonymous": 3, "mode": "cost"})
    poor, rich = await app.follow(THING), await app.follow(THING, "ann")
    for version in range(1, 6):
        await shows(rich, version)
        await write(app, "a")
    await poor.end()
    assert poor.code == "RATE_LIMITED"
    assert poor.values("thing", "version") == [1, 2, 3]
    await shows(rich, 6)


async def test_nothing_is_watched_when_the_last_follower_cannot_pay(launch: Callable[..., AnswersApp]) -> None:
    """The query that ends because of its own refresh follows no tags any more."""
    app = launch(limits={"anonymous": 2, "mode": "cost"})
    live = app.endpoint.live
    assert live is not None
    sink = await app.follow(THING)
    for version in (1, 2):
        await shows(sink, version)
        await write(app, "a")
    await sink.end()
    assert sink.code == "RATE_LIMITED"
    assert (len(live), len(live.watch)) == (0, 0)


async def test_patches_bring_every_follower_to_the_same_state(app: AnswersApp) -> None:
    """The first answer is whole, with revision 1; each patch has the next; a slow follower gets a whole one again."""
    query = 'query @live(throttle: 0, patch: true) { things(keys: ["a", "b", "c", "d"]) { key version } }'
    first = await app.follow(query)
    await first.until(1)
    await write(app, "b")
    await first.until(2)
    second = await app.follow(query)
    await second.until(1)
    async with app.cache.invalidating("d"):
        app.truth.versions["d"] = 1
    await first.until(3)
    await second.until(2)
    first.busy = True
    await write(app, "a")
    await first.until(4)
    await second.until(3)
    first.busy = False
    await write(app, "c")
    await first.until(5)
    await second.until(4)
    revisions = [[json.loads(text)["revision"] for text in sink.payloads] for sink in (first, second)]
    assert revisions == [[1, 2, 3, 1, 2], [1, 2, 3, 4]]
    assert read(first.payloads) == read(second.payloads)
    assert read(first.payloads)["things"] == [
        {"key": key, "version": version} for key, version in zip("abcd", (2, 2, 2, 1), strict=True)
    ]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"a": 1}, {"a": 1.5, "b": None}),
        ({"a": 1, "b": 0}, {"a": True, "b": False}),
        ({"a": [1, 2, 3, 4]}, {"a": [1, 9, 2, 3, 4]}),
        ({"a": [1, 2, 3, 4]}, {"a": [4]}),
        ({"a": [{"k": 1}, {"k": 2}]}, {"a": [{"k": 2}, {"k": 1}, {"k": 3}]}),
        ({"a": None}, {"a": {"b": []}}),
        ({"x/y": 1, "~": 2}, {"x/y": 3}),
        ({"a": [[1], [2]]}, {"a": [[1, 2], []]}),
    ],
)
def test_a_patch_makes_the_new_of_the_old(old: Any, new: Any) -> None:
    """True is not 1, a list may shrink, grow or turn, and names are escaped."""
    patch = difference(old, new)
    assert json.dumps(applied(old, patch), sort_keys=True) == json.dumps(new, sort_keys=True)
    assert difference(new, new) == []


async def test_an_error_is_sent_and_is_over_with_the_next_change(app: AnswersApp) -> None:
    """What a resolver raises is in the answer; followers go on."""
    sink = await app.follow('query @live(throttle: 0) { thing(key: "a") { version odd } }')
    await shows(sink, 1)
    await write(app, "a")
    await shows(sink, 2)
    assert json.loads(sink.payloads[-1])["errors"][0]["path"] == ["thing", "odd"]
    await write(app, "a")
    await shows(sink, 3)
    assert "errors" not in json.loads(sink.payloads[-1])


async def test_nothing_stays_after_the_last_follower_has_left(app: AnswersApp, client: Client) -> None:
    """The task, the tags and the channels go with the last follower."""
    sinks = [await app.follow(THINGS, address=str(n)) for n in range(20)]
    for sink in sinks:
        await sink.until(1)
    live = app.endpoint.live
    assert live is not None
    assert len(live) == 1
    for sink in sinks:
        assert sink.close is not None
        sink.close()
        sink.close()
    await until(lambda: len(live) == 0)
    assert len(live.watch) == 0
    async with within("no channels"):
        while await client.execute("PUBSUB", "CHANNELS", retry=True):
            await asyncio.sleep(0.01)
    assert REGISTRY.get_sample_value("graph_live_followers") == 0


async def test_a_live_query_outlasts_a_redis_that_dies(own_valkey: ValkeyServer, truth: Truth) -> None:
    """The server is killed and comes back: what was written meanwhile is shown; who joins meanwhile waits."""
    async with open_client(own_valkey.url) as client:
        app = AnswersApp(client, truth, sockets=SOCKETS)
        sink = await app.follow(THING)
        await shows(sink, 1)
        own_valkey.kill()
        truth.versions["a"] = 2
        late = asyncio.create_task(app.follow(THING, "ann"))
        own_valkey.start()
        await shows(sink, 2)
        await shows(await late, 2)
        await write(app, "a")
        await shows(sink, 3)
        assert sink.values("thing", "version") == [1, 2, 3]
        await app.close()
        gc.collect()
