"""Background processing beside the web server.

`work` is the worker process, which `graph worker` starts; `worker_beside` runs one beside `graph serve`. `jobs` lists
the jobs of this product and their schedules.
"""

from graph.background.beside import worker_beside
from graph.background.worker import work

__all__ = ["work", "worker_beside"]
