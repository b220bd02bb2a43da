"""The pipeline as a job of Dataflow: found or submitted, followed to its end, then finished.

The death of whoever follows a job never cancels it.
"""

from __future__ import annotations

import logging
import time

from steps.contract import ProjectLayout
from steps.errors import DamagedError, MissingInputError, RefeedError, TransientError
from steps.google.dataflow import Job
from steps.google.errors import brief
from steps.records import PartitionIndex
from steps.runtime.progress import Progress
from steps.split.config import SplitConfig
from steps.split.coordination.claims import Claim
from steps.split.coordination.dataset_pointer import BuiltElsewhereError
from steps.split.dataset.plan import SplitPlan
from steps.split.engines.assemble import assemble_dataset
from steps.split.engines.beam.job import TIMEOUTS, SharedJob, Timeouts
from steps.split.engines.beam.pipeline import READ, WRITTEN
from steps.split.engines.job_output import JobOutput
from steps.split.sources.base import Source
from steps.storage.base import Storage


class DataflowEngine:
    """An engine, see ``engines.Engine``.

    Args:
        config: complete.
        follower: who waits for the job.
        timeouts: for Dataflow and other runs.
    """

    def __init__(self, config: SplitConfig, follower: str, timeouts: Timeouts = TIMEOUTS) -> None:
        self.config, self.follower, self.timeouts = config, follower, timeouts

    def __call__(
        self,
        source: Source,
        plan: SplitPlan,
        project: ProjectLayout,
        storage: Storage,
        progress: Progress,
    ) -> PartitionIndex:
        """Split a source into a data set.

        Raises:
            DataError: the source cannot be used.
            TransientError: the job failed; the next call submits another.
            RefeedError: Dataflow does not let us.
            MadeMeanwhileError: somebody else has made it.
        """
        work = SharedJob(self.config, self.timeouts, source, plan, project, storage)
        work.claims.follow(self.follower)
        claim, job = work.find()
        handover = _done(work, claim, job, progress)
        try:
            return assemble_dataset(plan, handover, project, storage, progress)
        except (MissingInputError, DamagedError) as error:
            # Removed by whoever was quicker, or by somebody who cleared up without a look.
            if work.link.find() is not None:
                raise BuiltElsewhereError from error
        claim, job = work.next(claim.number + 1)
        handover = _done(work, claim, job, progress)
        return assemble_dataset(plan, handover, project, storage, progress)


def _done(work: SharedJob, claim: Claim, job: Job, progress: Progress) -> JobOutput:
    """Follow a job to its end; what it has left.

    Raises:
        RefeedError: what a worker told, or why the job has failed.
    """
    if job.state == "running":
        job = _followed(work, claim, job, progress)
    if job.state != "done":
        raise _failure(work, claim, job)
    return work.handover(claim)


def _followed(work: SharedJob, claim: Claim, job: Job, progress: Progress) -> Job:
    """The job at its end."""
    dataflow = work.dataflow(claim)
    logging.getLogger(__name__).info("Dataflow job %s: %s", job.name, dataflow.page(job.id))
    progress.begin("read", "rows", None)
    told = 0
    while job.state == "running":
        time.sleep(work.timeouts.poll)
        job = work.look(claim, job.id)
        counters = dataflow.counters(job.id)
        rows = counters.get(READ, 0) + counters.get(WRITTEN, 0)
        progress.advance(max(0, rows - told), f"Dataflow job {job.name}")
        told = max(told, rows)
    progress.end()
    return job


def _failure(work: SharedJob, claim: Claim, job: Job) -> RefeedError:
    told = work.handover(claim).error()
    if told:
        return told
    dataflow = work.dataflow(claim)
    said = dataflow.errors(job.id)
    why = f": {brief(said[-1])}" if said else ""
    became = "failed" if job.state == "failed" else "was cancelled"
    return TransientError(
        f"The Dataflow job {job.name!r} {became}{why}.", hint=f"See {dataflow.page(job.id)}"
    )
