"""Maps the columns of one file to meanings, and its rows to values by meaning.

The format's table decides, unless ``--map`` overrides it. If several columns have the same meaning, the one that the
table names first counts, and the next one where that is blank. A JSON object's fields are named by their path
(``price.salePrice``).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from graph.catalog.importing.cells import addresses, read_images, read_pairs
from graph.catalog.importing.formats.base import Draft, is_meaning, key
from graph.catalog.importing.headers import declared_currency, named, with_currency
from graph.catalog.importing.objects import address_of, flat, opened, plain, variants
from graph.catalog.importing.problems import Row, Unreadable, as_list, as_object

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from graph.catalog.importing.formats.base import KnownFormat

_METAFIELD = re.compile(r"(.+) \(product\.metafields\.[^)]*\)")
_GLOBAL_ATTRIBUTE = re.compile(r"(?:attribute|option)s?\.(.+)", re.IGNORECASE)
_LISTED = frozenset({"image", "images"})
_QUOTED = ' []"\t\r\n'
"""Characters left around a picture's address that was encoded twice."""


def read_map(told: Sequence[str], option: str = "--map") -> dict[str, str]:
    """Parse ``--map`` (meaning → column), or another `option` of that form. Raises `Unreadable` for anything else."""
    found: dict[str, str] = {}
    for text in told:
        for part in re.split(r",(?=[A-Za-z.]+[0-9]*=)", text):
            meaning, mark, column = part.partition("=")
            if not mark or not column.strip() or not is_meaning(meaning.strip()):
                raise Unreadable(f"{option} {part}: write MEANING=...; docs/importing.md lists the meanings.")
            found[meaning.strip()] = column.strip()
    return found


MOST_PATHS = 10_000
"""Paths of object fields whose meaning is remembered; the meaning of any more is looked up each time."""


class Column(NamedTuple):
    """A column of the file and its meaning; None if it is ignored."""

    name: str
    meaning: str | None
    rank: int
    currency: str | None = None
    """The currency of its amounts, if its name gives one."""


