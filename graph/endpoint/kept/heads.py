"""A request taken apart by what its answer depends on, without being parsed as HTTP.

Every balancer, CDN and tracing library puts a header of its own into each request, so that no two requests are the same
bytes. `Heads.split` keeps the method, the path and the headers that somebody here reads (`RELEVANT`), sets apart what
varies on purpose (query string, body, condition), and passes over all other headers.

Guarantee: if the parts of two requests from one peer are equal, the server parses both to the same request, except for
headers that nothing reads. `Heads` is therefore stricter than any parser: it does not split a request with a line that
is not plainly ``name: value``, a transfer encoding, an ``Expect``, an ``Upgrade``, a ``Connection`` that ends after it,
or a length other than that of the body.

Failure: such a request gives None, and is parsed in the ordinary way.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

FORWARDED = frozenset(
    {b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-prefix", b"x-forwarded-proto"}
)
"""What a trusted proxy says about its client; ignored from anybody else."""
RELEVANT = frozenset(
    {
        *(b"host", b"origin", b"sec-fetch-site", b"sec-fetch-mode", b"sec-fetch-dest", b"authorization"),
        *(b"accept", b"accept-encoding", b"content-type", b"content-encoding", b"x-requested-with", b"last-event-id"),
        *(b"apollo-require-preflight", b"x-apollo-operation-name", b"graphql-require-preflight"),
    }
)
"""The headers that decide whether a request is answered at all, and how the answer looks."""
_FOR_THE_SERVER = frozenset(
    {b"transfer-encoding", b"expect", b"upgrade", b"http2-settings", b"te", b"trailer", b"keep-alive"}
)
_LINES = 8192
"""Header lines whose meaning is known; most come again with the next request."""
_BYTES = 2 << 20
"""Bytes of them: whoever sends long ones, each with another, must not fill the memory."""
_NAMES = 1024

# RFC 9112, section 5: a name is a token, a value has visible characters, blanks and tabs.
_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE = bytes([9, *range(32, 127), *range(128, 256)])
_BLANKS = b" \t"


# What a header line means. Plain numbers: an enumeration's members take longer to look up than all else here.
_NOTHING, _RELEVANT, _LENGTH, _CONDITION, _CONNECTION, _TRACE, _REFUSED = range(7)


_OWN = {b"content-length": _LENGTH, b"if-none-match": _CONDITION, b"connection": _CONNECTION, b"traceparent": _TRACE}
_DIGITS = 9


class Parts(NamedTuple):
    """What the answer to a request depends on, and who traces it."""

    head: bytes
    """Method, path and version, and the relevant header lines in their order."""
    query: bytes
    body: bytes
    condition: bytes
    """The value of ``If-None-Match``."""
    trace: bytes = b""
    """The value of ``traceparent``, on which no answer depends; only a tracer looks at it."""


class Heads:
    """Takes requests apart."""

    def __init__(self, who: Iterable[bytes] = (), *, forwarded: bool = False) -> None:
        """The headers `who` identify the caller. Unless `forwarded`, no peer is trusted about its clients."""
        self._relevant = RELEVANT.union(who, FORWARDED if forwarded else ())
        self._known: dict[bytes, int] = {}
        self._bytes = 0
        self._names: dict[bytes, int] = {}

    def split(self, data: bytes) -> Parts | None:
        """The parts of a request that came as `data`; None where that is not one whole request of the plainest form."""
        head, end, body = data.partition(b"\r\n\r\n")
        if not end:
            return None
        first, *lines = head.split(b"\r\n")
        target, blank, version = first.rpartition(b" ")
        path, _, query = target.partition(b"?")
        known = self._known
        relevant = [path, blank + version]
        length, condition, trace = -1, b"", b""
        for line in lines:
            kind = known.get(line)
            if kind is None:
                kind = self._learn(line)
            if not kind:
                continue
            if kind == _RELEVANT:
                relevant.append(line)
            elif kind == _LENGTH and length < 0:
                length = int(line[15:])
            elif kind == _CONDITION and not condition:
                condition = line[14:].strip(_BLANKS)
            elif kind == _TRACE:
                trace = line[12:].strip(_BLANKS)
            else:
                return None
        if max(length, 0) != len(body):
            return None
        return Parts(b"\r\n".join(relevant), query, body, condition, trace)

    def _learn(self, line: bytes) -> int:
        name, colon, value = line.partition(b":")
        kind = self._names.get(name)
        if kind is None:
            kind = self._name(name)
        if not colon or value.translate(None, _VALUE):
            kind = _REFUSED
        elif kind == _LENGTH:
            value = value.strip(_BLANKS)
            kind = _LENGTH if value.isdigit() and len(value) <= _DIGITS else _REFUSED
        elif kind == _CONNECTION:
            kind = _NOTHING if value.strip(_BLANKS).lower() == b"keep-alive" else _REFUSED
        if len(self._known) >= _LINES or self._bytes > _BYTES:
            self._known.clear()
            self._bytes = 0
        self._known[line] = kind
        self._bytes += len(line)
        return kind

    def _name(self, name: bytes) -> int:
        """The meaning of a line with this `name`, in the spelling of the request."""
        lower = name.lower()
        if _TOKEN.fullmatch(name) is None or lower in _FOR_THE_SERVER:
            kind = _REFUSED
        elif lower in self._relevant:
            kind = _RELEVANT
        else:
            kind = _OWN.get(lower, _NOTHING)
        if len(self._names) < _NAMES:
            self._names[name] = kind
        return kind
