"""The broker on a real server: order, history, gaps, slow consumers, and nothing left behind."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import REGISTRY

from graph.patterns.broker import BadCursor, Broker, Delivery, Event, SlowConsumer, Topic
from graph.patterns.broker.topic import TopicKeys
from graph.patterns.client import RedisUnavailable
from harness.waiting import until, within

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from graph.patterns.broker import Subscription
    from graph.patterns.broker.topic import HistoryPage, Position
    from graph.patterns.client import Client

TOPIC = Topic("test:every", Delivery.EVERY)
LATEST = Topic("test:latest", Delivery.LATEST)
SOURCED = Topic("test:sourced", Delivery.EVERY, sourced=True)


@pytest.fixture
async def broker(client: Client) -> AsyncIterator[Broker]:
    """A broker that looks for lost events often."""
    async with Broker(client, check_every=0.2, queue=8) as opened:
        yield opened


async def take(events: Subscription, count: int) -> list[Event]:
    """The next `count` events."""
    async with within(f"{count} events"):
        return [await anext(events) for _ in range(count)]


def values(events: list[Event]) -> list[Any]:
    """What the events say."""
    return [event.data for event in events]


# --- delivery ---


async def test_events_come_in_order_and_carry_where_and_when(broker: Broker) -> None:
    """A subscriber gets what is published after it subscribed, in order, with position and time."""
    await broker.publish(TOPIC, {"n": 0})
    async with broker.subscribe(TOPIC) as events:
        positions = [await broker.publish(TOPIC, {"n": n}) for n in range(1, 5)]
        got = await take(events, 4)
    assert values(got) == [{"n": n} for n in range(1, 5)]
    assert [event.cursor for event in got] == [str(position) for position in positions]
    assert [event.position.offset for event in got] == [2, 3, 4, 5]
    assert not any(event.gap for event in got)
    assert got[0].at == pytest.approx(got[-1].at, abs=5)


async def test_history_and_live_meet_without_a_seam(broker: Broker) -> None:
    """Resuming while events are being published gives each of them once, whatever the history's length."""
    start = await broker.publish(TOPIC, -1)
    for n in range(600):
        await broker.publish(TOPIC, n)

    async def publish() -> None:
        for n in range(600, 900):
            await broker.publish(TOPIC, n)

    publishing = asyncio.create_task(publish())
    async with broker.subscribe(TOPIC, after=str(start)) as events:
        got = await take(events, 900)
    await publishing
    assert values(got) == list(range(900))
    assert not any(event.gap for event in got)


async def test_subscribers_of_one_topic_share_it(client: Client, broker: Broker) -> None:
    """A hundred subscribers cost the server one subscription, and each gets every event."""
    async with asyncio.TaskGroup() as group:
        ready = [asyncio.Event() for _ in range(100)]

        async def follow(n: int) -> list[Any]:
            async with broker.subscribe(TOPIC) as events:
                ready[n].set()
                return values(await take(events, 3))

        tasks = [group.create_task(follow(n)) for n in range(100)]
        for event in ready:
            await event.wait()
        channel = TopicKeys.of("graph", TOPIC).channel
        assert await client.execute("PUBSUB", "NUMSUB", channel, retry=True) == [channel.encode(), 1]
        for n in range(3):
            await broker.publish(TOPIC, n)
    assert [task.result() for task in tasks] == [[0, 1, 2]] * 100


async def test_what_is_made_of_an_event_is_made_once(broker: Broker) -> None:
    """Subscribers who make the same of an event get the same object, those who make something else another one."""
    made: list[Any] = []

    def make(event: Event) -> object:
        made.append(event.data)
        return object()

    async with broker.subscribe(TOPIC) as one, broker.subscribe(TOPIC) as two:
        await broker.publish(TOPIC, "a")
        await broker.publish(TOPIC, "b")
        first, second = await take(one, 2), await take(two, 2)
        objects = [event.once(make) for event in (*first, *second)]
    assert made == ["a", "b"]
    assert objects[:2] == objects[2:]
    assert objects[0] is not objects[1]
    assert first[0].once(lambda event: event.data) == "a"


async def test_two_processes_see_the_same(client: Client, broker: Broker) -> None:
    """What one broker publishes another one delivers, and a cursor of one resumes at the other."""
    async with Broker(client) as other, other.subscribe(TOPIC) as events:
        await broker.publish(TOPIC, "a")
        first = (await take(events, 1))[0]
        await broker.publish(TOPIC, "b")
        async with broker.subscribe(TOPIC, after=first.cursor) as resumed:
            assert values(await take(resumed, 1)) == ["b"]


