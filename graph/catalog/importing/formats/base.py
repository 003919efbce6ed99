"""What defines a format: the program that exports it, how its header is recognised, what each column means.

A meaning is a name of `MEANINGS`, or ``attribute.NAME`` or ``option.NAME``. A format that spreads one product over
several rows has a `Joiner`, which combines them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from graph.catalog.rules import fold

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from graph.catalog.importing.problems import Problem, Row

MEANINGS: Mapping[str, str] = {
    "sku": "the product's own number; what products are matched by",
    "id": "id in the other system; the sku of a row without one",
    "handle": "name in URLs; the sku of a row without one",
    "name": "name",
    "description": "description; HTML becomes text",
    "shortDescription": "description, if there is no long one",
    "price": "price",
    "regularPrice": "price; `compareAtPrice` if a lower price is given, too",
    "salePrice": "lower price, which applies; the other one becomes `compareAtPrice`",
    "saleFrom": "when the lower price begins",
    "saleTo": "when the lower price ends",
    "reduction": "amount by which the price is lower for a time",
    "reductionPercent": "percentage by which it is lower",
    "reductionKind": "PERCENT if the reduction is a percentage",
    "onSale": "whether the lower price applies",
    "surcharge": "amount that is added to the product's price for a variant",
    "saleDates": "when the lower price begins and ends, with a slash between them",
    "compareAtPrice": "former or usual price, if it is higher",
    "currency": "ISO 4217 code",
    "stock": "items in stock; blank if stock is not counted",
    "inStock": "whether it is available",
    "tracked": "whether (or by what) stock is counted",
    "backorder": "whether it is sold beyond its stock",
    "active": "whether it is shown",
    "hidden": "whether it is not shown",
    "status": "active, or draft, archived and the like",
    "category": "category, perhaps a path of them",
    "groupId": "shared by the variants of one product",
    "parent": "the row of which this is a variant",
    "type": "kind of row",
    "options": "what distinguishes a variant from the others: name=value|name=value",
    "variants": "variants of the product and what they differ in",
    "brand": "brand",
    "gtin": "GTIN (EAN, UPC, ISBN), by its check digit; else the attribute `barcode`",
    "image": "address of one picture",
    "images": "addresses of pictures",
    "imageAlt": "description of the row's picture",
    "imagePosition": "place of the row's picture",
    "variantImage": "the variant's own picture, which comes first",
    "tags": "attributes `tag`",
    "attributes": "attributes: name=value|name=value",
    "features": "attributes: name:value:position,name:value:position",
    "moreAttributes": "attributes: name=value,name=value",
    "locale": "language or shop view; such rows are translations and change nothing",
}
_NUMBERED = ("optionName", "optionValue", "attributeName", "attributeValue", "categoryLevel")


@lru_cache(maxsize=4096)
def key(header: str) -> str:
    """Return a column's name without case, accents, spaces and punctuation, for comparison."""
    return "".join(character for character in fold(header) if character.isalnum())


def is_meaning(name: str) -> bool:
    """Whether this is the name of a meaning."""
    bare = name.rstrip("0123456789")
    return name in MEANINGS or bare in _NUMBERED or name.startswith(("attribute.", "option."))


class Draft(NamedTuple):
    """A product not yet checked: the row's values by meaning, and the row. `base` supplied what the row left out."""

    line: int
    told: dict[str, Any]
    row: Row
    base: Row | None = None


QUANTITY = "current quantity"
"""The attribute that columns of the stock at one place are read as: see `summed_stock`."""
_WHOLE = re.compile(r"-?[0-9]{1,9}(?:\.0+)?")


