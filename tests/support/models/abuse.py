"""Malformed, oversized, nested, recursive, mistyped, mis-encoded, slow and truncated requests, and what they get."""

from __future__ import annotations

import gzip
import json
from typing import Any, NamedTuple

JSON = "Content-Type: application/json"


class Case(NamedTuple):
    """Raw bytes, and what they are answered: one of `statuses`, and `code` in the first error (None: any or none)."""

    name: str
    raw: bytes
    statuses: tuple[int, ...]
    code: str | None = None


def request(
    body: bytes, *headers: str, method: str = "POST", target: str = "/graphql", length: int | None = None
) -> bytes:
    """An HTTP/1.1 request."""
    head = [
        f"{method} {target} HTTP/1.1",
        "Host: t",
        *headers,
        f"Content-Length: {len(body) if length is None else length}",
    ]
    return "\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + body


def post(body: bytes | str, *headers: str, **options: Any) -> bytes:
    """A POST of JSON."""
    return request(body.encode() if isinstance(body, str) else body, JSON, *headers, **options)


def ask(query: str, **members: Any) -> bytes:
    """A POST of an operation."""
    return post(json.dumps({"query": query, **members}))


def get(query_string: str, *headers: str) -> bytes:
    """A GET that passes the CSRF check."""
    return request(b"", "GraphQL-Require-Preflight: 1", *headers, method="GET", target=f"/graphql?{query_string}")


def bomb(levels: int, first: str, again: str) -> str:
    """Fragments that each spread the next one twice."""
    parts = ["{pick(by:{id:1}){...F0}}"]
    parts += [f"fragment F{n} on Item{{{first}{{...F{n + 1}}} {again}{{...F{n + 1}}}}}" for n in range(levels)]
    return " ".join(parts) + f" fragment F{levels} on Item{{id}}"


def flat(levels: int) -> str:
    """The same without depth."""
    parts = ["{pick(by:{id:1}){...F0}}"]
    parts += [f"fragment F{n} on Item{{...F{n + 1} ...F{n + 1}}}" for n in range(levels)]
    return " ".join(parts) + f" fragment F{levels} on Item{{id name}}"


BAD, BIG, TYPE = (400,), (413,), (415,)
OK = (200,)
HELLO = '{"query":"{hello}"}'