async def test_a_callback_gets_every_event_and_may_fail(broker: Broker, caplog: pytest.LogCaptureFixture) -> None:
    """A callback that raises is logged, and goes on being called."""
    seen: list[Any] = []

    def callback(event: Event) -> None:
        seen.append(event.data)
        if event.data == 0:
            raise ValueError("broken")

    registration = broker.on(TOPIC, callback)
    await registration.ready()
    await broker.publish(TOPIC, 0)
    await broker.publish(TOPIC, 1)
    await until(lambda: seen == [0, 1])
    assert "a callback of topic test:every failed" in caplog.text
    registration.remove()
    registration.remove()
    await broker.publish(TOPIC, 2)
    async with broker.subscribe(TOPIC) as events:
        await broker.publish(TOPIC, 3)
        await take(events, 1)
    assert seen == [0, 1]


# --- gaps ---


async def test_a_message_lost_with_none_after_it_is_found(client: Client, broker: Broker) -> None:
    """An event that is in the history but never came over pub/sub is delivered by the position check."""
    async with broker.subscribe(TOPIC) as events:
        await broker.publish(TOPIC, 1)
        await take(events, 1)
        await publish_unheard(client, broker, 2)
        assert values(await take(events, 1)) == [2]


async def test_a_message_lost_in_between_is_found_at_once(client: Client, broker: Broker) -> None:
    """The next event shows the hole, and both come in order."""
    async with Broker(client, check_every=3600) as patient, patient.subscribe(TOPIC) as events:
        await broker.publish(TOPIC, 1)
        await publish_unheard(client, broker, 2)
        await broker.publish(TOPIC, 3)
        got = await take(events, 3)
    assert values(got) == [1, 2, 3]
    assert not any(event.gap for event in got)


async def publish_unheard(client: Client, broker: Broker, data: Any) -> None:
    """Publish to a channel that nobody listens to, into the history that everybody reads."""
    command = broker.publish_command(TOPIC, data)
    args = list(command.args)
    args[5] = "nobody"
    await client.send(command._replace(args=tuple(args)))


async def test_trimmed_history_is_a_gap(client: Client, broker: Broker) -> None:
    """Who resumes after an event whose successors were trimmed is told so once, and gets the rest."""
    short = Topic("test:short", max_length=3)
    start = await broker.publish(short, 0)
    for n in range(1, 8):
        await broker.publish(short, n)
    async with broker.subscribe(short, after=str(start)) as events:
        got = await take(events, 3)
    assert values(got) == [5, 6, 7]
    assert [event.gap for event in got] == [True, False, False]
    await client.execute("DEL", TopicKeys.of("graph", short).history, retry=False)
    async with broker.subscribe(short, after=got[0].cursor) as events:
        bare = (await take(events, 1))[0]
        assert bare.gap
        assert bare.data is None
        after = await broker.publish(short, 8)
        assert [event.cursor for event in await take(events, 1)] == [str(after)]


async def test_old_events_are_trimmed(client: Client, broker: Broker) -> None:
    """Events older than the topic's age leave with the next one, and the rest with the key's TTL."""
    young = Topic("test:young", max_age=0.05)
    await broker.publish(young, 1)
    await asyncio.sleep(0.06)
    await broker.publish(young, 2)
    assert await client.execute("XLEN", TopicKeys.of("graph", young).history) <= 1
    aged = Topic("test:aged", max_age=100)
    await broker.publish(aged, 1)
    assert 0 < await client.execute("TTL", TopicKeys.of("graph", aged).history) <= 100
    assert 100 < await client.execute("TTL", TopicKeys.of("graph", aged).state) <= 200


async def test_a_lost_store_is_a_gap(client: Client, broker: Broker) -> None:
    """When everything is flushed, a running subscriber and one that resumes are told, and see what follows."""
    async with broker.subscribe(TOPIC) as events:
        await broker.publish(TOPIC, 1)
        cursor = (await take(events, 1))[0].cursor
        await client.execute("FLUSHALL", retry=False)
        await broker.publish(TOPIC, 2)
        await broker.publish(TOPIC, 3)
        got = await take(events, 2)
        assert values(got) == [2, 3]
        assert [event.gap for event in got] == [True, False]
    async with broker.subscribe(TOPIC, after=cursor) as events:
        got = await take(events, 2)
        assert values(got) == [2, 3]
        assert [event.gap for event in got] == [True, False]