class ColumnPlan:
    """The columns of one file, with their meanings."""

    def __init__(
        self, known: KnownFormat, columns: Sequence[str], chosen: Mapping[str, str], defaults: Mapping[str, str]
    ) -> None:
        """Map `columns` as the format `known` does, except those `chosen`; `defaults` fill in what a row leaves out."""
        self.known = known
        self.chosen = dict(chosen)
        self.defaults = dict(defaults)
        self._by_path: dict[str, Column] = {}
        self.columns = [self._column(name, number) for number, name in enumerate(columns, 1)]
        self._names = {column.name for column in self.columns}
        missing = [
            column for meaning, column in chosen.items() if not any(one.meaning == meaning for one in self.columns)
        ]
        if missing:
            raise Unreadable(f"There is no column {missing[0]}; the file has {', '.join(columns) or 'none'}.")
        order = sorted(range(len(self.columns)), key=lambda place: (self.columns[place].rank, place))
        cells = [(place, self.columns[place].meaning) for place in order]
        told = [(place, meaning) for place, meaning in cells if meaning is not None]
        self._plain = [
            (place, meaning, self.columns[place].currency) for place, meaning in told if not self._listed(meaning)
        ]
        # Columns of lists keep the order of the file.
        self._lists = sorted((place, meaning) for place, meaning in told if self._listed(meaning))
        self.meanings = {meaning for _, meaning in told} | set(defaults) | set(known.adds)
        self.currency = declared_currency(columns)
        """The currency that the file declares for all prices, if it does."""

    @staticmethod
    def _listed(meaning: str) -> bool:
        return meaning in _LISTED or meaning in ("options", "attributes") or "." in meaning

    def _column(self, name: str, number: int) -> Column:
        for meaning, column in self.chosen.items():
            if column in (name, str(number)) or key(column) == key(name) != "":
                return Column(name, meaning, 0)
        found = named(self.known, name)
        attribute = None if found is not None else self._attribute(name)
        if attribute is not None:
            return Column(name, None if attribute in self.chosen else attribute, 0)
        if found is None or found.meaning in self.chosen:
            return Column(name, None, 0)
        return Column(name, found.meaning, found.rank, found.currency)

    def _attribute(self, name: str) -> str | None:
        """Return the meaning of a column that is named for one attribute or option."""
        if (field := _METAFIELD.fullmatch(name)) is not None:
            return f"attribute.{field.group(1)}"
        if (field := _GLOBAL_ATTRIBUTE.fullmatch(name)) is not None:
            return f"{'option' if name[0] in 'oO' else 'attribute'}.{field.group(1)}"
        if self.known.attributes and (field := re.fullmatch(self.known.attributes, name)) is not None:
            return f"attribute.{field.group(1)}"
        return None

    @property
    def ignored(self) -> list[str]:
        """The columns that are ignored."""
        return [column.name for column in self.columns if column.meaning is None and column.name]

    # --- a row ---

    def drafts(self, row: Row) -> Iterator[Draft]:
        """Return a draft of the row's values by meaning; for an object with variants, one for each."""
        if row.fields is None:
            yield Draft(row.line, self._told(row.cells), row)
            return
        for fields in variants(opened(row.fields)):
            yield Draft(row.line, self._told_by(fields), Row(row.line, [], fields))

    def _told(self, cells: list[str]) -> dict[str, Any]:
        told: dict[str, Any] = {}
        for place, meaning, currency in self._plain:
            value = cells[place].strip()
            if value and meaning not in told:
                told[meaning] = value if currency is None else with_currency(value, currency)
        for place, meaning in self._lists:
            value = cells[place].strip()
            if value:
                self._add(told, meaning, value)
        for meaning, value in self.defaults.items():
            told.setdefault(meaning, value)
        return told

    def _told_by(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        told: dict[str, Any] = {}
        ranks: dict[str, int] = {}
        for path, value in flat(fields):
            column = self._by_path.get(path) or self._new(path)
            meaning = column.meaning
            if meaning is None or (isinstance(value, str) and not value.strip()):
                continue
            if self._listed(meaning):
                if value is not None:
                    self._add(told, meaning, value)
            elif meaning not in told or (value is not None and (told[meaning] is None or column.rank < ranks[meaning])):
                currency = column.currency
                told[meaning] = value if currency is None or value is None else with_currency(value, currency)
                ranks[meaning] = column.rank
        for meaning, value in self.defaults.items():
            told.setdefault(meaning, value)
        return told

    def _new(self, path: str) -> Column:
        """Return the column of a path that is not known, and remember it."""
        column = self._column(path, 0)
        if len(self._by_path) < MOST_PATHS:
            self._by_path[path] = column
            if path not in self._names:
                self._names.add(path)
                self.columns.append(column)
        return column

    def _add(self, told: dict[str, Any], meaning: str, value: Any) -> None:
        """Add to one of the lists: pictures, options, attributes."""
        kind, _, name = meaning.partition(".")
        if meaning in _LISTED:
            told.setdefault("images", []).extend(self._pictures(value))
        elif name:
            texts = map(plain, _each(value))
            told.setdefault(f"{kind}s", []).extend([name, text] for text in texts if text)
        else:
            told.setdefault(kind, []).extend(_pairs(value))

    def _pictures(self, value: Any) -> list[list[str | None]]:
        if isinstance(value, str):
            return read_images(value) if self.known.exact else addresses(value)
        found: list[list[str | None]] = []
        for one in _each(value):
            if isinstance(one, str) and (text := one.strip(_QUOTED)):
                found.append([text, None])
            elif (pair := as_list(one)) is not None:
                found.append([*pair, None, None][:2])
            elif (fields := as_object(one)) is not None and fields.get("disabled") is not True:
                alt = plain(fields.get("alt") or fields.get("altText") or fields.get("label")) or None
                found += [[url, alt]] if (url := address_of(fields)) else []
        return found

    def raw(self, draft: Draft) -> dict[str, Any]:
        """Return the row as in the file, with values taken from another row filled in, so that it is complete."""
        if draft.row.fields is not None:
            return dict(draft.row.fields)
        cells = draft.row.cells
        if draft.base is not None:
            inherited = [
                own or (other if column.meaning not in _OWN else own)
                for own, other, column in zip(cells, draft.base.cells, self.columns, strict=True)
            ]
            cells = inherited
        return {column.name: cell for column, cell in zip(self.columns, cells, strict=True)}


_OWN = frozenset(
    (
        *("sku", "id", "price", "salePrice", "regularPrice", "compareAtPrice", "stock", "gtin", "image", "imageAlt"),
        *("imagePosition", "variantImage", "type"),
    )
)
"""Meanings that a variant does not inherit from its product."""


def _each(value: Any) -> list[Any]:
    """Return the elements of a list, or the value itself as the only one."""
    found = as_list(value)
    return [value] if found is None else found


def _worded(value: Any) -> str:
    """Return a value as text; of an object, its label."""
    fields = as_object(value)
    return plain(value) if fields is None else plain(fields.get("label") or fields.get("name") or fields.get("key"))


def _pairs(value: Any) -> list[list[str]]:
    """Return names and values from any of the usual forms."""
    if isinstance(value, str):
        return read_pairs(value)
    found: list[list[str]] = []
    for one in as_list(value) or []:
        if (listed := as_list(one)) is not None:
            pair = [plain(part) for part in listed]
            found += [pair] if len(pair) == 2 and all(pair) else []  # noqa: PLR2004 - a name and a value
        elif (fields := as_object(one)) is not None:
            name = plain(fields.get("name") or fields.get("label") or fields.get("attribute_code"))
            told = fields.get("value", fields.get("option", fields.get("options", fields.get("values"))))
            found += [[name, text] for text in map(_worded, _each(told)) if name and text]
    return found