BODIES = [
    Case("empty body", post(""), BAD, "BAD_REQUEST"),
    Case("blank body", post("   "), BAD, "BAD_REQUEST"),
    Case("not JSON", post("hello"), BAD, "BAD_REQUEST"),
    Case("truncated JSON", post('{"query":"{hel'), BAD, "BAD_REQUEST"),
    Case("trailing garbage", post(HELLO + "x"), BAD, "BAD_REQUEST"),
    Case("two documents", post(HELLO + HELLO), BAD, "BAD_REQUEST"),
    Case("JSON null", post("null"), BAD, "BAD_REQUEST"),
    Case("JSON true", post("true"), BAD, "BAD_REQUEST"),
    Case("JSON number", post("1"), BAD, "BAD_REQUEST"),
    Case("JSON string", post('"{hello}"'), BAD, "BAD_REQUEST"),
    Case("empty object", post("{}"), BAD, "BAD_REQUEST"),
    Case("single quotes", post("{'query':'{hello}'}"), BAD, "BAD_REQUEST"),
    Case("NaN", post('{"query":"{hello}","variables":{"a":NaN}}'), BAD, "BAD_REQUEST"),
    Case("Infinity", post('{"query":"{hello}","variables":{"a":1e999}}'), BAD, "BAD_REQUEST"),
    Case(
        "integer of 5,000 digits", post('{"query":"{hello}","variables":{"a":%s}}' % ("9" * 5000)), BAD, "BAD_REQUEST"
    ),
    Case(
        "integer of 20 digits", ask("query($n:Int){items(first:$n){totalCount}}", variables={"n": 10**19}), (200, 400)
    ),
    Case("invalid UTF-8", post(b'{"query":"{hello}\xff"}'), BAD, "BAD_REQUEST"),
    Case("overlong UTF-8", post(b'{"query":"\xc0\xaf"}'), BAD, "BAD_REQUEST"),
    Case("UTF-16", post(HELLO.encode("utf-16")), BAD, "BAD_REQUEST"),
    Case("UTF-32", post(HELLO.encode("utf-32-le")), BAD, "BAD_REQUEST"),
    Case("byte order mark", post(b"\xef\xbb\xbf" + HELLO.encode()), BAD, "BAD_REQUEST"),
    Case("lone surrogate", post('{"query":"{echo(text:\\"\\ud800\\")}"}'), BAD, "BAD_REQUEST"),
    Case("escaped lone surrogate", ask('{echo(text:"\\uD800")}'), OK, "GRAPHQL_PARSE_FAILED"),
    Case("NUL bytes", post(b"\x00" * 100), BAD, "BAD_REQUEST"),
    Case("NUL in the query", ask("{hello\x00}"), OK, "GRAPHQL_PARSE_FAILED"),
    Case("arrays 100,000 deep", post("[" * 99_999), BAD, "BAD_REQUEST"),
    Case("arrays 1,000 deep", post("[" * 1000 + "]" * 1000), BAD, "BAD_REQUEST"),
    Case(
        "objects 500 deep",
        post('{"query":"{hello}","variables":' + '{"a":' * 500 + "1" + "}" * 501),
        BAD,
        "BAD_REQUEST",
    ),
    Case("variables 65 deep", ask("{hello}", variables={"a": json.loads("[" * 63 + "]" * 63)}), BAD, "BAD_REQUEST"),
    Case("20,000 members", post("{" + ",".join(f'"{n}":1' for n in range(9000)) + "}"), BAD, "BAD_REQUEST"),
    Case("body of 1 MB", post(b" " * 1_000_000), BIG, "PAYLOAD_TOO_LARGE"),
    Case("Content-Length of 10 GB", post("", length=10**10), BIG, "PAYLOAD_TOO_LARGE"),
    Case("Content-Length of 40 digits", post("", length=10**39), (400, 413)),
    Case(
        "chunks without end",
        b"POST /graphql HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        + (b"4000\r\n" + b" " * 0x4000 + b"\r\n") * 8,
        BIG,
        "PAYLOAD_TOO_LARGE",
    ),
    Case("gzip", post(gzip.compress(HELLO.encode()), "Content-Encoding: gzip"), TYPE, "UNSUPPORTED_MEDIA_TYPE"),
    Case("gzip unannounced", post(gzip.compress(HELLO.encode())), BAD, "BAD_REQUEST"),
    Case("gzip bomb", post(gzip.compress(b" " * 50_000_000), "Content-Encoding: gzip"), TYPE, "UNSUPPORTED_MEDIA_TYPE"),
    Case("unknown encoding", post(HELLO, "Content-Encoding: br, gzip"), TYPE, "UNSUPPORTED_MEDIA_TYPE"),
]

TYPES = [
    Case(
        f"body of {kind or 'no type'}",
        request(HELLO.encode(), *([f"Content-Type: {kind}"] if kind else [])),
        TYPE,
        "UNSUPPORTED_MEDIA_TYPE",
    )
    for kind in (
        "",
        "text/plain",
        "text/plain; application/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/graphql",
        "application/jsonp",
        "notapplication/json",
        "application/json; charset=iso-8859-1",
        "application/json, text/plain",
        ";;;",
    )
] + [
    Case("unacceptable", post(HELLO, "Accept: image/png"), (406,), "NOT_ACCEPTABLE"),
    Case("unacceptable charset", post(HELLO, "Accept: application/json; charset=utf-16"), (406,), "NOT_ACCEPTABLE"),
    Case("JSON refused by q", post(HELLO, "Accept: application/json;q=0"), (406,), "NOT_ACCEPTABLE"),
    Case("Accept of garbage", post(HELLO, "Accept: ;q=,,/,*"), (406,), "NOT_ACCEPTABLE"),
    Case("Accept of 30 kB", post(HELLO, "Accept: " + "a/b," * 7500 + "*/*"), OK),
    Case("q of garbage", post(HELLO, "Accept: application/json;q=much"), (406,), "NOT_ACCEPTABLE"),
]

