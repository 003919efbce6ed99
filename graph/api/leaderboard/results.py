"""The inputs and results of the leaderboards' mutations."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import strawberry
from strawberry.scalars import JSON

from graph.api.errors import InvalidInput, NotFound, SlugTaken
from graph.api.leaderboard.types import Leaderboard
from graph.api.node import Deleted
from graph.leaderboard import BoardRecord, Outcome, SeasonSchedule, rules
from graph.patterns.ranking import Operator, Order, Ties


@strawberry.input(description="A board to be created.")
class CreateLeaderboardInput:
    """Checked by the leaderboards' rules."""

    slug: str = strawberry.field(description="1 to 64 lower-case letters, digits and inner hyphens.")
    name: str = strawberry.field(description=f"At most {rules.MAX_NAME} characters.")
    operator: Operator = Operator.BEST
    ties: Ties = Ties.EARLIEST_FIRST
    schedule: SeasonSchedule = SeasonSchedule.NEVER
    order: Order = Order.DESCENDING
    cron: str | None = strawberry.field(
        default=strawberry.UNSET,
        description='With the schedule CRON: five fields in UTC, like "0 18 * * FRI"; the minute is one number.',
    )


@strawberry.input(description="A score.")
class SubmitScoreInput:
    """Checked by the leaderboards' rules."""

    board: str = strawberry.field(description="The board's slug.")
    score: float = strawberry.field(description="Any finite number; on a SUM board what to add.")
    player: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="The signed-in player if left out."
    )
    key: str | None = strawberry.field(
        default=strawberry.UNSET,
        description="Names this submission of this player on this board for 30 days: sent again, whether or not its "
        f"answer arrived, it changes nothing and gives the first answer. At most {rules.MAX_KEY} characters.",
    )
    metadata: JSON | None = strawberry.field(
        default=strawberry.UNSET,
        description=f"Kept with the score if that counts, and shown with it; at most {rules.MAX_METADATA} bytes.",
    )


@strawberry.type(description="`rank` is null only while the ranking store is unreachable: the score itself is safe.")
class ScoreSubmitted:
    """The result of a successful submitScore."""

    board: Leaderboard
    score: float = strawberry.field(description="The player's score now.")
    improved: bool = strawberry.field(description="Whether it is better than before, or the player's first.")
    rank: int | None
    previous_rank: int | None = strawberry.field(description="Null when the player had no score, or it is not known.")

    @classmethod
    def of(cls, board: BoardRecord, outcome: Outcome) -> ScoreSubmitted:
        return cls(
            board=Leaderboard.of(board),
            score=outcome.score,
            improved=outcome.improved,
            rank=outcome.rank,
            previous_rank=outcome.previous_rank,
        )


@strawberry.input(description="A score of the running season to be removed.")
class RemoveScoreInput:
    board: str = strawberry.field(description="The board's slug.")
    player: strawberry.ID


@strawberry.type(description="The player has no score on the board any more; the next one sent is the first.")
class ScoreRemoved:
    """The result of a successful removeScore."""

    board: Leaderboard
    score: float = strawberry.field(description="The removed score.")


RemoveScoreResult: TypeAlias = Annotated[ScoreRemoved | NotFound, strawberry.union("RemoveScoreResult")]
DeleteLeaderboardResult: TypeAlias = Annotated[Deleted | NotFound, strawberry.union("DeleteLeaderboardResult")]
ResetSeasonResult: TypeAlias = Annotated[Leaderboard | NotFound, strawberry.union("ResetSeasonResult")]
LeaderboardResult: TypeAlias = Annotated[Leaderboard | SlugTaken | InvalidInput, strawberry.union("LeaderboardResult")]
SubmitScoreResult: TypeAlias = Annotated[
    ScoreSubmitted | NotFound | InvalidInput, strawberry.union("SubmitScoreResult")
]
