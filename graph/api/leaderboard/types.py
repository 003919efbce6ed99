"""The GraphQL types of leaderboards: boards, seasons, entries and players."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeAlias

import orjson
import strawberry
from strawberry.scalars import JSON

from graph.api.context import Info
from graph.api.enums import enum
from graph.api.leaderboard.players import Player, names_of, player_key_of, viewer_key
from graph.api.node import Node, global_id
from graph.api.pagination import PageInfo, given, mentions
from graph.endpoint.declare import Scope, cached, cost
from graph.errors import BadInput, Invalid
from graph.leaderboard import BoardRecord, Placed, SeasonSchedule, Span, TopPage, player_of
from graph.patterns.ranking import Entry, Neighbourhood, Operator, Order, Ties

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Names: TypeAlias = "Mapping[int, str]"

MAX_AGE = 60.0
"""Seconds that an answer with a board is cached at most: the longest delay of a score whose process died."""
MAX_PAGE = 100
MAX_RANGE = 50


enum(
    Operator,
    name="ScoreOperator",
    description="What happens to a player's further scores in a season.",
    values={"BEST": "The best counts.", "LATEST": "The latest counts.", "SUM": "They add up."},
)
enum(
    Order,
    name="ScoreOrder",
    description="Which scores are better.",
    values={"DESCENDING": "High scores.", "ASCENDING": "Low scores: lap times, strokes in golf."},
)
enum(
    Ties,
    name="TiePolicy",
    description="Ranks of players with equal scores; whoever reached the score first is listed first.",
    values={
        "EARLIEST_FIRST": "1, 2, 3, 4: the first to reach it is ahead.",
        "COMPETITION": "1, 2, 2, 4.",
        "DENSE": "1, 2, 2, 3.",
    },
)
enum(
    SeasonSchedule,
    description="When a season ends and the next begins, at midnight UTC unless by a cron line.",
    values={
        "NEVER": "There is one season.",
        "WEEKLY": "On Mondays.",
        "MONTHLY": "On the first of the month.",
        "CRON": "When the board's cron line comes due, in UTC.",
    },
)


@strawberry.type(description="A stretch of time over which a board is played.")
class Season:
    number: int = strawberry.field(description="1 is the season in which the board was created.")
    starts_at: datetime
    ends_at: datetime | None = strawberry.field(description="The first moment of the next one; null: it does not end.")

    @classmethod
    def of(cls, span: Span) -> Season:
        return cls(number=span.number, starts_at=span.starts_at, ends_at=span.ends_at)


@strawberry.type(description="A player's place on a board.")
class LeaderboardEntry:
    rank: int = strawberry.field(description="From 1, by the board's tie policy.")
    score: float
    player: Player
    achieved_at: datetime = strawberry.field(description="When the score was reached.")
    percentile: float = strawberry.field(
        description="The percentage of all players who are not ahead: 100 for the best."
    )
    metadata: JSON | None = strawberry.field(description="What was sent with the score.")

    @classmethod
    def of(cls, entry: Entry, names: Names) -> LeaderboardEntry:
        return cls(
            rank=entry.rank,
            score=entry.score,
            player=Player.of(player_of(entry), names),
            achieved_at=datetime.fromtimestamp(entry.achieved_at, UTC),
            percentile=entry.percentile,
            metadata=None if entry.metadata is None else JSON(orjson.loads(entry.metadata)),
        )


@strawberry.type(
    description="The player's own entry with the entries just above and below it, all taken at one instant."
)
class LeaderboardContext:
    """An entry and its neighbours."""

    entry: LeaderboardEntry
    above: list[LeaderboardEntry] = strawberry.field(description="Best first; the last one is just ahead.")
    below: list[LeaderboardEntry] = strawberry.field(description="Best first; the first one is just behind.")

    @classmethod
    def of(cls, found: Neighbourhood, names: Names) -> LeaderboardContext:
        return cls(
            entry=LeaderboardEntry.of(found.entry, names),
            above=[LeaderboardEntry.of(entry, names) for entry in found.above],
            below=[LeaderboardEntry.of(entry, names) for entry in found.below],
        )


@strawberry.type(description="An entry on a page.")
class LeaderboardEntryEdge:
    cursor: str = strawberry.field(description="Pass it as `after` to continue after this entry.")
    node: LeaderboardEntry

    @classmethod
    def of(cls, placed: Placed, names: Names) -> LeaderboardEntryEdge:
        """Build it from an entry and its cursor."""
        return cls(cursor=placed.cursor, node=LeaderboardEntry.of(placed.entry, names))


@strawberry.type(description="A page of a board, taken at one instant.")
class LeaderboardEntryConnection:
    edges: list[LeaderboardEntryEdge]
    nodes: list[LeaderboardEntry] = strawberry.field(description="The entries of `edges`.")
    page_info: PageInfo
    total_count: int = strawberry.field(description="How many players have a score.")

    @classmethod
    def of(cls, page: TopPage, names: Names) -> LeaderboardEntryConnection:
        edges = [LeaderboardEntryEdge.of(placed, names) for placed in page.entries]
        return cls(
            edges=edges,
            nodes=[edge.node for edge in edges],
            page_info=PageInfo(
                has_next_page=page.has_next,
                has_previous_page=page.has_previous,
                start_cursor=edges[0].cursor if edges else None,
                end_cursor=page.end,
            ),
            total_count=page.total,
        )


@strawberry.type(description="A board on which players are ranked by score, the best first.")
class Leaderboard(Node):
    """A board; fields that change are read when they are requested."""

    slug: str = strawberry.field(description="Its name in URLs and inputs; never changes.")
    name: str
    operator: Operator
    ties: Ties
    schedule: SeasonSchedule
    order: Order
    cron: str | None = strawberry.field(description="When seasons end, where the schedule is CRON; in UTC.")
    record: strawberry.Private[BoardRecord]

    @classmethod
    def of(cls, record: BoardRecord) -> Leaderboard:
        return cls(
            id=global_id("Leaderboard", record.id),
            slug=record.slug,
            name=record.name,
            operator=record.operator,
            ties=record.ties,
            schedule=record.schedule,
            order=record.order,
            cron=record.cron,
            record=record,
        )

    @strawberry.field(description="The running season.")
    def season(self, info: Info) -> Season:
        return Season.of(info.context.services.leaderboards.season(self.record))

    @strawberry.field(description="How many players have a score this season.")
    async def size(self, info: Info) -> int:
        return await info.context.services.leaderboards.size(self.record)

    @strawberry.field(
        metadata=cost(assumed=10),
        description=f"Best first; at most {MAX_PAGE} a page. `season` reads a finished season's archive. While scores "
        "change no entry is repeated, and none is skipped that did not move; continue at `pageInfo.endCursor`.",
    )
    async def top(
        self, info: Info, first: int = 10, after: str | None = strawberry.UNSET, season: int | None = strawberry.UNSET
    ) -> LeaderboardEntryConnection:
        if not 1 <= first <= MAX_PAGE:
            raise BadInput(f"first is 1 to {MAX_PAGE}.", argument="first")
        service = info.context.services.leaderboards
        try:
            page = await service.top(
                self.record,
                first=first,
                after=given(after),
                season=given(season),
                metadata=mentions(info, "metadata"),
                sized=mentions(info, "totalCount", "percentile", "hasNextPage"),
                continued=mentions(info, "cursor", "startCursor", "endCursor"),
            )
        except Invalid as problem:
            raise BadInput(problem.message, argument=problem.field) from problem
        return LeaderboardEntryConnection.of(page, await names_of(info, [placed.player for placed in page.entries]))

    @strawberry.field(
        description=f"Entries of chosen players (friends, a guild), at most {MAX_PAGE}, ranked on this board: best "
        "first, without those who have no score."
    )
    async def entries(self, info: Info, players: list[strawberry.ID]) -> list[LeaderboardEntry]:
        if len(players) > MAX_PAGE:
            raise BadInput(f"entries takes at most {MAX_PAGE} players at once.", argument="players")
        known = [key for player in players if (key := player_key_of(player)) is not None]
        service, metadata = info.context.services.leaderboards, mentions(info, "metadata")
        found: Sequence[Entry] = await service.entries(self.record, known, metadata=metadata) if known else []
        names = await names_of(info, [player_of(entry) for entry in found])
        return [LeaderboardEntry.of(entry, names) for entry in found]

    @strawberry.field(
        metadata=cost(5, assumed=5) | cached(MAX_AGE, scope=Scope.VIEWER),
        description="The signed-in player unless `player` names another; null when that player has no score here. "
        f"`range`: at most {MAX_RANGE} neighbours on each side.",
    )
    async def around(
        self,
        info: Info,
        player: strawberry.ID | None = strawberry.UNSET,
        range: int = 2,
        season: int | None = strawberry.UNSET,
    ) -> LeaderboardContext | None:
        if not 0 <= range <= MAX_RANGE:
            raise BadInput(f"range is 0 to {MAX_RANGE}.", argument="range")
        named = given(player)
        key = viewer_key(info.context) if named is None else player_key_of(named)
        if key is None:
            return None
        service = info.context.services.leaderboards
        try:
            found = await service.around(
                self.record,
                key,
                neighbours=range,
                season=given(season),
                metadata=mentions(info, "metadata"),
                sized=mentions(info, "percentile"),
            )
        except Invalid as problem:
            raise BadInput(problem.message, argument=problem.field) from problem
        return None if found is None else LeaderboardContext.of(found, await names_around(info, found))


@strawberry.type(description="A player's place on one of several boards.")
class PlayerPlace:
    board: Leaderboard
    entry: LeaderboardEntry


async def names_around(info: Info, found: Neighbourhood) -> Names:
    """Return the names of an entry's player and neighbours."""
    return await names_of(info, [player_of(entry) for entry in (*found.above, found.entry, *found.below)])
