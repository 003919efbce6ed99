"""Cleans up text from other programs: HTML to plain text, category paths to slugs."""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import blake2b
from html import unescape

from graph.catalog import rules

_TAG = re.compile(r"</?[a-zA-Z][^<>]*>|&(#\d+|#x[0-9a-fA-F]+|[a-zA-Z]{2,31});")
_BLOCKS = frozenset(
    (
        *("address", "article", "aside", "blockquote", "dd", "div", "dl", "dt", "fieldset", "figcaption", "figure"),
        *("footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "main", "nav", "ol", "p", "pre"),
        *("section", "table", "tbody", "thead", "tr", "ul"),
    )
)
_ENDS = {**dict.fromkeys(_BLOCKS, "\n"), "p": "\n\n"}
_BEGINS = {**_ENDS, "br": "\n", "li": "\n- ", "td": " ", "th": " "}
"""What becomes of a tag."""
_HIDDEN = frozenset(("template", "noscript", "head", "iframe", "svg"))
_RAW = {
    tag: re.compile(f"</{tag}(?![a-z])[^<>]*+>", re.IGNORECASE) for tag in ("script", "style")
}  # tags are no tags in them
_SPACES = re.compile(r"[ \t\r\n\f\u00a0\u200b]+")
_EMPTY_LINES = re.compile(r"\n{3,}")

# Possessive, and no further than the next "<": no text makes the search for tags slow, as the standard library's is.
_TOKEN = re.compile(
    r"<(?:(?P<end>/?)(?P<tag>[a-zA-Z][^\s/<>]*+)"
    r"(?:(?:[^<>\"']|\"[^\"<]*+\"|'[^'<]*+')*+|[^<>]*+)(?P<alone>(?<=/))?>|[!?][^<>]*+>)"
)
_PARAGRAPH = re.compile("<p>([^<>&]*)</p>")
_COMMENT = re.compile("<!--.*?-->", re.DOTALL)
_NO_COMMENT = "<!---->"
_TOO_LARGE = re.compile(r"&#(?:[0-9]{8,}|[xX][0-9a-fA-F]{8,});?")
"""References to characters that cannot exist, with more digits, perhaps, than are read as a number."""


def _without_comments(value: str) -> str:
    """Return HTML with empty comments only; one without an end hides nothing."""
    if "<!--" not in value:
        return value
    last = value.rfind("-->")
    ended = last + len("-->") if last >= 0 else 0
    return _COMMENT.sub(_NO_COMMENT, value[:ended]) + value[ended:].replace("<!--", _NO_COMMENT)


def _visible(text: str) -> str:
    """Return what is shown of a text between tags: its references resolved, white space collapsed."""
    return _SPACES.sub(" ", unescape(_TOO_LARGE.sub("\ufffd", text)) if "&" in text else text)


def _parts(value: str) -> list[str]:
    """Return the visible pieces of HTML, with line breaks between its blocks."""
    value = _without_comments(value)
    parts: list[str] = []
    at = hidden = 0
    while (found := _TOKEN.search(value, at)) is not None:
        if not hidden:
            parts.append(_visible(value[at : found.start()]))
        at = found.end()
        tag, end = (found["tag"] or "").lower(), found["end"]
        if tag in _HIDDEN:
            hidden = max(0, hidden - 1) if end else hidden + (found["alone"] is None)
        elif tag in _RAW and not end:
            closing = _RAW[tag].search(value, at)
            at = len(value) if closing is None else closing.end()
        elif not hidden:
            parts.append((_ENDS if end else _BEGINS).get(tag, ""))
    if not hidden:
        parts.append(_visible(value[at:]))
    return parts


def plain_text(value: str) -> str:
    """Return the text of an HTML fragment; a text without tags and character references stays as it is."""
    if "&lt;" in value and "<" not in value:  # encoded twice
        value = unescape(_TOO_LARGE.sub("\ufffd", value))
    if ("<" not in value and "&" not in value) or _TAG.search(value) is None:
        return value
    if (paragraph := _PARAGRAPH.fullmatch(value)) is not None:
        return _SPACES.sub(" ", paragraph[1]).strip()
    lines = (line.strip() for line in "".join(_parts(value)).split("\n"))
    return _EMPTY_LINES.sub("\n\n", "\n".join(lines)).strip()


_APOSTROPHES = re.compile("['\u2019\u00b4`]")
_JOINTS = re.compile("[^a-z0-9]+")
_LETTERS = str.maketrans({"ø": "o", "đ": "d", "ł": "l", "æ": "ae", "œ": "oe", "þ": "th", "ð": "d", "\u0131": "i"})
_SIGNS = str.maketrans({"+": " plus ", "#": " sharp ", "%": " percent "})
_DIGEST = 8


@lru_cache(maxsize=4096)
def slug_of(path: tuple[str, ...]) -> str:
    """Return the slug of the category at `path` (names from the top down); the same names always give the same slug.

    For names in other scripts, and for paths that are too long, it ends in a short digest, so that different paths have
    different slugs.
    """
    words: list[str] = []
    lost = False
    for name in path:
        folded = rules.fold(_APOSTROPHES.sub("", name).translate(_SIGNS)).translate(_LETTERS)
        lost = lost or any(character.isalpha() and not character.isascii() for character in folded)
        words.append(_JOINTS.sub("-", folded).strip("-"))
    slug = "-".join(word for word in words if word)
    if slug and not lost and len(slug) <= rules.MAX_SLUG:
        return slug
    digest = blake2b("\0".join(path).encode(), digest_size=_DIGEST // 2).hexdigest()
    return "-".join(part for part in (slug[: rules.MAX_SLUG - _DIGEST - 1].strip("-"), digest) if part)


def name_of(slug: str) -> str:
    """Return a name for a category of which only the slug is known."""
    return slug.replace("-", " ").capitalize()
