"""``python -m history``: make histories on real engines, check them, and tell what was broken."""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from pathlib import Path

from history.engines import ENGINES
from history.faults import FAULTS
from history.rig import Rig
from history.run import Result, elapsed, observe
from history.table import pairs, rewritten


def main() -> int:
    """Run what was asked for; 1 if a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m history", description=__doc__)
    parser.add_argument("--engine", action="append", choices=ENGINES, help="this one alone; may be repeated")
    parser.add_argument("--fault", action="append", choices=FAULTS, help="this one alone; may be repeated")
    parser.add_argument("--seconds", type=float, default=5.0, help="of work before and after each fault")
    parser.add_argument("--seed", type=int, default=0, help="chooses servers and pauses")
    parser.add_argument("--save", type=Path, help="keep the histories and logs in this directory")
    parser.add_argument("--into", type=Path, help="write the table into this Markdown file")
    chosen = parser.parse_args()
    results: list[Result] = []
    for engine in chosen.engine or ENGINES:
        faults = [fault for name, fault in pairs() if name == engine and fault in (chosen.fault or FAULTS)]
        with tempfile.TemporaryDirectory(prefix="history") as made:
            folder = Path(made)
            with ENGINES[engine](folder) as opened, Rig(folder, opened) as rig:
                for fault in faults:
                    began = time.monotonic()
                    result = asyncio.run(observe(rig, fault, seconds=chosen.seconds, seed=chosen.seed))
                    results.append(result)
                    done = ", ".join(f"{name} {count:,}" for name, count in result.operations.items())
                    print(f"{engine}, {fault}: {done}; {len(result.broken)} broken ({elapsed(began)})", flush=True)
                    for one in result.broken[:20]:
                        print(f"  {one.kind} of {one.subject}: {one.shown}", flush=True)
                    if chosen.save:
                        chosen.save.mkdir(parents=True, exist_ok=True)
                        result.history.save(chosen.save / f"{engine} {fault}.jsonl")
                        shutil.copy(folder / "log", chosen.save / f"{engine}.log")
                    if chosen.into:
                        chosen.into.write_text(rewritten(chosen.into.read_text(), [result]))
    return 1 if any(result.broken for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
