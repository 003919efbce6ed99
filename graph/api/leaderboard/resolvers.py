"""The queries and mutations of leaderboards: each ranking takes one script, and one load of players' names."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

import strawberry

from graph.api.auth import BOARDS, PLAYER, SERVICE, check, requires
from graph.api.context import Context, Info
from graph.api.errors import InvalidAsResult, NotFound, SlugTaken
from graph.api.leaderboard.loaders import players
from graph.api.leaderboard.players import Player, names_of, player_key_of, viewer_key
from graph.api.leaderboard.results import (
    CreateLeaderboardInput,
    DeleteLeaderboardResult,
    LeaderboardResult,
    RemoveScoreInput,
    RemoveScoreResult,
    ResetSeasonResult,
    ScoreRemoved,
    ScoreSubmitted,
    SubmitScoreInput,
    SubmitScoreResult,
)
from graph.api.leaderboard.subscriptions import LeaderboardSubscription
from graph.api.leaderboard.types import MAX_AGE, MAX_PAGE, Leaderboard, LeaderboardEntry, PlayerPlace
from graph.api.node import Deleted, Node, global_id, integer_keys
from graph.api.pagination import given, mentions
from graph.api.schema_part import SchemaPart
from graph.endpoint.declare import cached, cost, keep_until
from graph.errors import BadInput, Missing, Taken
from graph.leaderboard import BoardRecord, NewBoard, Outcome, board_tag, ranks_tag


async def _load_boards(context: Context, keys: Sequence[str]) -> Mapping[str, Node]:
    numbers = integer_keys(keys)
    found = await context.services.leaderboards.boards_by_id(numbers.values())
    return {key: Leaderboard.of(found[number]) for key, number in numbers.items() if number in found}


async def _load_players(context: Context, keys: Sequence[str]) -> Mapping[str, Node]:
    numbers = integer_keys(keys)
    users = await context.loader(players).load_many(numbers.values())
    names = {user.id: user.display_name for user in users if user is not None}
    return {key: Player.of(number, names) for key, number in numbers.items() if number in names}


def _player(context: Context, named: str | None) -> int | None:
    """Return whose score it is: a PLAYER's own; a SERVICE or an ADMIN may name any player. None if there is none."""
    key = None if named is None else player_key_of(named)
    if named is None or (key is not None and str(key) == context.caller.user):
        return viewer_key(context)
    check(context, SERVICE)
    return key


async def _board(context: Context, slug: str) -> BoardRecord:
    """Return the board that has this slug now; raises `Missing`."""
    board = await context.services.leaderboards.board(slug)
    if board is None:
        raise Missing("board")
    return board


async def _submitted(
    context: Context, slug: str, submit: Callable[[BoardRecord], Awaitable[Outcome]]
) -> tuple[BoardRecord, Outcome]:
    """Submit to the board of this slug that is known here or, where that is gone, to the one that has it now.

    Returned is the board as it was reset meanwhile in another process, if it was.
    """
    service = context.services.leaderboards
    board = await service.known_board(slug)
    while board is not None:
        try:
            outcome = await submit(board)
        except Missing as missing:
            if missing.what != "board" or (now := await service.board(slug)) == board:
                raise
            board = now
        else:
            if outcome.season == service.season(board).number:
                return board, outcome
            now = await service.board(slug)
            return (now if now is not None and now.id == board.id else board), outcome
    raise Missing("board")


def _named(player: int | None) -> int:
    """Return the player if there is one; raises `Missing`."""
    if player is None:
        raise Missing("player")
    return player


def _not_found(missing: Missing) -> NotFound:
    return NotFound.of("There is no such player." if missing.what == "player" else "There is no such leaderboard.")


def _tags(arguments: Mapping[str, object]) -> Sequence[str]:
    """What outdates an answer with this board; the second gives way to those of the ranks that it shows."""
    slug = str(arguments.get("slug"))
    return board_tag(slug), ranks_tag(slug)


