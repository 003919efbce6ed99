"""Makes the processes of a run with several of them forks of one that has imported every test.

To import them, and all that they use, took each process two thirds of what it did before its first test. The one that
has imported them has collected the tests once, as pytest does, and its forks find the modules there. When that went
wrong there are no forks, and each process sees for itself what is wrong.
"""

from __future__ import annotations

import json
import shlex
import sys
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from harness.folders import socket_folder
from tests.support.processes import forks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from execnet import XSpec


def take_forks(config: pytest.Config, specs: Sequence[XSpec]) -> None:
    """Have the processes of these specs started as forks, where processes may fork whatever they have loaded."""
    if sys.platform != "linux" or config.pluginmanager.hasplugin("_cov"):  # coverage begins before imports
        return
    ours = [spec for spec in specs if spec.popen and not spec.python and not spec.chdir]
    if ours:
        words = json.dumps(list(config.invocation_params.args))
        socket = forks.start(__name__, words, folder=socket_folder("lt"))
        for spec in ours:
            spec.python = shlex.join([sys.executable, "-I", "-S", forks.__file__, socket])


def _run(words: Sequence[str]) -> None:
    """Be ``python -u -c PROGRAM``."""
    main = ModuleType("__main__")
    sys.modules["__main__"] = main
    sys.argv = ["-c"]
    exec(words[-1], vars(main))


if __name__ == "__main__":
    status = pytest.main([*json.loads(sys.argv[2]), "-n0", "--collect-only"])
    if status in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}:
        forks.serve(int(sys.argv[1]))
        forks.end_after(lambda: _run(sys.argv[1:]))
