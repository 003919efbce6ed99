"""Events that subscriptions with different arguments share: executed once, and when they are not."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from graph.endpoint.subscriptions import once
from graph.patterns.broker import Broker
from harness.waiting import until
from tests.support.apps.live import LiveApp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from graph.patterns.client import Client
    from tests.support.apps.live import Notes

ABOUT = "subscription($word: String!) { about(word: $word) { text author { name } } }"
LATER = "subscription($word: String!) { about(word: $word) { later } }"


@pytest.fixture
async def app(client: Client) -> AsyncIterator[LiveApp]:
    """Streams over a broker of their own."""
    async with Broker(client) as broker:
        opened = LiveApp(client, broker)
        yield opened
        opened.gate.set()
        await opened.streams.close()


async def _followed(app: LiveApp, query: str, *words: str, **variables: Any) -> list[Notes]:
    """Sinks that follow one after the other, so that they get an event in this order."""
    sinks: list[Notes] = []
    for word in words:
        wanted = app.sources + 1
        sinks.append(await app.follow(query, word=word, **variables))
        await until(lambda wanted=wanted: app.sources == wanted)
    return sinks


async def test_different_arguments_share_the_execution_and_the_text(app: LiveApp) -> None:
    """Each gets the events that its own source yields, and an event is executed once for all who get it."""
    sinks = await _followed(app, ABOUT, "", "a", "ab", "b")
    await app.publish("abc", "ac", "b")
    seen = (["abc", "ac", "b"], ["abc", "ac"], ["abc"], ["b"])
    for sink, texts in zip(sinks, seen, strict=True):
        await sink.until(len(texts))
        assert sink.values("about", "text") == texts
    assert app.streams.groups == 4
    assert app.executions == 3
    assert sinks[0].payloads[0] is sinks[1].payloads[0] is sinks[2].payloads[0]


@pytest.mark.parametrize(
    "query",
    [
        "{ about(word: $word) { twice(word: $own) } }",
        "{ about(word: $word) { ...F } } fragment F on News { twice(word: $own) }",
        "{ ... on Subscription { about(word: $word) { twice(word: $own) } } }",
    ],
)
async def test_a_variable_below_the_event_makes_them_different(app: LiveApp, query: str) -> None:
    """Whoever sends another value of it gets an answer of their own, wherever in the document it is used."""
    query = f"subscription($word: String!, $own: String!) {query}"
    one, two = *await _followed(app, query, "", own="x"), *await _followed(app, query, "a", own="y")
    same = (await _followed(app, query, "ab", own="y"))[0]
    await app.publish("abc")
    for sink, expected in ((one, "x x"), (two, "y y"), (same, "y y")):
        await sink.until(1)
        assert sink.values("about", "twice") == [expected]
    assert app.executions == 2


async def test_a_variable_in_a_directive_makes_them_different(app: LiveApp) -> None:
    """A field that one leaves out is not left out for the other."""
    query = "subscription($word: String!, $no: Boolean!) { about(word: $word) { text author @skip(if: $no) { name } } }"
    sinks = [await app.follow(query, word=word, no=no) for word, no in (("", True), ("a", False))]
    await until(lambda: app.sources == 2)
    await app.publish("a")
    for sink in sinks:
        await sink.until(1)
    assert sinks[0].payloads == ['{"data":{"about":{"text":"a"}}}']
    assert sinks[1].payloads == ['{"data":{"about":{"text":"a","author":{"name":"author of a"}}}}']


async def test_who_comes_while_it_is_executed_waits_for_it(app: LiveApp) -> None:
    """An execution that takes its time is under way once, and its result reaches all."""
    app.gate.clear()
    sinks = await _followed(app, LATER, "", "a", "ab")
    await app.publish("abc")
    await until(lambda: app.waiting == 1)
    app.gate.set()
    for sink in sinks:
        await sink.until(1)
        assert sink.values("about", "later") == ["later: abc"]
    assert app.executions == 1


async def test_an_execution_whose_client_leaves_is_done_by_another(app: LiveApp) -> None:
    """The subscription that executes for the others ends; one of them executes."""
    app.gate.clear()
    sinks = await _followed(app, LATER, "", "a", "ab")
    await app.publish("abc")
    await until(lambda: app.waiting == 1)
    first = sinks[0]
    assert first.close is not None
    first.close()
    await until(lambda: app.executions == 2)
    app.gate.set()
    for sink in sinks[1:]:
        await sink.until(1)
        assert sink.values("about", "later") == ["later: abc"]
    assert first.payloads == []
    assert app.executions == 2


async def test_a_failure_is_not_kept(app: LiveApp) -> None:
    """Those who waited for it get it; who comes to the event afterwards has it executed again."""
    sinks = await _followed(app, LATER, "", "b")
    await app.publish("breaks")
    for sink in sinks:
        await sink.until(1)
        assert '"INTERNAL_SERVER_ERROR"' in sink.payloads[0]
    assert app.executions <= 2
    assert not app.streams.once.kept_events


async def test_an_answer_that_reads_who_asks_is_everyones_own(app: LiveApp) -> None:
    """Nobody gets the text that was made for another user, or for nobody."""
    query = "subscription($word: String!) { about(word: $word) { mine } }"
    sinks = {
        user: await app.follow(query, user=user, address=user, word=word)
        for user, word in (("ann", ""), ("bob", "a"), ("eve", "a"))
    }
    nobody = await app.follow(query, word="ab")
    await until(lambda: app.sources == 3)  # bob and eve are of one group
    await app.publish("abc")
    for user, sink in sinks.items():
        await sink.until(1)
        assert sink.values("about", "mine") == [f"{user}: abc"]
    await nobody.until(1)
    assert nobody.values("about", "mine") == ["None: abc"]
    assert not app.streams.once.kept_events


async def test_a_text_is_kept_as_long_as_its_event(app: LiveApp) -> None:
    """When every subscription has had an event, nothing is left of it."""
    sinks = await _followed(app, ABOUT, "", "a")
    texts = [f"a{number}" for number in range(50)]
    for start in range(0, 50, 10):
        await app.publish(*texts[start : start + 10])
        for sink in sinks:
            await sink.until(start + 10)
    for sink in sinks:
        assert sink.values("about", "text") == texts
    await until(lambda: app.streams.once.kept_events <= 1)  # the last is in the sources' hands


class _Held:
    """An event that can be watched."""


@pytest.mark.parametrize("make", [_Held, lambda: ("an event", object())])
async def test_what_is_kept_is_bounded(make: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest texts are dropped, even while their events are there, or where nobody can tell whether they are."""
    monkeypatch.setattr(once, "_ROOM", 2000)
    shared, shape, events = once.Once(), ("document", None, "{}"), [make() for _ in range(50)]

    async def execute() -> once.Execution:
        return once.Execution("text", touched=False, failed=False)

    for event in events:
        await shared.run(shape, event, execute, 0)
    assert [event for event in events if shared.kept(shape, event, 0)] == events[-3:]
    assert shared.kept_events == 3


