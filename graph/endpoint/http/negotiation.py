"""Media types: what a client accepts, and what it sends (RFC 9110, GraphQL over HTTP).

Where the GraphQL-over-HTTP drafts and the audits that real clients are built against disagree, the audits win: see
docs/decisions/graphql-over-http.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from graph.endpoint.errors import Refusal
from graph.endpoint.subscriptions import PiecesFormat

if TYPE_CHECKING:
    from collections.abc import Mapping

RESPONSE = "application/graphql-response+json"
JSON = "application/json"
EVENT_STREAM = "text/event-stream"
MULTIPART = "multipart/mixed"
HTML = "text/html"

SIMPLE = frozenset({"application/x-www-form-urlencoded", "multipart/form-data", "text/plain"})
"""Types that a page of any origin may send without asking first (Fetch, CORS-safelisted request-header)."""


class Media(NamedTuple):
    """A media type with its parameters, everything in lower case."""

    essence: str
    parameters: dict[str, str]


class PiecesMedia(NamedTuple):
    """How a client takes an answer in pieces, for `@defer` and `@stream`."""

    media: str
    """Server-sent events or multipart."""
    content_type: bytes
    form: PiecesFormat


class Acceptable(NamedTuple):
    """The best JSON type and the best streaming types that a client takes; None for none."""

    json: str | None
    stream: str | None
    pieces: PiecesMedia | None = None
    by_events: bool = False
    """Whether the client would rather have an answer by server-sent events than in `json`."""

    @property
    def whole(self) -> str | None:
        """The type of an answer that is not streamed; None to stream any."""
        return None if self.by_events else self.json


def parse_media(text: str) -> Media:
    """Read one media type."""
    essence, *rest = text.lower().split(";")
    parameters: dict[str, str] = {}
    for one in rest:
        name, _, value = one.partition("=")
        parameters[name.strip()] = value.strip().strip('"')
    return Media(essence.strip(), parameters)


def utf8(media: Media) -> bool:
    """Whether `media` is encoded in UTF-8, said or unsaid."""
    return media.parameters.get("charset", "utf-8") in {"utf-8", "utf8"}


class _Format(NamedTuple):
    """A format of pieces, and how the content type names it."""

    parameter: bytes
    form: PiecesFormat


_LEGACY = _Format(b"; deferSpec=20220824", PiecesFormat.LEGACY)
_FORMATS = {
    "incrementalspec": {"v0.2": _Format(b"; incrementalSpec=v0.2", PiecesFormat.SPECIFIED)},  # Apollo Client
    "incrementaldeliveryspec": {"3283f8a": _Format(b"; incrementalDeliverySpec=3283f8a", PiecesFormat.SPECIFIED)},
    "deferspec": {"20220824": _LEGACY},  # Apollo Client 3, and 4 by default
}
"""What an Accept header says of the format, by parameter and value."""

_UNSAID = {EVENT_STREAM: _LEGACY, MULTIPART: _LEGACY}
_AS_STRAWBERRY = {
    EVENT_STREAM: _Format(b"", PiecesFormat.STRAWBERRY),
    MULTIPART: _Format(b"", PiecesFormat.STRAWBERRY_MULTIPART),
}
"""The format of a client that says none, by media type."""

STREAMS = (EVENT_STREAM, MULTIPART)

_BOUNDARY = b"multipart/mixed; boundary=graphql"
_WHATEVER = PiecesMedia(MULTIPART, _BOUNDARY, PiecesFormat.STRAWBERRY_MULTIPART)

_WANTED: dict[tuple[str, tuple[str, ...], bool], Acceptable] = {}
_REMEMBERED = 256  # Accept headers, of at most so many characters


def accepted(accept: str | None, streams: tuple[str, ...] = STREAMS, *, as_strawberry: bool = False) -> Acceptable:
    """Choose by the q-values of an Accept header; without one, or with wildcards, JSON is plain `application/json`.

    `streams` are the streaming types that there are. A client that says no format of pieces reads that of August 2022,
    for urql says none, and does not read `@stream` in the specification's; or, `as_strawberry`, that of Strawberry's
    views, and so does one that takes anything.
    """
    if not accept:
        return Acceptable(JSON, None, _WHATEVER if as_strawberry else None)
    known = _WANTED.get((accept, streams, as_strawberry))
    if known is None:
        known = _choose(accept, streams, as_strawberry=as_strawberry)
        if len(_WANTED) < _REMEMBERED and len(accept) < _REMEMBERED:
            _WANTED[accept, streams, as_strawberry] = known
    return known


def need_some(media: str | None, stream: str | None) -> None:
    """Raise `Refusal` where a client takes nothing that there is."""
    if media is None and stream is None:
        raise Refusal("NOT_ACCEPTABLE", "Answers are application/graphql-response+json or application/json, in UTF-8.")


def prefers_html(accept: str) -> bool:
    """Whether an Accept header is a browser's that was pointed here: it names HTML, and no type of GraphQL as good."""
    weights = _weights(accept)
    html = weights.get(HTML, 0.0)
    return html > 0 and all(weights.get(one, 0.0) < html for one in (JSON, RESPONSE, EVENT_STREAM, MULTIPART))


