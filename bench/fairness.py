"""What a server process with all hands full has left for others: health checks and events of subscriptions.

A real ``graph serve`` gets as much as it takes from a process of its own: the warm catalog page, executed queries,
logins. Meanwhile ``/healthz`` is asked twenty times a second over new connections, and a WebSocket follows changes that
are made through a second server on the same data. Servers, load and observer share this machine's cores, so the
latencies hold everybody's waits for a core; the answers that the load got meanwhile do not depend on that.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
from pathlib import Path

from bench.report import Report
from harness.saturation import LOADS, shop, watch

SECONDS = 10.0


def _p99(values: list[float]) -> float:
    return statistics.quantiles(values, n=100)[98] * 1000


def run() -> Report:
    """Measure beside each load in turn."""
    report = Report("Health checks and events beside a saturating load")
    with tempfile.TemporaryDirectory(prefix="bench") as name, shop(Path(name)) as site:
        for title, load in LOADS.items():
            seen = asyncio.run(watch(*site, load, SECONDS))
            what = f"{load.connections} connections, {title}"
            report.add(f"{what}: answered", seen.rate, "/s")
            report.add(f"{what}: /healthz p50", statistics.median(seen.health) * 1000, "ms")
            report.add(f"{what}: /healthz p99", _p99(seen.health), "ms", aim="≤ 100 ms")
            before = statistics.quantiles(seen.before, n=100)[98]
            report.add(f"{what}: answers to the load before it, p99", before, "", aim=f"≤ {load.connections}")
            report.add(f"{what}: event p50", statistics.median(seen.events) * 1000, "ms")
            report.notes.append(
                f"{title}: {len(seen.health)} health checks, the longest {max(seen.health) * 1000:.0f} ms; "
                f"{len(seen.events)} events, the longest {max(seen.events) * 1000:.0f} ms after its change was asked"
            )
    return report
