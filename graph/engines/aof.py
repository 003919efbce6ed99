"""Repairs the append-only file of the embedded Valkey, whose end may be zeros or garbage after a power loss.

The server's own checker, part of its binary, determines how far the file is valid and cuts off the rest. What is cut
off was never confirmed to be on disk, because what WAITAOF confirmed comes before it. A copy of the whole file stays
beside it.

More than `TAIL` bytes are only cut off on request, because a power loss does not damage that much.
"""

from __future__ import annotations

import logging
import re
import shutil
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

logger = logging.getLogger(__name__)

TAIL = 1 << 20
"""Most bytes at the end of the file that are cut off automatically."""
_CHECKING = 600.0
"""Seconds that the checker may take; it reads a gigabyte in a few."""
_INCREMENT = re.compile(r"^file (\S+) seq (\d+) type i", re.MULTILINE)
_ANALYZED = re.compile(r"size=(\d+), ok_up_to=(\d+)")


class NotRepaired(RuntimeError):
    """The file is damaged and was not changed; the text describes the damage."""


@dataclass(frozen=True, slots=True)
class Damage:
    """A file of which only the first `good` of `size` bytes are valid."""

    file: Path
    good: int
    size: int

    @property
    def lost(self) -> int:
        """The number of invalid bytes."""
        return self.size - self.good


def damage(binary: Path, folder: Path) -> Damage | None:
    """Return the damage of the newest append-only file below `folder`; None if it is valid or does not exist."""
    directory = folder / "appendonlydir"
    try:
        files = _INCREMENT.findall((directory / "appendonly.aof.manifest").read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return None
    if not files:
        return None
    file = directory / max(files, key=lambda found: int(found[1]))[0]
    if not file.exists() or not file.stat().st_size:
        return None
    told = _check(binary, file)
    found = _ANALYZED.search(told.stdout)
    if told.returncode == 0 or found is None:
        return None
    return Damage(file, good=int(found[2]), size=int(found[1]))


def repair(binary: Path, damaged: Damage, *, most: int | None = TAIL) -> Path:
    """Cut off the invalid end, at most `most` bytes (None: any number), and return the copy that is kept.

    Raises `NotRepaired` if there is more or the checker fails, and OSError if the copy cannot be made.
    """
    if most is not None and damaged.lost > most:
        raise NotRepaired(f"{damaged.lost:,} bytes at the end of {damaged.file} make no sense")
    copy = damaged.file.with_name(f"{damaged.file.name}.damaged-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}")
    shutil.copy2(damaged.file, copy)
    told = _check(binary, damaged.file, "--fix")
    if told.returncode != 0:
        raise NotRepaired(f"{damaged.file} cannot be repaired: {told.stdout.strip().splitlines()[-1:]}")
    return copy


def repaired(binary: Path, folder: Path) -> bool:
    """Repair the damage of a power loss, with a notice; False if there is no damage. Raises like `repair`."""
    damaged = damage(binary, folder)
    if damaged is None:
        return False
    copy = repair(binary, damaged)
    logger.warning(
        "the last %s bytes of the embedded Valkey's append-only file made no sense (a power loss?) and were cut off; "
        "the file as it was is kept as %s", f"{damaged.lost:,}", copy,
    )  # fmt: skip
    return True


def _check(binary: Path, file: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the server's binary as the checker, which it becomes under that name."""
    words = ["valkey-check-aof", *options, str(file)]
    return subprocess.run(  # noqa: S603 - our own binary and our own file
        words, executable=binary, input="y\n", capture_output=True, text=True, timeout=_CHECKING, check=False
    )
