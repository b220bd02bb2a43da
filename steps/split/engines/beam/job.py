"""Exactly one Dataflow job per dataset build, even if processes are killed at any time.

- A process claims a job number by creating an object, which succeeds only once. The other processes
  wait for that job, and submit it themselves if the claim's owner appears dead.
- The claim determines the job's name, which is also the id of the submission
  (``clientRequestId``). Dataflow accepts only one job per name and id, even after it has ended.
- The next number is claimed only if a job has failed, was cancelled, or has left no parts.
- A process that builds the dataset writes the pointer before it deletes the claims. A process that
  finds no claims checks the pointer before it submits a job.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass

from apache_beam import Pipeline
from apache_beam.options.pipeline_options import PipelineOptions, TestOptions
from apache_beam.runners.dataflow.dataflow_runner import DataflowRunner
from apache_beam.runners.dataflow.internal.apiclient import (
    DataflowApplicationClient,
    DataflowJobAlreadyExistsError,
)

from steps.contract import ProjectLayout
from steps.errors import MissingInputError, TerminalError, TransientError
from steps.google.dataflow import ENDPOINT, Dataflow, Job
from steps.retry import poll_until
from steps.split.config import SplitConfig
from steps.split.coordination.claims import Claim, Claims, JobLocation
from steps.split.coordination.dataset_pointer import BuiltElsewhereError, DatasetPointer
from steps.split.dataset.plan import SplitPlan
from steps.split.engines.beam.pipeline import JobContext, build
from steps.split.engines.job_output import JobOutput
from steps.split.sources.base import Source
from steps.storage.base import Storage


@dataclass(frozen=True)
class Timeouts:
    """Waiting times.

    Attributes:
        poll: seconds between two polls of a job.
        grace: seconds that the owner of a claim has to submit its job.
    """

    poll: float = 5.0
    grace: float = 180.0


TIMEOUTS = Timeouts()
"""Defaults for a job that takes minutes."""


class SharedJob:
    """The job that builds a dataset, shared by all runs that need the dataset.

    Args:
        config: the complete ``split`` section.
        timeouts: timeouts for Dataflow and for other runs.
        source: source of the rows.
        plan: plan of the dataset.
        project: the project that contains the dataset.
        storage: storage of the project.
    """

    def __init__(
        self,
        config: SplitConfig,
        timeouts: Timeouts,
        source: Source,
        plan: SplitPlan,
        project: ProjectLayout,
        storage: Storage,
    ) -> None:
        assert config.gcp_project is not None
        assert config.region is not None
        self.config, self.timeouts = config, timeouts
        self.source, self.plan, self.project = source, plan, project
        self._dataflows: dict[JobLocation, Dataflow] = {}
        self.location = JobLocation(config.gcp_project, config.region)
        self.claims = Claims(project, plan.build_id, storage)
        self.pointer = DatasetPointer(project, plan.identity, storage, plan.ignored_version)

    def find(self) -> tuple[Claim, Job]:
        """Return the job and its claim; submit the job unless it exists.

        Raises:
            TerminalError: an earlier job found that the source cannot be used.
            BuiltElsewhereError: another run has published the dataset.
            RefeedError: Dataflow does not respond or denies access.
        """
        latest = self.claims.latest()
        if latest is None:
            return self.next(1)
        if latest.job:
            job: Job | None = self.poll(latest, latest.job)
        else:  # the owner of the claim may still submit the job
            dataflow, name = self.dataflow(latest), self.claims.name(latest)
            job = poll_until(
                lambda: dataflow.find(name),
                interval=self.timeouts.poll,
                timeout=max(0.0, latest.created + self.timeouts.grace - time.time()),
            )
        if job is None and latest.location == self.location:
            return self._submit(latest)
        if job is not None and job.state in {"running", "done"}:
            return latest, job
        error = self.output(latest).error()
        # The cause of any other error, such as a missing role, may be fixed.
        if isinstance(error, TerminalError) and not self.plan.ignore_errors:
            raise error
        return self.next(latest.number + 1)

    def next(self, number: int) -> tuple[Claim, Job]:
        """Claim a number and submit its job, or find the job if another process claimed it.

        Raises:
            RefeedError: see ``find``.
        """
        claim = self.claims.claim(number, self.location)
        return self._submit(claim) if claim else self.find()

    def output(self, claim: Claim) -> JobOutput:
        """Return the intermediate output of the claim's job."""
        return JobOutput(self.project, self.plan.build_id, claim.nonce, self.claims.storage)

    def dataflow(self, claim: Claim) -> Dataflow:
        """Return the client for the location of the claim's job."""
        location = claim.location
        if location not in self._dataflows:
            self._dataflows[location] = Dataflow(location.gcp_project, location.region)
        return self._dataflows[location]

    def poll(self, claim: Claim, job_id: str) -> Job:
        """Return the current state of a claim's job.

        Raises:
            RefeedError: Dataflow does not respond or denies access.
        """
        try:
            return self.dataflow(claim).get(job_id)
        except MissingInputError as error:  # Dataflow keeps jobs much longer than claims exist
            hint = "Dataflow may not list a new job at once. Run again in a minute."
            raise TransientError(error.message, hint=hint) from error

    # --- submitting

    def _submit(self, claim: Claim) -> tuple[Claim, Job]:
        pieces = self.source.pieces(self.plan.schema.names)  # can take long for a view
        if self.pointer.find() is not None:
            raise BuiltElsewhereError
        if self.claims.latest() != claim:
            return self.find()
        context = JobContext(self.plan, self.project, claim.nonce)
        name = self.claims.name(claim)

        def run() -> str:
            pipeline = Pipeline(DataflowRunner(), _options(self.config, name, context))
            build(pipeline, pieces, context)
            return _submit_once(pipeline)

        job = self.dataflow(claim).submit(name, run)
        self.claims.record(claim, job.id)
        return claim, job


def _submit_once(pipeline: Pipeline) -> str:
    """Submit a pipeline and return the job's id; empty if a job with its name is running.

    Beam itself would generate a new id for each submission, so Dataflow would accept a second job
    as soon as the first has ended.
    """
    options = pipeline.options
    options.view_as(TestOptions).dry_run = True
    job = pipeline.run().job
    options.view_as(TestOptions).dry_run = False
    job.proto.client_request_id = job.proto.name
    client = DataflowApplicationClient(options, job.root_staging_location)
    with suppress(DataflowJobAlreadyExistsError):
        return str(client.create_job(job).id)
    return ""


def _options(config: SplitConfig, name: str, context: JobContext) -> PipelineOptions:
    layout = context.project.build(context.plan.build_id)
    options = {
        "job_name": name,
        "project": config.gcp_project,
        "region": config.region,
        "temp_location": layout.beam("temp"),
        "staging_location": layout.beam("staging"),
        "sdk_container_image": config.worker_image,
        "sdk_location": "container",
        "max_num_workers": config.workers,
        "machine_type": config.machine_type,
        "service_account_email": config.service_account,
        "subnetwork": config.subnetwork,
        "no_use_public_ips": True,
        "labels": [f"refeed-work={context.plan.build_id}"],
    }
    if os.environ.get(ENDPOINT):
        options |= {"dataflow_endpoint": os.environ[ENDPOINT], "no_auth": True}
    return PipelineOptions.from_dictionary({k: v for k, v in options.items() if v is not None})
