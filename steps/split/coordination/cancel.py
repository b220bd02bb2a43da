"""The end of a job that nobody waits for any more; no Beam, so that a small image can do it."""

from __future__ import annotations

from collections.abc import Iterator

from steps.contract import RunAddress
from steps.errors import MissingInputError
from steps.google.dataflow import Dataflow, Job
from steps.split.coordination.claims import Claim, Claims
from steps.storage.base import Storage


def cancel_jobs_of(address: RunAddress, storage: Storage) -> Iterator[str]:
    """Cancel what a run left behind, unless another run waits for it; the jobs' names.

    Raises:
        RefeedError: Dataflow does not answer, or does not let us; called again, it goes on.
    """
    for work in storage.names(address.layout.works):
        claims = Claims(address.layout, work, storage)
        if claims.is_followed_by(address.follower):
            job = cancel_unless_followed(claims, address.follower)
            if job:
                yield job.name


def cancel_unless_followed(claims: Claims, follower: str) -> Job | None:
    """Cancel the job that a run left behind, unless somebody else waits for it.

    Returns:
        The job that was cancelled.
    """
    job = _cancelled(claims) if claims.leave(follower) else None
    claims.left(follower)  # not before: whoever is killed in between begins anew
    return job


def _cancelled(claims: Claims) -> Job | None:
    latest = claims.latest()
    if latest is None:
        return None
    dataflow = Dataflow(latest.place.gcp_project, latest.place.region)
    job = _job(dataflow, claims, latest)
    if job is None or job.state != "running":
        return None
    dataflow.cancel(job.id)
    return job


def _job(dataflow: Dataflow, claims: Claims, claim: Claim) -> Job | None:
    if not claim.job:
        return dataflow.find_lagging(claims.name(claim))
    try:
        return dataflow.get(claim.job)
    except MissingInputError:
        return None
