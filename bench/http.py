"""GraphQL over HTTP beside the fastest servers there are: same schema, same data, same Redis, one core each.

``make bench-peers`` installs the peers and runs this; ``python -m bench http`` runs it again, and
``python -m bench.http --help`` shows how to run a part. It needs Node 20 or newer and wrk.

All servers run at once, pinned to one core; wrk and Valkey have the other. Before anything is timed each server must
give each scenario's right answer, as computed from the SQL data. Then wrk loads one server after the other, in
rounds, so that what else the machine does falls on all alike; medians count, and a ratio is the median of the rounds'
ratios. A single answer that is not a 200 ends the run.

Ours runs as ``graph serve`` with a limit that nobody reaches, without its access log (no peer keeps one) and without a
job worker. It checks session and limit at every request, exactly, as `Contender.checked` peers do in their own way.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.peers import contenders as peers
from bench.peers.load import burst
from bench.peers.measured import Measured
from bench.peers.scenarios import OTHERS, PAGE, PRODUCT, TRACED, Scenario
from bench.peers.shopdata import BOARD, PLAYERS, VIEWER, Shop, prepare
from bench.report import Report
from harness.postgres import Postgres
from harness.valkey import ValkeyServer

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from bench.peers.contenders import Contender, Running

SCENARIOS = (PAGE, TRACED, PRODUCT, *OTHERS)
SCALE = (1, 16, 64, 256)
USUAL = 64
RESULTS = Path(__file__).parent / "results"

AIMS: dict[str, dict[str, float]] = {
    "page": {"mercurius": 1.5, "yoga": 4.0, "apollo": 4.0, "strawberry": 40.0, "bare": 0.55},
    "traced": {"mercurius": 2.0, "bare": 0.55},
    "uncached": {"mercurius": 0.7, "yoga": 2.0},
    "submit": {"mercurius": 1.5},
}
"""How many times a peer's rate ours shall be, by scenario, at `USUAL` connections."""
ON_POSTGRES = {"uncached": {"mercurius": 1.0, "yoga": 2.0}}
"""The same where SQL is on PostgreSQL."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure, and how long."""

    contenders: tuple[Contender, ...] = peers.CONTENDERS
    scenarios: tuple[Scenario, ...] = SCENARIOS
    connections: tuple[int, ...] = SCALE
    rounds: int = 3
    seconds: int = 3
    access_log: bool = False
    postgres: bool = False
    """Whether all of them have their SQL on PostgreSQL, in place of an SQLite file."""

    def cells(self) -> Iterable[tuple[Scenario, int, list[Contender]]]:
        """Each scenario with a number of connections, and who takes part."""
        for scenario in self.scenarios:
            for connections in self.connections if scenario is PAGE else (USUAL,):
                # The stock Python servers are two orders slower: how they scale is of no interest.
                slow = {peers.STRAWBERRY.name, peers.ARIADNE.name} if connections != USUAL else set[str]()
                takes_part = [
                    contender
                    for contender in self.contenders
                    if scenario.name in contender.scenarios and contender.name not in slow
                ]
                yield scenario, connections, takes_part


class Stage(NamedTuple):
    """Servers that run, the data behind them, and the process of the Redis that they share."""

    running: dict[str, Running]
    shop: Shop
    redis: int


