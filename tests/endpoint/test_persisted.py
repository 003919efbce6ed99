"""Documents by hash or id: automatic persisted queries and trusted documents."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from graph.endpoint.document import OperationRequest, Persisted, read_manifest
from graph.patterns.client import open_client
from harness.valkey import ValkeyServer
from harness.waiting import within
from tests.support.apps.small import make_endpoint
from tests.support.clients.browser import browse

if TYPE_CHECKING:
    from pathlib import Path

    from graph.patterns.client import Client

HELLO = "query Hello { hello }"


def digest(text: str) -> str:
    """The hash that a client sends for `text`."""
    return hashlib.sha256(text.encode()).hexdigest()


def by_hash(text: str) -> dict[str, Any]:
    """The extensions that name `text` by its hash."""
    return {"persistedQuery": {"version": 1, "sha256Hash": digest(text)}}


async def test_a_document_is_sent_once_and_then_known_everywhere(client: Client) -> None:
    """After one request in full, its hash is enough, for another process too, and it lapses unless it is used."""
    async with browse(make_endpoint(client, persisted=Persisted(client, ttl=1000))) as http:
        assert await http.code(None, extensions=by_hash(HELLO)) == "PERSISTED_QUERY_NOT_FOUND"
        assert await http.data(HELLO, extensions=by_hash(HELLO)) == {"hello": "world"}
        assert (await http.ask(None, extensions=by_hash(HELLO))).json() == {"data": {"hello": "world"}}
    key = "graph:{apq}:texts"
    await client.execute("EXPIRE", key, 5, retry=True)
    async with browse(make_endpoint(client, persisted=Persisted(client, ttl=1000))) as other:
        assert (await other.ask(None, extensions=by_hash(HELLO))).json() == {"data": {"hello": "world"}}
    assert await client.execute("TTL", key) > 900


async def test_an_empty_text_beside_a_hash_is_none(client: Client) -> None:
    """graphql-ws and urql send an empty `query` where they have only a hash; an empty `operationName` names nothing."""
    async with browse(make_endpoint(client, persisted=Persisted(client))) as http:
        assert await http.code("", extensions=by_hash(HELLO)) == "PERSISTED_QUERY_NOT_FOUND"
        assert await http.code("", documentId=digest(HELLO)) == "PERSISTED_QUERY_NOT_FOUND"
        assert await http.data(HELLO, extensions=by_hash(HELLO), operationName="") == {"hello": "world"}
        for named in (
            {"extensions": by_hash(HELLO)},
            {"documentId": digest(HELLO)},
            {"documentId": f"sha256:{digest(HELLO)}"},
        ):
            assert await http.data("", **named) == {"hello": "world"}
        assert await http.code("") == "GRAPHQL_PARSE_FAILED"


async def test_the_first_answer_is_what_apollo_expects(client: Client) -> None:
    """Apollo's clients look for this very message or code, in an error without data."""
    async with browse(make_endpoint(client, persisted=Persisted(client))) as http:
        answer = (await http.ask(None, extensions=by_hash(HELLO))).json()
        assert answer == {
            "errors": [
                {"message": "PersistedQueryNotFound", "extensions": {"code": "PERSISTED_QUERY_NOT_FOUND"}},
            ]
        }
    async with browse(make_endpoint(client)) as http:
        assert await http.code(None, extensions=by_hash(HELLO)) == "PERSISTED_QUERY_NOT_SUPPORTED"


async def test_a_hash_that_does_not_fit_is_refused_and_kept_nowhere(client: Client) -> None:
    """Nobody can store a document under another one's hash."""
    async with browse(make_endpoint(client, persisted=Persisted(client))) as http:
        answer = await http.ask("{whoami}", extensions=by_hash(HELLO))
        assert answer.status_code == 400
        assert await client.execute("KEYS", "graph:*apq*") == []
        assert await http.code(None, extensions=by_hash(HELLO)) == "PERSISTED_QUERY_NOT_FOUND"


async def test_only_good_documents_of_admitted_callers_are_kept(client: Client) -> None:
    """An invalid document, an oversized one, and one of a caller over the limit take no room in Redis."""
    persisted = Persisted(client, largest=100)
    async with browse(make_endpoint(client, persisted=persisted, limits={"anonymous": 3})) as http:
        large = "query A{hello}" + " " * 100
        for text in ("{nothing}", large, HELLO, "{whoami}"):
            await http.ask(text, extensions=by_hash(text))
    async with within("the document to be stored"):  # no answer waits for that
        while not (kept := await client.execute("HKEYS", "graph:{apq}:texts")):
            await asyncio.sleep(0.002)
    assert kept == [digest(HELLO).encode()]