def _choose(accept: str, streams: tuple[str, ...], *, as_strawberry: bool) -> Acceptable:
    weights = _weights(accept)
    wildcard = weights.get("application/*", weights.get("*/*", 0.0))
    plain = weights.get(JSON, wildcard)
    json: str | None = None
    if (exact := weights.get(RESPONSE, 0.0)) > 0 and exact >= plain:
        json = RESPONSE
    elif plain > 0:
        json = JSON
    taken = [one for one in streams if weights.get(one, 0.0) > 0]
    stream = max(taken, key=weights.__getitem__, default=None)
    by_events = stream == EVENT_STREAM and _prefers_events(weights, plain)
    pieces = _pieces(accept, streams, _AS_STRAWBERRY if as_strawberry else _UNSAID)
    if pieces is None and as_strawberry and weights.get("multipart/*", weights.get("*/*")):
        pieces = _WHATEVER
    return Acceptable(json, stream, pieces, by_events)


def _prefers_events(weights: dict[str, float], plain: float) -> bool:
    """Whether events have the highest q-value, or the same as JSON that is not GraphQL's own.

    urql names all types that it reads with each operation, and reads a query best in GraphQL's own.
    """
    events, exact = weights[EVENT_STREAM], weights.get(RESPONSE, 0.0)
    return events > max(plain, exact) or (events == plain and not exact)


def _pieces(accept: str, streams: tuple[str, ...], unsaid: Mapping[str, _Format]) -> PiecesMedia | None:
    """The first way to take pieces that has the highest q-value; multipart that says no format comes last.

    What says none has that of `unsaid`.
    """
    found: list[tuple[float, bool, PiecesMedia]] = []
    for part in accept.split(","):
        media = parse_media(part)
        weight = _quality(media.parameters.get("q", "1"))
        told = {*media.parameters} & _FORMATS.keys()
        formats = {_FORMATS[one].get(media.parameters[one]) for one in told} or {unsaid.get(media.essence)}
        form = formats.pop() if len(formats) == 1 else None
        if not weight or not utf8(media) or form is None:
            continue
        if media.essence == EVENT_STREAM and EVENT_STREAM in streams:
            found.append((weight, True, PiecesMedia(EVENT_STREAM, b"text/event-stream; charset=utf-8", form.form)))
        elif media.essence == MULTIPART and "subscriptionspec" not in media.parameters:
            found.append((weight, bool(told), PiecesMedia(MULTIPART, _BOUNDARY + form.parameter, form.form)))
    return max(found, key=lambda one: one[:2])[2] if found else None


def _weights(accept: str) -> dict[str, float]:
    weights: dict[str, float] = {}
    for part in accept.split(","):
        media = parse_media(part)
        if utf8(media):
            weights[media.essence] = max(weights.get(media.essence, 0.0), _quality(media.parameters.get("q", "1")))
    return weights


def _quality(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return 0.0
    return value if 0 <= value <= 1 else 0.0
