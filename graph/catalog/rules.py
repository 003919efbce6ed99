"""The rules for products and categories, shared by the API and the import, and the derived columns.

A value that breaks a rule raises `Invalid` with the field's name (as the API spells it) and a readable sentence.
Nothing is silently cut or rounded; text is trimmed and composed (NFC) so that equal names are equal bytes.
"""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal

from graph.catalog.records import SCALE, decimals_of
from graph.errors import Invalid

MAX_SKU = 64
MAX_SLUG = 64
MAX_NAME = 200
MAX_DESCRIPTION = 10_000
MAX_STOCK = 2**31 - 1
MAX_PRICE = Decimal(10) ** 12
MAX_WORD = 64
"""Characters by which longer words are found."""

_SKU = re.compile(r"[^\W_](?:[^\s,;|\"<>{}\\`]| (?! ))*")
_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*", re.ASCII)
_CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)
_WORD = re.compile(r"[^\W_]+")
_LATIN_MARKS = re.compile("[\u0300-\u036f]+")  # the usual accents, removed by a fast path
_ALLOWED_CONTROLS = "\n\t"


def is_storable(value: str) -> bool:
    """Whether both engines can store and compare this text: PostgreSQL knows no NUL, UTF-8 no lone surrogates."""
    return value.isprintable() or not ("\0" in value or any("\ud800" <= character <= "\udfff" for character in value))


def check_sku(value: str) -> str:
    """Return the sku as it was written (case matters), checked to be at most 64 characters that shops use in skus.

    It begins with a letter or digit. Commas, semicolons, bars, quotes, angle brackets, braces and backslashes are not
    allowed: a cell with one of them holds several skus, or none.
    """
    value = unicodedata.normalize("NFC", value).strip()
    if not value:
        raise Invalid("sku", "A sku is needed.")
    if not is_sku(value):
        raise Invalid(
            "sku",
            f"A sku has at most {MAX_SKU} characters, begins with a letter or digit, and has no comma or quote in it.",
        )
    return value


def is_sku(value: str) -> bool:
    """Whether a product may have exactly this sku; others need not be looked up."""
    return len(value) <= MAX_SKU and _SKU.fullmatch(value) is not None and value.isprintable()


def check_slug(value: str, field: str = "category") -> str:
    """Return a category's slug: at most 64 lower-case ASCII letters and digits in words joined by dashes."""
    if len(value) > MAX_SLUG or not _SLUG.fullmatch(value):
        raise Invalid(field, f"A category's slug has at most {MAX_SLUG} lower-case letters, digits and single dashes.")
    return value


def is_slug(value: str) -> bool:
    """Whether a category may have this slug."""
    return len(value) <= MAX_SLUG and _SLUG.fullmatch(value) is not None


def check_name(value: str) -> str:
    """Return a name: one line of at most 200 characters."""
    value = unicodedata.normalize("NFC", value).strip()
    if not value:
        raise Invalid("name", "A name is needed.")
    if len(value) > MAX_NAME:
        raise Invalid("name", f"A name has at most {MAX_NAME} characters.")
    _check_characters("name", value, "")
    return value


def check_description(value: str) -> str:
    """Return a description: text of at most 10,000 characters, possibly empty."""
    if len(value) > MAX_DESCRIPTION:
        raise Invalid("description", f"A description has at most {MAX_DESCRIPTION:,} characters.")
    value = unicodedata.normalize("NFC", value.replace("\r\n", "\n")).strip()
    _check_characters("description", value, _ALLOWED_CONTROLS)
    return value


def _check_characters(field: str, value: str, allowed: str) -> None:
    if value.isprintable():  # the usual case, by a fast path
        return
    for character in value:
        if character not in allowed and unicodedata.category(character) in ("Cc", "Cs"):
            raise Invalid(field, f"Character U+{ord(character):04X} is not allowed in a {field}.")


def check_currency(value: str) -> str:
    """Return `value` if it has the form of an ISO 4217 code; raises `Invalid`."""
    if not _CURRENCY.fullmatch(value):
        raise Invalid("price.currency", 'A currency is a code of three capital letters, like "USD".')
    return value


def check_price(amount: Decimal, currency: str, field: str = "price.amount") -> int:
    """Return the stored form of a price: not negative, below 10**12, with no more decimals than its currency has."""
    if not amount.is_finite() or amount < 0:
        raise Invalid(field, "A price is not negative.")
    if amount >= MAX_PRICE:
        raise Invalid(field, f"A price is below {MAX_PRICE:,f}.")
    decimals = decimals_of(currency)
    if amount != round(amount, decimals):
        raise Invalid(field, f"A price in {currency} has at most {decimals} decimals.")
    return int(amount.scaleb(SCALE))


def check_stock(value: int) -> int:
    """Return a number of items, checked to be in range."""
    if not 0 <= value <= MAX_STOCK:
        raise Invalid("stock", f"A stock is from 0 to {MAX_STOCK:,}.")
    return value


# --- derived columns ---


def fold(value: str) -> str:
    """Remove what does not matter when words are compared: case, accents, width."""
    if value.isascii():
        return value.lower()
    decomposed = _LATIN_MARKS.sub("", unicodedata.normalize("NFKD", value.casefold()))
    if decomposed.isascii():
        return decomposed
    return "".join(character for character in decomposed if not unicodedata.combining(character))


def name_key(name: str) -> str:
    """Return the sort key of a name; bounded, because PostgreSQL bounds the length of an index entry."""
    return fold(name)[:MAX_NAME]


def words(value: str) -> list[str]:
    """Return the words of a text as they are indexed and searched: letters and digits, folded."""
    return [word[:MAX_WORD] for word in _WORD.findall(fold(value))]


def search_words(sku: str, name: str, description: str) -> str:
    """Return the value of the column `search`: each word of a product once, separated by spaces."""
    return " ".join(dict.fromkeys(words(f"{sku} {name} {description}")))
