"""Every future of the client has an end, whatever happens in its callbacks and timers, on asyncio and on uvloop."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, cast

import pytest
import uvloop

from graph.patterns.client import OutcomeUnknown, RedisUnavailable, command, hurry, open_client
from graph.patterns.client.connection.link import Link
from harness.valkey import SentinelSet, ValkeyServer

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from graph.patterns.client import Client, Replies
    from graph.patterns.client.connection import wire as wires

    Run = Callable[[Coroutine[Any, Any, None]], None]

END = 30.0
"""Seconds after which something that has not ended never will."""


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Runs a coroutine on an event loop of this kind."""

    def run(work: Coroutine[Any, Any, None]) -> None:
        factory = uvloop.new_event_loop if request.param == "uvloop" else None
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(work)

    return run


@pytest.fixture
def server() -> Iterator[ValkeyServer]:
    """A server that a test may freeze."""
    with ValkeyServer() as started:
        yield started


class Raising:
    """Takes replies and raises, which it must not."""

    def __init__(self) -> None:
        self.taken: list[Replies] = []

    def done(self) -> bool:
        return bool(self.taken)

    def set_result(self, result: Replies, /) -> None:
        self.taken.append(result)
        raise RuntimeError("a receiver that does not keep to its contract")


def link_of(client: Client) -> Link:
    """The one link of a client of one server."""
    return cast("Link", client._router)


async def answered(client: Client) -> None:
    """The client still answers, soon."""
    async with asyncio.timeout(END):
        while True:
            try:
                assert await client.execute("PING") == b"PONG"
            except RedisUnavailable:
                await asyncio.sleep(0.02)
            else:
                return


def test_a_frozen_sentinel_primary_leaves_nobody_waiting(run: Run) -> None:
    """What was sent to it ends by its deadline, and condemns neither the new connection nor what is sent on it."""

    async def work() -> None:
        async with open_client(sentinels.url) as client:
            await client.execute("SET", "a", 1, retry=False)
            sentinels.primary.pause()
            stuck: list[asyncio.Future[Replies]] = []
            for _ in range(5):
                stuck.append(client.batch(command("GET", "a")))
                await asyncio.sleep(0.002)
            await answered(client)
            new = link_of(client)._wire
            async with asyncio.timeout(END):
                replies = [(await future)[0] for future in stuck]
            assert isinstance(replies[0], OutcomeUnknown)
            # What was sent much later than the first, on a busy machine, may be sent again to the new primary.
            assert all(isinstance(reply, OutcomeUnknown) or reply == b"1" for reply in replies)
            await answered(client)
            assert link_of(client)._wire is new

    with SentinelSet() as sentinels:
        run(work())


def test_a_timer_set_early_is_moved_for_an_earlier_deadline(run: Run, server: ValkeyServer) -> None:
    """A batch with less time than the one before it ends first, on a server that answers nobody."""

    async def work() -> None:
        async with open_client(server.url) as client:
            server.pause()
            slow = link_of(client).submit([command("GET", "a")], 60)
            began = time.monotonic()
            soon = link_of(client).submit([command("GET", "a")], 0.2)
            async with asyncio.timeout(END):
                (reply,) = await soon
            assert isinstance(reply, RedisUnavailable)
            assert time.monotonic() - began >= 0.2
            server.resume()
            async with asyncio.timeout(END):
                await slow

    run(work())


def test_a_receiver_that_raises_harms_nobody_else(run: Run, server: ValkeyServer) -> None:
    """The batches before and behind it are answered, on the same connection."""

    async def work() -> None:
        async with open_client(server.url) as client:
            wire = link_of(client)._wire
            before = client.batch(command("PING"))
            raising = Raising()
            client.deliver(raising, command("PING"))
            behind = client.batch(command("PING"))
            async with asyncio.timeout(END):
                assert (await before, await behind) == ([b"PONG"], [b"PONG"])
            assert raising.taken == [[b"PONG"]]
            assert link_of(client)._wire is wire

    run(work())


@pytest.mark.parametrize("lost", ["closed", "overdue", "never connected"])
def test_a_receiver_that_raises_at_the_loss_of_the_connection_harms_nobody_else(
    run: Run, server: ValkeyServer, lost: str
) -> None:
    """All that was under way ends, however the connection was lost, and the link connects again."""

    async def work() -> None:
        async with open_client(server.url) as client:
            link = link_of(client)
            if lost == "never connected":
                link._replace(link._wire)
            server.pause()
            futures = [link.submit([command("INCR", "a")], 0.3)]
            raising = Raising()
            link.deliver(raising, [command("INCR", "a")], 0.3)
            futures += [link.submit([command("INCR", "a")], 0.3), link.submit([command("GET", "a")], 0.3)]
            await asyncio.sleep(0.01)
            if lost == "closed":
                assert link._wire is not None
                link._wire.abort()
            async with asyncio.timeout(END):
                for future in futures:
                    (reply,) = await future
                    assert isinstance(reply, RedisUnavailable)
            assert raising.taken
            server.resume()
            await answered(client)

    run(work())


