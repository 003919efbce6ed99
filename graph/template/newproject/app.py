"""What this server serves: ``GRAPH_APP`` names `APP`.

Features are opened in the order of the list. `graph.product` has those that come with the server: `ACCOUNTS` (users,
sessions, API keys), `SHOP`, `GAMES` and `RATE_LIMIT`; leave out what you do not need.
"""

from __future__ import annotations

from graph.feature import App
from graph.product import ACCOUNTS, RATE_LIMIT
from newproject.notes.feature import NOTES

APP = App(
    features=(
        *ACCOUNTS,
        NOTES,
        RATE_LIMIT,
    ),
    description="Notes that everybody may read, and whoever is signed in may write.",
)
