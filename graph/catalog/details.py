"""The rules for the optional details of a product: brand, GTIN, group, options, attributes and images.

Options and attributes are pairs of a name and a value, images pairs of an address and a text or None. They are stored
as JSON, in the order in which they were given. A value that breaks a rule raises `graph.errors.Invalid`.
"""

from __future__ import annotations

import json
import re
import unicodedata
from typing import TYPE_CHECKING

from graph.catalog.records import EMPTY
from graph.catalog.rules import is_storable
from graph.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_GROUP = 100
MAX_BRAND = 200
MAX_OPTIONS = 10
MAX_ATTRIBUTES = 300
MAX_IMAGES = 300
MAX_TERM = 100
"""Most characters in the name of an option or attribute."""
MAX_VALUE = 500
"""Most characters in its value, and in the text of an image."""
MAX_ADDRESS = 2000

_ADDRESS = re.compile(r"[^\s\x00-\x20\x7f<>\"\\^`{|}]+")
_LENGTHS = (8, 12, 13, 14)


def _line(field: str, value: str, longest: int) -> str:
    """Return `value` composed and trimmed, checked to be one line of at most `longest` characters."""
    value = unicodedata.normalize("NFC", value).strip()
    if not value:
        raise Invalid(field, f"{field} is not blank.")
    if len(value) > longest:
        raise Invalid(field, f"{field} has at most {longest} characters.")
    if not value.isprintable() and (
        not is_storable(value) or any(unicodedata.category(character) == "Cc" for character in value)
    ):
        raise Invalid(field, f"{field} is one line of text.")
    return value


def check_brand(value: str | None) -> str | None:
    """Return the brand's name as it is stored; None for none."""
    return None if value is None else _line("brand", value, MAX_BRAND)


def check_group(value: str | None) -> str | None:
    """Return the group id that the variants of one product share; None for none."""
    return None if value is None else _line("groupId", value, MAX_GROUP)


def is_gtin(digits: str) -> bool:
    """Whether these are 8, 12, 13 or 14 digits, the last of them the check digit (GS1 General Specifications, 7.9)."""
    if len(digits) not in _LENGTHS or not (digits.isascii() and digits.isdigit()):
        return False
    total = sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(reversed(digits)))
    return total % 10 == 0 and int(digits) != 0


def check_gtin(value: str | None) -> str | None:
    """Return the GTIN as it was written; None for none."""
    if value is not None and not is_gtin(value):
        raise Invalid("gtin", "A GTIN has 8, 12, 13 or 14 digits, the last of which checks the others.")
    return value


def check_pairs(field: str, pairs: Iterable[tuple[str, str]], most: int) -> str:
    """Return options or attributes as they are stored; a repeated pair counts once."""
    found = dict.fromkeys(
        (_line(f"{field}.name", name, MAX_TERM), _line(f"{field}.value", value, MAX_VALUE)) for name, value in pairs
    )
    if len(found) > most:
        raise Invalid(field, f"A product has at most {most} {field}.")
    return _json([list(pair) for pair in found])


def check_options(pairs: Iterable[tuple[str, str]]) -> str:
    """Return the options that distinguish a variant from the others of its group; each name occurs once."""
    told = list(pairs)
    if len({name for name, _ in told}) < len(set(told)):
        raise Invalid("options", "An option is named twice.")
    return check_pairs("options", told, MAX_OPTIONS)


def check_attributes(pairs: Iterable[tuple[str, str]]) -> str:
    """Return the attributes; a name may have several values."""
    return check_pairs("attributes", pairs, MAX_ATTRIBUTES)


def is_address(value: str) -> bool:
    """Whether an image may have this address."""
    if len(value) > MAX_ADDRESS or not _ADDRESS.fullmatch(value) or not is_storable(value):
        return False
    return value.startswith(("https://", "http://", "//")) or ":" not in value


def check_images(images: Iterable[tuple[str, str | None]]) -> str:
    """Return the images as they are stored; a repeated address counts once."""
    found: dict[str, str | None] = {}
    for url, alt in images:
        if not is_address(url):
            raise Invalid("images.url", f"An image is an http address or a path, of at most {MAX_ADDRESS} characters.")
        text = None if alt is None or not alt.strip() else _line("images.alt", alt, MAX_VALUE)
        found[url] = found.get(url) or text
    if len(found) > MAX_IMAGES:
        raise Invalid("images", f"A product has at most {MAX_IMAGES} images.")
    return _json([list(image) for image in found.items()])


def _json(value: list[list[str]] | list[list[str | None]]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")) if value else EMPTY
