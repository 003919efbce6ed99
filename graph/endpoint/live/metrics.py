"""The metrics of live queries.

`graph_live_readings_total` by outcome: `current` (its generations had not changed: nothing was executed or sent),
`same` (made anew, the same bytes), `changed` (sent), `failed` (tried again). `graph_live_executions_total` is how many
of them this process executed; the others were kept answers that another process or a request had made.
"""

from __future__ import annotations

from prometheus_client import Counter, Gauge

QUERIES = Gauge(
    "graph_live_queries", "Live queries carried; identical ones of a process count once.", multiprocess_mode="livesum"
)
FOLLOWERS = Gauge("graph_live_followers", "Clients that follow a live query.", multiprocess_mode="livesum")
_READINGS = Counter("graph_live_readings_total", "Looks at a live query's answer, by outcome.", ["outcome"])
CURRENT, SAME, CHANGED, FAILED = (_READINGS.labels(name) for name in ("current", "same", "changed", "failed"))
EXECUTED = Counter("graph_live_executions_total", "Executions of live queries.")
SENT = Counter("graph_live_results_total", "Results handed to clients' connections.")
