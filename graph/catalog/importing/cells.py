r"""Lists in a cell, as this project writes and reads them: ``name=value|name=value`` and ``address text|address``.

A bar, an equals sign or a backslash that belongs to the text has a backslash before it. What is written is read back
as it was.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_ESCAPED = re.compile(r"[\\|=]")
_PART = re.compile(r"((?:[^\\|]|\\.)*)(?:\||$)", re.DOTALL)
_EQUALS = re.compile(r"((?:[^\\=]|\\.)*)=(.*)", re.DOTALL)
_BACKSLASH = re.compile(r"\\(.)", re.DOTALL)


def _escape(text: str) -> str:
    return _ESCAPED.sub(r"\\\g<0>", text)


def _unescape(text: str) -> str:
    return _BACKSLASH.sub(r"\1", text)


def _parts(cell: str) -> list[str]:
    return [part for part in (match.group(1) for match in _PART.finditer(cell)) if part.strip()]


def write_pairs(pairs: Iterable[tuple[str, str]]) -> str:
    """Options or attributes as a cell."""
    return "|".join(f"{_escape(name)}={_escape(value)}" for name, value in pairs)


def read_pairs(cell: str) -> list[list[str]]:
    """What `write_pairs` wrote; a part without an equals sign is a value without a name, and left out."""
    found = (_EQUALS.fullmatch(part) for part in _parts(cell))
    return [[_unescape(one.group(1)).strip(), _unescape(one.group(2)).strip()] for one in found if one is not None]


def write_images(images: Iterable[tuple[str, str | None]]) -> str:
    """Images as a cell: an address, and its text behind a space."""
    return "|".join(f"{_escape(url)} {_escape(alt)}" if alt else _escape(url) for url, alt in images)


def read_images(cell: str) -> list[list[str | None]]:
    """What `write_images` wrote."""
    found = (_unescape(part).strip().partition(" ") for part in _parts(cell))
    return [[url, alt.strip() or None] for url, _, alt in found]


_NEXT_ADDRESS = re.compile(r"[\s,;|]+(?=https?://|//|/)")


def addresses(cell: str) -> list[list[str | None]]:
    """The addresses in another program's cell: separated by commas, semicolons, bars or spaces."""
    found = [one.strip(" ,;|\t\r\n") for one in _NEXT_ADDRESS.split(cell.strip())]
    if len(found) == 1 and "://" not in found[0]:  # file names
        found = [one.strip() for one in re.split(r"[,;|]", found[0])]
    return [[one, None] for one in found if one]
