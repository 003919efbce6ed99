"""Files that come with operations: the GraphQL multipart request specification, and forms that are meant to hurt."""

from __future__ import annotations

import asyncio
import logging
import logging.config
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pytest
import strawberry
from strawberry.file_uploads import Upload

from graph.endpoint import GraphQLEndpoint
from graph.endpoint.document import Bounds
from graph.endpoint.http import uploads as uploading
from tests.support.apps.small import Scene, Tokens, make_admission, make_endpoint
from tests.support.clients.browser import Http, browse

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable

    import httpx
    from starlette.types import Message

    from graph.patterns.client import Client

PREFLIGHT = {"GraphQL-Require-Preflight": "1"}
ONE = "mutation ($file: Upload!) { read(file: $file) }"
MANY = "mutation ($files: [Upload!]!) { sizes(files: $files) }"
SEEN: list[Any] = []
STORED: list[int] = []
"""How many files were on disk while a resolver ran."""


def _stored() -> list[str]:
    """The files in the directory for temporary ones that this process has open."""
    found = (os.path.realpath(one) for one in Path("/proc/self/fd").iterdir())
    return [one for one in found if one.startswith(tempfile.gettempdir() + "/")]


@strawberry.input
class Letter:
    """What is sent."""

    text: str
    files: list[Upload | None]


@strawberry.type
class Query:
    """What can be asked."""

    @strawberry.field
    async def size(self, file: Upload) -> int:
        return len(await file.read())  # type: ignore[attr-defined]


@strawberry.type
class Mutation:
    """What can be sent."""

    @strawberry.mutation
    async def read(self, file: Upload | None) -> str:
        if file is None:
            return "none"
        SEEN.append(file)
        STORED.append(len(_stored()))
        content = (await file.read()).decode()  # type: ignore[attr-defined]
        return f"{file.filename} {file.content_type} {file.size} {content}"  # type: ignore[attr-defined]

    @strawberry.mutation
    async def sizes(self, files: list[Upload]) -> list[int]:
        SEEN.extend(files)
        return [len(await file.read()) for file in files]  # type: ignore[attr-defined]

    @strawberry.mutation
    async def send(self, letter: Letter) -> str:
        files = [None if file is None else await file.read() for file in letter.files]  # type: ignore[attr-defined]
        return f"{letter.text} {files}"


def serve(client: Client, bounds: Bounds | None = None, **options: Any) -> GraphQLEndpoint[Scene]:
    """Somebody's schema with Strawberry's own scalar, behind the endpoint."""
    admission = make_admission(client, **options.pop("limits", {}))
    return GraphQLEndpoint(
        strawberry.Schema(Query, Mutation),
        admission=admission,
        context=lambda caller, _, response: Scene(caller, response),
        bounds=bounds,
        sockets=None,
        authenticator=Tokens(),
        **options,
    )


@pytest.fixture(params=[True, False], ids=["compiled", "core"])
async def http(request: pytest.FixtureRequest, client: Client) -> AsyncGenerator[Http]:
    """A client of that endpoint, whichever executes."""
    SEEN.clear()
    async with browse(serve(client, compiled=request.param)) as opened:
        yield opened


async def post(
    http: Http, operations: Any, places: Any, *files: tuple[str, Any], headers: dict[str, str] | None = None
) -> httpx.Response:
    """Send a form as the specification has it."""
    parts: list[tuple[str, Any]] = [
        ("operations", (None, orjson.dumps(operations))),
        ("map", (None, orjson.dumps(places))),
        *files,
    ]
    return await http.post("/graphql", files=parts, headers=PREFLIGHT if headers is None else headers)


def code(answer: httpx.Response) -> tuple[int, str]:
    """The status and the code of the first error."""
    return answer.status_code, answer.json()["errors"][0]["extensions"]["code"]


# --- what works ---


async def test_a_file_comes_with_its_name_type_and_size(http: Http) -> None:
    """A resolver reads what Strawberry's own views would give it, under the name that the client gave."""
    operations = {"query": ONE, "variables": {"file": None}}
    answer = await post(http, operations, {"0": ["variables.file"]}, ("0", ("é.txt", b"hello", "text/plain")))
    assert answer.json() == {"data": {"read": "é.txt text/plain 5 hello"}}
    assert SEEN[0].file.closed


