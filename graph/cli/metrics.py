"""The metrics as the code declares them: a page about each, and a Grafana dashboard of all."""

import importlib
import json
import pkgutil
from itertools import groupby
from typing import Any, NamedTuple

START, END = "<!-- metrics: made by `make metrics` -->", "<!-- end of metrics -->"

_ABOUT = {
    "http": "Requests and connections",
    "websocket": "WebSockets",
    "operation": "Operations by name",
    "operations": "Documents and slow operations",
    "refusals": "Refusals",
    "limiter": "Rate limits",
    "admission": "Rate limits without Redis",
    "responses": "Kept answers",
    "compiled": "Compiled operations",
    "stream": "Subscriptions",
    "live": "Live queries",
    "cache": "The cache",
    "broker": "Topics",
    "outbox": "Events of the catalog",
    "catalog": "Catalog",
    "sessions": "Sessions",
    "password": "Passwords",
    "leaderboard": "Leaderboards",
    "jobs": "Jobs",
    "job": "How long jobs take",
}
"""What each group of metrics, the second word of their names, is about; in the order of the page and the dashboard."""


class Metric(NamedTuple):
    """One metric: its `name` as Prometheus has it, its `kind` (counter, gauge, histogram), its meaning, its labels."""

    name: str
    kind: str
    meaning: str
    labels: tuple[str, ...]
    together: str = "sum"
    """How values of several processes are put together: the sum, or, of what each tells of the same thing, the max."""

    @property
    def group(self) -> str:
        """The second word of its name."""
        return self.name.split("_")[1]

    @property
    def unit(self) -> str:
        """Grafana's name of its unit; for a counter of how many a second."""
        if self.kind == "counter":
            return "cps"
        return "s" if self.name.endswith("_seconds") else "short"


def metrics() -> list[Metric]:
    """Every metric of this package, by group."""
    from prometheus_client import REGISTRY

    import graph

    for module in pkgutil.walk_packages(graph.__path__, "graph."):
        if not module.name.startswith(("graph.__main__", "graph.cli", "graph.engines.migrations")):
            importlib.import_module(module.name)
    found: list[Metric] = []
    collectors: Any = REGISTRY._collector_to_names  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - labels have no public name
    for one in collectors:
        name = str(getattr(one, "_name", ""))
        if name.startswith("graph_"):
            name += "_total" * (one._type == "counter")  # noqa: SLF001 - the same
            together = "max" if getattr(one, "_multiprocess_mode", "").endswith("max") else "sum"
            found.append(Metric(name, one._type, one._documentation, tuple(one._labelnames), together))  # noqa: SLF001 - the same
    order = {group: place for place, group in enumerate(_ABOUT)}
    return sorted(found, key=lambda metric: (order.get(metric.group, len(order)), metric.group, metric.name))


def _about(group: str) -> str:
    return _ABOUT.get(group, group.capitalize())


def as_markdown() -> str:
    """Return a table for each group of metrics."""
    parts: list[str] = []
    for group, members in groupby(metrics(), lambda metric: metric.group):
        parts += [f"\n## {_about(group)}\n", "| metric | kind | labels | meaning |", "|---|---|---|---|"]
        for one in members:
            labels = ", ".join(f"`{label}`" for label in one.labels)
            parts.append(f"| `{one.name}` | {one.kind} | {labels} | {one.meaning} |")
    return "\n".join(parts)


def rewrite(document: str) -> str:
    """Return `document` with the tables between its two marks replaced."""
    from graph.cli import support

    return support.between(document, START, END, as_markdown())


# --- the dashboard ---

