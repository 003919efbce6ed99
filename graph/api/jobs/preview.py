"""What an import would make of an uploaded file, before it is imported."""

from __future__ import annotations

from typing import Annotated

import strawberry

from graph.api.errors import InvalidInput
from graph.catalog.importing import ImportedProduct, Preview, readable

LONGEST_VALUE = 200
"""Characters of a value that a preview shows."""
PROBLEMS = 5
"""Bad rows that it tells of."""


@strawberry.type(description="A column of a file and what it was taken for.")
class ImportColumn:
    column: str
    meaning: str


@strawberry.type(description="A value as it would be written, in readable form.")
class ImportValue:
    name: str
    value: str


@strawberry.type(description="A product as it would be written.")
class ImportExample:
    sku: str
    values: list[ImportValue]

    @classmethod
    def of(cls, product: ImportedProduct) -> ImportExample:
        values = [ImportValue(name=name, value=_short(str(value))) for name, value in readable(product)]
        return cls(sku=product.sku, values=values)


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"


@strawberry.type(description="What an import would make of a file: what it is, and its first rows. Nothing is written.")
class ImportPreview:
    """The result of a successful previewImport."""

    format: str = strawberry.field(description="The program or the kind of file whose columns these are.")
    shape: str = strawberry.field(description="csv, json, ndjson or xml.")
    encoding: str
    columns: list[ImportColumn] = strawberry.field(description="The columns that are read, in the file's order.")
    ignored: list[str] = strawberry.field(description="The columns that are not read.")
    doubts: list[str] = strawberry.field(description="What the file leaves open, and how it is read.")
    rows: int = strawberry.field(description="How many rows were looked at, from the first on.")
    complete: bool = strawberry.field(description="Whether those are all rows of the file.")
    created: int = strawberry.field(description="Products of those rows that would be added.")
    updated: int = strawberry.field(description="Products that would be changed.")
    unchanged: int = strawberry.field(description="Products that are like this already.")
    bad: int = strawberry.field(description="Rows that would be left out.")
    problems: list[str] = strawberry.field(description="Why, of the first of them.")
    examples: list[ImportExample] = strawberry.field(description="The first products.")

    @classmethod
    def of(cls, seen: Preview) -> ImportPreview:
        found = seen.found
        return cls(
            format=found.title,
            shape=found.shape,
            encoding=found.encoding,
            columns=[ImportColumn(column=column, meaning=meaning) for column, meaning in found.columns],
            ignored=list(found.ignored),
            doubts=list(found.doubts),
            rows=seen.rows,
            complete=seen.complete,
            created=seen.created,
            updated=seen.updated,
            unchanged=seen.unchanged,
            bad=len(seen.problems),
            problems=[f"Line {one.line}: {one}" for one in seen.problems[:PROBLEMS]],
            examples=[ImportExample.of(one) for one in seen.examples],
        )


PreviewImportResult = Annotated[ImportPreview | InvalidInput, strawberry.union("PreviewImportResult")]