MEMBERS = [
    Case(f"{name} is {value}", post(f'{{"query":"{{hello}}","{name}":{value}}}'), BAD, "BAD_REQUEST")
    for name, value in (
        ("variables", "[]"),
        ("variables", '"{}"'),
        ("variables", "7"),
        ("operationName", "{}"),
        ("operationName", "1"),
        ("extensions", "[1]"),
        ("extensions", '"x"'),
        ("documentId", "1"),
        ("extensions", '{"persistedQuery":1}'),
        ("extensions", '{"persistedQuery":{"version":2,"sha256Hash":"x"}}'),
        ("extensions", '{"persistedQuery":{"version":1,"sha256Hash":[]}}'),
        ("extensions", '{"persistedQuery":{"version":1,"sha256Hash":"' + "0" * 64 + '"}}'),
    )
] + [
    Case("query is a number", post('{"query":1}'), BAD, "BAD_REQUEST"),
    Case("query is a list", post('{"query":["{hello}"]}'), BAD, "BAD_REQUEST"),
    Case("query is null", post('{"query":null}'), BAD, "BAD_REQUEST"),
    Case("unknown operation name", ask("query A{hello}", operationName="B"), OK, "OPERATION_RESOLUTION_FAILURE"),
    Case("ambiguous operation", ask("query A{hello} query B{hello}"), OK, "OPERATION_RESOLUTION_FAILURE"),
    Case("no operation", ask("fragment F on Query{hello}"), OK),
    Case(
        "variable of a wrong type",
        ask("query($n:Int!){items(first:$n){totalCount}}", variables={"n": "x"}),
        OK,
        "BAD_USER_INPUT",
    ),
    Case("variable left out", ask("query($n:Int!){items(first:$n){totalCount}}"), OK, "BAD_USER_INPUT"),
    Case("1,000 wrong variables", ask("query($p:[Pick!]){hello}", variables={"p": [{"x": 1}] * 1000}), OK),
    Case("unknown variable in @oneOf", ask("{pick(by:{id:$x}){id}}"), OK, "GRAPHQL_VALIDATION_FAILED"),
    Case("@oneOf of two", ask('{pick(by:{id:1,name:"a"}){id}}'), OK, "GRAPHQL_VALIDATION_FAILED"),
    Case("@oneOf of none by variable", ask("query($p:Pick!){pick(by:$p){id}}", variables={"p": {}}), OK),
    Case("name of 90 kB", ask("{" + "a" * 90_000 + "}"), OK, "GRAPHQL_VALIDATION_FAILED"),
    Case("variable name of 90 kB", ask("{hello}", variables={"a" * 90_000: 1}), OK),
    Case("operation name of 90 kB", ask("{hello}", operationName="a" * 90_000), OK, "OPERATION_RESOLUTION_FAILURE"),
]

