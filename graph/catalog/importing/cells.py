r"""Lists in a cell, as this project writes and reads them: ``name=value|name=value`` and ``address text|address``.

A bar, an equals sign or a backslash that belongs to the text is escaped with a backslash. Reading what was written
gives the same values.
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
    """Write options or attributes as a cell."""
    return "|".join(f"{_escape(name)}={_escape(value)}" for name, value in pairs)


def read_pairs(cell: str) -> list[list[str]]:
    """Read what `write_pairs` wrote; a part without an equals sign has no name and is left out."""
    found = (_EQUALS.fullmatch(part) for part in _parts(cell))
    return [[_unescape(one.group(1)).strip(), _unescape(one.group(2)).strip()] for one in found if one is not None]


def write_images(images: Iterable[tuple[str, str | None]]) -> str:
    """Write images as a cell: a URL, followed by a space and its text."""
    return "|".join(f"{_escape(url)} {_escape(alt)}" if alt else _escape(url) for url, alt in images)


def read_images(cell: str) -> list[list[str | None]]:
    """Read what `write_images` wrote."""
    found = (_unescape(part).strip().partition(" ") for part in _parts(cell))
    return [[url, alt.strip() or None] for url, _, alt in found]


_NEXT_ADDRESS = re.compile(r"[\s,;|]+(?=https?://|//|/)")


def addresses(cell: str) -> list[list[str | None]]:
    """Read the URLs in another program's cell: separated by commas, semicolons, bars or spaces."""
    found = [one.strip(" ,;|\t\r\n") for one in _NEXT_ADDRESS.split(cell.strip())]
    if len(found) == 1 and "://" not in found[0]:  # file names
        found = [one.strip() for one in re.split(r"[,;|]", found[0])]
    return [[one, None] for one in found if one]
