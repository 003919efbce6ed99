"""``python -m harness.suites``: run Strawberry's and graphql-core's test suites on what is here.

graphql-core's tests come with its source distribution, which is downloaded in the installed version. Strawberry's does
not carry any: name a checkout of its repository by ``--strawberry`` or ``STRAWBERRY``; without one its suite is left
out. Tests and their documents are copied into a folder of their own, so that they run on the installed packages.

A test that fails on the stock packages as well, as a checkout of another version has some, is nobody's fault here.
Every other one has its reason in `reasons`; the command fails for one that has none.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from harness.suites.reasons import REASONS, reason_of

ROOT = Path(__file__).parents[2]
PACKAGES = ROOT / ".venv" / "suites"
_SETTINGS = "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\ntimeout = 120\n"


class Suite(NamedTuple):
    """A suite: the tests of it that say something here, and the plugin that has them run on what is here."""

    name: str
    plugin: str
    tests: tuple[str, ...]


SUITES = {
    "strawberry": Suite(
        "Strawberry", "schemas",
        ("tests/schema", "tests/federation", "tests/relay", "tests/http", "tests/websockets"),
    ),
    "core": Suite("graphql-core", "core", ("tests/execution",)),
}  # fmt: skip


class Result(NamedTuple):
    """What became of a suite."""

    suite: Suite
    source: str
    passed: int
    theirs: list[str]
    """Tests that fail on the stock packages as well."""
    failed: dict[str, str | None]
    """The others that fail, by their reasons."""


def main() -> int:
    """Run what was asked for; 1 if a test fails without a reason."""
    parser = argparse.ArgumentParser(prog="python -m harness.suites", description=__doc__)
    parser.add_argument("suite", nargs="*", choices=[*SUITES, []], help="these alone")
    parser.add_argument("--strawberry", default=os.environ.get("STRAWBERRY"), help="a checkout of Strawberry")
    parser.add_argument("--into", type=Path, help="write the table into this Markdown file")
    chosen = parser.parse_args()
    results: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="suites") as made:
        for name in chosen.suite or SUITES:
            folder = Path(made) / name
            checkout: str | None = chosen.strawberry
            if name == "strawberry" and checkout is None:
                print("Strawberry's suite is left out: name a checkout of its repository by --strawberry.")
                continue
            source = _lay_strawberry(Path(checkout or ""), folder) if name == "strawberry" else _lay_core(folder)
            results.append(_tried(SUITES[name], source, folder))
    for one in results:
        unknown = [test for test, reason in one.failed.items() if reason is None]
        print(f"{one.suite.name} ({one.source}): {one.passed} passed, {len(one.failed)} failed, {len(unknown)} of them "
              f"without a reason; {len(one.theirs)} fail without us, too")  # fmt: skip
        print(*unknown, sep="\n")
    if chosen.into is not None:
        chosen.into.write_text(_page(results))
    return 1 if any(reason is None for one in results for reason in one.failed.values()) else 0


def _lay_strawberry(checkout: Path, folder: Path) -> str:
    folder.mkdir()
    for part in ("tests", "docs"):
        shutil.copytree(checkout / part, folder / part)
    project = tomllib.loads((checkout / "pyproject.toml").read_text())["project"]
    return f"tests of {project['version']} on {version('strawberry-graphql')}"


def _lay_core(folder: Path) -> str:
    folder.mkdir()
    installed = version("graphql-core")
    get = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "graphql-core", "--dest"]
    subprocess.run([*get, folder, f"graphql-core=={installed}"], check=True, timeout=300)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        opened.extractall(folder, filter="data")
    for part in ("tests", "docs"):
        shutil.move(folder / archive.name.removesuffix(".tar.gz") / part, folder / part)
    return installed


def _tried(suite: Suite, source: str, folder: Path) -> Result:
    (folder / "pytest.ini").write_text(_SETTINGS)
    outcomes = _run(suite, folder, suite.tests)
    failing = [test for test, (outcome, _) in outcomes.items() if outcome in {"failed", "error"}]
    stock = _run(suite, folder, [_stock(test) for test in failing], SUITE_STOCK="1") if failing else {}
    theirs = [test for test in failing if stock.get(_stock(test), ("passed", ""))[0] in {"failed", "error"}]
    passed = sum(outcome == "passed" for outcome, _ in outcomes.values())
    return Result(suite, source, passed, theirs, {test: reason_of(test) for test in failing if test not in theirs})


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
        "`make suites` runs them. Releases of Strawberry carry no tests: `STRAWBERRY` names a checkout.",
        "",
        "| suite | passed | fail, with a reason below | fail without us, too |",
        "|---|---|---|---|",
        *(
            f"| {one.suite.name}, {one.source} | {one.passed} | {len(one.failed)} | {len(one.theirs)} |"
            for one in results
        ),
    ]
    for reason, text in REASONS.items():
        tests = sorted({t.partition("[")[0] for one in results for t, why in one.failed.items() if why == reason})
        if tests:
            lines += ["", f"## {text}", "", *(f"- `{one.removeprefix('tests/')}`" for one in tests)]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
