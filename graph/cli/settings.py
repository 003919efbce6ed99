"""Shows the settings as a table, on a terminal or in the README."""

from typing import TYPE_CHECKING, Any

from pydantic_core import PydanticUndefined

from graph.cli import support
from graph.settings import Settings
from graph.settings_group import SettingsGroup, without_password

if TYPE_CHECKING:
    from rich.console import Console

START, END = "<!-- settings: made by `make settings` -->", "<!-- end of settings -->"


def shown(value: Any) -> str:
    """Return a value as it is written in an environment variable."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return without_password(value) if isinstance(value, str) and "://" in value else str(value)


def as_markdown() -> str:
    """Return a Markdown table with a row per setting: variable, default, meaning."""
    rows = ["| variable | default | meaning |", "|---|---|---|"]
    for variable, _, _, field in Settings.fields():
        assert field.default is not PydanticUndefined, f"{variable} has no default"
        default = shown(field.default)
        rows.append(f"| `{variable}` | {f'`{default}`' if default else ''} | {field.description} |")
    return "\n".join(rows)


def rewrite(document: str) -> str:
    """Return `document` with the table between its two marks replaced."""
    return support.between(document, START, END, as_markdown())


def show(settings: Settings, console: "Console") -> None:
    """Print the current settings; those that were set are highlighted."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for title in ("variable", "value", "meaning"):
        table.add_column(title, overflow="fold")
    groups: list[SettingsGroup] = [getattr(settings, name) for name, _ in Settings.groups()]
    for values in (*groups, *settings.of(support.application(settings).settings)):
        group = type(values)
        for name, field in group.model_fields.items():
            style = "bold" if name in values.model_fields_set else "dim"
            meaning = (field.description or "").replace("`", "")
            value = escape(shown(getattr(values, name)))
            table.add_row(f"[{style}]{group.variable(name)}[/]", f"[{style}]{value}[/]", escape(meaning))
    console.print(table)