async def test_a_quiet_loss_is_a_bare_gap(client: Client, broker: Broker) -> None:
    """A flush with nothing published after it is noticed by the position check and reported by itself."""
    async with broker.subscribe(TOPIC) as events:
        await broker.publish(TOPIC, 1)
        await take(events, 1)
        await client.execute("FLUSHALL", retry=False)
        bare = (await take(events, 1))[0]
        assert bare.gap
        assert bare.data is None
        await broker.publish(TOPIC, 2)
        got = await take(events, 1)
        assert values(got) == [2]
        assert not got[0].gap


async def test_what_was_lost_before_the_first_event_came_is_a_gap(client: Client, broker: Broker) -> None:
    """Who follows a topic that was empty is told when its first events were lost, not only its later ones."""
    async with Broker(client, check_every=3600) as patient, patient.subscribe(TOPIC) as events:
        cursor = events.cursor
        await publish_unheard(client, broker, 1)
        await client.execute("FLUSHALL", retry=False)
        await broker.publish(TOPIC, 2)
        got = await take(events, 1)
        async with broker.subscribe(TOPIC, after=cursor) as resumed:
            got += await take(resumed, 1)
    assert values(got) == [2, 2]
    assert [event.gap for event in got] == [True, True]


async def test_who_gives_up_waiting_for_the_history_still_gets_it_first(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader that is cancelled while what it has missed is read gets that before what came meanwhile."""
    read, reading = broker._read, asyncio.Event()

    async def read_never(topic: Topic, after: Position | None) -> HistoryPage:
        reading.set()
        return await asyncio.Future()

    start = await broker.publish(TOPIC, 0)
    await broker.publish(TOPIC, 1)
    async with broker.subscribe(TOPIC) as others, broker.subscribe(TOPIC, after=str(start)) as events:
        monkeypatch.setattr(broker, "_read", read_never)
        first = asyncio.create_task(take(events, 1))
        await reading.wait()
        await broker.publish(TOPIC, 2)
        await take(others, 1)
        first.cancel()
        await asyncio.wait([first])
        monkeypatch.setattr(broker, "_read", read)
        got = await take(events, 2)
    assert values(got) == [1, 2]


@pytest.mark.parametrize(
    "text", ["", "x", "a.b.c", "a.b.1-", "a.b.-1-2", "a.b.1-2\n", "é.b.1-2", "a" * 200 + ".b.1-2", f"a.b.{'9' * 17}-1"]
)
async def test_what_is_no_cursor_is_refused(broker: Broker, text: str) -> None:
    """A cursor that was not given out by a broker raises `BadCursor`, before anything is asked of Redis."""
    with pytest.raises(BadCursor):
        async with broker.subscribe(TOPIC, after=text):
            pass


async def test_a_foreign_cursor_is_a_gap(broker: Broker) -> None:
    """A cursor of another topic is well formed and unknown here: all of the history comes, with a gap before it."""
    foreign = await broker.publish(LATEST, 0)
    await broker.publish(TOPIC, 1)
    async with broker.subscribe(TOPIC, after=str(foreign)) as events:
        got = await take(events, 1)
    assert values(got) == [1]
    assert got[0].gap


# --- slow subscribers ---


async def test_a_slow_subscriber_of_every_event_ends_with_its_cursor(broker: Broker) -> None:
    """It gets `SlowConsumer` with the cursor of the last event it took, resumes there, and has held nobody up."""
    async with broker.subscribe(TOPIC) as slow, broker.subscribe(TOPIC) as quick:
        await broker.publish(TOPIC, 0)
        assert values(await take(slow, 1)) == [0]
        for n in range(1, 21):
            await broker.publish(TOPIC, n)
            await take(quick, 2 if n == 1 else 1)
        with pytest.raises(SlowConsumer) as caught:
            await anext(slow)
    async with broker.subscribe(TOPIC, after=caught.value.cursor) as resumed:
        assert values(await take(resumed, 20)) == list(range(1, 21))


async def test_a_patient_subscriber_reads_on_in_the_history(broker: Broker) -> None:
    """However far it lags behind its queue of 8, it gets every event once and in order."""
    async with broker.subscribe(TOPIC, patient=True) as slow:
        for n in range(700):
            await broker.publish(TOPIC, n)
        assert values(await take(slow, 300)) == list(range(300))
        await broker.publish(TOPIC, 700)
        assert values(await take(slow, 401)) == list(range(300, 701))


async def test_the_latest_state_wins(broker: Broker) -> None:
    """A slow subscriber of a `LATEST` topic gets the newest event only; one that resumes, the newest too."""
    async with broker.subscribe(LATEST) as slow, broker.subscribe(LATEST) as quick:
        first = await broker.publish(LATEST, 0)
        for n in range(1, 50):
            await broker.publish(LATEST, n)
        seen = values(await take(quick, 1))
        while seen[-1] != 49:
            seen += values(await take(quick, 1))
        await asyncio.sleep(0)
        assert values(await take(slow, 1)) == [49]
    async with broker.subscribe(LATEST, after=str(first)) as resumed:
        got = await take(resumed, 1)
        assert values(got) == [49]
        assert not got[0].gap


async def test_a_long_heal_is_not_a_slow_consumer(client: Client) -> None:
    """Healing more events than the queue holds ends nobody's subscription: who lags reads at its own pace."""
    async with Broker(client, queue=4, check_every=3600) as broker, broker.subscribe(TOPIC) as events:
        await broker.publish(TOPIC, -1)
        for n in range(700):
            await publish_unheard(client, broker, n)
        await broker.publish(TOPIC, 700)
        assert values(await take(events, 702)) == list(range(-1, 701))


# --- a durable log ---


async def append(broker: Broker, n: int, log: str = "abc", *, begin: bool = False) -> int:
    """Publish event `n` of a log without holes."""
    return await broker.append(SOURCED, [n], log=log, first=n, previous=n - 1, begin=begin)


async def test_a_log_is_published_once_and_in_order(broker: Broker) -> None:
    """Appending is idempotent, refuses to leave events out, and begins a history only where that is meant."""
    async with broker.subscribe(SOURCED) as events:
        assert await append(broker, 7) == -1
        assert await append(broker, 7, begin=True) == 7
        assert await append(broker, 7, begin=True) == 7
        assert await append(broker, 9) == 7
        assert await append(broker, 8) == 8
        assert await append(broker, 7) == 8
        assert values(await take(events, 2)) == [7, 8]
    assert (await broker.end(SOURCED)).offset == 8


async def test_a_log_is_published_in_pieces_of_any_size(broker: Broker) -> None:
    """Pieces that overlap, come again or leave a hole add exactly what is missing, in order."""

    async def piece(first: int, last: int, previous: int | None = None, *, begin: bool = False) -> int:
        before = first - 1 if previous is None else previous
        numbers = range(first, last + 1)
        return await broker.append(SOURCED, numbers, log="abc", first=first, previous=before, begin=begin)

    async with broker.subscribe(SOURCED) as events:
        assert await piece(3, 6, begin=True) == 6
        assert await piece(5, 9) == 9
        assert await piece(4, 7) == 9
        assert await piece(11, 12) == 9
        assert await piece(20, 22, previous=9) == 22  # what was between them was dropped from the log
        assert await piece(20, 23, previous=9) == 23
        got = await take(events, 11)
    assert values(got) == [*range(3, 10), *range(20, 24)]
    assert [event.position.offset for event in got if event.gap] == [3, 20]


async def test_a_log_survives_the_loss_of_the_server(client: Client, broker: Broker) -> None:
    """After a flush the log is appended again: nobody sees an event twice, and who resumes misses none."""
    for n in range(1, 4):
        await append(broker, n, begin=n == 1)
    async with broker.subscribe(SOURCED) as events:
        await append(broker, 4)
        cursor = (await take(events, 1))[0].cursor
        await client.execute("FLUSHALL", retry=False)
        for n in range(2, 7):
            await append(broker, n, begin=n == 2)
        got = await take(events, 2)
        assert values(got) == [5, 6]
        assert not any(event.gap for event in got)
    async with broker.subscribe(SOURCED, after=cursor) as events:
        got = await take(events, 2)
        assert values(got) == [5, 6]
        assert not any(event.gap for event in got)


@pytest.mark.parametrize("fails", [False, True])
async def test_who_resumes_while_a_lost_history_is_refilled_misses_none(
    client: Client, broker: Broker, monkeypatch: pytest.MonkeyPatch, *, fails: bool
) -> None:
    """Events that come while the missed ones cannot be read are not given out before them."""
    read, live = broker._read, asyncio.Event()

    async def read_early(topic: Topic, after: Position | None) -> HistoryPage:
        page = await read(topic, after)
        if not live.is_set():  # this page is from before the refill, and the live events are from after it
            for n in range(1, 7):
                await append(broker, n, begin=n == 1)
            await live.wait()
            if fails:
                raise RedisUnavailable("Redis did not answer in time")
        return page

    for n in range(1, 6):
        await append(broker, n, begin=n == 1)
    async with broker.subscribe(SOURCED) as others:
        monkeypatch.setattr(broker, "_read", read_early)
        async with broker.subscribe(SOURCED, after="abc..0-3") as events:
            await client.execute("FLUSHALL", retry=False)
            first = asyncio.create_task(take(events, 1))
            assert values(await take(others, 1)) == [6]
            live.set()
            got = [*await first, *await take(events, 2)]
    assert values(got) == [4, 5, 6]
    assert not any(event.gap for event in got)


async def test_another_log_is_a_gap(broker: Broker) -> None:
    """A log under another name starts another history."""
    async with broker.subscribe(SOURCED) as events:
        await append(broker, 1, begin=True)
        await append(broker, 1, "xyz", begin=True)
        got = await take(events, 2)
    assert values(got) == [1, 1]
    assert [event.gap for event in got] == [False, True]


async def test_another_log_is_a_gap_for_who_resumes_before_its_first_event(client: Client, broker: Broker) -> None:
    """A cursor of a log that was lost is followed by a gap, where the server has nothing yet of the next one."""
    async with broker.subscribe(SOURCED, after="abc..0-3") as events:
        first = asyncio.create_task(take(events, 2))
        await until(lambda: not events._behind)
        for n in range(1, 3):
            await append(broker, n, "xyz", begin=n == 1)
        got = await first
    assert values(got) == [1, 2]
    assert [event.gap for event in got] == [True, False]


async def test_who_has_had_nothing_of_a_log_resumes(broker: Broker) -> None:
    """A subscriber that was slow from the first event on has a cursor, too."""
    async with broker.subscribe(SOURCED) as slow:
        for n in range(1, 12):
            await append(broker, n, begin=n == 1)
        with pytest.raises(SlowConsumer) as caught:
            await take(slow, 1)
    async with broker.subscribe(SOURCED, after=caught.value.cursor) as events:
        got = await take(events, 11)
    assert values(got) == list(range(1, 12))
    assert not any(event.gap for event in got)


# --- life ---


async def test_churn_leaves_nothing(client: Client, broker: Broker, scaled: Any) -> None:
    """Thousands of subscriptions opened and closed leave no task, topic or subscription behind."""
    before = len(asyncio.all_tasks())

    async def come_and_go(n: int) -> None:
        async with broker.subscribe(Topic(f"test:{n % 7}")):
            pass

    for _ in range(scaled(100, 5)):
        await asyncio.gather(*(come_and_go(n) for n in range(100)))
    await until(lambda: len(asyncio.all_tasks()) <= before + 2)  # the listener's own two came with the first topic
    assert not broker._channels  # pyright: ignore[reportPrivateUsage] - what must be empty
    assert not broker._subscriptions  # pyright: ignore[reportPrivateUsage] - what must be empty
    assert REGISTRY.get_sample_value("graph_broker_subscribers", {"topic": "test"}) == 0

    async def heard() -> bool:
        return bool(await client.execute("PUBSUB", "CHANNELS", "*", retry=True))

    async with within("the last channel to be left"):
        while await heard():
            await asyncio.sleep(0.01)


async def test_closing_ends_the_subscriptions(client: Client) -> None:
    """A subscriber that waits is let go when the broker closes."""
    before = asyncio.all_tasks()
    async with Broker(client) as broker:
        entered = asyncio.Event()

        async def follow() -> list[Any]:
            async with broker.subscribe(TOPIC) as events:
                entered.set()
                return [event async for event in events]

        task = asyncio.create_task(follow())
        await entered.wait()
    assert await task == []
    assert asyncio.all_tasks() == before


async def test_closing_ends_who_waits_for_what_cannot_be_read(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Subscribers that wait for a history while Redis is away are let go, too, and so are newcomers."""
    async with Broker(client, patience=3600) as broker, broker.subscribe(TOPIC) as events:
        (channel,) = broker._channels.values()
        monkeypatch.setattr(channel, "_request_heal", id)  # as if Redis did not answer
        channel.lose()
        events._behind = True
        waiting = asyncio.create_task(anext(events, None))

        async def join() -> None:
            async with broker.subscribe(TOPIC):
                pass

        joining = asyncio.create_task(join())
        await asyncio.sleep(0)
        await broker.__aexit__(None, None, None)
        async with within("both to be let go"):
            assert await waiting is None
            with pytest.raises(RedisUnavailable, match="closed"):
                await joining


def test_a_topic_keeps_its_keys_together() -> None:
    """A name with braces would choose its own slot, an empty one or an empty history makes no sense."""
    for bad in ("", "a{b", "a}b"):
        with pytest.raises(ValueError, match="a topic's name"):
            Topic(bad)
    with pytest.raises(ValueError, match="at least one event"):
        Topic("a", max_length=0)
    assert TopicKeys.of("shop", Topic("a")) == (
        "shop:topic:{a}:history",
        "shop:topic:{a}:state",
        "shop:topic:{a}:channel",
    )
