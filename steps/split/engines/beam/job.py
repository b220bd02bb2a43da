"""One job for one piece of work, never two, whoever is killed and whenever.

- A number is claimed by creating an object; only one can. Whoever does not get it waits for the job
  of who did, and submits it in his place if he seems to have been killed.
- The job's name follows from the claim, and is what whoever submits it calls his request, too
  (``clientRequestId``): of the two together Dataflow takes one job ever, even when that has ended.
- Only when a job has failed, was cancelled, or has left no parts, is the next number claimed.
- Whoever makes the data set writes the link to it before he removes the claims; whoever finds none
  looks for the link before he submits.
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
    """How long to wait for what.

    Attributes:
        poll: seconds between two looks at a job.
        grace: seconds that somebody else may take to submit what he has claimed.
    """

    poll: float = 5.0
    grace: float = 180.0


TIMEOUTS = Timeouts()
"""What a job of minutes is worth."""


class SharedJob:
    """The job that makes a data set.

    Args:
        config: complete.
        timeouts: for Dataflow and other runs.
        source: of the rows.
        plan: of the data set.
        project: that it lies in.
        storage: of the project.
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
        self.place = JobLocation(config.gcp_project, config.region)
        self.claims = Claims(project, plan.work_id, storage)
        self.link = DatasetPointer(project, plan.identity, storage, plan.ignored_version)

    def find(self) -> tuple[Claim, Job]:
        """The job, and the claim to it; submitted unless there is one already.

        Raises:
            TerminalError: the source cannot be used, as an earlier job has found out.
            MadeMeanwhileError: somebody else has made the data set.
            RefeedError: Dataflow does not answer, or does not let us.
        """
        latest = self.claims.latest()
        if latest is None:
            return self.next(1)
        job = self.look(latest, latest.job) if latest.job else self._awaited(latest)
        if job is None and latest.place == self.place:
            return self._submit(latest)
        if job is not None and job.state in {"running", "done"}:
            return latest, job
        self._check_error(latest)
        return self.next(latest.number + 1)

    def next(self, number: int) -> tuple[Claim, Job]:
        """The job of a number that no job has had yet, or whatever somebody else has made of it.

        Raises:
            RefeedError: see ``find``.
        """
        claim = self.claims.claim(number, self.place)
        return self._submit(claim) if claim else self.find()

    def handover(self, claim: Claim) -> JobOutput:
        """What the job leaves."""
        return JobOutput(self.project, self.plan.work_id, claim.nonce, self.claims.storage)

    def dataflow(self, claim: Claim) -> Dataflow:
        """Dataflow where the job is."""
        place = claim.place
        if place not in self._dataflows:
            self._dataflows[place] = Dataflow(place.gcp_project, place.region)
        return self._dataflows[place]

    def look(self, claim: Claim, job_id: str) -> Job:
        """The job of a claim as it is now.

        Raises:
            RefeedError: Dataflow does not answer, or does not let us.
        """
        try:
            return self.dataflow(claim).get(job_id)
        except MissingInputError as error:  # Dataflow keeps jobs far longer than we keep claims
            raise TransientError(error.message, hint="It was there. Run again later.") from error

    def _check_error(self, claim: Claim) -> None:
        """Tell again what is wrong with the rows; another cause, such as a missing role, may pass.

        Raises:
            TerminalError: something is.
        """
        told = self.handover(claim).error()
        if isinstance(told, TerminalError) and not self.plan.ignore_errors:
            raise told

    def _awaited(self, claim: Claim) -> Job | None:
        """The job of a claim without one, for which its claimer gets some time."""
        dataflow, name = self.dataflow(claim), self.claims.name(claim)
        return poll_until(
            lambda: dataflow.find(name),
            interval=self.timeouts.poll,
            timeout=max(0.0, claim.made + self.timeouts.grace - time.time()),
        )

    # --- submitting

    def _submit(self, claim: Claim) -> tuple[Claim, Job]:
        pieces = self.source.pieces(self.plan.schema.names)  # of a view, this may take long
        if self.link.find() is not None:
            raise BuiltElsewhereError
        if self.claims.latest() != claim:
            return self.find()
        work = JobContext(self.plan, self.project, claim.nonce)
        name = self.claims.name(claim)

        def run() -> str:
            pipeline = Pipeline(DataflowRunner(), _options(self.config, name, work))
            build(pipeline, pieces, work)
            return _submitted(pipeline)

        job = self.dataflow(claim).submit(name, run)
        self.claims.record(claim, job.id)
        return claim, job


def _submitted(pipeline: Pipeline) -> str:
    """Submit a pipeline; the job's id, or nothing if one of its name runs already.

    Beam itself would give each submission an id of its own, by which Dataflow takes it for another
    job as soon as the first has ended.
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


def _options(config: SplitConfig, name: str, work: JobContext) -> PipelineOptions:
    layout = work.project.work(work.plan.work_id)
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
        "labels": [f"refeed-work={work.plan.work_id}"],
    }
    if os.environ.get(ENDPOINT):
        options |= {"dataflow_endpoint": os.environ[ENDPOINT], "no_auth": True}
    return PipelineOptions.from_dictionary({k: v for k, v in options.items() if v is not None})
