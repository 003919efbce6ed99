"""What runs beside the web server.

`work` is the process of background jobs, which `graph worker` starts; `worker_beside` keeps one next to `graph serve`.
`jobs` lists what this product does in the background, and when.
"""

from graph.background.beside import worker_beside
from graph.background.worker import work

__all__ = ["work", "worker_beside"]