@contextmanager
def stage(plan: Plan) -> Generator[Stage]:
    """Start everything, and check that all give the right answers."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench")))
        valkey = stack.enter_context(ValkeyServer())
        if peers.PINNED:
            os.sched_setaffinity(valkey.pid, {peers.LOAD_CORE})
        database = stack.enter_context(_postgres()) if plan.postgres else None
        _say("filling the database")
        shop = prepare(folder, valkey.url, database and database.url)
        environment = _environment(plan, folder, valkey, shop)
        environment |= database.environment if database is not None else {"SQL": str(folder / "graph.db")}
        running: dict[str, Running] = {}
        for contender in plan.contenders:
            _seed_redis(valkey, contender.name, shop)
            one = peers.Running(contender, environment, folder / f"{contender.name}.log")
            running[contender.name] = stack.enter_context(one)
        check(plan, running, shop)
        yield Stage(running, shop, valkey.pid)


class _Database(NamedTuple):
    """A database for all of them: its URL for ours, and what tells everybody of it."""

    url: str
    environment: dict[str, str]


@contextmanager
def _postgres() -> Generator[_Database]:
    """A PostgreSQL server that every commit waits for, as an SQLite file does."""
    with Postgres() as server:
        name = asyncio.run(server.create(empty=True))
        url = server.url(name)
        asyncio.run(
            server.execute(
                "ALTER SYSTEM SET fsync = on", "ALTER SYSTEM SET synchronous_commit = on", "SELECT pg_reload_conf()"
            )
        )
        environment = {"SQL": f"postgresql://postgres@/{name}?host={server.folder}", "GRAPH_DATABASE_URL": url}
        yield _Database(url, environment)


def measure(plan: Plan) -> Measured:
    """Load the servers in turn."""
    measured = Measured()
    with stage(plan) as staged:
        _load(plan, staged, measured)
        for one in staged.running.values():
            _check(one, PAGE, staged.shop)
    return measured


def _environment(plan: Plan, folder: Path, valkey: ValkeyServer, shop: Shop) -> dict[str, str]:
    data, answer = folder / "data.json", folder / "answer.json"
    data.write_text(shop.as_json())
    answer.write_text(json.dumps({"data": PAGE.expected(shop)}, ensure_ascii=False, separators=(",", ":")))
    return {
        "REDIS": str(valkey.socket),
        "DATA": str(data),
        "ANSWER": str(answer),
        "BOARD": BOARD,
        "GRAPH_REDIS_URL": valkey.url,
        "GRAPH_DATA_DIR": str(folder),
        "GRAPH_RATE_LIMIT_AUTHENTICATED": "1000000000",
        "GRAPH_RATE_LIMIT_ANONYMOUS": "1000000000",
        "GRAPH_ACCESS_LOG": str(plan.access_log).lower(),
        "GRAPH_JOBS_BESIDE": "false",
    }


def _seed_redis(valkey: ValkeyServer, name: str, shop: Shop) -> None:
    """What a peer finds in Redis: the session, the board, the players' names."""
    session = {"player": str(VIEWER), "user": shop.viewer}
    valkey.command("SET", f"session:{shop.token}", json.dumps(session), "EX", 86_400)
    for player, score in shop.scores.items():
        valkey.command("ZADD", f"{name}:board", score, player)
        valkey.command("HSET", f"{name}:players", player, shop.players[player])
    assert valkey.command("ZCARD", f"{name}:board") == PLAYERS


# --- right answers ---


def check(plan: Plan, running: dict[str, Running], shop: Shop) -> None:
    """Let every server answer every scenario it takes part in, twice: a cached answer must be right, too."""
    for scenario in plan.scenarios:
        for one in running.values():
            if scenario.name in one.contender.scenarios:
                _check(one, scenario, shop)
                if scenario.name != "submit":  # the same score again improves nothing
                    _check(one, scenario, shop)


def _check(one: Running, scenario: Scenario, shop: Shop) -> None:
    answer = one.ask(scenario.body(shop).replace("@n@", "000000000"), shop.token)
    expected = scenario.expected(shop)
    if answer.get("data") != expected or "errors" in answer:
        raise AssertionError(f"{one.contender.title} answers {scenario.name} with {answer}, not {expected}")


# --- load ---


def _load(plan: Plan, staged: Stage, measured: Measured) -> None:
    running, shop, redis = staged
    number = 1
    for scenario, connections, takes_part in plan.cells():
        seconds = plan.seconds if scenario is PAGE else max(1, plan.seconds - 1)
        for round_ in range(-1, plan.rounds):
            for contender in takes_part:
                one = burst(
                    running[contender.name],
                    body=scenario.body(shop),
                    token=shop.token,
                    start=number * 1_000_000,
                    connections=connections,
                    seconds=1 if round_ < 0 else seconds,  # the first one warms up
                    redis=redis,
                    numbered=scenario.numbered,
                )
                if round_ >= 0:
                    measured.add(scenario.name, connections, contender.name, one)
            number += 1
        rates = [
            f"{contender.name} {measured.median(scenario.name, connections, contender.name, 'rate'):,.0f}"
            for contender in takes_part
        ]
        _say(f"{scenario.name}, {connections} connections: {', '.join(rates)}")


