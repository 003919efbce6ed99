"""Reads the products of a file in checked batches; a repeated sku is a bad row."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

from graph.catalog.importing import bulk
from graph.catalog.importing.objects import plain
from graph.catalog.importing.problems import Problem, Unreadable
from graph.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Iterator

    from graph.catalog.importing.formats.base import Draft
    from graph.catalog.importing.reading import Products

_SHOWN = 200
"""Characters of a value that a problem shows."""


@dataclass(slots=True)
class CheckedBatch:
    """Checked products, the draft of each, the bad rows, notes on good ones, and how far the file has been read."""

    changes: list[bulk.ImportedProduct] = field(default_factory=list[bulk.ImportedProduct])
    drafts: list[Draft] = field(default_factory=list["Draft"])
    problems: list[Problem] = field(default_factory=list[Problem])
    notes: list[Problem] = field(default_factory=list[Problem])
    bytes: int = 0
    merged: int = 0


class Batches:
    """Reads the products of a file batch by batch; the skus seen so far are kept on disk."""

    def __init__(self, products: Products) -> None:
        self._products = products
        self._drafts = iter(products)
        self._unreadable: Unreadable | None = None
        self._merged = 0
        self._batch = CheckedBatch()
        self._line = 0
        products.reading.note = self._note

    def next(self) -> CheckedBatch | None:
        """Return the next batch; None at the end. If the file has a fault, what comes before it is returned first."""
        if self._unreadable is not None:
            raise self._unreadable
        batch = self._batch = CheckedBatch()
        change_of = self._products.reading.change_of
        for draft in self._some(bulk.BATCH):
            if isinstance(draft, Problem):
                batch.problems.append(draft)
                continue
            self._line = draft.line
            try:
                change = change_of(draft.told)
            except Invalid as refused:
                batch.problems.append(self.problem(draft, refused))
            else:
                batch.changes.append(change)
                batch.drafts.append(draft)
        self._set_duplicates_aside(batch)
        batch.bytes = self._products.position
        batch.merged, self._merged = self._products.merged - self._merged, self._products.merged
        if batch.changes or batch.problems or batch.merged:
            return batch
        if self._unreadable is not None:
            raise self._unreadable
        return None

    def problem(self, draft: Draft, refused: Invalid) -> Problem:
        """Return the problem with a row, including the value that caused it."""
        value = plain(draft.told.get(refused.field.partition(".")[0]))
        raw, tabular = self._products.plan.raw(draft), draft.row.fields is None
        return Problem(draft.line, refused.message, refused.field, value[:_SHOWN], raw, tabular)

    def _some(self, count: int) -> Iterator[Draft | Problem]:
        try:
            yield from islice(self._drafts, count)
        except Unreadable as error:
            self._unreadable = error

    def _note(self, reason: str, name: str, value: Any) -> None:
        self._batch.notes.append(Problem(self._line, reason, name, plain(value)[:_SHOWN]))

    def _set_duplicates_aside(self, batch: CheckedBatch) -> None:
        changes, drafts = batch.changes, batch.drafts
        batch.changes, batch.drafts = [], []
        shelf = self._products.shelf
        known = shelf.first_lines([change.sku for change in changes])
        fresh: list[tuple[str, int]] = []
        for change, draft in zip(changes, drafts, strict=True):
            first = known.get(change.sku)
            if first is not None:
                refused = Invalid("sku", f"The sku was on line {first} already.")
                batch.problems.append(self.problem(draft, refused))
                continue
            known[change.sku] = draft.line
            fresh.append((change.sku, draft.line))
            batch.changes.append(change)
            batch.drafts.append(draft)
        shelf.saw(fresh)