async def test_only_what_was_paid_for_and_ran_is_kept(client: Client) -> None:
    """A free operation, one whose variables are wrong, and one that is known and free take no room in Redis."""
    async with browse(make_endpoint(client, persisted=Persisted(client))) as http:
        await http.data("{quota{remaining}}")
        await http.data("{quota{remaining}}", extensions=by_hash("{quota{remaining}}"))
        wrong = "query($n:Int!){items(first:$n){totalCount}}"
        assert await http.code(wrong, extensions=by_hash(wrong)) == "BAD_USER_INPUT"
        await http.data(HELLO, extensions=by_hash(HELLO))
    assert await client.execute("HKEYS", "graph:{apq}:texts") == [digest(HELLO).encode()]


async def test_persisted_documents_have_bounded_room(client: Client) -> None:
    """All texts keep within the capacity, what is used stays, one caller stores no more than a share; all lapses."""
    texts = [f"query Q{n}{{hello}} #{'x' * 980}" for n in range(60)]
    persisted = Persisted(client, capacity=20_000, share=10_000)
    async with browse(make_endpoint(client, persisted=persisted, limits={"anonymous": 1000})) as http:
        await http.data(HELLO, extensions=by_hash(HELLO), headers={"x-test-address": "good"})
        for n, text in enumerate(texts):
            await http.data(text, extensions=by_hash(text), headers={"x-test-address": f"bad{n // 20}"})
            fresh = Persisted(client, capacity=20_000)
            assert await fresh.text(OperationRequest(None, None, None, by_hash(HELLO))) == HELLO
    kept: dict[bytes, bytes] = await client.execute("HGETALL", "graph:{apq}:texts")
    sizes = sum(map(len, kept.values()))
    assert 15_000 < sizes <= 20_000
    assert sizes == int(await client.execute("GET", "graph:{apq}:bytes"))
    for n in range(3):
        assert 0 < int(await client.execute("GET", f"graph:{{apq}}:caller:bad{n}")) <= 10_000
    for key in await client.execute("KEYS", "graph:*apq*"):
        assert await client.execute("TTL", key) > 0


async def test_while_redis_is_away_clients_send_their_text() -> None:
    """A hash is unknown rather than an error, and what was known before is remembered."""
    with ValkeyServer() as server:
        async with open_client(server.url) as client:
            endpoint = make_endpoint(client, persisted=Persisted(client))
            async with browse(endpoint) as http:
                await http.data("{whoami}", extensions=by_hash("{whoami}"))
                server.kill()
                assert await http.code(None, extensions=by_hash(HELLO)) == "PERSISTED_QUERY_NOT_FOUND"
                assert await http.data(HELLO, extensions=by_hash(HELLO)) == {"hello": "world"}
                for text in (HELLO, "{whoami}"):
                    assert "data" in (await http.ask(None, extensions=by_hash(text))).json()


@pytest.mark.parametrize(
    "manifest",
    [
        {
            "format": "apollo-persisted-query-manifest",
            "version": 1,
            "operations": [{"id": "h1", "name": "Hello", "type": "query", "body": HELLO}],
        },
        {"h1": HELLO},
    ],
    ids=["apollo", "relay"],
)
async def test_trusted_documents_run_and_no_others(client: Client, tmp_path: Path, manifest: dict[str, Any]) -> None:
    """With `only`, a document of the manifest runs by id, by hash or in full, and nothing else does."""
    path = tmp_path / "manifest.json"
    path.write_bytes(orjson.dumps(manifest))
    persisted = Persisted(client, trusted=read_manifest(path), only=True)
    async with browse(make_endpoint(client, persisted=persisted)) as http:
        named: tuple[dict[str, Any], ...] = (
            {"documentId": "h1"},
            {"extensions": by_hash(HELLO)},
            {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": "h1"}}},
        )
        for members in named:
            assert (await http.ask(None, **members)).json() == {"data": {"hello": "world"}}
        assert await http.data(HELLO) == {"hello": "world"}
        refused: tuple[tuple[str | None, dict[str, Any]], ...] = (
            ("{whoami}", {}),
            ("{whoami}", {"documentId": "h1"}),
            ("{whoami}", {"extensions": by_hash("{whoami}")}),
            (HELLO + " ", {}),
            (None, {"documentId": "h2"}),
            (None, {}),
        )
        for query, members in refused:
            assert await http.code(query, **members) == "PERSISTED_QUERY_NOT_FOUND"
    assert await client.execute("KEYS", "graph:*apq*") == []


async def test_trusted_documents_beside_others(client: Client) -> None:
    """Without `only`, the manifest's documents are known by id and the rest runs as ever."""
    async with browse(make_endpoint(client, persisted=Persisted(client, trusted={"h1": HELLO}))) as http:
        assert (await http.ask(None, documentId="h1")).json() == {"data": {"hello": "world"}}
        assert await http.data("{whoami}") == {"whoami": None}


@pytest.mark.parametrize("content", ["[]", "1", '{"a":1}', '{"operations":[{"id":"a"}]}', '{"operations":[1]}', "x"])
def test_what_is_no_manifest_is_refused_at_once(tmp_path: Path, content: str) -> None:
    """A wrong file stops the server from starting, not its requests."""
    path = tmp_path / "manifest.json"
    path.write_text(content)
    with pytest.raises(ValueError, match="no manifest"):
        read_manifest(path)
