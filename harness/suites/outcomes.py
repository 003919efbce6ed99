"""A pytest plugin for both suites: writes the outcome of each test to the file that ``SUITE_OUTCOMES`` names."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

_WORST = {"failed": 3, "error": 3, "passed": 2, "xfailed": 1, "skipped": 0}
_outcomes: dict[str, tuple[str, str]] = {}


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note the worst that became of a test: of its setup, itself or its teardown."""
    outcome = "xfailed" if hasattr(report, "wasxfail") and report.skipped else report.outcome
    if report.when != "call" and outcome == "passed":
        return
    before = _outcomes.get(report.nodeid, ("skipped", ""))
    if report.nodeid not in _outcomes or _WORST[outcome] > _WORST[before[0]]:
        _outcomes[report.nodeid] = outcome, report.longreprtext if outcome == "failed" else ""


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """Note a module that could not be read."""
    if report.failed:
        _outcomes[report.nodeid] = "failed", report.longreprtext


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write them, in the process that started the others."""
    if not hasattr(session.config, "workerinput"):
        Path(os.environ["SUITE_OUTCOMES"]).write_text(json.dumps(_outcomes))
