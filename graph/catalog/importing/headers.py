"""What a column's name tells beside its meaning: ``Price (EUR)``, ``name.de``, ``brand[language_tag=en]#1.value``.

A name is looked up in the format's table as it is, then without these parts.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from graph.catalog.importing.numbers import is_currency

if TYPE_CHECKING:
    from collections.abc import Iterable

    from graph.catalog.importing.formats.base import KnownFormat

PRICES = ("price", "salePrice", "regularPrice", "compareAtPrice")
"""The meanings that are amounts of money."""
_TEXTS = ("name", "description", "shortDescription", "category")
_LATER = 100
"""Added to the precedence of a column in one of several languages."""
_CURRENCY = re.compile(
    r"(?P<name>.+?)"
    r"(?:\s*[(\[/]\s*(?:in )?(?P<closed>[^\s()\[\]]{1,4})\s*[)\]]?|(?: in |[\s_.-]+)(?P<bare>[^\s()\[\]_.-]{1,4}))"
)
_LANGUAGE = re.compile(
    r"(?P<name>.+?)[._\-\[(: ]+"
    r"(?:ar|bg|cs|da|de|el|en|es|et|fi|fr|hr|hu|it|ja|ko|lt|lv|nb|nl|pl|pt|ro|ru|sk|sl|sv|tr|uk|zh)(?:[-_][a-z]{2})?[\])]?",
    re.IGNORECASE,
)
_SELECTORS = re.compile(r"\[[^\]]*\]|#\d+|\.value$")
_DECLARED = re.compile(r"\bCurrency=([A-Z]{3})\b")
_WORDS = re.compile(r"[^\d\s.,'\u2019\u00a0\u202f+\-\u2212]")


class Named(NamedTuple):
    """What a column means, its precedence among those of the same meaning, and the currency of its amounts."""

    meaning: str
    rank: int
    currency: str | None = None


def named(known: KnownFormat, header: str) -> Named | None:
    """Return what a column of this name means in a format; None if it means nothing."""
    bare, currency = _without_currency(header)
    found = known.meaning(header) or (known.meaning(bare) if currency is not None else None)
    if found is not None:
        return Named(found[1], found[0], currency if found[1] in PRICES else None)
    if (localised := _LANGUAGE.fullmatch(header)) is not None:
        found = known.meaning(localised["name"])
        if found is not None and found[1] in _TEXTS:
            return Named(found[1], found[0] + _LATER)
    plainer = _SELECTORS.sub("", header)
    if plainer != header and (found := known.meaning(plainer)) is not None:
        return Named(found[1], found[0])
    return None


def _without_currency(header: str) -> tuple[str, str | None]:
    """Return a column's name without the currency at its end, and the currency (a code or a symbol)."""
    if (match := _CURRENCY.fullmatch(header)) is not None:
        mark = match["closed"] or match["bare"]
        joined = header[match.end("name") : match.end("name") + 1] in "_."
        if is_currency(mark.upper() if match["closed"] or joined else mark):
            return match["name"], mark.upper() if mark.isalpha() and mark.isascii() else mark
    return header, None


def bare(header: str) -> str:
    """Return a column's name without a currency, by which formats are recognised, too."""
    return _without_currency(header)[0]


def declared_currency(headers: Iterable[str]) -> str | None:
    """Return the currency that a column's name declares for the file (eBay's ``*Action(…|Currency=EUR|…)``)."""
    return next((match[1] for header in headers if (match := _DECLARED.search(header)) is not None), None)


def with_currency(value: Any, currency: str) -> Any:
    """Return an amount with the currency of its column, unless it has one of its own."""
    text = str(value)
    return value if isinstance(value, bool) or _WORDS.search(text) else f"{text} {currency}"