_WINDOW = "$__rate_interval"
_OVERVIEW = (
    ("Requests a second, by operation", "reqps", [
        ("{{operation}}", f"sum by (operation) (rate(graph_operation_seconds_count[{_WINDOW}]))"),
    ]),
    ("99th percentile by operation", "s", [
        (
            "{{operation}}",
            f"histogram_quantile(0.99, sum by (operation, le) (rate(graph_operation_seconds_bucket[{_WINDOW}])))",
        ),
    ]),
    ("Answers that were kept", "percentunit", [
        (
            "kept",
            (
                f'sum(rate(graph_operation_seconds_count{{source="kept"}}[{_WINDOW}]))'
                f" / sum(rate(graph_operation_seconds_count[{_WINDOW}]))"
            ),
        ),
    ]),
    ("Refused, by code", "reqps", [("{{code}}", f"sum by (code) (rate(graph_refusals_total[{_WINDOW}]))")]),
    ("Errors, by operation and code", "cps", [
        (
            "{{operation}} {{code}}",
            f"sum by (operation, code) (rate(graph_operation_errors_total[{_WINDOW}]))",
        ),
    ]),
    ("Clients that stay", "short", [
        ("WebSockets", "sum(graph_websocket_connections)"),
        ("subscriptions", "sum(graph_stream_followers)"),
        ("live queries", "sum(graph_live_followers)"),
    ]),
)  # fmt: skip
"""What an operator looks at first: title, unit, and for each line its legend and its query."""


def dashboard() -> str:
    """Return a Grafana dashboard: what is looked at first, then a row for each group of metrics, a panel for each."""
    panels: list[dict[str, Any]] = []
    top = _add_row(panels, "Overview", 0, collapsed=False)
    top = _place(panels, [_panel(title, unit, queries) for title, unit, queries in _OVERVIEW], top)
    for group, members in groupby(metrics(), lambda metric: metric.group):
        inner: list[dict[str, Any]] = []
        bottom = _place(inner, [_panel_of(one) for one in members], top + 1)
        _add_row(panels, _about(group), top, collapsed=True, inner=inner)
        top = bottom
    every = [*panels, *(one for panel in panels for one in panel.get("panels", ()))]
    for number, panel in enumerate(every, start=1):
        panel["id"] = number
    board = {
        "uid": "graph",
        "title": "graph",
        "description": "Made from the code by `make metrics`.",
        "tags": ["graph"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {
            "list": [{"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"}]
        },
        "panels": panels,
    }
    return json.dumps(board, indent=1) + "\n"


def _add_row(
    panels: list[dict[str, Any]], title: str, top: int, *, collapsed: bool, inner: list[dict[str, Any]] | None = None
) -> int:
    """Add a row; returns where what is below it begins."""
    place = {"x": 0, "y": top, "w": 24, "h": 1}
    panels.append({"type": "row", "title": title, "collapsed": collapsed, "gridPos": place, "panels": inner or []})
    return top + 1


def _place(panels: list[dict[str, Any]], made: list[dict[str, Any]], top: int) -> int:
    """Add the panels that were `made`, three abreast; returns where what is below them begins."""
    for number, panel in enumerate(made):
        panels.append(panel | {"gridPos": {"x": number % 3 * 8, "y": top + number // 3 * 8, "w": 8, "h": 8}})
    return top + -(-len(made) // 3) * 8


def _panel(title: str, unit: str, queries: list[tuple[str, str]], meaning: str = "") -> dict[str, Any]:
    source = {"type": "prometheus", "uid": "${source}"}
    return {
        "type": "timeseries",
        "title": title,
        "description": meaning,
        "datasource": source,
        "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "targets": [
            {"refId": chr(ord("A") + n), "datasource": source, "expr": query, "legendFormat": legend}
            for n, (legend, query) in enumerate(queries)
        ],
    }


def _panel_of(metric: Metric) -> dict[str, Any]:
    """The panel of one metric: how many a second, how many now, or the median and the 99th percentile."""
    legend = " ".join(f"{{{{{label}}}}}" for label in metric.labels)
    if metric.kind == "histogram":
        by = ", ".join((*metric.labels, "le"))
        rate = f"sum by ({by}) (rate({metric.name}_bucket[{_WINDOW}]))"
        queries = [(f"{legend} p{p}".strip(), f"histogram_quantile(0.{p}, {rate})") for p in (50, 99)]
    else:
        inner = metric.name if metric.kind == "gauge" else f"rate({metric.name}[{_WINDOW}])"
        by = f" by ({', '.join(metric.labels)}) " if metric.labels else ""
        queries = [(legend or metric.name, f"{metric.together}{by}({inner})")]
    return _panel(metric.name, metric.unit, queries, metric.meaning)
