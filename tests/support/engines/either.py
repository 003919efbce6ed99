"""On which engine a test runs in a quick run: in the full run each of its cases is on both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence

ENGINES = ("sqlite", "postgres")

ABOVE_SQL = pytest.mark.parametrize(
    "database_url", ["sqlite", pytest.param("postgres", marks=pytest.mark.heavy)], indirect=True
)
"""For a test of what is above the engines, where others test the same statements on both: a quick run is on SQLite."""


def in_turn(
    names: str, cases: Sequence[Any], order: Sequence[str] = ENGINES, ids: Sequence[str] | None = None
) -> pytest.MarkDecorator:
    """Parametrise a test by `names`, which have the values `cases`; in a quick run each case is on one engine.

    Its engine is the next of `order`, which begins again at its end; a case for which that is empty is left to the full
    run on both.
    """
    wanted = [order[number % len(order)] for number in range(len(cases))]
    several = "," in names
    return pytest.mark.parametrize(
        f"database_url, {names}",
        [
            pytest.param(
                engine,
                *(case if several else (case,)),
                marks=[] if engine == quick else [pytest.mark.heavy],
                id=None if ids is None else f"{engine}-{ids[number]}",
            )
            for engine in ENGINES
            for number, (case, quick) in enumerate(zip(cases, wanted, strict=True))
        ],
        indirect=["database_url"],
    )
