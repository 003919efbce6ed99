"""Run the benchmarks: ``python -m bench [NAME …] [--markdown FILE]``."""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys
import time
from pathlib import Path

import bench
from bench.report import Report, machine

# What is shared, what only serves others, and what needs Node (`make bench-peers`).
_NOT_ALONE = {"__main__", "report", "peers", "support", "http", "mix"}


def names() -> list[str]:
    """The benchmarks there are."""
    return sorted(module.name for module in pkgutil.iter_modules(bench.__path__) if module.name not in _NOT_ALONE)


def main() -> int:
    """Run what was asked for, and say how it went."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Benchmarks, as ratios in one run.")
    parser.add_argument("name", nargs="*", help=f"one of: {', '.join(names())}; all of them by default")
    parser.add_argument("--markdown", type=Path, help="write the tables to this file, too")
    chosen = parser.parse_args()
    reports: list[str] = [f"Measured on {machine()}."]
    failed = 0
    for name in chosen.name or names():
        print(f"{name} …", file=sys.stderr, flush=True)
        began = time.monotonic()
        try:
            report: Report = importlib.import_module(f"bench.{name}").run()
        except Exception as error:  # noqa: BLE001 - one benchmark that cannot run does not stop the others
            print(f"{name}: {type(error).__name__}: {error}", file=sys.stderr)
            failed += 1
            continue
        print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr)
        reports.append(report.as_markdown())
        print(f"\n{reports[-1]}\n", flush=True)
    if chosen.markdown:
        chosen.markdown.write_text("\n\n".join(reports) + "\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
