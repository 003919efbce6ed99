"""Keyset pagination: a page is defined by the values that it starts after, never by an offset.

So a page neither repeats nor skips a product while others are inserted and deleted around it, whatever the sort: each
sort ends in the unique id. A cursor is opaque and versioned; it carries the sort's value and the id of its product,
which need not exist any more. A cursor that is damaged or belongs to another sort or version raises
`graph.errors.BadInput`, as do contradictory arguments.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from functools import cached_property
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, NamedTuple

from graph.catalog import rules
from graph.catalog.records import SCALE, product_of
from graph.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from decimal import Decimal

    from graph.catalog.records import ProductRecord

DEFAULT_SIZE = 20
MAX_SIZE = 100
MAX_SEARCH = 200
MAX_TERMS = 10
MAX_PAIRS = 10
MAX_TEXT = 500

_VERSION = 1
_FORM = 2
"""Of a cached page: another one has another key, because processes of two releases may share a cache."""
_CURSOR_LENGTH = 2000
_MAX_INT = 2**63 - 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Sort(Enum):
    """The sort orders: the value is the column, and whether it is descending."""

    NAME_ASC = ("name_key", False)
    NAME_DESC = ("name_key", True)
    PRICE_ASC = ("price", False)
    PRICE_DESC = ("price", True)
    NEWEST = ("created_at", True)

    @property
    def column(self) -> str:
        """The column sorted by, before the id."""
        return self.value[0]

    @property
    def falling(self) -> bool:
        """Whether the order is descending, in the column and in the id."""
        return self.value[1]


class KeysetPosition(NamedTuple):
    """A position in a sorted list: the sort's value, and the id that breaks ties."""

    value: Any
    id: int


class Edge(NamedTuple):
    """A product on a page of `sort`, with the value it is sorted by, in JSON."""

    product: ProductRecord
    sort: Sort
    value: str | int

    @property
    def cursor(self) -> str:
        """The product's position in the list; made when it is asked for, because most callers ask for the last one."""
        return write_cursor(self.sort, self.value, self.product.id)


@dataclass(frozen=True)
class Page:
    """One page of a sorted list of products.

    Its cached form is `value`: `edges` of a row and what it is sorted by, the flags `next` and `previous`.
    """

    value: Mapping[str, Any]
    sort: Sort

    @property
    def has_next(self) -> bool:
        """Whether more follows."""
        return bool(self.value["next"])

    @property
    def has_previous(self) -> bool:
        """Whether more precedes."""
        return bool(self.value["previous"])

    @property
    def rows(self) -> list[Sequence[Any]]:
        """The products as they are cached, in the order of `graph.catalog.PRODUCT_COLUMNS`."""
        return [row for row, _ in self.value["edges"]]

    @cached_property
    def edges(self) -> tuple[Edge, ...]:
        """The products, with their positions."""
        return tuple([Edge(product_of(row), self.sort, place) for row, place in self.value["edges"]])


