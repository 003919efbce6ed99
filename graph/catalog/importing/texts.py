"""Cleans up text from other programs: HTML to plain text, category paths to slugs."""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import blake2b
from html.parser import HTMLParser

from graph.catalog import rules

_TAG = re.compile(r"</?[a-zA-Z][^<>]*>|&(#\d+|#x[0-9a-fA-F]+|[a-zA-Z]{2,31});")
_BLOCKS = frozenset(
    (
        *("address", "article", "aside", "blockquote", "dd", "div", "dl", "dt", "fieldset", "figcaption", "figure"),
        *("footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "main", "nav", "ol", "p", "pre"),
        *("section", "table", "tbody", "thead", "tr", "ul"),
    )
)
_HIDDEN = frozenset(("script", "style", "template", "noscript", "head", "iframe", "svg"))
_SPACES = re.compile(r"[ \t\r\n\f\u00a0\u200b]+")
_EMPTY_LINES = re.compile(r"\n{3,}")


class _Text(HTMLParser):
    """Collects the visible text of HTML."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begin a new line at a tag that does so."""
        del attrs
        if tag in _HIDDEN:
            self._hidden += 1
        elif tag == "br":
            self.parts.append("\n")
        elif tag == "li":
            self.parts.append("\n- ")
        elif tag in _BLOCKS:
            self.parts.append("\n\n" if tag == "p" else "\n")
        elif tag in ("td", "th"):
            self.parts.append(" ")

    def handle_endtag(self, tag: str) -> None:
        """End the line at a tag that does so."""
        if tag in _HIDDEN:
            self._hidden = max(0, self._hidden - 1)
        elif tag in _BLOCKS:
            self.parts.append("\n\n" if tag == "p" else "\n")

    def handle_data(self, data: str) -> None:
        """Keep the text, with white space collapsed as in HTML."""
        if not self._hidden:
            self.parts.append(_SPACES.sub(" ", data))


_BARE = r"</?(?:p|div|ul|ol|li|h[1-6]|b|i|u|em|strong|span)>|<br ?/?>"
_ONLY_BARE = re.compile(rf"[^<>&]*(?:(?:{_BARE})[^<>&]*)*")
_BARE_TAG = re.compile(f"({_BARE})")


@lru_cache(maxsize=64)
def _break(tag: str) -> str:
    """Return what a tag without attributes becomes."""
    text = _Text()
    text.feed(tag)
    return "".join(text.parts)


def _parts(value: str) -> list[str]:
    """Return the pieces of the text of HTML; what has only bare tags, as most texts do, needs no parser."""
    if _ONLY_BARE.fullmatch(value) is not None:
        pieces = _BARE_TAG.split(value)
        return [_break(one) if place % 2 else _SPACES.sub(" ", one) for place, one in enumerate(pieces)]
    parser = _Text()
    parser.feed(value)
    parser.close()
    return parser.parts


def plain_text(value: str) -> str:
    """Return the text of an HTML fragment; a text without tags and character references stays as it is."""
    if ("<" not in value and "&" not in value) or _TAG.search(value) is None:
        return value
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
