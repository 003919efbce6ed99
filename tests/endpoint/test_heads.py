"""Requests taken apart: equal parts for what is the same request, none for what a server might read otherwise."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import httptools
import pytest

from graph.endpoint.kept.heads import RELEVANT, Heads

if TYPE_CHECKING:
    from collections.abc import Callable

BODY = b'{"query":"{ hello }"}'
LINES = (
    b"Host: shop.example",
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64)",
    b"Accept: application/json",
    b"Authorization: Bearer secret",
    b"Content-Type: application/json",
    b"Content-Length: %d" % len(BODY),
    b"Connection: keep-alive",
    b"traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
)


def request(*lines: bytes, start: bytes = b"POST /graphql HTTP/1.1", body: bytes = BODY) -> bytes:
    """A request of `lines`, or of the usual ones."""
    return b"\r\n".join([start, *(lines or LINES), b"", body])


def replaced(name: bytes, line: bytes) -> bytes:
    """The usual request with `line` in place of the one called `name`."""
    return request(*(line if one.startswith(name + b":") else one for one in LINES))


def test_what_balancers_and_tracing_add_changes_nothing() -> None:
    """Requests that differ in identifiers, client software and forwarded addresses have the same parts."""
    heads = Heads([b"authorization"])
    usual = heads.split(request())
    assert usual is not None
    for n in range(20_000):  # more than are remembered
        trace = b"00-%032x-%016x-01" % (n, n)
        other = request(*LINES[:-1], b"traceparent: " + trace, b"X-Request-Id: %d" % n)
        assert heads.split(other) == usual._replace(trace=trace)
    for line in (
        b"X-Amzn-Trace-Id: Root=1-5e-2",
        b"CF-Ray: 7d-FRA",
        b"X-Forwarded-For: 10.0.0.1",
        b"Accept-Language: de",
    ):
        assert heads.split(request(*LINES, line)) == usual
    assert heads.split(replaced(b"User-Agent", b"user-agent:curl/8")) == usual


@pytest.mark.parametrize("name", sorted(RELEVANT))
def test_what_the_answer_depends_on_is_in_the_parts(name: bytes) -> None:
    """Each header that somebody reads makes another request, by its value and by being there at all."""
    heads = Heads()
    found = {heads.split(request(*LINES, *lines)) for lines in ([], [name + b": one"], [name.title() + b": two"])}
    assert len(found) == 3
    assert None not in found


def test_method_path_query_body_and_condition_are_told_apart() -> None:
    """They vary on purpose, so each is a part of its own."""
    heads = Heads()
    asked = heads.split(
        request(b"Host: a", b'If-None-Match: W/"1"', start=b"GET /graphql?query={a} HTTP/1.1", body=b"")
    )
    other = heads.split(request(b"Host: a", start=b"GET /graphql?query={b} HTTP/1.1", body=b""))
    assert asked is not None
    assert other is not None
    assert (asked.query, asked.condition, asked.body) == (b"query={a}", b'W/"1"', b"")
    assert (other.query, other.condition) == (b"query={b}", b"")
    assert asked.head == other.head
    assert heads.split(request(b"Host: a", start=b"HEAD /graphql HTTP/1.1", body=b"")) != other
    assert heads.split(request(b"Host: a", start=b"GET /graphql HTTP/1.0", body=b"")) is not None


def test_forwarded_headers_count_where_a_proxy_is_believed() -> None:
    """Behind a trusted proxy each client behind it is another caller."""
    heads = Heads(forwarded=True)
    one, two = (heads.split(request(*LINES, b"X-Forwarded-For: 10.0.0.%d" % n)) for n in (1, 2))
    assert one is not None
    assert one != two


@pytest.mark.parametrize(
    "line",
    [
        b"Transfer-Encoding: chunked",
        b"Expect: 100-continue",
        b"Connection: close",
        b"Connection: Upgrade",
        b"Upgrade: h2c",
        b"Content-Length: 21",
        b"X-Folded: a\r\n b",
        b"X-Bare: a\nContent-Length: 5",
        b"X-Bare: a\rb",
        b"X-Zero: a\0b",
        b"X Blank: a",
        b"X-Blank : a",
        b": nameless",
        b"nothing",
        b"X-\xe4: a",
    ],
)
def test_a_head_that_is_not_of_the_plainest_form_is_left_to_the_server(line: bytes) -> None:
    """Lines that change how a request is framed, or that parsers read in different ways."""
    assert Heads().split(request(*LINES, line)) is None


@pytest.mark.parametrize("length", [b"20", b"22", b"+21", b"0x15", b"21, 21", b"", b"2 1", b"0000000021"])
def test_a_length_that_is_not_the_bodys_is_left_to_the_server(length: bytes) -> None:
    """A piece of a request, two of them, or a number that is none."""
    assert Heads().split(replaced(b"Content-Length", b"Content-Length: " + length)) is None


def test_a_piece_of_a_head_is_left_to_the_server() -> None:
    """Nothing is known before the blank line."""
    assert Heads().split(request()[:60]) is None


class Read:
    """What the server's parser reads."""

    def __init__(self, data: bytes) -> None:
        self.headers: list[tuple[bytes, bytes]] = []
        self.url = self.body = b""
        self.whole = 0
        parser = httptools.HttpRequestParser(self)
        parser.feed_data(data)
        self.method, self.keeps = parser.get_method(), parser.should_keep_alive()

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.whole += 1

    @property
    def told(self) -> tuple[object, ...]:
        """All that an answer may depend on."""
        mine = [pair for pair in self.headers if pair[0] in RELEVANT]
        return self.method, self.url, mine, self.body, self.whole, self.keeps


PIECES = (
    *(b"\r\n", b"\n", b"\r", b" ", b"\t", b":", b"\0", b"\x0b", b"\x80", b",", b"a", b"0"),
    *(b"Content-Length: 3\r\n", b"Host: b\r\n", b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n"),
    *(b"X-A: b\r\n", b"Accept: */*\r\n", b"POST / HTTP/1.1\r\n"),
)


def test_equal_parts_are_equal_requests(scaled: Callable[[int, int], int]) -> None:
    """Requests that were tampered with: what has the usual parts, the server's parser reads as usual."""
    heads, usual = Heads(), request()
    parts, meant = heads.split(usual), Read(usual).told
    lots = random.Random(7)
    same = 0
    for _ in range(scaled(200_000, 20_000)):
        data = bytearray(usual)
        for _ in range(lots.choice((1, 1, 2, 3))):
            at, piece = lots.randrange(len(data)), lots.choice(PIECES)
            data[at : at + lots.choice((0, 0, 1, len(piece)))] = piece
        if heads.split(bytes(data)) == parts:
            same += 1
            assert Read(bytes(data)).told == meant, bytes(data)
    assert same > 100


def test_long_lines_do_not_fill_the_memory() -> None:
    """A stranger who sends another long line with each request has few of them remembered."""
    heads, known = Heads(), 0
    for n in range(2_000):
        assert heads.split(request(*LINES, b"X-Long: %016d" % n * 900)) is not None
        known = max(known, sum(map(len, heads._known)))  # pyright: ignore[reportPrivateUsage] - what is bounded
    assert known < 3 << 20
