"""What one request costs: commands and bytes of Redis, its processor time, and the server's, counted one by one.

``python -m bench costs`` asks `graph serve` the requests of the mix one after the other, so that nothing shares a trip,
and reads the counters of Redis before and after. The counts depend on no load and on no machine; the times do. Then it
starts a second process and a third, and counts what each of them adds: to Redis while nothing happens, and to what all
of them are told of. docs/scaling.md derives from this what 10 and 100 processes cost.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import redis

from bench.peers import contenders as peers
from bench.peers.crowd import Crowd, gather
from bench.peers.mixture import SESSIONS, Ask, Truth, ask
from bench.peers.witness import Witness
from bench.report import Report
from graph.engines.database import Database

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bench.peers.contenders import Running
    from bench.peers.mixture import Sender

TIMES = 100
CALM = 100.0
"""Commands a second at most that Redis executes for servers that nobody asks anything."""
IDLE = 20.0
"""Seconds for which they are watched."""


TOLD = ("a score", "a change of a price")
"""What may cost more the more processes there are."""


class Cost(NamedTuple):
    """What one request took.

    Of Redis: how often it read from the server's connections, commands executed (those of scripts included), bytes both
    ways, and CPU microseconds. `server`: CPU microseconds of the server.
    """

    trips: float
    commands: float
    received: float
    sent: float
    redis: float
    server: float


def _read(crowd: Crowd, running: Running) -> Cost:
    with cast("Any", redis.Redis)(unix_socket_path=str(crowd.valkey.socket)) as admin:  # untyped
        told = admin.info("everything")
    return Cost(
        told["total_reads_processed"],
        told["total_commands_processed"],
        told["total_net_input_bytes"],
        told["total_net_output_bytes"],
        (told["used_cpu_user_main_thread"] + told["used_cpu_sys_main_thread"]) * 1e6,
        _cpu(running.pid),
    )


def _cpu(pid: int) -> float:
    """Microseconds that the process has run; 0 where the system does not tell (only Linux does)."""
    with contextlib.suppress(OSError):
        tasks = Path(f"/proc/{pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1000
    return 0.0


class Counter:
    """Counts what requests to one server cost."""

    def __init__(self, crowd: Crowd, running: Running, witness: Witness) -> None:
        self._crowd = crowd
        self._running = running
        self._witness = witness
        first, second = _read(crowd, running), _read(crowd, running)
        self._reading = _minus(second, first)._replace(server=0.0)  # what reading the counters adds to them
        self._idle = Cost(*[0.0] * len(first))

    async def count(self, requests: Iterable[tuple[Sender, Ask]]) -> Cost:
        """The mean cost of these requests, without what the server does anyhow."""
        number, began = 0, time.monotonic()
        before = _read(self._crowd, self._running)
        for sender, asked in requests:
            answer = await self._witness.ask(asked.body, sender)
            assert "errors" not in answer, answer
            number += 1
        await asyncio.sleep(0.05)  # what is done after the answer belongs to it
        spent = _minus(_minus(_read(self._crowd, self._running), before), self._reading)
        anyhow = Cost(*(value * (time.monotonic() - began) for value in self._idle))
        return Cost(*(value / number for value in _minus(spent, anyhow)))

    async def calm(self) -> Cost:
        """What the servers cost in a second in which nobody asks anything, once they are done with their start."""
        async with asyncio.timeout(600):
            while (idle := await self._rest()).commands > CALM:
                pass
        self._idle = idle
        return idle

    async def _rest(self) -> Cost:
        before, began = _read(self._crowd, self._running), time.monotonic()
        await asyncio.sleep(IDLE)
        spent = _minus(_minus(_read(self._crowd, self._running), before), self._reading)
        return Cost(*(value / (time.monotonic() - began) for value in spent))


def _minus(after: Cost, before: Cost) -> Cost:
    return Cost(*(one - other for one, other in zip(after, before, strict=True)))


def _cases(crowd: Crowd) -> Iterator[tuple[str, list[tuple[Sender, Ask]], bool]]:
    """What to ask: the name, the requests, and whether they are asked once beforehand."""
    asks, senders = crowd.mixture.asks, crowd.mixture.senders
    player, admin = senders[0], senders[SESSIONS]
    pages = [(player, asked) for asked in asks["page"][:TIMES]]
    yield "a page that is kept, and copied in the process", [(player, asks["page"][0])] * TIMES, True
    yield "a product, likewise", [(player, asks["product"][0])] * TIMES, True
    yield "who am I, likewise", [(player, asks["viewer"][0])] * TIMES, True
    yield "a page that no cache holds", pages, False
    yield "the same pages again", pages, False
    yield "a product that no cache holds", [(player, asked) for asked in asks["product"][1 : TIMES + 1]], False
    scores = (ask("score", None, f'{{"score":{10**13 + number}}}') for number in itertools.count())
    yield "a score", [(player, next(scores)) for _ in range(TIMES)], False
    for name in ("around", "top"):
        reads = [(player, asks[name][0])] * (TIMES // 4)
        both = [pair for read in reads for pair in ((player, next(scores)), read)]
        yield f"a score and then {name}, together", both, False
    price = asks["price"][0].body
    changes = [(admin, Ask("price", None, price.replace("@price@", f"{100 + n}"))) for n in range(TIMES)]
    yield "a change of a price", changes, False


async def _count(crowd: Crowd, processes: int, report: Report) -> None:
    running = crowd.running[peers.OURS.name]
    async with Database(crowd.urls[peers.OURS.name]) as database:
        witness = Witness(running, crowd, Truth(database))
        try:
            counter = Counter(crowd, running, witness)
            idle = await counter.calm()
            what = "process" if processes == 1 else "processes"
            _add(report, f"{processes} {what}: a second in which nobody asks anything", idle)
            for name, requests, warm in _cases(crowd):
                if processes > 1 and name not in TOLD:
                    continue
                if warm:
                    for sender, asked in requests[:3]:
                        await witness.ask(asked.body, sender)
                cost = await counter.count(requests)
                _add(report, name if processes == 1 else f"{processes} {what}: {name}", cost)
        finally:
            await witness.close()


def _add(report: Report, name: str, cost: Cost) -> None:
    size = f"{cost.received:,.0f} bytes to Redis, {cost.sent:,.0f} from it"
    spent = f"Redis {cost.redis:.0f} µs, the server {cost.server:.0f} µs of CPU"
    report.add(
        f"{name} ({cost.commands:.1f} commands, those of scripts included; {size}; {spent})", cost.trips, "trips"
    )


def run() -> Report:
    """Count, and give the table."""
    report = Report("What one request costs Redis")
    for processes in (1, 3):
        with gather((peers.OURS,)) as crowd, contextlib.ExitStack() as stack:
            for _ in range(processes - 1):
                stack.enter_context(crowd.another(peers.OURS))
            asyncio.run(_count(crowd, processes, report))
    return report
