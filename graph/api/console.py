"""What the console shows of an application, and what pages of this server ask.

A section is shown where the application has all the features that it asks: a console is served to whoever has accounts,
because somebody has to sign in.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from graph import accounts, apikeys, catalog, leaderboard
from graph.product import JOBS, SERVER

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from graph.feature import App

_SECTIONS = {
    "overview": (SERVER,),
    "products": (catalog.FEATURE,),
    "categories": (catalog.FEATURE,),
    "boards": (leaderboard.FEATURE, leaderboard.LIVE),
    "jobs": (JOBS,),
    "users": (accounts.FEATURE,),
    "keys": (apikeys.FEATURE,),
}
_DOCUMENT = re.compile(r"""[`'](?=(?:query|mutation|subscription)\b)([^`']+)[`']""")


def console_sections(app: App) -> list[str]:
    """The sections that `app` has the features for; none without accounts."""
    if accounts.FEATURE not in app.features:
        return []
    return [name for name, features in _SECTIONS.items() if set(features) <= set(app.features)]


def documents_of(folder: Path) -> Iterator[str]:
    """The documents in the scripts of a page, as it sends them: each is one literal."""
    for file in sorted(folder.glob("*.js")):
        yield from _DOCUMENT.findall(file.read_text(encoding="utf-8"))