def summed_stock(told: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a row whose stock is the sum of that at several places."""
    pairs: list[list[Any]] = told.get("attributes", [])
    counted = [value for name, value in pairs if name == QUANTITY]
    changed = {**told, "attributes": [pair for pair in pairs if pair[0] != QUANTITY]}
    if counted and all(_WHOLE.fullmatch(value) for value in counted):
        changed["stock"] = str(sum(int(value.partition(".")[0]) for value in counted))
    elif counted:
        changed["stock"] = next(value for value in counted if not _WHOLE.fullmatch(value))
    return changed


class Lookup(Protocol):
    """What a joiner keeps on disk: see `graph.catalog.importing.shelf`."""

    def family(self, label: str, line: int) -> int:
        """Begin a family: a product whose variants are other rows. It is reported if no variant turns up."""
        ...

    def put(self, name: str, told: dict[str, Any], family: int) -> None:
        """Store the values of a parent; the first ones under a name count."""
        ...

    def get(self, name: str) -> dict[str, Any] | None:
        """Return what was stored under a name, and mark its family as used."""
        ...

    def unused(self) -> Iterable[tuple[str, int]]:
        """Yield labels and lines of the families of which nothing was used."""
        ...


class Joiner:
    """Makes products from rows; this base class makes one from each."""

    surveys = False
    """Whether `survey` must see the whole file before `feed` gets the first row."""

    def __init__(self, kept: Lookup) -> None:
        self.kept = kept
        self.merged = 0
        """Rows that were merged into other rows' products."""
        self.translations = 0

    def survey(self, draft: Draft) -> None:
        """Look at a row before any is fed."""

    def feed(self, draft: Draft) -> Iterable[Draft | Problem]:
        """Yield the products that are complete with this row."""
        return (draft,)

    def end(self) -> Iterable[Draft | Problem]:
        """Yield those that are complete at the end of the file."""
        return ()


@dataclass(frozen=True)
class KnownFormat:
    """A format. `signs` are sets of column names: a header that has all columns of one set is recognised."""

    name: str
    title: str
    columns: Mapping[str, tuple[str, ...]]
    """Meaning → the names of columns that have it, in order of precedence."""
    signs: tuple[tuple[str, ...], ...] = ()
    patterns: Mapping[str, str] = field(default_factory=dict[str, str])
    """Meaning → a pattern that `key` of the column's name matches; a number in it is part of the meaning."""
    levels: str = ">"
    """What separates the levels of a category path."""
    lists: str | None = None
    """What separates several categories."""
    roots: tuple[str, ...] = ()
    """Categories that contain all others and are ignored."""
    joiner: Callable[[Lookup], Joiner] = Joiner
    adds: tuple[str, ...] = ()
    """Meanings that no column has, because the joiner derives them from other columns."""
    attributes: str = ""
    """A pattern for columns that each hold one attribute; its group is the attribute's name."""
    dates: tuple[str, ...] = ()
    """How dates may be written beside ISO 8601, as in `datetime.strptime`."""
    exact: bool = False
    """Whether this project writes the format, so that text is taken literally."""
    escapes: bool = False
    """Whether line breaks are written as a backslash and an n."""

    def __post_init__(self) -> None:
        ranked: dict[str, tuple[int, str]] = {}
        for meaning, names in self.columns.items():
            if not is_meaning(meaning):
                raise ValueError(f"{self.name}: {meaning} is no meaning of a column")
            for rank, name in enumerate(names):
                ranked.setdefault(key(name), (rank, meaning))
        object.__setattr__(self, "_ranked", ranked)
        object.__setattr__(self, "_compiled", [(re.compile(rule), meaning) for meaning, rule in self.patterns.items()])

    def meaning(self, header: str) -> tuple[int, str] | None:
        """Return what a column means, and its precedence among columns of the same meaning (0 is the highest)."""
        ranked: dict[str, tuple[int, str]] = self.__dict__["_ranked"]
        compiled: list[tuple[re.Pattern[str], str]] = self.__dict__["_compiled"]
        found = ranked.get(name := key(header))
        if found is None:
            for rule, meaning in compiled:
                if (match := rule.fullmatch(name)) is not None:
                    number = next((group for group in match.groups() if group is not None and group.isdigit()), "")
                    return int(number or 0), f"{meaning}{int(number)}" if number and meaning in _NUMBERED else meaning
        return found

    def recognises(self, keys: frozenset[str]) -> int:
        """Return the size of the largest sign of which all columns are present; 0 if there is none."""
        return max((len(sign) for sign in self.signs if all(key(name) in keys for name in sign)), default=0)
