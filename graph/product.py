"""What this server serves unless ``GRAPH_APP`` names an application of one's own: a shop, its accounts, its games.

Each group of features can be part of another application: `ACCOUNTS` needs none of the others, `SHOP` neither, `GAMES`
needs `ACCOUNTS`.
"""

from __future__ import annotations

from graph import accounts, apikeys, catalog, leaderboard
from graph.accounts import RECOVERY
from graph.feature import App, Feature

JOBS = Feature(name="jobs", schema="graph.api.jobs:PART")
"""Queueing imports of products, and following them."""
RATE_LIMIT = Feature(name="rate limit", schema="graph.api.quota:PART")
"""The query field `rateLimit`: what the caller has left."""
SERVER = Feature(name="server", schema="graph.api.server:PART")
"""What an ADMIN sees of the server: what it is asked, and how Redis and SQL are."""

SHOP = (catalog.FEATURE, JOBS)
ACCOUNTS = (accounts.FEATURE, RECOVERY, apikeys.FEATURE)
"""Users, sessions and API keys."""
GAMES = (leaderboard.FEATURE, leaderboard.LIVE)

APP = App(
    features=(
        catalog.FEATURE,
        accounts.FEATURE,
        RECOVERY,
        leaderboard.FEATURE,
        leaderboard.LIVE,
        apikeys.FEATURE,
        JOBS,
        RATE_LIMIT,
        SERVER,
    ),
    description="A shop's catalog, accounts and leaderboards. Everything public answers without signing in; `login` "
    "gives a token for `Authorization: Bearer`, and browsers a cookie. Lists are connections with opaque cursors. What "
    "a mutation is expected to refuse is a member of its result's union, with `code` and `message`; every other error "
    "has `extensions.code`. `rateLimit` tells what the caller has left, and asking for it alone is free.",
)
