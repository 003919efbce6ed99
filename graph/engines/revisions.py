"""Which migration a database is at, which is the newest, and the way from one to the other.

Alembic takes a tenth of the time that `graph serve` takes to start, so it is loaded only where there is something to
migrate: the files are read for their names, and the database is asked for its own. `head_revision` raises ValueError
where the files have no single newest one.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import text

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

_MIGRATIONS = Path(__file__).parent / "migrations"
_NAMES = re.compile(r"^(?P<down>down_)?revision\b[^=\n]*=(?P<names>.*)$", re.MULTILINE)
_QUOTED = re.compile(r"""["']([^"']+)["']""")


def head_revision() -> str:
    """The newest migration this version of the program knows: the one that no other comes after."""
    known: set[str] = set()
    before: set[str] = set()
    for path in (_MIGRATIONS / "versions").glob("*.py"):
        for line in _NAMES.finditer(path.read_text(encoding="utf-8")):
            (before if line["down"] else known).update(_QUOTED.findall(line["names"]))
    (head,) = known - before
    return head


def current_revision(connection: Connection) -> str | None:
    """The migration the database is at; None for an empty one."""
    if not connection.dialect.has_table(connection, "alembic_version"):
        return None
    return connection.scalar(text("SELECT version_num FROM alembic_version"))


def upgrade(connection: Connection, revision: str) -> None:
    """Bring the database to `revision` (or ``head``) within the transaction of `connection`."""
    if revision == "head" and current_revision(connection) == head_revision():
        return
    from alembic import command  # noqa: PLC0415 - see the docstring of the module
    from alembic.config import Config  # noqa: PLC0415 - as above

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
