"""Converts single values of a row: the category, options and attributes, tags, dates."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from graph.catalog import rules
from graph.catalog.importing.mapping import plain
from graph.catalog.importing.problems import as_list, as_object
from graph.catalog.importing.texts import plain_text, slug_of
from graph.errors import Invalid

if TYPE_CHECKING:
    from graph.catalog.importing.formats.base import KnownFormat

LIST = re.compile(r"(?<!\\),\s*")
_LEVEL = re.compile(r"\s*(?:>|\u203a|\u00bb|\u2192)\s*")
_GERMAN = re.compile(r"\d{1,2}\.\d{1,2}\.\d{4}", re.ASCII)
_DATE = len("2026-01-31")


def shelf(known: KnownFormat, value: Any) -> tuple[tuple[str, ...], str | None]:
    """Return the path of a row's category and its slug; the deepest of several. A slug alone has no path."""
    if type(value) is not str:
        value = _first_name(value)
    if not value:
        return (), None
    if rules.is_slug(value):
        return (), value
    texts = LIST.split(value) if known.lists == "," else value.split(known.lists) if known.lists else [value]
    paths = [path for text in texts if (path := _path(known, text.replace("\\,", ",")))]
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


def moment(value: Any, *, end: bool) -> datetime | None:
    """Return the time of a sale's first or last day, which it includes; None if the text is not a date."""
    text = plain(value)
    try:
        if _GERMAN.fullmatch(text):
            read = datetime.strptime(text, "%d.%m.%Y").replace(tzinfo=UTC)
        else:
            read = datetime.fromisoformat(text)
    except ValueError:
        return None
    read = read if read.tzinfo else read.replace(tzinfo=UTC)
    return read + timedelta(days=1) if end and len(text) <= _DATE else read