async def test_a_large_file_is_on_disk_and_gone_afterwards(http: Http) -> None:
    """Beyond what is kept in memory it has no name on the disk, and no place there once it is answered."""
    size = uploading.IN_MEMORY * 3 + 1
    operations = {"query": MANY, "variables": {"files": [None, None]}}
    places = {"a": ["variables.files.0"], "b": ["variables.files.1"]}
    answer = await post(http, operations, places, ("a", ("a", b"a" * size)), ("b", ("b", b"")))
    assert answer.json() == {"data": {"sizes": [size, 0]}}
    assert [file.file.closed for file in SEEN] == [True, True]
    assert SEEN[0].file._rolled


async def test_files_lie_anywhere_in_variables(http: Http) -> None:
    """In lists, in inputs, beside nulls; one file in two places."""
    operations = {
        "query": "mutation ($l: Letter!) { send(letter: $l) }",
        "variables": {"l": {"text": "x", "files": [None] * 3}},
    }
    answer = await post(http, operations, {"f": ["variables.l.files.2"]}, ("f", ("f", b"three")))
    assert answer.json() == {"data": {"send": "x [None, None, b'three']"}}
    query = "mutation ($a: Upload!, $b: Upload!) { sizes(files: [$a, $b]) }"
    operations = {"query": query, "variables": {"a": None, "b": None}}
    answer = await post(http, operations, {"f": ["variables.a", "variables.b"]}, ("f", ("f", b"one")))
    assert answer.json() == {"data": {"sizes": [3, 0]}}


