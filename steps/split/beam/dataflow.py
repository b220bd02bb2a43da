"""The pipeline as a job of Dataflow: submitted once, found again, followed to its end.

Never two jobs: a number is claimed by creating an object before its job is submitted, the job's
name follows from the work and that number, and Dataflow itself refuses a second running job of a
name. Whoever finds a claim without a job, since the claimer was killed, submits it under the same
name. The death of whoever follows a job never cancels it.
"""

from __future__ import annotations

import logging
import os
import time
from contextlib import suppress

from apache_beam import Pipeline
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.dataflow.dataflow_runner import DataflowRunner
from apache_beam.runners.dataflow.internal.apiclient import DataflowJobAlreadyExistsError

from steps.contract import ProjectLayout, join
from steps.dataflow import ENDPOINT, Dataflow, Job
from steps.errors import RefeedError, TerminalError, TransientError, UnavailableError
from steps.google import brief
from steps.progress import Progress
from steps.records import PartitionIndex
from steps.split.beam.graph import READ, WRITTEN, Work, build
from steps.split.claims import Claim, Claims, job_name
from steps.split.engine_config import SplitConfig
from steps.split.finish import finish_dataset
from steps.split.handover import Handover
from steps.split.link import Link, MadeMeanwhileError
from steps.split.source import Source
from steps.split.writer import SplitPlan
from steps.storage import Storage

POLL_SECONDS = 5.0
"""Between two looks at a job."""
GRACE_SECONDS = 180.0
"""How long somebody else who has claimed a job may take to submit it."""


class DataflowEngine:
    """An engine, see ``engines.Engine``.

    Args:
        config: complete.
        follower: who waits for the job.
        poll: seconds between two looks at it.
        grace: seconds that somebody else may take to submit what he has claimed.
    """

    def __init__(
        self,
        config: SplitConfig,
        follower: str,
        poll: float = POLL_SECONDS,
        grace: float = GRACE_SECONDS,
    ) -> None:
        self.config, self.follower = config, follower
        self.poll, self.grace = poll, grace
        assert config.gcp_project is not None
        assert config.region is not None
        self.dataflow = Dataflow(config.gcp_project, config.region)

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
        claims = Claims(project, plan.identity, storage)
        claims.follow(self.follower)
        number, job = self._job(source, plan, claims)
        if job.state == "running":
            job = self._followed(job, progress)
        handover = Handover(project, plan.identity, number, storage)
        if job.state != "done":
            raise self._failure(handover, job)
        return finish_dataset(plan, handover, project, storage, progress)

    # --- one job, never two

    def _job(self, source: Source, plan: SplitPlan, claims: Claims) -> tuple[int, Job]:
        """The job that does this work, and its number; submitted unless there is one already."""
        latest = claims.latest()
        if latest is None:
            return self._next(source, plan, claims, 1)
        job = self._known(latest) or self._awaited(claims, latest)
        if job is None:
            return self._submit(source, plan, claims, latest.number)
        if job.state in {"running", "done"}:
            return latest.number, job
        handover = Handover(claims.project, plan.identity, latest.number, claims.storage)
        told = handover.error()
        if isinstance(told, TerminalError):  # another cause, such as a missing role, may be gone
            raise told
        return self._next(source, plan, claims, latest.number + 1)

    def _next(
        self, source: Source, plan: SplitPlan, claims: Claims, number: int
    ) -> tuple[int, Job]:
        if claims.claim(number):
            # Whoever made the data set before us has removed his claim, after he wrote the link.
            link = Link(claims.project, plan.identity, claims.storage, plan.outdated)
            if link.find() is not None:
                raise MadeMeanwhileError
            return self._submit(source, plan, claims, number)
        return self._job(source, plan, claims)

    def _known(self, claim: Claim) -> Job | None:
        if claim.job:
            return self.dataflow.get(claim.job)
        return None

    def _awaited(self, claims: Claims, claim: Claim) -> Job | None:
        """The job of a claim without one, for which its claimer gets some time."""
        name = job_name(claims.identity, claim.number)
        while True:
            found = self.dataflow.find(name)
            if found or time.time() > claim.made + self.grace:
                return found
            time.sleep(self.poll)

    def _submit(
        self, source: Source, plan: SplitPlan, claims: Claims, number: int
    ) -> tuple[int, Job]:
        name, work = job_name(claims.identity, number), Work(plan, claims.project, number)
        pieces = source.pieces(plan.schema.names)

        def run() -> None:
            pipeline = Pipeline(DataflowRunner(), self._options(name, work))
            build(pipeline, pieces, work)
            with suppress(DataflowJobAlreadyExistsError):  # somebody else's is as good
                pipeline.run()

        self.dataflow.submit(run)
        job = self._found(name)
        claims.record(number, job.id)
        return number, job

    def _found(self, name: str) -> Job:
        job = self.dataflow.find(name)
        if job is None:
            raise UnavailableError(f"Dataflow took the job {name!r}, and does not list it.")
        return job

    def _options(self, name: str, work: Work) -> PipelineOptions:
        config, identity = self.config, work.plan.identity
        scratch = join(work.project.work(identity), "beam")
        options = {
            "job_name": name,
            "project": config.gcp_project,
            "region": config.region,
            "temp_location": join(scratch, "temp"),
            "staging_location": join(scratch, "staging"),
            "sdk_container_image": config.worker_image,
            "sdk_location": "container",
            "max_num_workers": config.workers,
            "machine_type": config.machine_type,
            "service_account_email": config.service_account,
            "subnetwork": config.subnetwork,
            "no_use_public_ips": True,
            "labels": [f"refeed-work={identity}"],
        }
        if os.environ.get(ENDPOINT):
            options |= {"dataflow_endpoint": os.environ[ENDPOINT], "no_auth": True}
        return PipelineOptions.from_dictionary({k: v for k, v in options.items() if v is not None})

    # --- following

    def _followed(self, job: Job, progress: Progress) -> Job:
        """The job at its end."""
        logging.getLogger(__name__).info(
            "Dataflow job %s: %s", job.name, self.dataflow.page(job.id)
        )
        progress.begin("read", "rows", None)
        told = 0
        while job.state == "running":
            time.sleep(self.poll)
            job = self.dataflow.get(job.id)
            counters = self.dataflow.counters(job.id)
            rows = counters.get(READ, 0) + counters.get(WRITTEN, 0)
            progress.advance(max(0, rows - told), f"Dataflow job {job.name}")
            told = max(told, rows)
        progress.end()
        return job

    def _failure(self, handover: Handover, job: Job) -> RefeedError:
        told = handover.error()
        if told:
            return told
        said = self.dataflow.errors(job.id)
        why = f": {brief(said[-1])}" if said else ""
        became = "failed" if job.state == "failed" else "was cancelled"
        return TransientError(
            f"The Dataflow job {job.name!r} {became}{why}.",
            hint=f"See {self.dataflow.page(job.id)}",
        )
