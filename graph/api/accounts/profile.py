"""Guests, and what users can do with their own accounts."""

from __future__ import annotations

from datetime import UTC, datetime

import strawberry

from graph import leaderboard
from graph.api.accounts.refusals import Refused, refusal_of
from graph.api.accounts.types import (
    AccountDeleted,
    ClaimAccountInput,
    ClaimResult,
    DeleteMeResult,
    GuestPayload,
    GuestResult,
    LoginResult,
    OwnScore,
    PersonalData,
    RenameResult,
    Session,
    User,
)
from graph.api.accounts.viewer import HASH, begun, forget_token, session_of, user_of, visitor_of
from graph.api.auth import ANYBODY, SIGNED_IN, requires
from graph.api.context import Info
from graph.api.errors import InvalidAsResult
from graph.api.node import global_id
from graph.api.pagination import given
from graph.endpoint.declare import cost
from graph.errors import Unauthenticated


@strawberry.type
class ProfileQuery:
    @strawberry.field(
        description="Everything that is stored about the viewer: account, sessions, scores.",
        extensions=[requires(SIGNED_IN)],
        metadata=cost(10, assumed=50),
    )
    async def export_me(self, info: Info) -> PersonalData:
        services, current = info.context.services, session_of(info.context)
        user = await user_of(info.context)
        sessions = await services.sessions.list(current.user_id)
        boards = services.find(leaderboard.FEATURE)
        scores = await boards.scores_of(user.id) if boards is not None else []
        return PersonalData(
            user=User.of(user),
            sessions=[Session.of(session, current.id) for session in sessions],
            scores=[
                OwnScore(
                    board=one.board,
                    season=one.season,
                    score=one.score,
                    achieved_at=datetime.fromtimestamp(one.achieved_at / 1e6, UTC),
                )
                for one in scores
            ],
        )


@strawberry.type
class ProfileMutation:
    @strawberry.mutation(
        description="Begins to play without an email. The secret signs the same player in again (resumeGuest), until "
        "the guest takes an email and a password (claimAccount) and keeps every score.",
        extensions=[requires(ANYBODY), InvalidAsResult()],
    )
    async def play_as_guest(self, info: Info, display_name: str | None = strawberry.UNSET) -> GuestResult:
        context = info.context
        outcome = await context.services.accounts.play_as_guest(given(display_name), visitor_of(context))
        if isinstance(outcome, Refused):
            return refusal_of(outcome)
        await begun(context, outcome.signed_in)
        return GuestPayload.of(outcome)

    @strawberry.mutation(description="Signs a guest in again.", extensions=[requires(ANYBODY)])
    async def resume_guest(self, info: Info, secret: str) -> LoginResult:
        context = info.context
        outcome = await context.services.accounts.resume_guest(secret, visitor_of(context))
        if isinstance(outcome, Refused):
            return refusal_of(outcome, wrong="No guest has this secret.")
        return await begun(context, outcome)

    @strawberry.mutation(
        description="Gives a guest an email and a password. The player and the scores stay; the secret ends, and so "
        "does every other session.",
        extensions=[requires(SIGNED_IN), InvalidAsResult()],
        metadata=cost(HASH),
    )
    async def claim_account(self, info: Info, input: ClaimAccountInput) -> ClaimResult:
        context = info.context
        outcome = await context.services.accounts.claim(
            session_of(context), input.email, input.password, visitor_of(context)
        )
        return refusal_of(outcome) if isinstance(outcome, Refused) else User.of(outcome)

    @strawberry.mutation(
        description="Changes the name that others see.", extensions=[requires(SIGNED_IN), InvalidAsResult()]
    )
    async def rename_me(self, info: Info, display_name: str) -> RenameResult:
        number = int(session_of(info.context).user_id)
        user = await info.context.services.accounts.rename(number, display_name)
        if user is None:
            raise Unauthenticated("Sign in first.")
        return User.of(user)

    @strawberry.mutation(
        description="Deletes the viewer's account: email, name and password are written over, every session ends. "
        "Scores stay, under a player without a name, or are removed, as the operator has set it "
        "(GRAPH_ACCOUNTS_DELETED_SCORES). A guest needs no password. The last ADMIN stays.",
        extensions=[requires(SIGNED_IN)],
        metadata=cost(HASH),
    )
    async def delete_me(self, info: Info, password: str | None = strawberry.UNSET) -> DeleteMeResult:
        context = info.context
        services = context.services
        boards = services.find(leaderboard.FEATURE)
        outcome = await services.accounts.delete(
            session_of(context), given(password) or "", also=boards and boards.leaving
        )
        if isinstance(outcome, Refused):
            return refusal_of(outcome, wrong="The password is wrong.")
        if boards is not None:
            await boards.left(outcome.id)
        forget_token(context)
        return AccountDeleted(player=global_id("Player", outcome.id))
