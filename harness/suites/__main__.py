"""``python -m harness.suites``: run Strawberry's and graphql-core's test suites on what is here.

graphql-core's tests come with its source distribution, which is downloaded in the installed version and must have a
hash of ours. Strawberry's does not carry any: ``vendor/strawberry`` has a copy, and a checkout of its repository is
named by ``--strawberry`` or ``STRAWBERRY``. Tests are copied into a folder of their own, so that they run on the
installed packages.

A test that fails has its reason in `reasons`. One that has none is run on the stock packages: where it fails there as
well, as tests of another version than the installed one do, it is nobody's fault here; otherwise the command fails.

The router answers as Strawberry's (``as_strawberry``). What asks it is run a second time by its defaults, to tell which
tests pass for that.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from harness.suites.copies import VENDORED, lay, vendored
from harness.suites.reasons import AS_STRAWBERRY, REASONS, reason_of

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "requirements" / "base.txt"
PACKAGES = ROOT / ".venv" / "suites"
_SETTINGS = "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\ntimeout = 120\n"


class Suite(NamedTuple):
    """A suite: the tests of it that say something here, and the plugin that has them run on what is here."""

    name: str
    plugin: str
    tests: tuple[str, ...]
    served: tuple[str, ...] = ()
    """Those of `tests` that ask the router."""


SUITES = {
    "strawberry": Suite(
        "Strawberry", "schemas",
        ("tests/schema", "tests/federation", "tests/relay", "tests/http", "tests/websockets"),
        ("tests/http", "tests/websockets"),
    ),
    "core": Suite("graphql-core", "core", ("tests/execution",)),
}  # fmt: skip


class Result(NamedTuple):
    """What became of a suite."""

    suite: Suite
    source: str
    passed: int
    reasons: dict[str, str]
    """Tests that fail, and why."""
    theirs: list[str]
    """Those without a reason that fail on the stock packages as well."""
    unknown: dict[str, str]
    """The others that fail, and how."""
    as_strawberry: list[str]
    """Those that pass because the router answers as Strawberry's does, which it does if it is told to."""


def main() -> int:
    """Run what was asked for; 1 if a test fails without a reason."""
    parser = argparse.ArgumentParser(prog="python -m harness.suites", description=__doc__)
    parser.add_argument("suite", nargs="*", choices=[*SUITES, []], help="these alone")
    parser.add_argument("--strawberry", default=os.environ.get("STRAWBERRY"), help="a checkout instead of the copy")
    parser.add_argument("--into", type=Path, help="write the table into this Markdown file")
    chosen = parser.parse_args()
    results: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="suites") as made:
        for name in chosen.suite or SUITES:
            folder = Path(made) / name
            source = _lay_core(folder) if name == "core" else _lay_strawberry(chosen.strawberry, folder)
            results.append(_tried(SUITES[name], source, folder))
    for one in results:
        print(f"{one.suite.name} ({one.source}): {one.passed} passed, {len(one.reasons)} failed for a reason, "
              f"{len(one.theirs)} that fail without us, too, {len(one.unknown)} without a reason")  # fmt: skip
        for test, told in one.unknown.items():
            print(f"\n{test}\n{told}")
    if chosen.into is not None:
        chosen.into.write_text(_page(results))
    return 1 if any(one.unknown for one in results) else 0


def _lay_strawberry(checkout: str | None, folder: Path) -> str:
    source = Path(checkout) if checkout is not None else VENDORED
    lay(source, folder)
    told = (
        vendored() if checkout is None else tomllib.loads((source / "pyproject.toml").read_text())["project"]["version"]
    )
    return f"tests of {told} on {version('strawberry-graphql')}"


def _lay_core(folder: Path) -> str:
    folder.mkdir()
    installed = version("graphql-core")
    pinned = re.search(rf"^graphql-core=={re.escape(installed)} (\\\n +--hash=\S+ ?)+", LOCK.read_text(), re.MULTILINE)
    if pinned is None:
        sys.exit(f"{LOCK.name} does not know graphql-core {installed}, which is installed.")
    (folder / "core.txt").write_text(pinned[0].rstrip())
    get = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "graphql-core"]
    get += ["--require-hashes", "--requirement", str(folder / "core.txt"), "--dest", str(folder)]
    subprocess.run(get, check=True, timeout=300)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        opened.extractall(folder, filter="data")
    for part in ("tests", "docs"):
        shutil.move(folder / archive.name.removesuffix(".tar.gz") / part, folder / part)
    return installed


def _tried(suite: Suite, source: str, folder: Path) -> Result:
    (folder / "pytest.ini").write_text(_SETTINGS)
    outcomes = _run(suite, folder, suite.tests)
    failing = {test: told for test, (outcome, told) in outcomes.items() if outcome in {"failed", "error"}}
    reasons = {test: reason for test in failing if (reason := reason_of(test)) is not None}
    unknown = {test: told for test, told in failing.items() if test not in reasons}
    stock = _run(suite, folder, [_stock(test) for test in unknown], SUITE_STOCK="1") if unknown else {}
    theirs = [test for test in unknown if stock.get(_stock(test), ("passed", ""))[0] in {"failed", "error"}]
    passed = sum(outcome == "passed" for outcome, _ in outcomes.values())
    for test in theirs:
        del unknown[test]
    by_default = _run(suite, folder, suite.served, SUITE_DEFAULTS="1") if suite.served else {}
    told = [one for one, (how, _) in by_default.items() if how in {"failed", "error"} and one not in failing]
    return Result(suite, source, passed, reasons, theirs, unknown, told)


def _stock(test: str) -> str:
    return test.replace("RouterClient", "AsgiHttpClient")


def _run(suite: Suite, folder: Path, tests: tuple[str, ...] | list[str], **more: str) -> dict[str, tuple[str, str]]:
    outcomes = folder / "outcomes.json"
    outcomes.unlink(missing_ok=True)
    path = os.pathsep.join((str(PACKAGES), str(ROOT)))
    plugins = [f"-pharness.suites.{suite.plugin}", "-pharness.suites.outcomes", "-pno:randomly", "-pno:schemathesis"]
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--tb=no", *plugins, "-n", "2", *tests],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path, "SUITE_OUTCOMES": str(outcomes), **more},
        check=False,
        timeout=3600,
    )
    return json.loads(outcomes.read_text())


def _page(results: list[Result]) -> str:
    lines = [
        "# Other projects' suites",
        "",
        "Strawberry's tests on the compiled executor and the router, and graphql-core's on the compiled executor, as",
        "`make suites` runs them, and `.ci/run` with it. Releases of Strawberry carry no tests:",
        "[a copy](decisions/suites.md) is in `vendor/strawberry`, and `STRAWBERRY` names a checkout instead.",
        "",
        "| suite | passed | fail, with a reason below | fail without us, too |",
        "|---|---|---|---|",
        *(
            f"| {one.suite.name}, {one.source} | {one.passed} | {len(one.reasons)} | {len(one.theirs)} |"
            for one in results
        ),
    ]
    for reason, text in REASONS.items():
        tests = _names(test for one in results for test, why in one.reasons.items() if why == reason)
        if tests:
            lines += ["", f"## {text}", "", *tests]
    told = _names(test for one in results for test in one.as_strawberry)
    if told:
        lines += ["", f"## {AS_STRAWBERRY}", "", *told]
    return "\n".join(lines) + "\n"


def _names(tests: Iterable[str]) -> list[str]:
    return [f"- `{one.removeprefix('tests/')}`" for one in sorted({test.partition("[")[0] for test in tests})]


if __name__ == "__main__":
    sys.exit(main())