DOCUMENTS = [
    Case("empty document", ask(""), OK, "GRAPHQL_PARSE_FAILED"),
    Case("only a comment", ask("# x"), OK, "GRAPHQL_PARSE_FAILED"),
    Case("empty selection", ask("{}"), OK, "GRAPHQL_PARSE_FAILED"),
    Case("unclosed", ask("{hello"), OK, "GRAPHQL_PARSE_FAILED"),
    Case("unclosed string", ask('{echo(text:"'), OK, "GRAPHQL_PARSE_FAILED"),
    Case("type definition", ask("type A{a:Int}"), OK, "GRAPHQL_VALIDATION_FAILED"),
    Case("unknown field", ask("{nothing}"), OK, "GRAPHQL_VALIDATION_FAILED"),
    Case("50,000 tokens", ask("{" + "a " * 40_000 + "}"), OK, "TOO_MANY_TOKENS"),
    Case("50,000 braces", ask("{" * 50_000), OK, "GRAPHQL_PARSE_FAILED"),
    Case("50,000 brackets", ask("{echo(text:" + "[" * 50_000), OK, "TOO_MANY_TOKENS"),
    Case("30,000 comments", ask("#\n" * 30_000 + "{hello}"), OK, "TOO_MANY_TOKENS"),
    Case("90 kB of commas", ask("," * 90_000 + "{hello}"), OK),
    Case("selections 400 deep", ask("{pick(by:{id:1})" + "{parent" * 400 + "}" * 401), OK),
    Case("lists 400 deep", ask("{echo(text:" + "[" * 400 + "]" * 400 + ")}"), OK),
    Case("inline fragments 300 deep", ask("{" + "...{" * 300 + "hello" + "}" * 301), OK),
    Case("types 400 deep", ask("query($a:" + "[" * 400 + "Int" + "]" * 400 + "){hello}"), OK),
    Case("60 levels", ask("{pick(by:{id:1})" + "{parent" * 60 + "{id}" + "}" * 61), OK, "TOO_DEEP"),
    Case("bomb of 20 levels", ask(bomb(20, "a:parent", "b:parent")), OK, "TOO_DEEP"),
    Case("flat bomb of 60 levels", ask(flat(60)), OK, "TOO_COMPLEX"),
    Case(
        "fragment cycle",
        ask("{pick(by:{id:1}){...A}} fragment A on Item{...B} fragment B on Item{...A}"),
        OK,
        "GRAPHQL_VALIDATION_FAILED",
    ),
    Case("fragment of itself", ask("{...A} fragment A on Query{...A}"), OK, "GRAPHQL_VALIDATION_FAILED"),
    Case(
        "fragment cycle with fields",
        ask("{pick(by:{id:1}){...A}} fragment A on Item{parent{...A} related{...A}}"),
        OK,
        "GRAPHQL_VALIDATION_FAILED",
    ),
    Case(
        "200 fragments in a row",
        ask(
            "{...F0} "
            + " ".join(f"fragment F{n} on Query{{...F{n + 1}}}" for n in range(140))
            + " fragment F140 on Query{hello}"
        ),
        OK,
    ),
    Case("300 aliases", ask("{" + " ".join(f"a{n}:hello" for n in range(300)) + "}"), OK, "TOO_MANY_ALIASES"),
    Case("150 directives", ask("{" + "hello @include(if:true) " * 100 + "}"), OK, "TOO_MANY_DIRECTIVES"),
    Case("150 unknown directives", ask("{hello " + "@a " * 150 + "}"), OK, "TOO_MANY_DIRECTIVES"),
    Case("450 equal fields", ask("{" + "hello " * 450 + "}"), OK),
    Case(
        "300 undefined variables",
        ask("{" + " ".join(f"echo(text:$v{n})" for n in range(140)) + "}"),
        OK,
        "GRAPHQL_VALIDATION_FAILED",
    ),
    Case(
        "200 unused variables",
        ask("query(" + " ".join(f"$v{n}:Int" for n in range(200)) + "){hello}"),
        OK,
        "GRAPHQL_VALIDATION_FAILED",
    ),
    Case(
        "190 conflicting fields",
        ask("{" + " ".join(f'echo(text:"{n}")' for n in range(150)) + "}"),
        OK,
        "GRAPHQL_VALIDATION_FAILED",
    ),
    Case("100 anonymous operations", ask("{hello}" * 100), OK, "GRAPHQL_VALIDATION_FAILED"),
    Case("huge page", ask("{items(first:1000000000){totalCount}}"), OK, "BAD_USER_INPUT"),
    Case(
        "huge page by variable",
        ask("query($n:Int){items(first:$n){totalCount}}", variables={"n": 2**31 - 1}),
        OK,
        "BAD_USER_INPUT",
    ),
    Case(
        "page of a float",
        ask("query($n:Int){items(first:$n){totalCount}}", variables={"n": 1e300}),
        OK,
        "BAD_USER_INPUT",
    ),
    Case(
        "pages multiplied",
        ask("{items(first:100){nodes{related(first:100){related(first:100){id}}}}}"),
        OK,
        "TOO_COMPLEX",
    ),
    Case("deep introspection", ask("{__schema{types" + "{fields{type" * 12 + "{name}" + "}}" * 12 + "}}"), OK),
    Case(
        "wide introspection",
        ask(
            "{"
            + " ".join(f"a{n}:__schema{{types{{fields{{args{{type{{fields{{name}}}}}}}}}}}}" for n in range(15))
            + "}"
        ),
        OK,
    ),
    Case("subscription by plain POST", ask("subscription{count}"), (406,), "NOT_ACCEPTABLE"),
]

