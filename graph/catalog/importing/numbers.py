"""Amounts, counts and truth values as people and programs write them into a cell.

``1.249,00``, ``1,249.00``, ``1'249.00``, ``1 249,00 €``, ``USD 1480.50`` and ``5,-`` are all read. If the cell alone is
ambiguous (is ``1.234`` a thousand or a little more than one?), a sample of the column decides (`decide`); if the sample
is ambiguous too, the cell is refused with `Doubtful` or, for an amount of money that cannot have three decimals, read
as a thousand. Nothing is guessed silently: `decide` names such a cell.
"""

from __future__ import annotations

import re
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Any

from graph.catalog.records import decimals_of
from graph.catalog.rules import fold

if TYPE_CHECKING:
    from collections.abc import Iterable


class DecimalMark(Enum):
    """The decimal mark of a column."""

    POINT = "."
    COMMA = ","
    BOTH = "both"
    """Some cells use one and some the other."""
    UNKNOWN = "unknown"
    """The sample is ambiguous."""


class NotANumber(ValueError):
    """The cell is not an amount; the text says why."""


class Doubtful(NotANumber):
    """The cell can be read in two ways, and nothing decides which."""

    def __init__(self, text: str) -> None:
        """Name the cell in the message."""
        super().__init__(f"{text} may be a thousand or a decimal; --decimal says which.")


_PLAIN = re.compile(r"-?\d{1,15}(\.\d{1,2})?", re.ASCII)
_SPACES = re.compile("[\\s\u00a0\u2007\u2009\u202f'\u2019\u00b4`\u02bc]+")
_NUMBER = re.compile(r"([+\-\u2212]?)([\d.,]+)", re.ASCII)
_CODE = re.compile(r"(?<![A-Za-z])[A-Za-z]{3}(?![A-Za-z])")
_NO_CENTS = re.compile("[.,](-|\u2013|\u2014|--)$")
_EXPONENT = re.compile(r"-?\d(?:\.\d+)?[eE][+-]?\d{1,2}", re.ASCII)
_MOST = 40
"""Characters of the longest cell that is parsed as an amount."""

_SYMBOLS = {
    "US$": "USD",
    "A$": "AUD",
    "AU$": "AUD",
    "C$": "CAD",
    "CA$": "CAD",
    "NZ$": "NZD",
    "HK$": "HKD",
    "S$": "SGD",
    "R$": "BRL",
    "MX$": "MXN",
    "€": "EUR",
    "£": "GBP",
    "₹": "INR",
    "₽": "RUB",
    "₺": "TRY",
    "₩": "KRW",
    "₪": "ILS",
    "฿": "THB",
    "₫": "VND",
    "₴": "UAH",
    "₱": "PHP",
    "₦": "NGN",
    "zł": "PLN",
    "Kč": "CZK",
    "Ft": "HUF",
    "lei": "RON",
    "Fr.": "CHF",
    "SFr.": "CHF",
    "лв": "BGN",
}
_SHARED = {  # a symbol of several currencies: the first one, unless the file's own currency is among the others
    "$": ("USD", "AUD", "CAD", "NZD", "HKD", "SGD", "MXN", "CLP", "COP", "ARS"),
    "¥": ("JPY", "CNY"),
    "￥": ("CNY", "JPY"),
    "kr": ("SEK", "NOK", "DKK", "ISK"),
}
_SYMBOL = re.compile("|".join(map(re.escape, sorted((*_SYMBOLS, *_SHARED), key=len, reverse=True))))
_GROUP = 3


_CODES = re.compile(
    "AED|ARS|AUD|BGN|BHD|BRL|CAD|CHF|CLP|CNY|COP|CZK|DKK|EGP|EUR|GBP|HKD|HUF|IDR|ILS|INR|ISK|JOD|JPY|KES|KRW|KWD|MAD|"
    "MXN|MYR|NGN|NOK|NZD|OMR|PEN|PHP|PKR|PLN|QAR|RON|RSD|RUB|SAR|SEK|SGD|THB|TND|TRY|TWD|UAH|USD|UYU|VND|ZAR"
)


