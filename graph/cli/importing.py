"""The output of ``graph import``: what was detected, the result, and the file of rows that were left out."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from graph.cli import support

if TYPE_CHECKING:
    from graph.catalog.importing import Found, ImportedProduct, ImportOptions, Problem, Report

_SHOWN = 20
"""How many bad rows are shown individually."""
_REASONS = 20
_WIDE = 60


def options(
    kind: str | None, columns: Sequence[str], defaults: Sequence[str], decimal: str | None, encoding: str | None
) -> "ImportOptions":
    """Return the options that the command line gives for the file."""
    from graph.catalog.importing import FORMATS, SHAPES, ImportOptions, Unreadable, read_map

    shapes = set(SHAPES.values())
    if kind is not None and kind not in shapes and kind not in FORMATS:
        support.fail(f"--format {kind}: one of {', '.join((*sorted(shapes), *FORMATS))}")
    if decimal not in (None, ".", ","):
        support.fail(f"--decimal {decimal}: . or ,")
    try:
        return ImportOptions(
            shape=kind if kind in shapes else None,  # pyright: ignore[reportArgumentType] - one of them
            format=kind if kind in FORMATS else None,
            encoding=encoding,
            columns=read_map(columns),
            defaults=read_map(defaults, "--default"),
            decimal=decimal,
        )
    except Unreadable as error:
        support.fail(str(error))


START, END = "<!-- formats: made by `make formats` -->", "<!-- end of formats -->"


def as_markdown() -> str:
    """Return the tables of meanings, and of the columns of each format, as Markdown."""
    from graph.catalog.importing import FORMATS, MEANINGS

    lines = ["| meaning | what it is |", "|---|---|"]
    lines += [f"| `{name}` | {text.replace('|', chr(92) + '|')} |" for name, text in MEANINGS.items()]
    lines += ["| `attribute.NAME`, `option.NAME` | an attribute or option of this name |"]
    for known in FORMATS.values():
        lines += ["", f"### {known.title}", ""]
        signs = "; or ".join(", ".join(sign) for sign in known.signs[:3])
        lines += [f"`--format {known.name}`. " + (f"Recognised by the columns {signs}." if signs else ""), ""]
        lines += ["| meaning | columns |", "|---|---|"]
        for meaning, names in known.columns.items():
            shown = ", ".join(f"`{name}`" for name in names)
            lines.append(f"| `{meaning}` | {shown} |")
    return "\n".join(line.rstrip() for line in lines)


def rewrite(document: str) -> str:
    """Return `document` with the text between its two marks replaced."""
    return support.between(document, START, END, as_markdown())


class Screen:
    """Shows the problems and the progress of an import."""

    def __init__(self, file: Path, rejects: Path | None, *, dry_run: bool) -> None:
        """Show the import of `file`; rows left out go to `rejects`, by default beside it, except in a `dry_run`."""
        self.file = file
        self._dry_run = dry_run
        self._rejects = _Rejects(rejects, file) if not dry_run or rejects is not None else None
        self._shown = 0
        self._reasons: Counter[str] = Counter()
        self._examples: dict[str, str] = {}

    def close(self) -> None:
        """Close the file of rejects."""
        if self._rejects is not None:
            self._rejects.close()

    def problem(self, problem: "Problem") -> None:
        """Show a row that is left out, and write it to the file of rejects."""
        self._count(problem)
        self._shown += 1
        if self._shown <= _SHOWN:
            typer.echo(f"{self.file}:{problem.line}: {_one_line(str(problem))}", err=True)
        elif self._shown == _SHOWN + 1:
            typer.echo("Further bad rows are only counted.", err=True)
        if self._rejects is not None:
            self._rejects.add(problem)

    def note(self, problem: "Problem") -> None:
        """Count a remark on an accepted row."""
        self._count(problem)

    def _count(self, problem: "Problem") -> None:
        reason = problem.reason
        if reason not in self._reasons and len(self._reasons) >= _REASONS * 10:
            reason = "Other reasons."  # each with a different value: memory stays bounded
        self._reasons[reason] += 1
        shown = f"line {problem.line}" + (f", {problem.field}: {problem.value!r}" if problem.value else "")
        self._examples.setdefault(reason, shown)

    def tell(self, report: "Report") -> None:
        """Print the result."""
        if self._dry_run and report.found is not None:
            _tell_found(report.found)
            _tell_examples(report.examples)
        if report.refused:
            return
        would = " (dry run: nothing was changed)" if self._dry_run else ""
        merged = f"{report.merged:,} part of others, " if report.merged else ""
        typer.echo(
            f"{report.rows:,} rows: {report.created:,} created, {report.updated:,} updated, "
            f"{report.unchanged:,} unchanged, {merged}{report.bad:,} bad{would}."
        )
        if not self._dry_run and report.found is not None:
            for doubt in report.found.doubts:
                typer.echo(f"  {doubt}", err=True)
        if len(self._reasons) > 1 or self._shown > _SHOWN or report.notes:
            for reason, count in self._reasons.most_common(_REASONS):
                typer.echo(f"  {count:,} × {_one_line(reason)} First: {_one_line(self._examples[reason])}", err=True)
        if self._rejects is not None and self._rejects.count:
            typer.echo(
                f"Rows that were left out are in {self._rejects.path}: correct them there and import that file.",
                err=True,
            )

    def interrupted(self, report: "Report") -> None:
        """Print what was imported before the interruption."""
        if self._dry_run:
            return
        typer.echo(
            f"Interrupted: of the rows so far {report.created:,} were created, {report.updated:,} updated, "
            f"{report.unchanged:,} unchanged and {report.bad:,} bad. Imported rows stay; import again for the rest.",
            err=True,
        )


class _Rejects:
    """Writes the rows that were left out, as in their file and with the reason, as CSV or NDJSON like the file."""

    def __init__(self, path: Path | None, file: Path) -> None:
        self._told = path
        self._file = file
        self._out: Any = None
        self._columns: list[str] = []
        self.path = path or file
        self.count = 0

    def add(self, problem: "Problem") -> None:
        raw = problem.raw
        if raw is None:
            return  # the row could not be read at all
        import csv

        table = problem.tabular
        if self._out is None:
            ending = "csv" if table else "ndjson"
            self.path = self._told or self._file.with_name(f"{self._file.name}.rejects.{ending}")
            self._out = self.path.open("w", newline="", encoding="utf-8")
            if table:
                self._columns = list(raw)
                csv.writer(self._out).writerow([*self._columns, "problem"])
        self.count += 1
        if table:
            cells = [raw.get(name, "") for name in self._columns]
            csv.writer(self._out).writerow([*cells, str(problem)])
        else:
            self._out.write(json.dumps(raw | {"problem": str(problem)}, ensure_ascii=False, default=_number) + "\n")

    def close(self) -> None:
        if self._out is not None:
            self._out.close()


def _number(value: Any) -> Any:
    """Return a decimal as a JSON number."""
    return int(value) if value == value.to_integral_value() else float(value)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _tell_found(found: "Found") -> None:
    how = [found.shape.upper(), found.encoding]
    how += [f"separated by {found.delimiter!r}"] if found.delimiter else []
    how += [found.packed] if found.packed else []
    typer.echo(f"Format: {found.format} ({found.title}); {', '.join(how)}.")
    for column, meaning in found.columns:
        typer.echo(f"  {column} → {meaning}")
    if found.ignored:
        typer.echo(f"Ignored: {', '.join(found.ignored)}.")
    for doubt in found.doubts:
        typer.echo(f"Note: {doubt}")


def _tell_examples(changes: "Sequence[ImportedProduct]") -> None:
    from graph.catalog.importing import readable

    for change in changes:
        typer.echo(f"{change.sku}:")
        for name, value in readable(change):
            text = _one_line(str(value))
            typer.echo(f"  {name}: {text if len(text) <= _WIDE else text[:_WIDE] + '...'}")
