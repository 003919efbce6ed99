"""Converts single values of a row: the category, options and attributes, tags, dates."""

from __future__ import annotations

import contextlib
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from graph.catalog import rules
from graph.catalog.importing.objects import plain
from graph.catalog.importing.problems import as_list, as_object
from graph.catalog.importing.texts import plain_text, slug_of
from graph.errors import Invalid

if TYPE_CHECKING:
    from graph.catalog.importing.formats.base import KnownFormat

LIST = re.compile(r"(?<!\\),\s*")
_LEVEL = re.compile(r"\s*(?:>|\u203a|\u00bb|\u2192)\s*")
_DATE = len("2026-01-31")


def shelf(known: KnownFormat, value: Any) -> tuple[tuple[str, ...], str | None]:
    """Return the path of a row's category and its slug; the deepest of several. A slug alone has no path."""
    if type(value) is not str:
        value = _first_name(value)
    if not value:
        return (), None
    foreign = known.name not in ("plain", "graph")
    if rules.is_slug(value):
        return (), None if foreign and value.isdigit() else value
    texts = LIST.split(value) if known.lists == "," else value.split(known.lists) if known.lists else [value]
    paths = [path for text in texts if (path := _path(known, text.replace("\\,", ",")))]
    if foreign:  # category numbers of another system mean nothing here
        paths = [path for path in paths if not path[-1].isdigit()]
    if not paths:
        return (), None
    path = max(paths, key=len)
    if any(len(name) > rules.MAX_NAME for name in path):
        raise Invalid("category", f"A category's name has at most {rules.MAX_NAME} characters.")
    return path, slug_of(path)


def _path(known: KnownFormat, text: str) -> tuple[str, ...]:
    levels = _LEVEL.split(text) if known.levels == ">" or _LEVEL.search(text) else text.split(known.levels)
    names = [" ".join(plain_text(level).split()) for level in levels]
    names = [name for name in names if name]
    if known.roots:
        kept = [name for name in names if name not in known.roots]
        names = kept
    return tuple(names)


def _first_name(value: Any) -> str:
    """Return the first name in a JSON value: a name, an object that has one, or a list of them."""
    while (items := as_list(value)) is not None:
        value = items[0] if items else None
    if (fields := as_object(value)) is not None:
        value = fields.get("name") or fields.get("title") or fields.get("slug")
    return plain(value)


def numbered(told: dict[str, Any]) -> tuple[list[Any], list[Any]]:
    """Return options and attributes, including those whose name and value are in separate columns."""
    options: list[Any] = list(told.get("options") or ())
    attributes: list[Any] = list(told.get("attributes") or ())
    if "options" in told:
        return options, attributes
    for name in [name for name in told if name.startswith(("optionName", "attributeName"))]:
        value = plain(told.get(name.replace("Name", "Value")))
        if value and told.get("groupId") and name.startswith("option"):
            options.append([plain(told[name]), value])
        elif value:
            attributes += [[plain(told[name]), one] for one in LIST.split(value)]
    return options, attributes


def tags(value: Any) -> list[str]:
    """Return the tags in a cell or a list."""
    values = as_list(value)
    return [text for text in map(_first_name, LIST.split(plain(value)) if values is None else values) if text]


def moment(value: Any, forms: tuple[str, ...] = (), *, end: bool) -> datetime | None:
    """Return the time of a sale's first or last day, which it includes; None if the text is not a date.

    `forms` are forms of dates that the format has, beside ISO 8601 and ``31.1.2026``.
    """
    text = plain(value)
    read = _read(text, (*forms, "%d.%m.%Y") if not text[:4].isdigit() else ("%Y/%m/%d",))
    if read is None:
        return None
    read = read if read.tzinfo else read.replace(tzinfo=UTC)
    return read + timedelta(days=1) if end and len(text) <= _DATE else read


def _read(text: str, forms: tuple[str, ...]) -> datetime | None:
    with contextlib.suppress(ValueError):
        return datetime.fromisoformat(text)
    for form in forms:
        with contextlib.suppress(ValueError):
            return datetime.strptime(text, form)  # noqa: DTZ007 - the caller adds the zone
    return None
