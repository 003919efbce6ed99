"""Which traces the environment asks for, and that there are none where it asks for none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from graph.telemetry.configuration import sampling
from harness.waiting import HANG
from tests.support.processes.fork_server import python

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("sampler", "argument", "expected"),
    [
        ("", "", (1.0, True)),
        ("always_on", "", (1.0, False)),
        ("always_off", "", (0.0, False)),
        ("traceidratio", "0.25", (0.25, False)),
        ("parentbased_traceidratio", "0.01", (0.01, True)),
        ("parentbased_always_off", "", (0.0, True)),
        ("parentbased_traceidratio", "lots", (1.0, True)),
        ("traceidratio", "7", (1.0, False)),
        ("jaeger_remote", "", (1.0, True)),
    ],
)
def test_samplers_are_those_of_opentelemetry(sampler: str, argument: str, expected: tuple[float, bool]) -> None:
    """The ratio, and whether parents are followed."""
    assert sampling(sampler, argument) == expected


@pytest.mark.parametrize("configured", [False, True], ids=["not configured", "not installed"])
def test_nothing_is_imported_for_nothing(tmp_path: Path, *, configured: bool) -> None:
    """Without configuration neither tracer nor exporter is loaded; where they are missing a warning says so."""
    script = f"""
import logging, os, sys
logging.basicConfig()
if {configured}:
    sys.modules["opentelemetry.sdk"] = sys.modules["opentelemetry.exporter"] = None
    os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://127.0.0.1:9"
import graph.app, graph.background, graph.cli.serve
from graph.telemetry import telemetry
assert telemetry() is None
loaded = [name for name, found in sys.modules.items() if found is not None]
assert [name for name in loaded if name.startswith(("graph.telemetry.t", "opentelemetry.exporter"))] == []
"""
    told = tmp_path / "told"
    with told.open("wb") as out:  # of a fork of a process that has loaded all that `graph serve` loads
        assert python("-c", script, out=out).wait(HANG) == 0, told.read_text()
    assert ("pip install 'graph-server[otel]'" in told.read_text()) is configured
