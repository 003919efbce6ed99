"""Builds the tracer from OpenTelemetry's own environment variables.

Traces are on where ``OTEL_EXPORTER_OTLP_ENDPOINT`` or ``OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`` is set, and neither
``OTEL_SDK_DISABLED`` nor ``OTEL_TRACES_EXPORTER=none`` turns them off. ``OTEL_TRACES_SAMPLER`` and its ``_ARG`` say how
many operations are traced; all other variables are read by the exporter. Spans go out over HTTP, in batches, in a
thread of their own; when the collector is away they are dropped.

Failure: without the extra ``otel`` a warning says that traces are configured and what to install.
"""

from __future__ import annotations

import logging
import os
from importlib import import_module  # the extra is not installed where types are checked
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from graph.telemetry.spans import Telemetry

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")

logger = logging.getLogger(__name__)


def telemetry() -> Telemetry | None:
    """The tracer that the environment asks for; None where it asks for none, or the extra is not installed."""
    if not any(map(os.environ.get, _ENDPOINTS)):
        return None
    if os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or os.environ.get("OTEL_TRACES_EXPORTER") == "none":
        return None
    try:
        sdk: Any = import_module("opentelemetry.sdk.trace")
        exporting: Any = import_module("opentelemetry.sdk.trace.export")
        resources: Any = import_module("opentelemetry.sdk.resources")
        over_http: Any = import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    except ImportError as missing:
        logger.warning(
            "No traces: they are configured, and %s is missing: pip install 'graph-server[otel]'", missing.name
        )
        return None
    from graph.telemetry.spans import Telemetry  # noqa: PLC0415 - only where it is used

    ratio, obey = sampling(os.environ.get("OTEL_TRACES_SAMPLER", ""), os.environ.get("OTEL_TRACES_SAMPLER_ARG", ""))
    named = {} if "OTEL_SERVICE_NAME" in os.environ else {"service.name": "graph"}
    always: Any = import_module("opentelemetry.sdk.trace.sampling")
    provider = sdk.TracerProvider(sampler=always.ALWAYS_ON, resource=resources.Resource.create(named))
    provider.add_span_processor(exporting.BatchSpanProcessor(over_http.OTLPSpanExporter()))
    return Telemetry(provider, ratio=ratio, obey_parents=obey)


def sampling(sampler: str, argument: str) -> tuple[float, bool]:
    """The part of operations that `sampler` takes, and whether it follows the decision of a request's parent span.

    The names are those of ``OTEL_TRACES_SAMPLER``; an unknown one, or a ratio that is none, counts as the default,
    which OpenTelemetry wants to be all.
    """
    name = sampler.removeprefix("parentbased_")
    ratios = {"always_on": 1.0, "always_off": 0.0, "traceidratio": 1.0}
    ratio = ratios.get(name, 1.0)
    if name == "traceidratio":
        try:
            ratio = min(1.0, max(0.0, float(argument)))
        except ValueError:
            ratio = 1.0
    if name not in ratios and sampler:
        logger.warning("OTEL_TRACES_SAMPLER=%s is not known: every operation is traced", sampler)
    return ratio, sampler != name or not sampler or name not in ratios
