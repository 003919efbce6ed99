"""Traces by OpenTelemetry, where the extra ``otel`` is installed and an exporter is configured.

One span an operation, and below it one a batch of Redis commands, one an SQL statement, and one an attempt at each job
that it queued; none a field. Nothing here is imported otherwise, and what is not sampled costs a random number.
"""

from typing import TYPE_CHECKING

from graph.telemetry.configuration import telemetry

if TYPE_CHECKING:
    from graph.telemetry.spans import Telemetry


def __getattr__(name: str) -> object:
    """Import what needs the extra only when somebody asks for it."""
    if name == "Telemetry":
        from graph.telemetry.spans import Telemetry  # noqa: PLC0415 - it needs the extra

        return Telemetry
    raise AttributeError(name)


__all__ = ["Telemetry", "telemetry"]