@strawberry.type
class LeaderboardQuery:
    @strawberry.field(
        metadata=cached(MAX_AGE, tags=_tags),
        description="The leaderboard with this slug; null when there is none.",
    )
    async def leaderboard(self, info: Info, slug: str) -> Leaderboard | None:
        service = info.context.services.leaderboards
        record = await service.board(slug)
        if record is None:
            return None
        if (end := service.season(record).ends_at) is not None:
            keep_until(end.timestamp())
        return Leaderboard.of(record)

    @strawberry.field(metadata=cost(assumed=10), description="All leaderboards, by name.")
    async def leaderboards(self, info: Info) -> list[Leaderboard]:
        return [Leaderboard.of(record) for record in await info.context.services.leaderboards.boards()]

    @strawberry.field(
        metadata=cost(5, assumed=20),
        description="Where a player (the signed-in one unless `player` names another) stands on several boards, those "
        f"without a score left out. `boards`: slugs, at most {MAX_PAGE}; all boards by name if left out.",
    )
    async def places(
        self,
        info: Info,
        player: strawberry.ID | None = strawberry.UNSET,
        boards: list[str] | None = strawberry.UNSET,
    ) -> list[PlayerPlace]:
        named, slugs = given(player), given(boards)
        key = viewer_key(info.context) if named is None else player_key_of(named)
        service = info.context.services.leaderboards
        if slugs is not None and len(slugs) > MAX_PAGE:
            raise BadInput(f"places takes at most {MAX_PAGE} boards at once.", argument="boards")
        if slugs is None:
            records = (await service.boards())[:MAX_PAGE]
        else:
            asked = [await service.board(slug) for slug in dict.fromkeys(slugs)]
            records = [record for record in asked if record is not None]
        if key is None:
            return []
        found = await service.places(records, key, metadata=mentions(info, "metadata"))
        names = await names_of(info, [key])
        return [
            PlayerPlace(board=Leaderboard.of(record), entry=LeaderboardEntry.of(entry, names))
            for record, entry in found
        ]


@strawberry.type
class LeaderboardMutation:
    @strawberry.mutation(
        description="Creates a leaderboard. Needs the role ADMIN.", extensions=[requires(BOARDS), InvalidAsResult()]
    )
    async def create_leaderboard(self, info: Info, input: CreateLeaderboardInput) -> LeaderboardResult:
        new = NewBoard(
            slug=input.slug,
            name=input.name,
            operator=input.operator,
            ties=input.ties,
            schedule=input.schedule,
            order=input.order,
            cron=given(input.cron),
        )
        try:
            return Leaderboard.of(await info.context.services.leaderboards.create_board(new))
        except Taken:
            return SlugTaken.of(input.slug, "leaderboard")

    @strawberry.mutation(
        description="A PLAYER submits their own score; SERVICE and ADMIN may name any player. The same `key` sent "
        "again gives the first answer again.",
        extensions=[requires(PLAYER), InvalidAsResult()],
    )
    async def submit_score(self, info: Info, input: SubmitScoreInput) -> SubmitScoreResult:
        service = info.context.services.leaderboards
        player = _player(info.context, given(input.player))

        async def submit(board: BoardRecord) -> Outcome:
            return await service.submit(
                board, _named(player), input.score, key=given(input.key), metadata=given(input.metadata)
            )

        try:
            board, outcome = await _submitted(info.context, input.board, submit)
        except Missing as missing:
            return _not_found(missing)
        return ScoreSubmitted.of(board, outcome)

    @strawberry.mutation(
        description="Removes a player's score of the running season. Needs the role SERVICE.",
        extensions=[requires(SERVICE)],
    )
    async def remove_score(self, info: Info, input: RemoveScoreInput) -> RemoveScoreResult:
        service, player = info.context.services.leaderboards, player_key_of(input.player)
        board = await service.board(input.board)
        try:
            score = None if board is None or player is None else await service.remove_score(board, player)
        except Missing:
            board = score = None
        if board is None:
            return NotFound.of("There is no such leaderboard.")
        if score is None:
            return NotFound.of("This player has no score on this board.")
        return ScoreRemoved(board=Leaderboard.of(board), score=score)

    @strawberry.mutation(
        description="Ends the running season at once and begins the next one; the ranks are archived. Needs "
        "the role ADMIN.",
        extensions=[requires(BOARDS)],
    )
    async def reset_season(self, info: Info, board: str) -> ResetSeasonResult:
        try:
            record = await _board(info.context, board)
            return Leaderboard.of(await info.context.services.leaderboards.reset_season(record))
        except Missing as missing:
            return _not_found(missing)

    @strawberry.mutation(
        description="Deletes a leaderboard with every score on it, finished seasons included. Needs the role ADMIN.",
        extensions=[requires(BOARDS)],
    )
    async def delete_leaderboard(self, info: Info, slug: str) -> DeleteLeaderboardResult:
        try:
            record = await _board(info.context, slug)
            await info.context.services.leaderboards.delete_board(record)
        except Missing as missing:
            return _not_found(missing)
        return Deleted(id=global_id("Leaderboard", record.id))


PART = SchemaPart(
    query=LeaderboardQuery,
    mutation=LeaderboardMutation,
    subscription=LeaderboardSubscription,
    nodes={"Leaderboard": _load_boards, "Player": _load_players},
)
