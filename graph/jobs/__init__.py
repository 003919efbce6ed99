"""Background jobs: at least once, on a Redis stream, with a record that tells what became of each.

`Jobs` queues them and looks after them, from any process; a `Worker` runs them, from any number of processes. Both work
through `graph.patterns.client`, so wherever that leads: one server, a Sentinel set, a cluster.
"""

from graph.jobs.announcing import announce_job, follow_job, job_topic
from graph.jobs.files import NotBelow, file_below
from graph.jobs.progress import watched
from graph.jobs.queue import AlreadyUnderWay, Jobs, UnknownJob
from graph.jobs.records import Job, JobState
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
    "job_topic",
    "watched",
]
