"""Lists of rows have the results, and the errors, of lists of objects, and make none that nobody needs."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from enum import Enum
from typing import Any

import pytest
import strawberry

from graph.endpoint import Rows, RowShape
from tests.support.models.twins import Twins

COLUMNS = ("id", "title", "cents", "currency", "pages", "cover", "author")
GOOD = (1, "One", 350, "USD", 20, "soft", "Ann")
MADE: list[int] = []


@strawberry.enum
class Cover(Enum):
    """What a book is bound in."""

    SOFT = "soft"
    HARD = "hard"


@strawberry.interface
class Item:
    """Something with an id, so that the type of an object is checked."""

    id: strawberry.ID


@strawberry.type
class Price:
    """An object of its own in each book."""

    amount: Decimal
    currency: str


@strawberry.type
class Author:
    """An object that may be missing."""

    name: str


@strawberry.type
class Book(Item):
    """Most of it is told by columns."""

    title: str
    price: Price
    pages: int | None
    cover: Cover
    author: Author | None
    tags: list[str] = strawberry.field(default_factory=lambda: ["a", "b"])
    shelf: str = "top"

    @strawberry.field
    def loud(self) -> str:
        """Needs an object."""
        return self.title.upper()


@strawberry.type
class Another(Item):
    """A type that the shape is not of."""

    title: str


def price(cents: int, currency: str) -> Price:
    """The price of a book."""
    return Price(amount=Decimal(cents) / 100, currency=currency)


def author(name: str | None) -> Author | None:
    """The author of a book."""
    return None if name is None else Author(name=name)


def book(row: Sequence[Any]) -> Book:
    """The object of a row; it is counted."""
    MADE.append(1)
    number, title, cents, currency, pages, cover, name = row
    return Book(
        id=strawberry.ID(f"b{number}"), title=title, price=price(cents, currency), pages=pages, cover=Cover(cover),
        author=author(name),
    )  # fmt: skip


SHAPE = RowShape(
    Book,
    book,
    COLUMNS,
    plain=("title", "pages"),
    made={
        "id": ("b{}".format, "id"),
        "price": (price, "cents", "currency"),
        "cover": (Cover, "cover"),
        "author": (author, "author"),
    },
)
INDEXED = RowShape(Author, lambda row: Author(name=row[6]), COLUMNS, plain=(), made={})
"""By the place of a column, so that a row that is too short raises IndexError."""
ROWS: list[Sequence[Any]] = []


@strawberry.type
class Query:
    """The books of a test."""

    @strawberry.field
    def books(self) -> Sequence[Book]:
        return Rows(SHAPE, ROWS)

    @strawberry.field
    def maybe(self) -> Sequence[Book | None] | None:
        return Rows(SHAPE, ROWS)

    @strawberry.field
    def items(self) -> Sequence[Item]:
        return Rows(SHAPE, ROWS)

    @strawberry.field
    def another(self) -> Sequence[Another]:
        return Rows(SHAPE, ROWS)  # pyright: ignore[reportReturnType] - it is wrong

    @strawberry.field
    def authors(self) -> Sequence[Author]:
        return Rows(INDEXED, ROWS)

    @strawberry.field
    async def later(self) -> Sequence[Book]:
        return Rows(SHAPE, ROWS)


TWINS = Twins(strawberry.Schema(Query, types=[Book, Another]))
SELECTIONS = {
    "columns": "title pages",
    "all": "id title price { amount currency } pages cover author { name }",
    "keys of its own": "a: title b: title p: price { c: currency } price { amount }",
    "not told by the shape": "title shelf",
    "a list": "title tags",
    "a resolver": "title loud",
    "its type": "__typename title",
}
WRONG: dict[str, Sequence[Any]] = {
    "no author": (2, "Two", 100, "EUR", None, "hard", None),
    "no title": (3, None, 100, "EUR", 1, "hard", "Bob"),
    "a number for a title": (4, 5, 100, "EUR", 1, "hard", "Bob"),
    "pages out of range": (5, "Five", 100, "EUR", 2**40, "hard", "Bob"),
}
UNMADE: dict[str, Sequence[Any]] = {
    "an unknown cover": (6, "Six", 100, "EUR", 1, "leather", "Bob"),
    "no number of cents": (7, "Seven", None, "EUR", 1, "soft", "Bob"),
    "too short": (8, "Eight"),
}
"""Rows of which there is no object."""


async def told(text: str, times: int = 3) -> list[Any]:
    """What graphql-core comes to, after the compiled operation was found to come to the same, so many times."""
    prepared = TWINS.prepare(text)
    expected = await TWINS.by_core(prepared, {}, None)
    for _ in range(times):
        assert await TWINS.compiled(prepared, {}, None) == expected
    return expected["data"]


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Functions are written before the first row, or after two."""
    monkeypatch.setattr("tests.support.models.twins.OFTEN", 2)
    ROWS[:] = [GOOD, (2, "Two", 1, "EUR", 7, "hard", "Bob")]


