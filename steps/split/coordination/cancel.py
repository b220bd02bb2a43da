"""Cancel Dataflow jobs that no run waits for. Needs no Beam, so a small image can run it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from steps.contract import RunAddress
from steps.errors import MissingInputError
from steps.google.dataflow import Dataflow, Job
from steps.split.coordination.claims import Claims
from steps.storage.base import Storage


def cancel_jobs(address: RunAddress, storage: Storage) -> Iterator[str]:
    """Cancel the jobs of a run that no other run waits for, and yield their names.

    Raises:
        RefeedError: Dataflow does not respond or denies access. The next call resumes.
    """
    for build_id in storage.names(address.layout.builds):
        claims = Claims(address.layout, build_id, storage)
        if claims.is_followed_by(address.follower):
            job = cancel_unless_followed(claims, address.follower)
            if job:
                yield job.name


def cancel_unless_followed(claims: Claims, follower: str) -> Job | None:
    """Cancel the job that a run waits for, unless another run waits for it too.

    Returns:
        The cancelled job, if any.
    """
    job = _cancel_latest(claims) if claims.leave(follower) else None
    claims.finish_leaving(follower)  # last, so a process that is killed before starts over
    return job


def _cancel_latest(claims: Claims) -> Job | None:
    latest = claims.latest()
    if latest is None:
        return None
    dataflow = Dataflow(latest.location.gcp_project, latest.location.region)
    job: Job | None = None
    if not latest.job:
        job = dataflow.find_lagging(claims.name(latest))
    else:
        with suppress(MissingInputError):
            job = dataflow.get(latest.job)
    if job is None or job.state != "running":
        return None
    dataflow.cancel(job.id)
    return job