EMPTY_PAGE = Page({"edges": (), "next": False, "previous": False}, Sort.NAME_ASC)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which products; None is no condition. Prices are compared as numbers, whatever the currency."""

    category: str | None = None
    search: str | None = None
    min_price: Decimal | None = None
    max_price: Decimal | None = None
    in_stock: bool | None = None
    include_inactive: bool = False
    brand: str | None = None
    group: str | None = None
    attributes: tuple[tuple[str, str], ...] = ()
    """Name and value pairs, all of which the product must have."""

    @property
    def terms(self) -> tuple[str, ...] | None:
        """The words that must each begin a word of the product; None without a search, () if the search has no word."""
        if self.search is None or not self.search.strip():
            return None
        return tuple(dict.fromkeys(rules.words(self.search)))

    @property
    def impossible(self) -> bool:
        """Whether no product can match, so that no query is needed."""
        if self.terms == () or (self.category is not None and not rules.is_slug(self.category)):
            return True
        texts = (self.brand, self.group, *(text for pair in self.attributes for text in pair))
        return any(text is not None and not rules.is_storable(text) for text in texts)

    def check(self) -> None:
        """Refuse a search or filter that would cost too much, with `BadInput`."""
        if self.search is not None and (len(self.search) > MAX_SEARCH or len(self.terms or ()) > MAX_TERMS):
            raise BadInput(f"A search has at most {MAX_SEARCH} characters and {MAX_TERMS} words.", argument="filter")
        texts = (self.brand or "", self.group or "", *(text for pair in self.attributes for text in pair))
        if len(self.attributes) > MAX_PAIRS or any(len(text) > MAX_TEXT for text in texts):
            raise BadInput(
                f"A filter has at most {MAX_PAIRS} attributes, and no text of more than {MAX_TEXT} characters.",
                argument="filter",
            )

    def canonical(self) -> list[Any]:
        """Return a JSON value that is equal for filters that mean the same."""
        low, high = (None if price is None else str(price.normalize()) for price in (self.min_price, self.max_price))
        terms = None if self.terms is None else sorted(self.terms)
        plain = [self.category, terms, low, high, self.in_stock, self.include_inactive]
        more = [self.brand, self.group, sorted(map(list, self.attributes))]
        return plain if more == [None, None, []] else plain + more

    def stored_prices(self) -> tuple[int | None, int | None]:
        """Return the bounds in the stored form of prices, rounded inwards and kept within 64 bits."""
        low = None if self.min_price is None else math.ceil(self.min_price.scaleb(SCALE))
        high = None if self.max_price is None else math.floor(self.max_price.scaleb(SCALE))
        return _bounded(low), _bounded(high)


def _bounded(value: int | None) -> int | None:
    return None if value is None else max(-_MAX_INT, min(_MAX_INT, value))


@dataclass(frozen=True, slots=True)
class PageRequest:
    """One page: `size` products from the start, or from the end if `backward`, between two positions."""

    size: int
    backward: bool = False
    after: KeysetPosition | None = None
    before: KeysetPosition | None = None
    filter: Filter = field(default_factory=Filter)
    sort: Sort = Sort.NAME_ASC

    @classmethod
    def of(
        cls,
        *,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
        filter: Filter | None = None,  # noqa: A002 - the contract's name
        sort: Sort = Sort.NAME_ASC,
    ) -> PageRequest:
        """Read a connection's arguments; raises `BadInput` naming the argument at fault."""
        if first is not None and last is not None:
            raise BadInput("Give first or last, not both.", argument="last")
        for name, size in (("first", first), ("last", last)):
            if size is not None and not 0 <= size <= MAX_SIZE:
                raise BadInput(f"{name} is from 0 to {MAX_SIZE}.", argument=name)
        chosen = filter or Filter()
        chosen.check()
        return cls(
            size=last if last is not None else first if first is not None else DEFAULT_SIZE,
            backward=last is not None,
            after=None if after is None else read_cursor(after, sort, "after"),
            before=None if before is None else read_cursor(before, sort, "before"),
            filter=chosen,
            sort=sort,
        )

    @property
    def key(self) -> str:
        """Return the cache key of the page, equal for requests that mean the same page."""
        ends = [None if end is None else [plain_value(end.value), end.id] for end in (self.after, self.before)]
        return digest([_FORM, self.sort.name, self.size, self.backward, *ends, self.filter.canonical()])


def digest(value: Any) -> str:
    """Return a short digest of a JSON value."""
    return blake2b(json.dumps(value, separators=(",", ":")).encode(), digest_size=16).hexdigest()


def plain_value(value: Any) -> Any:
    """Return a sort's value as JSON; a time becomes whole microseconds."""
    if isinstance(value, datetime):
        elapsed = value - _EPOCH
        return (elapsed.days * 86400 + elapsed.seconds) * 1_000_000 + elapsed.microseconds
    return value


def write_cursor(sort: Sort, value: str | int, number: int) -> str:
    """Return the cursor of the product with the id `number`, given the sort's value in JSON (`plain_value`)."""
    plain = f'[{_VERSION},"{sort.name}",{json.dumps(value) if isinstance(value, str) else value},{number}]'  # JSON
    return base64.urlsafe_b64encode(plain.encode()).decode().rstrip("=")


def read_cursor(cursor: str, sort: Sort, argument: str) -> KeysetPosition:
    """Return the position that `cursor` points to; raises `BadInput` if it was not issued for this sort."""
    problem = BadInput(f"{argument} is not a cursor of this list.", argument=argument)
    if len(cursor) > _CURSOR_LENGTH:
        raise problem
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        version, name, value, row = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, TypeError, RecursionError):
        raise problem from None
    if version != _VERSION or name != sort.name or type(row) is not int or not 0 < row <= _MAX_INT:
        raise problem
    return KeysetPosition(_sort_value(value, sort, problem), row)


def _sort_value(value: Any, sort: Sort, problem: BadInput) -> Any:
    if sort.column == "name_key":
        if type(value) is str and rules.is_storable(value):
            return value
    elif type(value) is int and abs(value) <= _MAX_INT:
        if sort.column == "price":
            return value
        try:
            return datetime.fromtimestamp(value // 1_000_000, UTC).replace(microsecond=value % 1_000_000)
        except (OverflowError, ValueError, OSError):
            raise problem from None
    raise problem