@pytest.mark.parametrize("field", ["books", "maybe", "items", "another", "later"])
@pytest.mark.parametrize("selected", SELECTIONS)
async def test_rows_are_what_their_objects_are(field: str, selected: str) -> None:
    """In lists of all kinds, whatever is selected."""
    selection = SELECTIONS[selected]
    if field in {"items", "another"}:
        selection = "id" if field == "items" else "title"
    await told(f"{{ {field} {{ {selection} }} }}")
    await told(f"query Other {{ {field} {{ {selection} }} }}")


@pytest.mark.parametrize("wrong", WRONG)
async def test_a_wrong_row_has_the_errors_of_its_object(wrong: str) -> None:
    """Where one row is not as expected, the objects are made, and what is wrong with them is told in its place."""
    ROWS.append(WRONG[wrong])
    for field in ("books", "maybe"):
        for selected in ("title", *SELECTIONS.values()):
            await told(f"{{ {field} {{ {selected} }} }}")


@pytest.mark.parametrize("wrong", UNMADE)
async def test_a_row_without_an_object_matters_where_the_object_does(wrong: str) -> None:
    """What it lacks is an error for whoever selects that or needs an object, and for nobody else."""
    ROWS.append(UNMADE[wrong])
    for field in ("books", "maybe", "later"):
        for selected in ("all", "not told by the shape", "a resolver"):
            await told(f"{{ {field} {{ {SELECTIONS[selected]} }} }}")
    prepared = TWINS.prepare("{ books { title } }")
    found = [await TWINS.compiled(prepared, {}, None) for _ in range(3)]
    assert found[-1]["errors"] is None


async def test_a_row_that_is_too_short_is_not_the_end() -> None:
    """An IndexError while objects are made is an error of the list, also for who goes through it as a sequence."""
    ROWS[1] = UNMADE["too short"]
    assert await told("{ authors { name } }") == ("NoneType", "None")
    with pytest.raises(IndexError):
        list(Rows(INDEXED, ROWS))


@pytest.mark.parametrize(("selection", "objects"), [(SELECTIONS["all"], 0), ("title loud", 2), ("title shelf", 2)])
async def test_no_object_is_made_that_nobody_needs(selection: str, objects: int) -> None:
    """A selection of what the shape tells makes none, once its function was written; any other makes each of them."""
    prepared = TWINS.prepare(f"{{ books {{ {selection} }} }}")
    for _ in range(3):
        MADE.clear()
        await TWINS.compiled(prepared, {}, None)
    assert len(MADE) == objects


def test_rows_are_a_list_of_objects() -> None:
    """They can be counted, gone through and taken apart, and each object is made once."""
    rows = Rows(SHAPE, ROWS)
    MADE.clear()
    assert len(rows) == 2
    assert not MADE
    assert [one.title for one in rows] == ["One", "Two"]
    assert rows[-1].price.amount == Decimal("0.01")
    assert [one.title for one in rows[:1]] == ["One"]
    assert len(MADE) == 2


def test_a_shape_of_columns_that_are_not_there_is_refused() -> None:
    """At once, and not at the first row."""
    with pytest.raises(ValueError, match="tuple"):
        RowShape(Book, book, COLUMNS, plain=("colour",), made={})