def is_currency(text: str) -> bool:
    """Whether a text is the code of a common currency (ISO 4217) or the symbol of one."""
    return _CODES.fullmatch(text) is not None or text in _SYMBOLS or text in _SHARED


def _stripped(text: str, usual: str) -> tuple[str, str | None]:
    """Return the number in `text` and the currency next to it."""
    found = None
    if (sign := _SYMBOL.search(text)) is not None:
        shared = _SHARED.get(sign.group())
        if shared is None:
            found = _SYMBOLS[sign.group()]
        elif sign.group() == "kr" and usual not in shared:
            raise NotANumber(f"kr may be {', '.join(shared)}; --default currency=... says which.")
        else:
            found = usual if usual in shared else shared[0]
        text = text[: sign.start()] + text[sign.end() :]
    elif (code := _CODE.search(text)) is not None:
        found = code.group().upper()
        text = text[: code.start()] + text[code.end() :]
    return _SPACES.sub("", _NO_CENTS.sub("", text.strip())), found


def amount(value: Any, mark: DecimalMark, usual: str = "USD") -> tuple[Decimal, str | None]:
    """Return the amount in a cell or JSON value, and the currency next to it; `usual` is the file's own currency."""
    if isinstance(value, Decimal):
        return value, None
    if type(value) is int:
        return Decimal(value), None
    if not isinstance(value, str):
        raise NotANumber("A price is a number, like 19.99.")
    if _PLAIN.fullmatch(value):
        return Decimal(value), None
    if len(value) > _MOST:
        raise NotANumber("A price is a number, like 19.99.")
    if _EXPONENT.fullmatch(value):
        return Decimal(value), None
    figure, currency = _stripped(value, usual)
    matched = _NUMBER.fullmatch(figure)
    if matched is None or not any(character.isdigit() for character in figure):
        raise NotANumber("A price is a number, like 19.99.")
    sign = "-" if matched.group(1) in ("-", "\u2212") else ""
    return Decimal(sign + _figure(matched.group(2), mark, currency or usual)), currency


def count(value: Any, mark: DecimalMark) -> Decimal:
    """Return the number in a stock cell; it may have decimals."""
    if isinstance(value, Decimal):
        return value
    if type(value) is int:
        return Decimal(value)
    if isinstance(value, str) and len(value) <= _MOST:
        figure = _SPACES.sub("", value)
        if (matched := _NUMBER.fullmatch(figure)) is not None and any(character.isdigit() for character in figure):
            sign = "-" if matched.group(1) in ("-", "\u2212") else ""
            return Decimal(sign + _figure(matched.group(2), mark, None))
    raise NotANumber("A stock is a whole number.")


def _figure(text: str, mark: DecimalMark, currency: str | None) -> str:
    """Return digits and separators as a plain number; `currency` is None for a number that is not an amount."""
    told = _mark_of(text)
    if told is DecimalMark.UNKNOWN:  # one separator, followed by three digits
        separator = "." if "." in text else ","
        if mark in (DecimalMark.POINT, DecimalMark.COMMA):
            told = mark
        elif mark is DecimalMark.UNKNOWN and currency is not None and decimals_of(currency) < _GROUP:
            told = DecimalMark.COMMA if separator == "." else DecimalMark.POINT  # the currency has fewer decimals
        else:
            raise Doubtful(text)
    if told is None:
        return text
    thousands = "," if told is DecimalMark.POINT else "."
    whole, point, rest = text.rpartition(told.value) if told.value in text else (text, "", "")
    groups = whole.split(thousands)
    grouped = len(groups) == 1 or (len(groups[0]) <= _GROUP and all(len(group) >= 2 for group in groups[1:]))  # noqa: PLR2004 - India's groups have two digits
    if not grouped or told.value in whole or thousands in rest:
        raise NotANumber("A price is a number, like 19.99.")
    return "".join(groups) + (f".{rest}" if point and rest else "") or "0"


