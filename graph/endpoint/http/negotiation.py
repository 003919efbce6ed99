"""Media types: what a client accepts, and what it sends (RFC 9110, GraphQL over HTTP).

Where the GraphQL-over-HTTP drafts and the audits that real clients are built against disagree, the audits win: see
docs/decisions/graphql-over-http.md.
"""

from __future__ import annotations

from typing import NamedTuple

from graph.endpoint.errors import Refusal

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
    legacy: bool
    """In the format of August 2022, in place of the specification's (`subscriptions.patches`)."""


class Acceptable(NamedTuple):
    """The best JSON type and the best streaming types that a client takes; None for none."""

    json: str | None
    stream: str | None
    pieces: PiecesMedia | None = None


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
    legacy: bool


_UNSAID = _Format(b"; deferSpec=20220824", legacy=True)  # urql says nothing, and does not read `@stream` in the other
_FORMATS = {
    "incrementalspec": {"v0.2": _Format(b"; incrementalSpec=v0.2", legacy=False)},  # Apollo Client
    "incrementaldeliveryspec": {"3283f8a": _Format(b"; incrementalDeliverySpec=3283f8a", legacy=False)},
    "deferspec": {"20220824": _Format(b"; deferSpec=20220824", legacy=True)},  # Apollo Client 3, and 4 by default
}
"""What an Accept header says of the format, by parameter and value."""

STREAMS = (EVENT_STREAM, MULTIPART)

_WANTED: dict[tuple[str, tuple[str, ...]], Acceptable] = {}
_REMEMBERED = 256  # Accept headers, of at most so many characters


def accepted(accept: str | None, streams: tuple[str, ...] = STREAMS) -> Acceptable:
    """Choose by the q-values of an Accept header; without one, or with wildcards, JSON is plain `application/json`.

    `streams` are the streaming types that there are.
    """
    if not accept:
        return Acceptable(JSON, None)
    known = _WANTED.get((accept, streams))
    if known is None:
        known = _choose(accept, streams)
        if len(_WANTED) < _REMEMBERED and len(accept) < _REMEMBERED:
            _WANTED[accept, streams] = known
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


def _choose(accept: str, streams: tuple[str, ...]) -> Acceptable:
    weights = _weights(accept)
    wildcard = weights.get("application/*", weights.get("*/*", 0.0))
    plain = weights.get(JSON, wildcard)
    json: str | None = None
    if (exact := weights.get(RESPONSE, 0.0)) > 0 and exact >= plain:
        json = RESPONSE
    elif plain > 0:
        json = JSON
    taken = [one for one in streams if weights.get(one, 0.0) > 0]
    return Acceptable(json, max(taken, key=weights.__getitem__, default=None), _pieces(accept, streams))


def _pieces(accept: str, streams: tuple[str, ...]) -> PiecesMedia | None:
    """The first way to take pieces that has the highest q-value; multipart that says no format comes last."""
    found: list[tuple[float, bool, PiecesMedia]] = []
    for part in accept.split(","):
        media = parse_media(part)
        weight = _quality(media.parameters.get("q", "1"))
        told = {*media.parameters} & _FORMATS.keys()
        formats = {_FORMATS[one].get(media.parameters[one]) for one in told} or {_UNSAID}
        form = formats.pop() if len(formats) == 1 else None
        if not weight or not utf8(media) or form is None:
            continue
        if media.essence == EVENT_STREAM and EVENT_STREAM in streams:
            found.append((weight, True, PiecesMedia(EVENT_STREAM, b"text/event-stream; charset=utf-8", form.legacy)))
        elif media.essence == MULTIPART and "subscriptionspec" not in media.parameters:
            content_type = b"multipart/mixed; boundary=graphql" + form.parameter
            found.append((weight, form is not _UNSAID, PiecesMedia(MULTIPART, content_type, form.legacy)))
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
