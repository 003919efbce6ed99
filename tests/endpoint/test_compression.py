"""Answers and files in the encoding that the client takes; what is kept is compressed once."""

from __future__ import annotations

import gzip
import tracemalloc
from typing import TYPE_CHECKING

import httpx
import orjson
import pytest
import zstandard

from graph.app import STATIC, create_app
from graph.endpoint.kept import EXPRESS, Compressed, compression, encoding_of
from graph.endpoint.kept.compression import ENCODINGS, SMALLEST
from graph.server.http_express import HttpProtocol
from graph.settings import RedisSettings, ServerSettings, Settings
from tests.support.apps.answers import AnswersApp
from tests.support.apps.lifespan import Lifespan
from tests.support.apps.serving import serving
from tests.support.apps.small import make_endpoint
from tests.support.clients.browser import browse
from tests.support.clients.raw_http import Connection, post
from tests.support.engines.migrated import migrated
from tests.support.models.truth import Truth

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from graph.patterns.client import Client
    from harness.valkey import ValkeyServer

KEY = "long" * 500
LONG = f'query Long {{ thing(key: "{KEY}") {{ key version }} }}'


def _unzstd(body: bytes) -> bytes:
    return zstandard.ZstdDecompressor().decompress(body)


DECODE: dict[bytes, Callable[[bytes], bytes]] = {b"gzip": gzip.decompress, b"zstd": _unzstd}


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [
        (None, None),
        ("", None),
        ("identity", None),
        ("br", None),
        ("gzip", "gzip"),
        ("GZip , deflate, br", "gzip"),
        ("gzip, deflate, br, zstd", "gzip"),
        ("zstd", "zstd"),
        ("gzip;q=0.5, zstd", "zstd"),
        ("zstd;q=0.5, gzip;q=0.8", "gzip"),
        ("zstd;q=0, *", "gzip"),
        ("*", "gzip"),
        ("gzip;q=0", None),
        ("gzip;q=nonsense", None),
        ("gzip" * 1000, None),
    ],
)
def test_the_encoding_is_the_one_that_the_client_prefers(accepted: str | None, encoding: str | None) -> None:
    """Gzip before zstd, unless the client says otherwise; nothing that it does not name."""
    assert encoding_of(accepted, SMALLEST) == encoding
    assert encoding_of(accepted, SMALLEST - 1) is None


async def test_a_long_answer_is_compressed_and_a_short_one_is_not(client: Client) -> None:
    """Above 1 kB, in gzip and in zstd; caches are told that it depends on the request."""
    text = "x" * 5000
    async with browse(make_endpoint(client)) as http:
        for encoding in ("gzip", "zstd"):
            headers = {"Accept-Encoding": encoding}
            long = await http.ask("query ($t: String) { echo(text: $t) }", variables={"t": text}, headers=headers)
            assert long.headers["Content-Encoding"] == encoding
            assert int(long.headers["Content-Length"]) < 500
            assert long.json() == {"data": {"echo": text}}
            assert "Accept-Encoding" in long.headers["Vary"]
            short = await http.ask("{ hello }", headers=headers)
            assert "Content-Encoding" not in short.headers
            assert "Accept-Encoding" in short.headers["Vary"]


async def test_a_kept_answer_is_compressed_once(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever serves it, the lane or the server before it, and however often; the bytes are those of the plain one."""
    made: list[int] = []
    for name, encode in list(compression.ENCODINGS.items()):

        def counted(body: bytes, encode: Callable[[bytes], bytes] = encode) -> bytes:
            made.append(len(body))
            return encode(body)

        monkeypatch.setitem(compression.ENCODINGS, name, counted)
    truth = Truth()
    truth.versions[KEY] = 1
    app = AnswersApp(client, truth, express=True)
    app.endpoint.engine.operations.prepare(LONG)
    body = orjson.dumps({"query": LONG})
    async with (
        serving(app.endpoint, http=HttpProtocol, state={EXPRESS: app.endpoint.express}) as port,
        Connection(port) as connection,
    ):
        (plain,) = await connection.ask(post(body))
        for encoding, decode in DECODE.items():
            made.clear()
            request = post(body, extra=b"Accept-Encoding: %b\r\n" % encoding)
            answers = await connection.ask(request, 20)
            assert {decode(answer.body) for answer in answers} == {plain.body}
            assert {answer.headers[b"content-encoding"] for answer in answers} == {encoding}
            assert {answer.headers[b"etag"] for answer in answers} == {plain.headers[b"etag"]}
            assert len(made) == 1
    await app.close()


async def test_compressed_copies_are_bounded(client: Client) -> None:
    """However many answers there are, the store of their copies keeps to its bytes."""
    kept = Compressed(100_000)
    for n in range(1000):
        await kept.give(str(n), "gzip", n.to_bytes(4, "big") * 5000)
    assert kept._kept.size <= 100_000


async def test_files_are_compressed(valkey: ValkeyServer, client: Client, tmp_path: Path) -> None:
    """GraphiQL comes in a fraction of its bytes; a browser that has it is told that it has."""
    settings = Settings(server=ServerSettings(data_dir=tmp_path), redis=RedisSettings(url=valkey.url))
    migrated(tmp_path / "graph.db")
    async with (
        Lifespan(create_app(settings)) as manager,
        httpx.AsyncClient(transport=httpx.ASGITransport(manager.app), base_url="http://test") as web,
    ):
        plain = small = 0
        for file in STATIC.glob("graphiql/*.*"):
            path = f"/static/graphiql/{file.name}"
            whole = await web.get(path, headers={"Accept-Encoding": "identity"})
            assert "Content-Encoding" not in whole.headers
            for encoding in ("gzip", "zstd"):
                answer = await web.get(path, headers={"Accept-Encoding": encoding})
                assert answer.content == whole.content == file.read_bytes()
                assert answer.headers["Content-Type"] == whole.headers["Content-Type"]
                assert answer.headers["Cache-Control"] == whole.headers["Cache-Control"]
                assert answer.headers["Vary"] == "Accept-Encoding"
            plain += len(whole.content)
            small += int(answer.headers["Content-Length"])
            again = await web.get(path, headers={"If-None-Match": answer.headers["ETag"]})
            assert again.status_code == 304
            assert again.headers["Vary"] == "Accept-Encoding"
        assert small < plain / 3


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_what_is_kept_takes_the_memory_of_its_bytes(encoding: str) -> None:
    """A compressed body has no room behind it for what could not be compressed."""
    kept: list[bytes] = []
    ENCODINGS[encoding](b"x" * 20_000)
    tracemalloc.start()
    try:
        kept += (ENCODINGS[encoding](b"%d" % number * 20_000) for number in range(20))
        memory, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert memory < 20 * 2_000
    assert sum(map(len, kept)) < memory
