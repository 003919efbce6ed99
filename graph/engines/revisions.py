"""Which migration a database is at, which is the newest, and the way from one to the other.

Alembic takes a tenth of the time that `graph serve` takes to start, so it is loaded only where there is something to
migrate: the files are read for their names, and the database is asked for its own. `head_revision` raises ValueError
where the files have no single newest one.

The server's own migrations come first. Those of a feature beside them (`graph.feature.Feature.migrations`) are a line
of their own, noted in a table of their own, so that neither has to know which of the other's is the newest.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.engine import Connection

_MIGRATIONS = Path(__file__).parent / "migrations"
_NAMES = re.compile(r"^(?P<down>down_)?revision\b[^=\n]*=(?P<names>.*)$", re.MULTILINE)
_QUOTED = re.compile(r"""["']([^"']+)["']""")


@dataclass(frozen=True, slots=True)
class Migrations:
    """A line of migrations: the folder of its files, and the table that notes which of them the database is at."""

    folder: Path
    table: str = "alembic_version"


OURS = Migrations(_MIGRATIONS / "versions")


def head_revision(migrations: Migrations = OURS) -> str:
    """The newest migration this version of the program knows: the one that no other comes after."""
    known: set[str] = set()
    before: set[str] = set()
    for path in migrations.folder.glob("*.py"):
        for line in _NAMES.finditer(path.read_text(encoding="utf-8")):
            (before if line["down"] else known).update(_QUOTED.findall(line["names"]))
    heads = known - before
    if len(heads) != 1:
        named = ", ".join(sorted(heads)) or "none"
        raise ValueError(f"{migrations.folder} must have one newest migration that no other comes after: {named}")
    return heads.pop()


def current_revision(connection: Connection, migrations: Migrations = OURS) -> str | None:
    """The migration the database is at; None for an empty one."""
    if not connection.dialect.has_table(connection, migrations.table):
        return None
    return connection.scalar(text(f"SELECT version_num FROM {migrations.table}"))  # noqa: S608 - a feature's name


def upgrade(connection: Connection, revision: str, more: Sequence[Migrations] = ()) -> None:
    """Bring the database to `revision` (or ``head``) and the newest of `more`, in the transaction of `connection`."""
    for migrations, wanted in ((OURS, revision), *((one, "head") for one in more)):
        if wanted != "head" or current_revision(connection, migrations) != head_revision(migrations):
            _upgrade(connection, migrations, wanted)


def _upgrade(connection: Connection, migrations: Migrations, revision: str) -> None:
    from alembic import command  # noqa: PLC0415 - see the docstring of the module
    from alembic.config import Config  # noqa: PLC0415 - as above

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("version_locations", str(migrations.folder).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    config.attributes["connection"] = connection
    config.attributes["version_table"] = migrations.table
    command.upgrade(config, revision)
