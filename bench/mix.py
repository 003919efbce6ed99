"""Everything at once: 2,000 people who browse a shop and play, beside Mercurius on the same data.

``python -m bench mix`` runs it, ``python -m bench.mix --help`` shows how to run less of it. It needs Node 20 or newer,
wrk, and ``make bench-peers`` once, which installs the peers.

`bench.peers.mixture` says who asks for what. Each request has a browser's head, a session of its own, and trace headers
that no other has. wrk keeps the connections busy, on one core with Valkey; the server has the other. What wrk and
Valkey took of their core is reported: near 100 % they, and not the server, are what was measured.

Beside the load a witness asks the same requests, one for every thousand answers, and compares the answers with SQL
(`bench.peers.witness`). A wrong one of ours ends the run; those of a peer are counted, because a cache that is
invalidated after the write can keep what was read before it. When the load is over, what is asked for most must be what
SQL has by then.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import resource
import shutil
import statistics
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, cast

import httpx
import redis

from bench.peers import contenders as peers
from bench.peers.crowd import Crowd, gather
from bench.peers.load import cpu_seconds
from bench.peers.mixture import SESSIONS, SHARES, Ask, Truth
from bench.peers.witness import Witness
from bench.report import Report
from graph.engines.database import Database

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.peers.contenders import Contender, Running

SCRIPT = peers.FOLDER / "mixed.lua"
CONTENDERS = (peers.OURS, peers.MERCURIUS)
CONNECTIONS = (64, 256)
AIM = 1.5
POPULAR = 40
"""Requests of each kind that must be right before the load and after it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure; `seconds` of load for each server and number of connections, in `rounds`."""

    contenders: tuple[Contender, ...] = CONTENDERS
    connections: tuple[int, ...] = CONNECTIONS
    seconds: int = 60
    rounds: int = 3
    postgres: bool = False

    @property
    def burst(self) -> int:
        """Seconds of one burst."""
        return max(1, self.seconds // self.rounds)


@dataclass(frozen=True, slots=True)
class Burst:
    """What one burst came to.

    `rate` in requests a second, `p50` and `p99` in milliseconds, `server` and `redis` in CPU microseconds a request,
    `wrk` and `valkey` in shares of their core, `commands` and `bytes` of Redis a request, `hits` of what may be kept.
    """

    rate: float
    p50: float
    p99: float
    server: float
    redis: float
    wrk: float
    valkey: float
    commands: float
    bytes: float
    hits: float


Figure = Literal["rate", "p50", "p99", "server", "redis", "wrk", "valkey", "commands", "bytes", "hits"]


@dataclass(slots=True)
class Cell:
    """The bursts of one server with one number of connections, and what the witness found."""

    bursts: list[Burst] = field(default_factory=list[Burst])
    answers: int = 0
    checked: int = 0
    late: int = 0
    wrong: list[str] = field(default_factory=list[str])

    def median(self, what: Figure) -> float:
        """The median over the rounds."""
        return statistics.median(getattr(burst, what) for burst in self.bursts)


@dataclass(frozen=True, slots=True)
class _Meters:
    """Counters at one moment; what a burst took is the difference of two."""

    server: float
    redis: float
    wrk: float
    commands: int
    bytes: int
    hits: float
    misses: float


async def _meters(running: Running, crowd: Crowd) -> _Meters:
    with cast("Any", redis.Redis)(unix_socket_path=str(crowd.valkey.socket)) as admin:  # untyped
        stats = admin.info("stats")
    children = resource.getrusage(resource.RUSAGE_CHILDREN)  # only wrk ends during a burst
    hits, misses = await _kept(running)
    return _Meters(
        server=cpu_seconds(running.pid),
        redis=cpu_seconds(crowd.valkey.pid),
        wrk=children.ru_utime + children.ru_stime,
        commands=stats["total_commands_processed"],
        bytes=stats["total_net_input_bytes"] + stats["total_net_output_bytes"],
        hits=hits,
        misses=misses,
    )


async def _kept(running: Running) -> tuple[float, float]:
    """How many answers (ours) or resolvers (Mercurius) were found in the cache so far, and how many not."""
    root = running.url.removesuffix("/graphql")
    async with httpx.AsyncClient(timeout=60) as client:
        if running.contender is not peers.OURS:
            counts = (await client.get(f"{root}/counts")).json()
            return counts["hit"] + counts["dedupe"], counts["miss"]
        lines = (await client.get(f"{root}/metrics")).text.splitlines()
    told = {
        name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line and line[0] != "#")
    }
    outcome = {name: told.get(f'graph_responses_total{{outcome="{name}"}}', 0.0) for name in ("hit", "made", "unkept")}
    return outcome["hit"], outcome["made"] + outcome["unkept"]


async def _burst(running: Running, crowd: Crowd, *, start: int, connections: int, seconds: int) -> tuple[Burst, int]:
    """Load one server; RuntimeError when a single answer is not a 200, or has errors."""
    wrk = shutil.which("wrk")
    if wrk is None:
        raise RuntimeError("wrk is not installed: https://github.com/wg/wrk, `apt install wrk`, `brew install wrk`")
    command = [wrk, "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "20s", "-s", str(SCRIPT), running.url]
    before = await _meters(running, crowd)
    environment = {**os.environ, "PLAN": str(crowd.plan), "START": str(start)}
    load = await asyncio.create_subprocess_exec(
        *peers.pinned(peers.LOAD_CORE, command),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, problems = await asyncio.wait_for(load.communicate(), seconds + 60)
    after = await _meters(running, crowd)
    if load.returncode:
        raise RuntimeError(f"wrk: {problems.decode()}")
    told = json.loads(output.splitlines()[-1])
    requests = max(told["requests"], 1)
    if told["failed"] or told["wrong"]:
        raise RuntimeError(f"{running.contender.title}: {told} {problems.decode()}")
    took = told["microseconds"] / 1e6
    asked = after.hits - before.hits + after.misses - before.misses
    burst = Burst(
        rate=requests / took,
        p50=told["p50"] / 1000,
        p99=told["p99"] / 1000,
        server=(after.server - before.server) / requests * 1e6,
        redis=(after.redis - before.redis) / requests * 1e6,
        wrk=(after.wrk - before.wrk) / took,
        valkey=(after.redis - before.redis) / took,
        commands=(after.commands - before.commands) / requests,
        bytes=(after.bytes - before.bytes) / requests,
        hits=(after.hits - before.hits) / max(asked, 1),
    )
    return burst, requests


async def _load(plan: Plan, crowd: Crowd, witnesses: dict[str, Witness]) -> dict[tuple[str, int], Cell]:
    cells: dict[tuple[str, int], Cell] = {}
    start = 0
    for connections in plan.connections:
        for round_ in range(-1, plan.rounds):
            for contender in plan.contenders:
                running, witness = crowd.running[contender.name], witnesses[contender.name]
                cell = cells.setdefault((contender.name, connections), Cell())
                if round_ < 0:  # the first one warms up
                    seconds = max(1, plan.burst // 2)
                    await _burst(running, crowd, start=start, connections=connections, seconds=seconds)
                    burst, _ = await _burst(running, crowd, start=start + 500_000, connections=connections, seconds=1)
                    cell.answers = int(burst.rate)  # what is expected, until it is known
                    continue
                checked, pause = witness.checked, 1000 / max(cell.answers / max(1, plan.burst * round_ or 1), 1)
                watch = asyncio.create_task(witness.watch(pause))
                try:
                    burst, answers = await _burst(
                        running, crowd, start=start, connections=connections, seconds=plan.burst
                    )
                finally:
                    watch.cancel()
                    await asyncio.wait((watch,))
                cell.bursts.append(burst)
                cell.answers = answers + (cell.answers if round_ else 0)
                await witness.more(checked + answers // 1000)
                cell.checked += witness.checked - checked
                cell.late, cell.wrong = witness.late, witness.wrong
                _refuse(contender, witness)
            start += 10_000_000
        rates = [f"{one.name} {cells[one.name, connections].median('rate'):,.0f}" for one in plan.contenders]
        _say(f"{connections} connections: {', '.join(rates)}")
    return cells


def _popular(crowd: Crowd) -> list[Ask]:
    return [asked for kind, some in crowd.mixture.asks.items() if kind != "price" for asked in some[:POPULAR]]


async def _settled(crowd: Crowd, witness: Witness, *, times: int = 1) -> None:
    """Check what is asked for most, for the one who asks most; and a write of each kind."""
    for _ in range(times):
        for asked in _popular(crowd):
            await witness.check(crowd.mixture.senders[0], asked)
    await witness.check(crowd.witness, Ask("score", None, ""))
    await witness.check(crowd.admin, Ask("price", None, ""))


def _refuse(contender: Contender, witness: Witness) -> None:
    if witness.wrong and contender is peers.OURS:
        raise AssertionError(f"{contender.title}: {witness.wrong[0]}")


async def _measure(plan: Plan, crowd: Crowd) -> dict[tuple[str, int], Cell]:
    async with contextlib.AsyncExitStack() as stack:
        witnesses: dict[str, Witness] = {}
        for contender in plan.contenders:
            database = await stack.enter_async_context(Database(crowd.urls[contender.name]))
            witness = Witness(crowd.running[contender.name], crowd, Truth(database))
            stack.push_async_callback(witness.close)
            witnesses[contender.name] = witness
            await _settled(crowd, witness, times=2)  # an answer from the cache must be right, too
            if witness.wrong:
                raise AssertionError(f"{contender.title}: {witness.wrong[0]}")
        _say("all answers are right")
        cells = await _load(plan, crowd, witnesses)
        for contender in plan.contenders:
            witness = witnesses[contender.name]
            await _settled(crowd, witness)
            _refuse(contender, witness)
            for connections in plan.connections:
                cells[contender.name, connections].wrong = witness.wrong
        return cells


def measure(plan: Plan) -> dict[tuple[str, int], Cell]:
    """Load the servers in turn."""
    with gather(plan.contenders, on_postgres=plan.postgres) as crowd:
        return asyncio.run(_measure(plan, crowd))


def report(plan: Plan, cells: dict[tuple[str, int], Cell]) -> Report:
    """The table."""
    told = Report(f"The mix, on {'PostgreSQL' if plan.postgres else 'SQLite'}, one core each")
    for connections in plan.connections:
        for contender in plan.contenders:
            cell = cells[contender.name, connections]
            p50, p99, server, of_redis, hits = (cell.median(w) for w in ("p50", "p99", "server", "redis", "hits"))
            commands, size = cell.median("commands"), cell.median("bytes")
            name = (
                f"{contender.title} (p50 {p50:.2f} ms, p99 {p99:.2f} ms, CPU {server:.0f} µs, Valkey {of_redis:.0f}, "
                f"{commands:.1f} commands and {size / 1000:.1f} kB; {hits:.0%} found in the cache; "
                f"of their core wrk took {cell.median('wrk'):.0%}, Valkey {cell.median('valkey'):.0%})"
            )
            if contender is plan.contenders[0]:
                name = f"**{connections} connections**: {name}"
            if contender is peers.OURS or peers.OURS not in plan.contenders:
                told.add(name, cell.median("rate"), "requests/s")
                continue
            ours = cells[peers.OURS.name, connections]
            ratio = statistics.median(
                our.rate / other.rate for our, other in zip(ours.bursts, cell.bursts, strict=True)
            )
            told.add(name, cell.median("rate"), "requests/s", peer="ours : it", ratio=ratio, aim=f"≥ {AIM:g}×")
            told.add(
                f"{connections} connections: 99th percentile",
                ours.median("p99"),
                "ms",
                peer="its : ours",
                ratio=p99 / ours.median("p99"),
                aim="≥ 1×",
            )
    told.notes.append(
        f"Medians of {plan.rounds} rounds of {plan.burst} s, servers taking turns, each on a copy of the same data; "
        f"{SESSIONS:,} sessions; of a hundred requests "
        + ", ".join(f"{share:g} {kind}" for kind, share in SHARES.items())
        + "."
    )
    for contender in plan.contenders:
        of = [cells[contender.name, connections] for connections in plan.connections]
        told.notes.append(
            f"{contender.title}: {sum(cell.checked for cell in of):,} of {sum(cell.answers for cell in of):,} answers "
            f"compared with SQL; {of[-1].late} late, {len(of[-1].wrong)} wrong."
        )
    return told


def run(plan: Plan | None = None) -> Report:
    """Measure, and give the table."""
    plan = plan or Plan()
    return report(plan, measure(plan))


def _say(what: str) -> None:
    print(f"  {what}", file=sys.stderr, flush=True)


def _chosen(names: Sequence[str] | None) -> tuple[Contender, ...]:
    return tuple(one for one in CONTENDERS if not names or one.name in names)


def main() -> None:
    """Run a part."""
    parser = argparse.ArgumentParser(prog="python -m bench.mix", description="Everything at once, beside Mercurius.")
    parser.add_argument("--servers", nargs="+", choices=[one.name for one in CONTENDERS])
    parser.add_argument("--connections", nargs="+", type=int, default=list(CONNECTIONS))
    parser.add_argument("--seconds", type=int, default=60, help="of load for each server and number of connections")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--postgres", action="store_true", help="SQL on PostgreSQL, in place of SQLite files")
    asked = parser.parse_args()
    plan = Plan(
        contenders=_chosen(asked.servers),
        connections=tuple(asked.connections),
        seconds=asked.seconds,
        rounds=asked.rounds,
        postgres=asked.postgres,
    )
    print(run(plan).as_markdown())


if __name__ == "__main__":
    main()
