"""``graph serve`` by a clock that stands still: ``python -m tests.support.processes.still serve``.

It stands at the Unix time ``STANDS_AT``, for everything that asks `time.time` by that name: the access log does not.
Redis goes by its own clock.
"""

from __future__ import annotations

import os
import time

AT = float(os.environ["STANDS_AT"])
time.time = lambda: AT

if __name__ == "__main__":
    from graph.cli import main

    main()
