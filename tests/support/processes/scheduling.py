"""Which tests of a run with several processes are in one of them."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from xdist.scheduler import LoadScopeScheduling

if TYPE_CHECKING:
    from pathlib import Path

    from xdist.workermanage import WorkerController


class FilesWithFixtures(LoadScopeScheduling):
    """Hands out tests one by one, but all of a file that has a fixture of its own to one process.

    That is often a server, of which each process would start its own. xdist's own groups do nothing under pytest 9.2:
    it adds the group to the id of a test, in an attribute that pytest no longer reads.
    """

    def _split_scope(self, nodeid: str) -> str:
        """Return what is handed out as one: the test's file, or the test."""
        file = nodeid.partition("::")[0]
        return file if _has_fixtures(self.config.rootpath / file) else nodeid

    def remove_node(self, node: WorkerController) -> str | None:
        """Take a process out; returns the test during which it died, which has failed and is not run again.

        xdist would have the next process run it, and die of it as well.
        """
        units = self.assigned_work[node]
        pending = [(scope, test) for scope, unit in units.items() for test, is_over in unit.items() if not is_over]
        if not pending:
            return super().remove_node(node)
        scope, died = pending[0]
        units[scope][died] = True
        left = {scope: unit for scope, unit in units.items() if not all(unit.values())}
        del self.assigned_work[node]
        self.workqueue.update(left)
        for other in self.assigned_work:
            self._reschedule(other)
        return died


@cache
def _has_fixtures(file: Path) -> bool:
    return 'scope="module"' in file.read_text(encoding="utf-8")
