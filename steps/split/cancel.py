"""The end of a job that nobody waits for any more."""

from __future__ import annotations

from steps.dataflow import Dataflow, Job
from steps.errors import MissingInputError
from steps.split.claims import Claims, job_name


def cancel_unless_followed(dataflow: Dataflow, claims: Claims, follower: str) -> Job | None:
    """Cancel the job that a run left behind, unless somebody else waits for it.

    Returns:
        The job that was cancelled.
    """
    if not claims.leave(follower):
        return None
    latest = claims.latest()
    if latest is None:
        return None
    name = job_name(claims.identity, latest.number)
    try:
        job = dataflow.get(latest.job) if latest.job else dataflow.find(name)
    except MissingInputError:
        return None
    if job is None or job.state != "running":
        return None
    dataflow.cancel(job.id)
    return job
