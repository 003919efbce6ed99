"""One history: six workloads on a rig, a fault in their midst, and what the checker says of it."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, NamedTuple

from history.checks import CHECKS, admissions, answers, jobs
from history.client import Client
from history.faults import FAULTS
from history.record import History
from history.workloads import Boards, Catalog, Jobs, Limits, SignIns, Subscriptions

if TYPE_CHECKING:
    from history.checks import Violation
    from history.rig import Rig


class Result(NamedTuple):
    """What came of one fault on one engine: by workload, how many operations ended, and what was broken."""

    engine: str
    fault: str
    history: History
    operations: dict[str, int]
    violations: dict[str, list[Violation]]

    @property
    def broken(self) -> list[Violation]:
        """All that was broken."""
        return [one for several in self.violations.values() for one in several]


async def observe(rig: Rig, fault: str, *, seconds: float, seed: int = 0) -> Result:
    """Let clients work for `seconds`, let `fault` happen, let them work for `seconds` more, and check."""
    history = History()
    client = Client(rig.urls, history, seed=seed)
    work = [
        *(kind(client, rig.key) for kind in (Catalog, SignIns, Boards, Subscriptions, Limits)),
        Jobs(client, rig.key, rig.imports),
    ]
    reign = await asyncio.to_thread(rig.engine.reign)
    try:
        for one in work:
            await one.prepare()
        running = [asyncio.create_task(one.run()) for one in work]
        await asyncio.sleep(seconds)
        began = time.monotonic()
        await asyncio.to_thread(FAULTS[fault].happen, rig)
        history.add("all", "fault", fault, None, began)
        await asyncio.sleep(seconds)
        for one in work:
            one.stopped.set()
        await asyncio.gather(*running)
        await asyncio.to_thread(rig.well)
        later = await asyncio.to_thread(rig.engine.reign)
        history.add("all", "replaced", fault, later[0] - reign[0] + len(later[1] - reign[1]), began)
        await asyncio.gather(*(one.finish() for one in work))
    finally:
        await client.close()
    return judge(rig.engine.name, fault, history)


def judge(engine: str, fault: str, history: History) -> Result:
    """Check a history; improper answers count against the catalog, which everybody reads."""
    what = FAULTS[fault]
    violations = {name: check(history) for name, check in CHECKS.items()}
    # On a crowded machine a primary is replaced without a fault as well; what it had not replicated is lost.
    replaced = sum(one.value for one in history.of("all", "replaced"))
    violations["limits"] = admissions(history, forgotten=max(what.forgotten, replaced), apart=what.apart)
    violations["jobs"] = jobs(history, emptied=what.emptied)
    violations["catalog"] = [*violations["catalog"], *answers(history)]
    operations = {name: sum(one.outcome == "ok" for one in history.of(name)) for name in CHECKS}
    return Result(engine, fault, history, operations, violations)


def elapsed(since: float) -> str:
    """How long it took."""
    return f"{time.monotonic() - since:.0f} s"
