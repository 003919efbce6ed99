"""Notes, asked for as a client does."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.testclient import TestClient

ADD = "mutation ($text: String!) { addNote(text: $text) { __typename ... on Note { text } } }"


def test_a_note_is_read_by_the_next_who_asks(client: TestClient, token: str) -> None:
    """The list was cached without it."""
    assert client.post("/graphql", json={"query": "{ notes { text } }"}).json() == {"data": {"notes": []}}
    signed_in = {"Authorization": f"Bearer {token}"}
    sent = {"query": ADD, "variables": {"text": "Buy flour"}}
    added = client.post("/graphql", json=sent, headers=signed_in).json()
    assert added == {"data": {"addNote": {"__typename": "Note", "text": "Buy flour"}}}
    read = client.post("/graphql", json={"query": "{ notes { text } }"}).json()
    assert read == {"data": {"notes": [{"text": "Buy flour"}]}}


def test_what_is_no_note_is_refused(client: TestClient, token: str) -> None:
    """An empty one, with a reason; and one of a stranger."""
    sent = {"query": ADD, "variables": {"text": " "}}
    empty = client.post("/graphql", json=sent, headers={"Authorization": f"Bearer {token}"}).json()
    assert empty == {"data": {"addNote": {"__typename": "InvalidInput"}}}
    strange = client.post("/graphql", json=sent).json()
    assert [error["extensions"]["code"] for error in strange["errors"]] == ["UNAUTHENTICATED"]
