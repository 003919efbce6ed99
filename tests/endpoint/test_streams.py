"""Streams: what is shared among identical subscriptions, what never is, and that nothing stays behind."""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import json
import os
import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import REGISTRY

from graph.endpoint.document import OperationRequest
from graph.endpoint.identity import Caller
from graph.endpoint.subscriptions import group
from graph.patterns.broker import Broker
from harness.waiting import until
from tests.support.apps.live import NEWS, NOWHERE, LiveApp, Notes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from graph.patterns.client import Client

FOLLOW = "subscription { news { text author { name } } }"
RESUME = "subscription($after: String) { news(after: $after) { text gap } }"
MINE = "subscription { news { mine } }"


@pytest.fixture
async def app(client: Client) -> AsyncIterator[LiveApp]:
    """Streams over a broker of their own."""
    async with Broker(client) as broker:
        opened = LiveApp(client, broker)
        yield opened
        await opened.streams.close()


async def test_a_query_over_a_stream_is_answered_and_over(app: LiveApp) -> None:
    """A query gives one result and the end; a refused one only its errors."""
    answered = await app.follow("{ hello }")
    assert answered.payloads == ['{"data":{"hello":"world"}}']
    assert answered.ended == "complete"
    refused = await app.follow("{ nothing }")
    assert refused.payloads == []
    assert refused.code == "GRAPHQL_VALIDATION_FAILED"


async def test_identical_subscriptions_share_source_execution_and_text(app: LiveApp) -> None:
    """A hundred followers cost one source and one execution an event, and get the same string object."""
    sinks = [await app.follow(FOLLOW, address=str(n)) for n in range(100)]
    await until(lambda: app.sources == 1)
    await app.publish("a", "b")
    for sink in sinks:
        await sink.until(2)
        assert sink.values("news", "author", "name") == ["author of a", "author of b"]
        assert sink.payloads[0] is sinks[0].payloads[0]
    assert app.executions == 2
    assert app.streams.groups == 1