def _mark_of(text: str) -> DecimalMark | None:
    """Return the cell's decimal mark, UNKNOWN if it can be read both ways, None if it has no separator."""
    points, commas = text.count("."), text.count(",")
    if points and commas:
        return DecimalMark.POINT if text.rindex(".") > text.rindex(",") else DecimalMark.COMMA
    if not points and not commas:
        return None
    if points > 1 or commas > 1:
        return DecimalMark.COMMA if points else DecimalMark.POINT  # a thousands separator
    before, _, after = text.partition("." if points else ",")
    if len(after) == _GROUP and 1 <= len(before) <= _GROUP and not before.startswith("0"):
        return DecimalMark.UNKNOWN
    return DecimalMark.POINT if points else DecimalMark.COMMA


def decide(cells: Iterable[Any]) -> tuple[DecimalMark, str | None]:
    """Return the decimal mark of a column by its sample, and a cell that can be read both ways, if there is one."""
    seen: set[DecimalMark] = set()
    doubtful = None
    for cell in cells:
        if not isinstance(cell, str):
            if isinstance(cell, Decimal):
                seen.add(DecimalMark.POINT)  # numbers in JSON
            continue
        if len(cell) > _MOST:
            continue
        try:
            figure, _ = _stripped(cell, "SEK" if "kr" in cell else "USD")
        except NotANumber:
            continue
        matched = _NUMBER.fullmatch(figure)
        told = _mark_of(matched.group(2)) if matched is not None else None
        if told is DecimalMark.UNKNOWN:
            doubtful = doubtful or cell
        elif told is not None:
            seen.add(told)
    if len(seen) == 1:
        return seen.pop(), doubtful
    return (DecimalMark.BOTH if seen else DecimalMark.UNKNOWN), doubtful


# --- truth ---

_YES = (
    "true yes y 1 on x t ja j oui o si sí vrai verdadero vero wahr waar aktiv actif attivo activo actief active "
    "enabled publish published visible online"
)
_NO = (
    "false no n 0 off f nein non nee faux falso falsch onwaar inaktiv inactif inattivo inactivo inactief inactive "
    "disabled draft private pending archived unpublished hidden offline trash incomplete -1"
)
_TRUTH = {**dict.fromkeys(_YES.split(), True), **dict.fromkeys(_NO.split(), False)}

_AVAILABLE = {
    **dict.fromkeys(("instock", "available", "availablefororder", "limitedavailability", "lowstock"), True),
    **dict.fromkeys(("auflager", "lieferbar", "vorratig", "verfugbar", "enstock", "disponible", "disponibile"), True),
    **dict.fromkeys(("unlimited", "unbegrenzt", "illimite", "ilimitado", "illimitato", "enexistencia"), True),
    **dict.fromkeys(("opvoorraad", "leverbaar", "onlineonly", "instoreonly"), True),
    **dict.fromkeys(("outofstock", "soldout", "preorder", "backorder", "unavailable", "discontinued"), False),
    **dict.fromkeys(("nichtauflager", "nichtvorratig", "ausverkauft", "rupturedestock", "agotado", "esaurito"), False),
    **dict.fromkeys(("uitverkocht", "nietopvoorraad", "epuise", "sinexistencias", "nondisponibile"), False),
}


def truth(value: Any) -> bool | None:
    """Return whether a cell says yes or no, in the commonest languages; None if it says neither."""
    if isinstance(value, bool):
        return value
    if type(value) is int:
        return {1: True, 0: False}.get(value)
    return _TRUTH.get(value.strip().lower()) if isinstance(value, str) else None


def availability(value: str) -> bool | None:
    """Return whether a word for availability means available; None for any other word."""
    return _AVAILABLE.get("".join(c for c in fold(value.rpartition("/")[2]) if c.isalnum()))  # schema.org uses URLs


def available(value: Any) -> bool | None:
    """Return whether a cell means available, as a word or as yes or no; None if it says neither."""
    found = availability(value) if isinstance(value, str) else None
    return truth(value) if found is None else found
