"""Opens the API keys feature."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graph.apikeys.jobs import SCHEDULES, definitions
from graph.apikeys.service import ApiKeys
from graph.feature import Feature, opening

if TYPE_CHECKING:
    from collections.abc import Sequence

    from graph.feature import Tools
    from graph.jobs import Definition


def _build(tools: Tools) -> ApiKeys:
    return ApiKeys(tools.database, tools.sessions)


def _jobs(tools: Tools) -> Sequence[Definition]:
    return definitions(tools.of(FEATURE))


FEATURE = Feature(
    name="apikeys", schema="graph.api.apikeys:PART", open=opening(_build), jobs=_jobs, schedules=SCHEDULES
)