async def test_a_shared_source_that_does_not_open_in_time_is_told(
    app: LiveApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the deadline that it is, not as a bug, to all who wait for it."""
    operations = app.streams.engine.operations
    monkeypatch.setattr(operations, "bounds", dataclasses.replace(operations.bounds, deadline=0.05))
    app.gate.clear()
    for sink in [await app.follow("subscription { gated }") for _ in range(3)]:
        await sink.end()
        assert sink.code == "DEADLINE_EXCEEDED"


async def test_different_subscriptions_share_nothing(app: LiveApp) -> None:
    """Another text, variable or operation name is another group."""
    two = "subscription A { news { text } } subscription B { news { text } }"
    await app.follow(FOLLOW)
    await app.follow("subscription { news { text } }")
    for name in ("A", "B"):
        await app.streams.run(OperationRequest(two, None, name, None), Caller("here"), NOWHERE, Notes())
    assert app.streams.groups == 4


async def test_every_follower_is_admitted_on_its_own(client: Client) -> None:
    """The one who is over the limit is refused, although the others of the group go on."""
    async with Broker(client) as broker:
        app = LiveApp(client, broker, anonymous=2)
        sinks = [await app.follow(FOLLOW) for _ in range(3)]
        other = await app.follow(FOLLOW, address="there")
        assert sinks[2].code == "RATE_LIMITED"
        assert json.loads(sinks[2].ended or "")[0]["extensions"]["retryAfter"] > 0
        await until(lambda: app.sources == 1)
        await app.publish("a")
        for sink in (*sinks[:2], other):
            await sink.until(1)
        assert sinks[2].payloads == []
        await app.streams.close()


async def test_an_answer_that_depends_on_the_viewer_reaches_nobody_else(app: LiveApp) -> None:
    """As soon as an execution reads who asks, each user gets an execution of their own, over the same source."""
    ada, bob, nobody = [await app.follow(MINE, user=user) for user in ("ada", "bob", None)]
    ada_again = await app.follow(MINE, user="ada")
    await until(lambda: app.sources == 1)
    await app.publish("x", "y")
    for sink, name in ((ada, "ada"), (bob, "bob"), (nobody, "None"), (ada_again, "ada")):
        await sink.until(2)
        assert sink.values("news", "mine") == [f"{name}: x", f"{name}: y"]
    assert ada.payloads[1] is ada_again.payloads[1]
    assert app.sources == 1


async def test_a_source_that_depends_on_the_viewer_is_not_shared(app: LiveApp) -> None:
    """Anonymous followers get the refusal; signed-in ones move to sources of their own, also those who come later."""
    query = "subscription { private }"
    ada, bob, nobody = [await app.follow(query, user=user) for user in ("ada", "bob", None)]
    await nobody.end()
    assert nobody.code == "UNAUTHENTICATED"
    await until(lambda: app.sources == 2)
    later = await app.follow(query, user="ada")
    await app.publish("x")
    for sink, name in ((ada, "ada"), (bob, "bob"), (later, "ada")):
        await sink.until(1)
        assert sink.values("private") == [f"{name}: x"]
    assert app.sources == 2


async def test_a_source_that_reads_who_asks_and_waits_is_noticed(app: LiveApp) -> None:
    """Before its first event signed-in followers have sources of their own, and miss nothing of them."""
    ada, bob, nobody = [await app.follow("subscription { quiet }", user=user) for user in ("ada", "bob", None)]
    await until(lambda: app.sources == 3)
    await app.publish("x")
    for sink, name in ((ada, "ada"), (bob, "bob"), (nobody, "None")):
        await sink.until(1)
        assert sink.values("quiet") == [f"{name}: x"]


async def test_who_comes_late_gets_a_state_of_its_own(app: LiveApp) -> None:
    """State first, then every change after it; the others are not sent the state again, and joiners share one."""
    query = "subscription { board { value } }"
    first = await app.follow(query)
    await first.until(1)
    await app.change(1)
    await first.until(2)
    late = await asyncio.gather(*(app.follow(query, address=str(n)) for n in range(50)))
    for sink in late:
        await sink.until(1)
    await app.change(2)
    for sink in (first, *late):
        await until(lambda sink=sink: sink.values("board", "value")[-1] == 2)
    assert first.values("board", "value") == [0, 1, 2]
    assert all(sink.values("board", "value") == [1, 2] for sink in late)
    assert app.states < 50 // 2


async def test_states_never_go_back(app: LiveApp) -> None:
    """Joining while the state changes all the time, no follower sees an older state after a newer one."""
    app.lag = 0.01
    query = "subscription { board { value } }"
    sinks: list[Notes] = [await app.follow(query)]

    async def change() -> None:
        for n in range(1, 300):
            await app.change(n)

    changing = asyncio.create_task(change())
    while not changing.done():
        sinks.append(await app.follow(query, address=str(len(sinks))))
    for sink in sinks:
        await until(lambda sink=sink: bool(sink.payloads) and sink.values("board", "value")[-1] == 299)
        values = sink.values("board", "value")
        assert values == sorted(values)


# --- resuming ---


async def test_resuming_joins_the_others(app: LiveApp) -> None:
    """Followers that resume at different places get what they missed once, and then share one group."""
    cursors = await app.publish(*"abcdef")
    sinks = [await app.follow(RESUME, after=cursor, address=str(n)) for n, cursor in enumerate(cursors)]
    for n, sink in enumerate(sinks):
        await sink.until(5 - n)
    assert app.streams.groups == 7
    await app.publish("g", "h", "i")
    for n, sink in enumerate(sinks):
        await sink.until(8 - n)
        assert sink.values("news", "text") == list("abcdefghi"[n + 1 :])
        assert not any(sink.values("news", "gap"))
    await until(lambda: app.streams.groups == 1)
    assert sinks[0].payloads[-1] is sinks[5].payloads[-1]


async def test_resuming_at_what_the_group_remembers_costs_nothing(app: LiveApp) -> None:
    """A cursor that the group has just given out is served from memory, without a source of its own."""
    first = await app.follow(RESUME)
    await until(lambda: app.sources == 1)
    await app.publish("a", "b", "c")
    await first.until(3)
    again = await app.follow(RESUME, after=first.cursors[0])
    assert again.values("news", "text") == ["b", "c"]
    assert again.payloads[1] is first.payloads[2]
    assert app.streams.groups == 1


async def test_resuming_under_load_misses_nothing(app: LiveApp, scaled: Callable[[int, int], int]) -> None:
    """Clients that keep leaving and resuming while events are published see each of them once and in order."""
    start = (await app.publish("0"))[0]
    total = scaled(3000, 200)

    async def wander(n: int) -> list[int]:
        seen: list[int] = []
        cursor: str | None = start
        while not seen or seen[-1] < total:
            sink = await app.follow(RESUME, after=cursor, address=str(n))
            await until(
                lambda sink=sink: len(sink.payloads) > n + 2 or sink.values("news", "text")[-1:] == [str(total)]
            )
            assert sink.close is not None
            sink.close()
            assert not any(sink.values("news", "gap"))
            seen += [int(text) for text in sink.values("news", "text")]
            cursor = sink.cursors[-1]
        return seen

    async def publish() -> None:
        for n in range(1, total + 1):
            await app.publish(str(n))

    async with asyncio.TaskGroup() as group:
        wandering = [group.create_task(wander(n)) for n in range(8)]
        group.create_task(publish())
    for task in wandering:
        assert task.result() == list(range(1, total + 1))


async def test_who_resumes_where_others_are_catching_up_gets_all_of_it(app: LiveApp) -> None:
    """Two followers with one cursor, the second when the first has half of what it missed: both get everything."""
    cursors = await app.publish(*"abcdef")
    held = asyncio.Event()

    class Halting(Notes):
        def next(self, payload: str, cursor: str | None = None) -> None:
            super().next(payload, cursor)
            if len(self.payloads) == 2:
                held.set()

    first = await app.follow(RESUME, Halting(), after=cursors[0])
    await held.wait()
    second = await app.follow(RESUME, after=cursors[0], address="there")
    for sink in (first, second):
        await sink.until(5)
        assert sink.values("news", "text") == list("bcdef")
        assert not any(sink.values("news", "gap"))


async def test_who_resumes_later_than_a_group_remembers_gets_another(
    app: LiveApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A group that has given out more than it keeps is joined by nobody at its beginning; both end with the app."""
    monkeypatch.setattr(group, "_REMEMBERED", 2)
    cursors = await app.publish(*"abcdef")
    first = await app.follow(RESUME, after=cursors[0])
    await first.until(4)
    second = await app.follow(RESUME, after=cursors[0], address="there")
    await second.until(5)
    assert second.values("news", "text") == list("bcdef")
    await app.publish("g")
    for sink in (first, second):
        await until(lambda sink=sink: sink.values("news", "text") == list("bcdefg"))
    await app.streams.close()
    assert app.streams.groups == 0


async def test_many_resume_from_few_cursors_while_events_come(app: LiveApp, scaled: Callable[[int, int], int]) -> None:
    """200 clients come back with 20 cursors in any order while events are published: each gets all after its own."""
    total = scaled(2000, 125)
    cursors = await app.publish(*(str(n) for n in range(20)))
    sinks: dict[int, list[Notes]] = {n: [] for n in range(20)}
    coming = [n for n in range(20) for _ in range(10)]
    random.shuffle(coming)

    async def publish() -> None:
        for n in range(20, total):
            await app.publish(str(n))

    publishing = asyncio.create_task(publish())
    for place, n in enumerate(coming):
        sinks[n].append(await app.follow(RESUME, after=cursors[n], address=str(place)))
        await asyncio.sleep(random.choice((0, 0, 0.001)))
    await publishing
    for n, those in sinks.items():
        for sink in those:
            await until(lambda sink=sink, n=n: len(sink.payloads) >= total - 1 - n)
            assert [int(text) for text in sink.values("news", "text")] == list(range(n + 1, total))
            assert not any(sink.values("news", "gap"))


async def test_who_resumes_while_an_event_is_executed_for_each_user_gets_it(app: LiveApp) -> None:
    """The one who comes back to a group between the executions of an event for others is given that event, too."""
    query = "subscription($after: String) { news(after: $after) { slowly } }"
    ada = await app.follow(query, user="ada")
    await until(lambda: app.sources == 1)
    await app.publish("a")
    await ada.until(1)
    bob = await app.follow(query, user="bob")
    await app.publish("b")
    await bob.until(1)
    app.gate.clear()
    await app.publish("c")
    await until(lambda: app.waiting == 1)
    eve = await app.follow(query, user="eve", after=bob.cursors[0])
    app.gate.set()
    await app.publish("d")
    for sink, name, count in ((ada, "ada", 4), (bob, "bob", 3), (eve, "eve", 2)):
        await sink.until(count)
        assert sink.values("news", "slowly") == [f"{name}: {text}" for text in "abcd"[-count:]]


async def test_moving_to_a_source_of_ones_own_loses_nothing(app: LiveApp) -> None:
    """A source for everybody reads who asks in the midst of its events: signed-in followers go on after the last."""
    query = "subscription { turning { text } }"
    ada, nobody = [await app.follow(query, user=user) for user in ("ada", None)]
    await until(lambda: app.sources == 1)
    await app.publish("a", "b", "turn", "c", "d")
    await nobody.until(5)
    await until(lambda: len(ada.payloads) == 5 or ada.ended is not None)
    assert ada.values("turning", "text") == ["a", "b", "turn", "c", "d"]


@pytest.mark.parametrize("after", ["nonsense", 5, ["x"]])
async def test_a_bad_cursor_is_the_clients_mistake(app: LiveApp, after: Any) -> None:
    """It ends the subscription with BAD_USER_INPUT, and only the one who sent it."""
    good = await app.follow(RESUME)
    bad = await app.follow(RESUME, after=after)
    await bad.end()
    assert bad.code == "BAD_USER_INPUT"
    await until(lambda: app.sources == 1)
    await app.publish("a")
    await good.until(1)


# --- ends ---


async def test_a_source_that_breaks_ends_with_a_masked_error(app: LiveApp, caplog: pytest.LogCaptureFixture) -> None:
    """What a resolver raises unexpectedly is logged under an id; followers get the id."""
    sink = await app.follow("subscription { breaks }")
    await sink.end()
    assert sink.values("breaks") == [1]
    assert sink.code == "INTERNAL_SERVER_ERROR"
    assert "secret" not in (sink.ended or "")
    assert json.loads(sink.ended or "")[0]["extensions"]["id"] in caplog.text
    assert app.streams.groups == 0


async def test_who_catches_up_with_a_source_that_broke_is_told(app: LiveApp) -> None:
    """Followers that resume do not move over to a group that has ended: they would hear nothing any more."""
    cursors = await app.publish("a", "b")
    app.gate.clear()
    sink = await app.follow("subscription($after: String) { ending(after: $after) { text } }", after=cursors[0])
    await until(lambda: app.sources == 2)
    await app.publish("c", "end")
    await until(lambda: app.streams.groups == 1)
    app.gate.set()
    await sink.end()
    assert sink.values("ending", "text") == ["b", "c"]
    assert sink.code == "INTERNAL_SERVER_ERROR"


async def test_who_catches_up_when_a_source_breaks_moves_to_the_next(app: LiveApp) -> None:
    """Whoever resumes meanwhile starts that one, and joins those who catch up: nobody stays behind, nor does it."""
    query = "subscription($after: String) { ending(after: $after) { text gap } }"
    cursors = await app.publish("a", "b")
    app.gate.clear()
    sinks = [await app.follow(query, after=cursors[0])]
    await until(lambda: app.sources == 2)
    await app.publish("half")
    await until(lambda: app.streams.groups == 1)
    sinks.append(await app.follow(query, after=cursors[0], address="there"))
    await until(lambda: app.sources == 3)
    app.gate.set()
    await app.publish("c")
    for sink in sinks:
        await sink.until(3)
        assert sink.values("ending", "text") == ["b", "half", "c"]
        assert not any(sink.values("ending", "gap"))
    await until(lambda: app.streams.groups == 1)
    for sink in sinks:
        assert sink.close is not None
        sink.close()
    await until(lambda: app.streams.groups == 0)


async def test_an_event_whose_execution_fails_is_a_result_with_errors(app: LiveApp) -> None:
    """The subscription goes on after it."""
    sink = await app.follow("subscription { news { text bug } }")
    await until(lambda: app.sources == 1)
    await app.publish("a", "b")
    await sink.until(2)
    first = json.loads(sink.payloads[0])
    assert first["data"] is None
    assert first["errors"][0]["extensions"]["code"] == "INTERNAL_SERVER_ERROR"
    assert sink.ended is None


async def test_the_last_to_leave_ends_the_source(app: LiveApp) -> None:
    """Leaving twice does nothing; after the last follower no source, group or task is left."""
    before = len(asyncio.all_tasks())
    sinks = [await app.follow(FOLLOW) for _ in range(3)]
    await until(lambda: app.sources == 1)
    for sink in sinks:
        assert sink.close is not None
        sink.close()
        sink.close()
    assert app.streams.groups == 0
    await until(lambda: app.sources == 0 and len(asyncio.all_tasks()) <= before + 2)
    assert REGISTRY.get_sample_value("graph_stream_followers") == 0
    assert REGISTRY.get_sample_value("graph_stream_groups") == 0


async def test_a_sink_that_leaves_while_it_is_served(app: LiveApp) -> None:
    """A follower that leaves from within its own `next` disturbs nobody."""

    class Once(Notes):
        def next(self, payload: str, cursor: str | None = None) -> None:
            super().next(payload, cursor)
            assert self.close is not None
            self.close()

    once = await app.follow(FOLLOW, Once())
    sink = await app.follow(FOLLOW)
    await until(lambda: app.sources == 1)
    await app.publish("a", "b")
    await sink.until(2)
    assert len(once.payloads) == 1


async def test_churn_leaves_nothing(app: LiveApp, scaled: Callable[[int, int], int]) -> None:
    """Thousands of followers that come and go leave no group, source or task behind."""
    before = len(asyncio.all_tasks())
    stay = await app.follow(FOLLOW)
    for n in range(scaled(10_000, 300)):
        query = FOLLOW if n % 3 else "subscription { board { value } }"
        sink = await app.follow(query, address=str(n))
        if n % 5 == 0:
            await asyncio.sleep(0)
        assert sink.close is not None
        sink.close()
    assert app.streams.groups == 1
    await until(lambda: app.sources == 1)  # Redis has confirmed that it listens
    await app.publish("a")
    await stay.until(1)
    assert stay.close is not None
    stay.close()
    await until(lambda: app.sources == 0 and len(asyncio.all_tasks()) <= before + 2)
    assert REGISTRY.get_sample_value("graph_stream_followers") == 0
    assert REGISTRY.get_sample_value("graph_stream_groups") == 0


def resident() -> int:
    """Bytes of memory that this process has in use."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


async def test_memory_stays_flat(app: LiveApp, scaled: Callable[[int, int], int]) -> None:
    """Events with nested selections through one subscription leave nothing behind: less than 100 bytes each."""

    class Counting(Notes):
        count = 0

        def next(self, payload: str, cursor: str | None = None) -> None:
            self.count += 1

    sink = Counting()
    await app.follow(FOLLOW, sink)
    await until(lambda: app.sources == 1)

    async def push(count: int) -> None:
        goal = sink.count + count
        for start in range(0, count, 100):
            await asyncio.gather(*(app.broker.publish(NEWS, str(start + n)) for n in range(100)))
        await until(lambda: sink.count == goal)

    total = scaled(100_000, 3000)
    await push(2000)
    gc.collect()
    before = resident()
    await push(total)
    gc.collect()
    assert resident() - before < max(total * 100, 1 << 20)