BATCHES = [
    Case("empty batch", post("[]"), BAD, "BAD_REQUEST"),
    Case("batch of numbers", post("[1]"), BAD, "BAD_REQUEST"),
    Case("batch of batches", post("[[]]"), BAD, "BAD_REQUEST"),
    Case("batch of null", post("[null]"), BAD, "BAD_REQUEST"),
    Case("batch of 11", post("[" + ",".join([HELLO] * 11) + "]"), BAD, "BATCH_TOO_LARGE"),
    Case("batch of 10,000", post("[" + ",".join(["{}"] * 10_000) + "]"), BAD, "BATCH_TOO_LARGE"),
    Case("batch with one wrong", post(f"[{HELLO},{{}}]"), OK),
]

METHODS = [
    Case("a plain GET", request(b"", method="GET", target="/graphql?query={hello}"), (403,), "CSRF_REFUSED"),
    Case("a GET of text", request(b"", "Content-Type: text/plain", method="GET"), (403,), "CSRF_REFUSED"),
    Case("GET without a query", get(""), BAD, "BAD_REQUEST"),
    Case("GET of a broken escape", get("query=%7Bhello%7"), OK),
    Case("GET of invalid UTF-8", get("query=%ff%fe"), BAD, "BAD_REQUEST"),
    Case("GET of broken variables", get("query=%7Bhello%7D&variables=%7B"), BAD, "BAD_REQUEST"),
    Case("GET of list variables", get("query=%7Bhello%7D&variables=[]"), BAD, "BAD_REQUEST"),
    Case("GET of 1,000 fields", get("&".join(f"a{n}=1" for n in range(1000))), BAD, "BAD_REQUEST"),
    Case("GET of 50 kB", get("query=%7B" + "a" * 50_000 + "%7D"), (200, 400, 413, 414)),
    Case("GET of a mutation", get("query=mutation%7Bnote(text:%22a%22)%7D"), (405,), "METHOD_NOT_ALLOWED"),
    Case("GET of a subscription", get("query=subscription%7Bcount%7D"), (405, 406)),
    *(
        Case(f"{method}", request(b"", method=method), (405,), "METHOD_NOT_ALLOWED" if method != "HEAD" else None)
        for method in ("PUT", "DELETE", "PATCH", "TRACE", "HEAD", "PROPFIND")
    ),
]  # fmt: skip

CASES = [*BODIES, *TYPES, *MEMBERS, *DOCUMENTS, *BATCHES, *METHODS]

SLOW = [
    Case("body that never comes", post("", length=50), (408,), "REQUEST_TIMEOUT"),
    Case("body that stops half way", post('{"query":"{he', length=50), (408,), "REQUEST_TIMEOUT"),
]
