"""Reads XML feeds: RSS and Atom (Google Merchant Center), and lists of products in elements named so.

A row is an element `item`, `entry`, `product`, `offer` and the like: its fields are the elements in it, named without
their namespaces; what is repeated becomes a list, what contains elements an object. Attributes are fields, too
(``<price currency="EUR">`` gives ``price.currency``).

Failure: a document that is not well-formed, or declares entities, ends the reading with `Unreadable`; the rows before
that are read. Memory stays flat: a row of more than `lines.MAX_ROW` characters is skipped and reported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO
from xml.parsers import expat

from graph.catalog.importing.files.lines import MAX_ROW, TOO_LONG
from graph.catalog.importing.problems import Problem, Row, Unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator

_CHUNK = 1 << 16
_DEEPEST = 20
_ROWS = frozenset(
    (
        *("item", "entry", "product", "offer", "article", "shopitem", "artikel", "produkt", "produit", "prodotto"),
        *("producto", "articolo", "articulo"),
    )
)


def feed(file: BinaryIO) -> Iterator[Row | Problem]:
    """Yield the rows of a feed in UTF-8."""
    reading = _Feed()
    while True:
        chunk = file.read(_CHUNK)
        failed = None
        try:
            reading.parser.Parse(chunk, not chunk)
        except expat.ExpatError as error:
            failed = Unreadable(f"Not XML: {expat.ErrorString(error.code)}.", error.lineno)
        except Unreadable as error:
            failed = error
        yield from reading.rows
        reading.rows.clear()
        if failed is not None:
            raise failed
        if not chunk:
            return


class _Feed:
    """The handlers of a parser: they collect rows."""

    def __init__(self) -> None:
        self.rows: list[Row | Problem] = []
        self.parser = expat.ParserCreate("utf-8")
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._begin
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self.parser.EntityDeclHandler = self._declared
        self._open: list[tuple[str, dict[str, Any], list[str]]] = []
        self._line = 0
        self._size = 0

    def _declared(self, *_: object) -> None:
        raise Unreadable("The file declares entities, which are not read.", self.parser.CurrentLineNumber)

    def _begin(self, tag: str, attributes: dict[str, str]) -> None:
        name = tag.rpartition(":")[2]
        if not self._open and name.lower() not in _ROWS:
            return
        if len(self._open) > _DEEPEST:
            raise Unreadable("nested too deep", self.parser.CurrentLineNumber)
        if not self._open:
            self._line, self._size = self.parser.CurrentLineNumber, 0
        self._open.append((name, {}, []))
        self._size += len(tag) + sum(map(len, (*attributes, *attributes.values())))
        if self._size > MAX_ROW:
            return
        for attribute, value in attributes.items():
            bare = attribute.rpartition(":")[2]
            if len(self._open) == 1:
                self._open[0][1].setdefault(bare, value)
            else:
                self._open[-2][1].setdefault(f"{name}.{bare}", value)

    def _text(self, text: str) -> None:
        if self._open:
            self._size += len(text)
            if self._size <= MAX_ROW:
                self._open[-1][2].append(text)

    def _end(self, _tag: str) -> None:
        if not self._open:
            return
        name, fields, parts = self._open.pop()
        if not self._open:
            long = self._size > MAX_ROW
            self.rows.append(Problem(self._line, TOO_LONG) if long else Row(self._line, [], fields))
            return
        if self._size > MAX_ROW:
            return
        value: Any = fields or "".join(parts).strip()
        siblings = self._open[-1][1]
        if name not in siblings:
            siblings[name] = value
        elif isinstance(siblings[name], list):
            siblings[name].append(value)
        else:
            siblings[name] = [siblings[name], value]