def _say(what: str) -> None:
    print(f"  {what}", file=sys.stderr, flush=True)


# --- telling ---


def report(plan: Plan, measured: Measured) -> Report:
    """The table."""
    told = Report("GraphQL over HTTP, one core each")
    for scenario, connections, takes_part in plan.cells():
        for contender in takes_part:
            cell = scenario.name, connections, contender.name
            p50, p99, cpu = (measured.median(*cell, what) for what in ("p50", "p99", "server"))
            name = f"{contender.title} (p50 {p50:.2f} ms, p99 {p99:.2f} ms, {cpu:.0f} µs of CPU)"
            if contender is takes_part[0]:
                name = f"**{scenario.title}**, {connections} connections: {name}"
            rate = measured.median(*cell, "rate")
            if contender is peers.OURS or peers.OURS not in takes_part:
                told.add(name, rate, "requests/s")
                continue
            aims = AIMS | ON_POSTGRES if plan.postgres else AIMS
            least = aims.get(scenario.name, {}).get(contender.name) if connections == USUAL else None
            aim = f"≥ {least:g}×" if least is not None else ""
            told.add(name, rate, "requests/s", peer="ours : it", ratio=measured.ratio(*cell), aim=aim)
    told.notes.append(
        f"The medians of {plan.rounds} rounds of {plan.seconds} s (beside the page: one less), servers taking turns; "
        "every answer checked first. "
        + (
            "Servers on one core, wrk and Valkey on another."
            if peers.PINNED
            else "Nothing is pinned to a core: this machine cannot."
        )
    )
    told.notes.append(
        "Ours, Mercurius, Yoga and Apollo ask Redis for session, limit and answer, and read and write the same "
        f"{'PostgreSQL database' if plan.postgres else 'SQLite file'}, a transaction a score. The stock Python servers "
        "and the bare one ask nobody, and have the catalog in memory."
    )
    return told


def save(measured: Measured) -> None:
    """Keep everything measured, and draw it."""
    from bench.peers.plot import draw  # noqa: PLC0415 - matplotlib is slow to import, and only wanted at the end

    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "http.json").write_text(json.dumps(measured.as_json(), indent=1))
    if all((PAGE.name, connections, peers.OURS.name) in measured.bursts for connections in SCALE):
        draw(measured, RESULTS / "http.png")


def run(plan: Plan | None = None) -> Report:
    """Measure, and give the table."""
    plan = plan or Plan()
    measured = measure(plan)
    save(measured)
    return report(plan, measured)


def _chosen(names: list[str] | None, available: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(one for one in available if not names or one.name in names)


def main() -> None:
    """Run a part."""
    parser = argparse.ArgumentParser(prog="python -m bench.http", description="GraphQL over HTTP beside its peers.")
    parser.add_argument("--servers", nargs="+", choices=[one.name for one in peers.CONTENDERS])
    parser.add_argument("--scenarios", nargs="+", choices=[one.name for one in SCENARIOS])
    parser.add_argument("--connections", nargs="+", type=int, default=list(SCALE), help="for the catalog page")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=3, help="of each burst; one less beside the page")
    parser.add_argument("--postgres", action="store_true", help="SQL on PostgreSQL, in place of an SQLite file")
    parser.add_argument("--access-log", action="store_true", help="let ours keep its access log, written to a file")
    asked = parser.parse_args()
    plan = Plan(
        contenders=_chosen(asked.servers, peers.CONTENDERS),
        scenarios=_chosen(asked.scenarios, SCENARIOS),
        connections=tuple(asked.connections),
        rounds=asked.rounds,
        seconds=asked.seconds,
        access_log=asked.access_log,
        postgres=asked.postgres,
    )
    print(run(plan).as_markdown())


if __name__ == "__main__":
    main()