async def test_nobody_is_shown_an_older_state_after_a_newer_one() -> None:
    """A subscription that executed an event itself takes no execution of the next event that began before that."""
    shared, state = once.Once(), 1
    shape: once.Shape = ("document", None, "{}")
    fifth, sixth = object(), object()

    async def execute() -> once.Execution:
        return once.Execution(f"state {state}", touched=False, failed=False)

    async def failed() -> once.Execution:
        return once.Execution("away", touched=False, failed=True)

    async def of(event: object, since: int, how: Callable[[], Awaitable[once.Execution]] = execute) -> once.Execution:
        return shared.kept(shape, event, since) or await shared.run(shape, event, how, since)

    first = await of(fifth, 0, failed)  # one subscription has both events
    first = await of(sixth, first.turn)
    state = 2
    second = await of(fifth, 0)  # the other comes later, and executes the fifth once more
    assert second.text == "state 2"
    assert (await of(sixth, second.turn)).text == "state 2"
    assert (await of(sixth, first.turn)).text == "state 2"  # kept in place of the older one
    assert shared.kept_events == 2


async def test_nobody_waits_for_an_older_state_after_a_newer_one() -> None:
    """Nor does it take one that is still under way, and began before its own."""
    shared, state = once.Once(), 1
    shape: once.Shape = ("document", None, "{}")
    fifth, sixth = object(), object()
    gate = asyncio.Event()

    async def execute() -> once.Execution:
        return once.Execution(f"state {state}", touched=False, failed=False)

    async def slow() -> once.Execution:
        seen = state
        await gate.wait()
        return once.Execution(f"state {seen}", touched=False, failed=False)

    one = asyncio.create_task(shared.run(shape, sixth, slow, 0))
    await asyncio.sleep(0)
    state = 2
    mine = await shared.run(shape, fifth, execute, 0)
    other = asyncio.create_task(shared.run(shape, sixth, execute, mine.turn))
    await asyncio.sleep(0)
    gate.set()
    assert (await one).text == "state 1"
    assert (await other).text == "state 2"
