"""Tests that need OpenTelemetry's SDK, which is not among the packages of the others: ``make traces`` runs them."""

from __future__ import annotations

import importlib.util

collect_ignore_glob = [] if importlib.util.find_spec("opentelemetry.sdk") else ["test_*.py"]
