"""A real Prometheus loads the alert rules, scrapes a server, and understands every query of the dashboard."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from harness.serving import ROOT, Serving
from harness.valkey import free_port
from harness.waiting import HANG, eventually

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

RULES = ROOT / "deploy/prometheus"


class Prometheus:
    """A Prometheus of its own, by the configuration of ``deploy/`` but for its target and how often it looks."""

    def __init__(self, folder: Path, target: int) -> None:
        """Scrape the server on port `target`, with everything it keeps in `folder`."""
        self.port = free_port()
        shutil.copytree(RULES, folder / "prometheus")
        configuration = folder / "prometheus/prometheus.yml"
        text = re.sub(r"(scrape|evaluation)_interval: \w+", r"\1_interval: 1s", configuration.read_text())
        configuration.write_text(text.replace("127.0.0.1:8000", f"127.0.0.1:{target}"))
        self._log = (folder / "prometheus.log").open("wb")
        self._process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={configuration}",
                f"--storage.tsdb.path={folder / 'tsdb'}",
                f"--web.listen-address=127.0.0.1:{self.port}",
            ],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )

    def ask(self, path: str, **parameters: str) -> Any:
        """The data of an answer of its API; None while it does not answer."""
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=HANG) as answer:
                return json.load(answer)["data"]
        except OSError:
            assert self._process.poll() is None, (self._log.name, self._process.returncode)
            return None

    def value(self, query: str) -> float | None:
        """What `query` comes to now; None where nothing answers to it."""
        found = self.ask("query", query=query)
        return float(found["result"][0]["value"][1]) if found and found["result"] else None

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(HANG)
        self._log.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Generator[tuple[Serving, Prometheus]]:
    """A server, and the Prometheus that scrapes it."""
    folder = tmp_path_factory.mktemp("scraped")
    with Serving(folder / "data", GRAPH_JOBS_BESIDE="false") as server:
        server.ready()
        prometheus = Prometheus(folder, server.port)
        try:
            eventually(lambda: prometheus.value('up{job="graph"}') == 1)
            yield server, prometheus
        finally:
            prometheus.stop()


def test_the_rules_fire_when_they_should() -> None:
    """Configuration and rules have no fault that promtool finds, and the rules pass their tests."""
    for words in (
        ("check", "config", "prometheus.yml"),
        ("check", "rules", "alerts.yml"),
        ("test", "rules", "alerts.test.yml"),
    ):
        done = subprocess.run(
            ["promtool", *words], cwd=RULES, capture_output=True, text=True, timeout=HANG, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_a_scrape_brings_operations_by_name(served: tuple[Serving, Prometheus]) -> None:
    """What clients did is there under the names of their operations, counted right."""
    server, prometheus = served
    for _ in range(3):
        server.query("query PrometheusAsks { __typename }")
    total = 'sum(graph_operation_seconds_count{operation="PrometheusAsks"})'
    eventually(lambda: prometheus.value(total) == 3)


def test_every_query_of_rules_and_dashboard_is_understood(served: tuple[Serving, Prometheus]) -> None:
    """Each rule is evaluated without an error, and each panel's query answers."""
    _, prometheus = served
    eventually(lambda: all(rule["health"] != "unknown" for rule in rules(prometheus)))
    assert len(rules(prometheus)) >= 10
    assert {rule["name"]: rule.get("lastError") for rule in rules(prometheus) if rule["health"] != "ok"} == {}
    queries = re.findall(r'"expr": "((?:[^"\\]|\\.)*)"', (ROOT / "deploy/grafana/graph.json").read_text())
    assert len(queries) >= 60
    for query in queries:
        asked = json.loads(f'"{query}"').replace("$__rate_interval", "1m")
        assert prometheus.ask("query", query=asked) is not None, asked


def rules(prometheus: Prometheus) -> list[Any]:
    """The rules that it has loaded."""
    return [rule for group in prometheus.ask("rules")["groups"] for rule in group["rules"]]
