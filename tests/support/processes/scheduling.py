"""Which tests of a run with several processes are in one of them."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from xdist.scheduler import LoadScopeScheduling

if TYPE_CHECKING:
    from pathlib import Path


class FilesWithFixtures(LoadScopeScheduling):
    """Hands out tests one by one, but all of a file that has a fixture of its own to one process.

    That is often a server, of which each process would start its own. xdist's own groups do nothing under pytest 9.2:
    it adds the group to the id of a test, in an attribute that pytest no longer reads.
    """

    def _split_scope(self, nodeid: str) -> str:
        """Return what is handed out as one: the test's file, or the test."""
        file = nodeid.partition("::")[0]
        return file if _has_fixtures(self.config.rootpath / file) else nodeid


@cache
def _has_fixtures(file: Path) -> bool:
    return 'scope="module"' in file.read_text(encoding="utf-8")
