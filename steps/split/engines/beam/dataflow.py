"""The Dataflow engine: find or submit the job, follow it to its end, assemble the dataset.

A job is never cancelled because the process that follows it dies.
"""

from __future__ import annotations

import logging
import time

from steps.contract import ProjectLayout
from steps.errors import DamagedError, MissingInputError, TransientError
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
    """The Dataflow engine, see ``engines.choose.Engine``.

    Args:
        config: the complete ``split`` section.
        follower: id of the run that waits for the job.
        timeouts: timeouts for Dataflow and for other runs.
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
        """Build a dataset from a source.

        Raises:
            DataError: the source cannot be used.
            TransientError: the job failed; the next call submits another.
            RefeedError: Dataflow denies access.
            BuiltElsewhereError: another run has published the dataset.
        """
        shared = SharedJob(self.config, self.timeouts, source, plan, project, storage)
        shared.claims.follow(self.follower)
        claim, job = shared.find()
        output = _wait(shared, claim, job, progress)
        try:
            return assemble_dataset(plan, output, project, storage, progress)
        except (MissingInputError, DamagedError) as error:
            # Another run published the dataset first, or the output was deleted.
            if shared.pointer.find() is not None:
                raise BuiltElsewhereError from error
        claim, job = shared.next(claim.number + 1)
        output = _wait(shared, claim, job, progress)
        return assemble_dataset(plan, output, project, storage, progress)


def _wait(shared: SharedJob, claim: Claim, job: Job, progress: Progress) -> JobOutput:
    """Follow a job to its end, and return its output.

    Raises:
        RefeedError: the error of a worker, or the reason why the job failed.
    """
    if job.state == "running":
        job = _follow(shared, claim, job, progress)
    output = shared.output(claim)
    if job.state == "done":
        return output
    worker_error = output.error()
    if worker_error:
        raise worker_error
    dataflow = shared.dataflow(claim)
    messages = dataflow.errors(job.id)
    reason = f": {brief(messages[-1])}" if messages else ""
    outcome = "failed" if job.state == "failed" else "was cancelled"
    raise TransientError(
        f"The Dataflow job {job.name!r} {outcome}{reason}.", hint=f"See {dataflow.page(job.id)}"
    )


def _follow(shared: SharedJob, claim: Claim, job: Job, progress: Progress) -> Job:
    """Report progress until the job ends, and return the ended job."""
    dataflow = shared.dataflow(claim)
    logging.getLogger(__name__).info("Dataflow job %s: %s", job.name, dataflow.page(job.id))
    progress.begin("read", "rows", None)
    reported = 0
    while job.state == "running":
        time.sleep(shared.timeouts.poll)
        job = shared.poll(claim, job.id)
        counters = dataflow.counters(job.id)
        rows = counters.get(READ, 0) + counters.get(WRITTEN, 0)
        progress.advance(max(0, rows - reported), f"Dataflow job {job.name}")
        reported = max(reported, rows)
    progress.end()
    return job
