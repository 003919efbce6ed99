"""How the suite runs; its fixtures are in `tests.support.fixtures`."""

from __future__ import annotations

import gc
import os
from typing import TYPE_CHECKING

import pytest

from harness.folders import socket_folder
from tests.support.processes import forks, hashers, loaded_tests
from tests.support.processes.scheduling import FilesWithFixtures

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from execnet import XSpec
    from xdist.remote import Producer


def _forget_what_is_set() -> None:
    """Take variables away that a person has set: they change what programs print and where clients connect."""
    for name in list(os.environ):
        if (
            name.startswith("GRAPH_")
            or name.lower().endswith("_proxy")
            or name in {"COLUMNS", "FORCE_COLOR", "NO_COLOR"}
        ):
            del os.environ[name]


_forget_what_is_set()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --full: heavy tests run at all, and the others at the size that the guarantees are stated for."""
    parser.addoption("--full", action="store_true", help="run heavy tests, and races and faults at full size")


def pytest_configure(config: pytest.Config) -> None:
    """Load the fixtures, and all that they use, wherever tests are run: a process that hands them out needs none."""
    _forget_what_is_set()  # again: readline has set some, and a fork imports nothing
    if config.getoption("dist", "no") == "no":
        config.pluginmanager.import_plugin("tests.support.fixtures")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what belongs to `make full`."""
    for item in items:
        heavy = item.get_closest_marker("heavy") is not None
        if heavy and not item.config.getoption("--full"):
            item.add_marker(pytest.mark.skip(reason="with --full"))
        if heavy or "scaled" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.full)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> FilesWithFixtures:
    """Let a fixture of a module be made in one process."""
    return FilesWithFixtures(config, log)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config: pytest.Config, specs: Sequence[XSpec]) -> None:
    """Let the processes of a run be forks of one process, and take forks of another."""
    forks.share("tests.support.processes.fork_server", socket_folder("fs"))
    forks.share(hashers.NAME, socket_folder("ha"))
    loaded_tests.take_forks(config, specs)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for no garbage while modules are imported, nor in them ever after: that took a sixth of the tests' time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()
        gc.set_threshold(10_000, 10, 10)