async def test_a_batch_has_files(http: Http) -> None:
    """Each operation gets its own; one that is refused does not keep the others from theirs."""
    operations = [
        {"query": ONE, "variables": {"file": None}},
        {"query": "{ nothing }"},
        {"query": "query ($f: Upload!) { size(file: $f) }", "variables": {"f": None}},
    ]
    places = {"1": ["0.variables.file"], "2": ["2.variables.f"]}
    answer = await post(http, operations, places, ("1", ("a", b"first")), ("2", ("b", b"second")))
    first, second, third = answer.json()
    assert first["data"]["read"].endswith("5 first")
    assert second["errors"][0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"
    assert third == {"data": {"size": 6}}


async def test_a_form_needs_no_files(http: Http) -> None:
    """A variable that stays null is null."""
    operations = {"query": "mutation ($file: Upload) { read(file: $file) }", "variables": {"file": None}}
    assert (await post(http, operations, {})).json() == {"data": {"read": "none"}}


ALLOWED = (
    {"Apollo-Require-Preflight": "true"},
    {"GraphQL-Require-Preflight": "1"},
    {"X-Apollo-Operation-Name": "Read"},
    {"X-Requested-With": "XMLHttpRequest"},
    {"Origin": "https://shop.example"},
    {"Origin": "http://testserver", "Sec-Fetch-Site": "same-origin"},
    {"Origin": "http://testserver"},  # a page that came over plain HTTP, by a name
)
FOREIGN: tuple[dict[str, str], ...] = (
    {},
    {"Authorization": "Basic eA=="},
    {"Origin": "https://evil.example"},
    {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
    {"Origin": "http://testserver", "Sec-Fetch-Site": "same-site"},
    {"Origin": "http://testserver.evil.example"},
    {"Sec-Fetch-Site": "none"},
    {"Sec-Fetch-Site": "same-site"},
    {"Apollo-Require-Preflight": ""},
)


async def test_no_foreign_page_sends_a_form(client: Client) -> None:
    """A form, which any page can send without asking, needs a header that none can, or an origin that may."""
    form: Any = ({"query": ONE, "variables": {"file": None}}, {"0": ["variables.file"]}, ("0", ("a", b"x")))
    async with browse(serve(client, origins=["https://shop.example"])) as http:
        for headers in ALLOWED:
            assert (await post(http, *form, headers=headers)).json()["data"]["read"]
        SEEN.clear()
        for headers in FOREIGN:
            assert code(await post(http, *form, headers=headers)) == (403, "CSRF_REFUSED")
        assert not SEEN


async def test_a_schema_without_files_takes_no_forms(client: Client) -> None:
    """Where nothing takes a file the media type is refused, as ever."""
    async with browse(make_endpoint(client)) as http:
        assert code(await post(http, {"query": "{ hello }"}, {})) == (415, "UNSUPPORTED_MEDIA_TYPE")


async def test_nothing_but_a_file_is_a_file(http: Http) -> None:
    """What is put in a file's place in JSON, or in the document, is an error, and reaches no resolver."""
    for value in ("text", 1, True, {"a": 1}, ["x"]):
        assert await http.code(ONE, variables={"file": value}) == "BAD_USER_INPUT"
        assert await http.code(MANY, variables={"files": [value]}) == "BAD_USER_INPUT"
    assert await http.code('mutation { read(file: "x") }') == "GRAPHQL_VALIDATION_FAILED"
    assert not SEEN


class Foreign:
    """A file as another framework has it, or a test."""

    async def read(self) -> bytes:
        return b"five!"


async def test_whoever_else_executes_the_schema_gives_it_files_of_its_own(client: Client) -> None:
    """Not those of Starlette alone."""
    schema = serve(client).engine.schema
    result = await schema.execute("query ($f: Upload!) { size(file: $f) }", variable_values={"f": Foreign()})
    assert (result.errors, result.data) == (None, {"size": 5})


# --- forms that are wrong ---

GOOD = {"query": ONE, "variables": {"file": None}}
FILE = ("0", ("a", b"x"))


MISFITS: list[tuple[Any, Any, Any]] = [
    ("text", {}, ()),
    ([], {}, ()),
    (None, {}, ()),
    ({"query": 1}, {}, ()),
    (GOOD, None, ()),
    (GOOD, [], ()),
    (GOOD, {"0": "variables.file"}, (FILE,)),
    (GOOD, {"0": []}, (FILE,)),
    (GOOD, {"0": [1]}, (FILE,)),
    (GOOD, {"0": [""]}, (FILE,)),
    (GOOD, {"0": ["query"]}, (FILE,)),
    (GOOD, {"0": ["variables"]}, (FILE,)),
    (GOOD, {"0": ["variables."]}, (FILE,)),
    (GOOD, {"0": ["variables.other"]}, (FILE,)),
    (GOOD, {"0": ["variables.file.0"]}, (FILE,)),
    (GOOD, {"0": ["0.variables.file"]}, (FILE,)),
    (GOOD, {"0": ["variables.file"], "1": ["variables.file"]}, (FILE, ("1", ("b", b"y")))),
    ({"query": ONE, "variables": {"file": "taken"}}, {"0": ["variables.file"]}, (FILE,)),
    ({"query": ONE}, {"0": ["variables.file"]}, (FILE,)),
    ([GOOD], {"0": ["variables.file"]}, (FILE,)),
    ([GOOD], {"0": ["1.variables.file"]}, (FILE,)),
    ([GOOD], {"0": ["-1.variables.file"]}, (FILE,)),
    ([GOOD], {"0": ["99999999999999999999.variables.file"]}, (FILE,)),
    (GOOD, {"0": ["variables.file"]}, ()),
    (GOOD, {"0": ["variables.file"]}, (FILE, FILE)),
    (GOOD, {"0": ["variables.file"]}, (("1", ("a", b"x")),)),
    (GOOD, {"0": ["variables.file"]}, (("0", (None, b"x")),)),
]


async def test_a_form_that_does_not_fit_is_refused(client: Client) -> None:
    """Whatever is wrong in `operations`, `map` or the files is a BAD_REQUEST, and reaches no resolver."""
    SEEN.clear()
    async with browse(serve(client)) as http:
        for operations, places, files in MISFITS:
            answer = await post(http, operations, places, *files)
            assert code(answer) == (400, "BAD_REQUEST"), (operations, places, files)
    assert not SEEN


def raw(*parts: bytes, boundary: bytes = b"b", end: bytes = b"--b--\r\n") -> bytes:
    """A form, byte by byte."""
    return b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts) + end


def field(name: bytes, value: bytes, more: bytes = b"") -> bytes:
    """A part of a form."""
    return b'Content-Disposition: form-data; name="' + name + b'"' + more + b"\r\n\r\n" + value


OPERATIONS = field(b"operations", orjson.dumps(GOOD))
MAP = field(b"map", b'{"0": ["variables.file"]}')
A = field(b"0", b"x", b'; filename="a"')
B = field(b"b", b"dropped", b'; filename="b"')
MORE = field(b"more", b"dropped")
TYPE = "multipart/form-data; boundary=b"


BODIES: list[tuple[str, bytes, str | None]] = [
    (TYPE, raw(OPERATIONS, MAP, A), None),
    (TYPE, raw(OPERATIONS, MAP, A) + b"whatever follows", None),
    ("Multipart/Form-Data; charset=utf-8; Boundary=b", raw(OPERATIONS, MAP, A), None),
    ("multipart/form-data; boundary=B", raw(OPERATIONS, MAP, A), "BAD_REQUEST"),
    ("multipart/form-data", raw(OPERATIONS, MAP, A), "BAD_REQUEST"),
    ("multipart/form-data; boundary=", raw(OPERATIONS, MAP, A), "BAD_REQUEST"),
    ("multipart/form-data; boundary=" + "b" * 500, b"", "BAD_REQUEST"),
    ("multipart/form-data; boundary=" + "b" * 5_000, b"", "BAD_REQUEST"),
    ("multipart/form-data; " + ";" * 60_000 + "boundary=b", raw(OPERATIONS), "BAD_REQUEST"),
    ("multipart/form-datum; boundary=b", raw(OPERATIONS, MAP, A), "UNSUPPORTED_MEDIA_TYPE"),
    (TYPE, b"", "BAD_REQUEST"),
    (TYPE, b"--b--\r\n", "BAD_REQUEST"),
    (TYPE, b"no form at all", "BAD_REQUEST"),
    (TYPE, b"\r\n" * 10_000, "BAD_REQUEST"),
    (TYPE, raw(OPERATIONS, MAP, A, end=b""), "BAD_REQUEST"),
    (TYPE, raw(OPERATIONS, MAP, A)[:-20], "BAD_REQUEST"),
    (TYPE, raw(MORE, OPERATIONS, MORE, MAP, MORE, A, MORE), None),
    (TYPE, raw(OPERATIONS, MAP, B, A, B), None),
    (TYPE, raw(B, OPERATIONS, MAP, A), "BAD_REQUEST"),
    (TYPE, raw(OPERATIONS, MAP, A, OPERATIONS), "BAD_REQUEST"),
    (TYPE, raw(OPERATIONS, MAP, MORE), "BAD_REQUEST"),
    (TYPE, raw(MAP, OPERATIONS, A), "BAD_REQUEST"),
    (TYPE, raw(A, OPERATIONS, MAP), "BAD_REQUEST"),
    (TYPE, raw(OPERATIONS, A, MAP), "BAD_REQUEST"),
    (TYPE, raw(OPERATIONS, A), "BAD_REQUEST"),
    (TYPE, raw(OPERATIONS), "BAD_REQUEST"),
    (TYPE, raw(OPERATIONS, OPERATIONS, MAP, A), "BAD_REQUEST"),
    (TYPE, raw(OPERATIONS, MAP, MAP, A), "BAD_REQUEST"),
    (TYPE, raw(field(b"operations", b"\xff")), "BAD_REQUEST"),
    (TYPE, raw(OPERATIONS, field(b"map", b"[" * 10_000)), "BAD_REQUEST"),
    (TYPE, raw(field(b"\xff\xfe", b"x")), "BAD_REQUEST"),
    (TYPE, raw(b"\r\nno headers"), "BAD_REQUEST"),
    (TYPE, raw(b"Content-Disposition: form-data\r\n\r\nno name"), "BAD_REQUEST"),
    (TYPE, raw(b'Content-Disposition: attachment; name="operations"\r\n\r\n{}'), "BAD_REQUEST"),
    (TYPE, raw(b"X" * 100_000 + b": y\r\n\r\n"), "BAD_REQUEST"),
    (TYPE, raw(b"X: y\r\n" * 10_000 + b"\r\n"), "BAD_REQUEST"),
    (TYPE, raw(b"X: " + b"y" * 100_000 + b"\r\n\r\n"), "BAD_REQUEST"),
    (TYPE, raw(field(b"operations", b" " * 100_001)), "PAYLOAD_TOO_LARGE"),
    (TYPE, raw(OPERATIONS, field(b"map", b" " * 100_001)), "PAYLOAD_TOO_LARGE"),
    (TYPE, raw(field(b"more", b" " * 100_001), OPERATIONS, MAP, A), "PAYLOAD_TOO_LARGE"),
    (TYPE, raw(field(b"more", b" " * 60_000), OPERATIONS, field(b"more", b" " * 60_000), MAP, A), "PAYLOAD_TOO_LARGE"),
    (TYPE, raw(OPERATIONS, MAP, A, field(b"more", b" " * 100_001)), None),
    (TYPE, raw(OPERATIONS, MAP, A, *[A] * 100_000), "TOO_MANY_FILES"),
    (TYPE, raw(*[field(b"operations", b"{}")] * 100_000), "TOO_MANY_FILES"),
    (TYPE, raw(*[MORE] * 100_000), "TOO_MANY_FILES"),
]


async def test_bytes_that_are_no_form_are_refused_without_a_word_in_the_log(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """However they come, in large pieces or small ones: a stable code, and not a line in the log."""
    logging.config.dictConfig({"version": 1, "disable_existing_loggers": False})  # as uvicorn does by default
    caplog.set_level(logging.DEBUG)
    async with browse(serve(client)) as http:
        for kind, body, wanted in BODIES:
            for step in (len(body) or 1, 7) if len(body) < 2_000 else (1 << 16,):
                answer = await http.post(
                    "/graphql", content=_pieces(body, step), headers={"Content-Type": kind, **PREFLIGHT}
                )
                if wanted is None:
                    assert answer.json() == {"data": {"read": "a None 1 x"}}, (kind, body[:500])
                else:
                    assert code(answer)[1] == wanted, (kind, body[:500])
    assert not [one for one in caplog.records if one.name.startswith(("graph", "python_multipart"))]


async def _pieces(body: bytes, step: int) -> AsyncIterator[bytes]:
    for at in range(0, len(body), step):
        yield body[at : at + step]


# --- bounds ---


async def test_the_number_and_the_size_of_files_are_bounded(client: Client) -> None:
    """Each bound holds to the byte, whether the client says how much comes or not."""
    bounds = Bounds(files=2, file=1_000, form=10_000)
    async with browse(serve(client, bounds)) as http:

        async def send(*sizes: int) -> httpx.Response:
            operations = {"query": MANY, "variables": {"files": [None] * len(sizes)}}
            places = {str(n): [f"variables.files.{n}"] for n in range(len(sizes))}
            files = [(str(n), (str(n), b"x" * size)) for n, size in enumerate(sizes)]
            return await post(http, operations, places, *files)

        assert (await send(1_000, 1_000)).json() == {"data": {"sizes": [1_000, 1_000]}}
        assert code(await send(1_001)) == (413, "PAYLOAD_TOO_LARGE")
        assert code(await send(1, 1, 1)) == (413, "TOO_MANY_FILES")
        assert code(await send(20_000)) == (413, "PAYLOAD_TOO_LARGE")
        answer = await http.post(
            "/graphql", content=_pieces(raw(OPERATIONS, MAP, A) + b"x" * 10_000, 1_000),
            headers={"Content-Type": TYPE, **PREFLIGHT},
        )  # fmt: skip
        assert code(answer) == (413, "PAYLOAD_TOO_LARGE")


async def ask(endpoint: GraphQLEndpoint[Scene], messages: list[Message], **headers: str) -> tuple[Any, int]:
    """What the endpoint answers to a form that comes in `messages`, and how many of them it read."""
    sent: list[Message] = []
    left = list(messages)

    async def receive() -> Message:
        if not left:
            await asyncio.Event().wait()
        return left.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    given = {"content-type": TYPE, **PREFLIGHT, **headers}
    scope = {
        "type": "http", "method": "POST", "path": "/graphql", "query_string": b"", "client": ("10.0.0.1", 1),
        "headers": [(name.lower().encode(), value.encode()) for name, value in given.items()],
    }  # fmt: skip
    await endpoint(scope, receive, send)
    return (orjson.loads(sent[1]["body"]) if sent else None), len(messages) - len(left)


def message(body: bytes, *, more: bool = True) -> Message:
    """A piece of a body."""
    return {"type": "http.request", "body": body, "more_body": more}


BEGIN = [message(b"--b\r\n" + OPERATIONS + b"\r\n"), message(b"--b\r\n" + MAP + b"\r\n--b\r\n")]


async def test_a_caller_is_charged_before_files_are_read(client: Client) -> None:
    """Operations that are refused, by the limit or for themselves, leave the files unread; large forms weigh more."""
    rest = [message(A + b"\r\n--b--\r\n", more=False)]
    wrong = [
        message(b"--b\r\n" + field(b"operations", b'{"query": "{ nothing }", "variables": {"file": null}}') + b"\r\n")
    ]
    async with serve(client, limits={"anonymous": 5}) as endpoint:
        whole = {"content-length": "1000"}
        assert (await ask(endpoint, [*BEGIN, *rest], **whole))[0] == {"data": {"read": "a None 1 x"}}
        told, read = await ask(endpoint, [*wrong, BEGIN[1], *rest], **whole)
        assert (told["errors"][0]["extensions"]["code"], read) == ("GRAPHQL_VALIDATION_FAILED", 2)
        told, read = await ask(endpoint, [*BEGIN, *rest], **{"content-length": str(4 * uploading.UNIT)})
        assert (told["errors"][0]["extensions"]["code"], read) == ("RATE_LIMITED", 2)
        told, read = await ask(endpoint, [*BEGIN, *rest])  # of unknown length
        assert (told["errors"][0]["extensions"]["code"], read) == ("RATE_LIMITED", 2)


async def test_a_form_that_stops_coming_is_given_up(client: Client) -> None:
    """A client that pauses too long is told so, one that leaves is forgotten, and what was stored is gone."""
    async with serve(client, Bounds(body_timeout=0.05)) as endpoint:
        told, _ = await ask(endpoint, [*BEGIN, message(A)])
        assert told["errors"][0]["extensions"]["code"] == "REQUEST_TIMEOUT"
        assert await ask(endpoint, [*BEGIN, message(A), {"type": "http.disconnect"}]) == (None, 4)
    async with serve(client, Bounds(form_timeout=0.0)) as endpoint:
        told, _ = await ask(endpoint, [])
        assert told["errors"][0]["extensions"]["code"] == "REQUEST_TIMEOUT"


async def test_forms_share_the_room_for_their_files(client: Client) -> None:
    """A form that would not fit beside the others is told to come again; their end makes room, however they end."""
    async with serve(client, Bounds(form=1_000, spool=1_500)) as endpoint:
        held = asyncio.Event()

        def holding(end: Callable[[], Message]) -> asyncio.Task[Any]:
            async def receive() -> Message:
                if not pieces:
                    held.set()
                    await going.wait()
                    return end()
                return pieces.pop(0)

            pieces, going = [*BEGIN, message(A)], asyncio.Event()
            sent: list[Message] = []

            async def send(one: Message) -> None:
                sent.append(one)

            async def run() -> Any:
                headers = [(b"content-type", TYPE.encode()), (b"graphql-require-preflight", b"1")]
                scope = {"type": "http", "method": "POST", "path": "/graphql", "query_string": b"", "headers": headers,
                         "client": ("10.0.0.1", 1)}  # fmt: skip
                await endpoint(scope, receive, send)
                return sent

            going_on.append(going)
            return asyncio.create_task(run())

        going_on: list[asyncio.Event] = []
        rest = [message(A + b"\r\n--b--\r\n", more=False)]
        for end in (
            lambda: message(b"\r\n--b--\r\n", more=False),
            lambda: message(b"broken", more=False),
            lambda: {"type": "http.disconnect"},
        ):
            held.clear()
            task = holding(end)
            await held.wait()
            told, read = await ask(endpoint, [*BEGIN, *rest])
            assert (told["errors"][0]["extensions"]["code"], read) == ("UNAVAILABLE", 2)
            assert (await ask(endpoint, [*BEGIN, *rest], **{"content-length": "400"}))[0]["data"]
            going_on.pop().set()
            await task
            assert (await ask(endpoint, [*BEGIN, *rest]))[0]["data"]


async def test_a_full_disk_is_no_bug(
    client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What cannot be stored is UNAVAILABLE, whether the disk is full or the directory gone."""
    for directory in ("/dev/full", "/nowhere"):
        monkeypatch.setattr("tempfile.tempdir", directory)
        async with browse(serve(client)) as http:
            form = (("0", ("a", b"x" * uploading.IN_MEMORY * 2)),)
            answer = await post(http, GOOD, {"0": ["variables.file"]}, *form)
            assert code(answer) == (503, "UNAVAILABLE")
    assert not [one for one in caplog.records if one.levelno >= logging.ERROR]


async def test_nothing_stays_open(client: Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """After forms of all kinds no descriptor leads to a file that was stored."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    big = ("0", ("a", b"x" * uploading.IN_MEMORY * 2))
    STORED.clear()
    async with browse(serve(client)) as http:
        assert (await post(http, GOOD, {"0": ["variables.file"]}, big)).json()["data"]
        await post(http, GOOD, {"0": ["variables.file"], "1": ["variables.other"]}, big)
        await post(http, GOOD, {"0": ["variables.file"]}, big, big)
        await post(http, {**GOOD, "query": "{ nothing }"}, {"0": ["variables.file"]}, big)
        assert STORED == [1]
    assert not _stored()
