"""The metrics of operations by their names, of which there are only so many.

A client chooses the names of its operations, so a name gets a label of its own only while there is room: names of
trusted documents always, then the first `most` others that ran. One caller takes at most a quarter of those, so that a
stranger does not use them all up. Every other name is counted as `OTHER`, an operation without one as `UNNAMED`;
neither is a name that GraphQL allows. Each process counts for itself which names it has.

``graph_operation_seconds{operation, source}``, ``graph_operation_errors_total{operation, code}``,
``graph_operation_cost`` and ``graph_operations_slow_total{operation}``.
"""

from __future__ import annotations

from collections import Counter as Tallied
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from prometheus_client import Counter, Histogram

from graph.endpoint.observe.metrics import observe_all, observe_one

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Source = Literal["executed", "kept", "event"]

_SECONDS = Histogram(
    "graph_operation_seconds",
    "Time until an operation's answer was made, by the operation's name and how: executed, kept (an answer that was "
    "made before), event (of a subscription).",
    ["operation", "source"],
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
_ERRORS = Counter(
    "graph_operation_errors_total",
    "Errors in the answers to operations, by the operation's name.",
    ["operation", "code"],
)
_COST = Histogram(
    "graph_operation_cost",
    "What operations that ran cost, in the units of GRAPH_MAX_COMPLEXITY.",
    buckets=(1, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000),
)
_SLOW = Counter("graph_operations_slow_total", "Operations slower than GRAPH_SLOW_SECONDS.", ["operation"])

OTHER = "(other)"
UNNAMED = "(unnamed)"

_CODES = 64
"""Codes of errors that get a label of their own: a resolver may make them up."""


class OperationNames:
    """Which operations have a label of their own."""

    def __init__(self, most: int = 100) -> None:
        """Give a label to `most` names beside those of trusted documents."""
        self._most = most
        self._share = -(-most // 4)
        self._labels: dict[str | None, str] = {None: UNNAMED}
        self._taken: Tallied[str] = Tallied()

    def label(self, name: str | None) -> str:
        """The label of the operation called `name`, if it has one; else `OTHER`."""
        return self._labels.get(name, OTHER)

    def admit(self, name: str | None, caller: str, *, trusted: bool) -> str:
        """The label of an operation that ran for `caller`; the name gets one if there is room, or it is `trusted`."""
        label = self._labels.get(name)
        if label is None and name is not None:
            if not trusted:
                if self._taken.total() >= self._most or self._taken[caller] >= self._share:
                    return OTHER
                self._taken[caller] += 1
            label = self._labels[name] = name
        return label or OTHER


@lru_cache(maxsize=1024)
def _seconds_of(label: str, source: Source) -> Histogram:
    return _SECONDS.labels(label, source)


class OperationMetrics:
    """Counts and times operations."""

    def __init__(self, names: OperationNames | None = None) -> None:
        """Tell operations apart by `names`."""
        self.names = names or OperationNames()
        self._codes: set[str] = set()

    def answered(
        self,
        label: str,
        source: Source,
        seconds: float,
        *,
        cost: int | None,
        codes: Iterable[str],
        trace: str | None = None,
    ) -> None:
        """Count one answer, the `codes` of the errors in it, and the `cost` of an operation that is charged for it.

        `trace` is the id of its trace, an exemplar of how long such an operation takes.
        """
        if trace is None:
            observe_one(_seconds_of(label, source), seconds)
        else:
            _SECONDS.labels(label, source).observe(seconds, {"trace_id": trace})
        if cost is not None:
            observe_one(_COST, cost)
        self.refused(label, codes)

    def refused(self, label: str, codes: Iterable[str]) -> None:
        """Count errors alone: those of an operation that was known and did not run."""
        for code in codes:
            _ERRORS.labels(label, self._code(code)).inc()

    def kept(self, name: str | None, seconds: Sequence[float], costs: Sequence[int]) -> None:
        """Count the kept answers to operations called `name`."""
        observe_all(_SECONDS.labels(self.names.label(name), "kept"), seconds)
        observe_all(_COST, costs)

    @staticmethod
    def slow(label: str) -> None:
        """Count an operation that took too long."""
        _SLOW.labels(label).inc()

    def _code(self, code: str) -> str:
        if code not in self._codes:
            if len(self._codes) >= _CODES:
                return OTHER
            self._codes.add(code)
        return code
