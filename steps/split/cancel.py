"""The end of a job that nobody waits for any more; no Beam, so that a small image can do it."""

from __future__ import annotations

from collections.abc import Iterator

from steps.contract import RunAddress
from steps.dataflow import Dataflow, Job
from steps.errors import MissingInputError
from steps.split.claims import Claims, job_name
from steps.split.engine_config import SplitConfig
from steps.storage import Storage


def cancel_jobs_of(address: RunAddress, config: SplitConfig, storage: Storage) -> Iterator[str]:
    """Cancel what a run left behind, unless another run waits for it; the jobs' names.

    Raises:
        RefeedError: Dataflow does not answer, or does not let us.
    """
    assert config.gcp_project is not None
    assert config.region is not None
    dataflow = Dataflow(config.gcp_project, config.region)
    for identity in storage.names(address.layout.work("")):
        claims = Claims(address.layout, identity, storage)
        if claims.is_followed_by(address.follower):
            job = cancel_unless_followed(dataflow, claims, address.follower)
            if job:
                yield job.name


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