@pytest.mark.parametrize("where", ["_settle", "_on_lost", "_recover"])
def test_a_fault_in_the_links_own_callbacks_ends_every_batch(
    run: Run, server: ValkeyServer, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the callback raises, what it was about is answered with an error, and the link goes on."""

    def fail(*_: object) -> None:
        raise RuntimeError("a bug")

    async def work() -> None:
        monkeypatch.setattr(Link, where, fail)
        async with open_client(server.url) as client:
            link = link_of(client)
            if where == "_settle":
                futures = [client.batch(command("NOSUCH"))]
            else:
                server.pause()
                futures = [client.batch(command("GET", "a")) for _ in range(3)]
                await asyncio.sleep(0.01)
                assert link._wire is not None
                link._wire.abort()
                server.resume()
            async with asyncio.timeout(END):
                for future in futures:
                    (reply,) = await future
                    assert isinstance(reply, Exception)
            if where != "_on_lost":
                await answered(client)
            monkeypatch.undo()

    run(work())


def test_a_connection_attempt_that_fails_in_an_unforeseen_way_is_repeated(
    run: Run, server: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The link is not left without anybody who connects it."""

    async def work() -> None:
        async with open_client(server.url) as client:
            link = link_of(client)
            greet, failures = link._dialer._greet, iter([KeyError("mode"), ValueError("?")])

            async def stumble(wire: wires.Wire, scripts: Any) -> None:
                if (failure := next(failures, None)) is not None:
                    raise failure
                await greet(wire, scripts)

            monkeypatch.setattr(link._dialer, "_greet", stumble)
            assert link._wire is not None
            link._wire.abort()
            await answered(client)
            assert next(failures, None) is None

    run(work())


def test_a_message_callback_that_raises_ends_no_listening(run: Run, server: ValkeyServer) -> None:
    """The messages behind it arrive."""

    async def work() -> None:
        heard: list[bytes] = []
        done = asyncio.Event()

        def hear(_channel: str, payload: bytes) -> None:
            heard.append(payload)
            if len(heard) == 3:
                done.set()
            raise RuntimeError("a bug")

        async with open_client(server.url) as client:
            listener = client.listen(hear, lambda _: None, lambda _: None)
            await listener.subscribe("c")
            for number in range(3):
                await client.execute("PUBLISH", "c", number)
            async with asyncio.timeout(END):
                await done.wait()
            assert heard == [b"0", b"1", b"2"]

    run(work())


def test_what_tasks_in_a_hurry_ask_leaves_at_once_if_they_are_few(server: ValkeyServer, run: Run) -> None:
    """Under load a turn is as long as all that is ready takes; two hundred writes would take long, too."""

    async def reads(client: Client) -> int:
        info = await client.execute("INFO", "stats", retry=True)
        return int(info.decode().split("total_reads_processed:")[1].split()[0])

    async def main() -> None:
        async with open_client(server.url) as client:
            wire = cast("wires.Wire", (await client.batch(command("PING"))).wire)

            async def get(name: str, *, hurried: bool, sent: bool) -> None:
                if hurried:
                    hurry()
                asked = client.batch(command("GET", name))
                assert (not wire._unsent) == sent
                await asked

            for hurried in (False, True):
                before = await reads(client)
                one = get("one", hurried=hurried, sent=hurried)
                await asyncio.create_task(one)
                await asyncio.gather(*(get(str(n), hurried=hurried, sent=hurried and n < 8) for n in range(200)))
                assert await reads(client) - before < 20
            hurry()
            await asyncio.gather(*(get(str(n), hurried=False, sent=False) for n in range(4)))  # in tasks of their own

    run(main())


def test_what_tasks_in_a_hurry_ask_of_a_server_that_is_gone_was_not_sent(
    server: ValkeyServer, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    """A connection that failed amid a turn of the loop is written to no more, which would be logged at each write."""

    async def main() -> None:
        async with open_client(server.url) as client:
            await client.execute("PING", retry=True)

            async def count(client: Client) -> type[Exception]:
                hurry()
                with pytest.raises(RedisUnavailable) as told:
                    await client.execute("INCR", "n", retry=False)
                return told.type

            server.kill()
            told = await asyncio.wait_for(asyncio.gather(*(count(client) for _ in range(8))), END)
            if not isinstance(asyncio.get_running_loop(), uvloop.Loop):  # which writes at the end of the turn
                assert told == [OutcomeUnknown] + [RedisUnavailable] * 7

    run(main())
    assert [one.getMessage() for one in caplog.records if one.name == "asyncio"] == []
