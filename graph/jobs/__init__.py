"""Background jobs on a Redis stream, delivered at least once, with a record of each job's state.

`Jobs` queues and manages them from any process; a `Worker` runs them, in any number of processes. Both use
`graph.patterns.client`, so they work with a single server, Sentinel or a cluster.
"""

from graph.jobs.announcing import announce_job, follow_job, follow_jobs, job_topic
from graph.jobs.files import NotBelow, file_below
from graph.jobs.progress import watched
from graph.jobs.queue import AlreadyUnderWay, Jobs, UnknownJob
from graph.jobs.records import Job, JobState
from graph.jobs.uploads import forget_upload, forget_uploads, keep_upload
from graph.jobs.work import Definition, GiveUp, Progress, Schedule, Superseded
from graph.jobs.worker import Worker

__all__ = [
    "AlreadyUnderWay",
    "Definition",
    "GiveUp",
    "Job",
    "JobState",
    "Jobs",
    "NotBelow",
    "Progress",
    "Schedule",
    "Superseded",
    "UnknownJob",
    "Worker",
    "announce_job",
    "file_below",
    "follow_job",
    "follow_jobs",
    "forget_upload",
    "forget_uploads",
    "job_topic",
    "keep_upload",
    "watched",
]
