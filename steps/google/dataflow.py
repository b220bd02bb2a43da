"""Jobs of Google Cloud Dataflow: found by name, followed, cancelled. Submitting takes Beam.

One of the modules that import a client of Google's; it needs no Beam, so that a small image can
cancel a job.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

from google.api_core import exceptions
from google.api_core.client_options import ClientOptions
from google.api_core.exceptions import GoogleAPICallError, NotFound
from google.auth.credentials import AnonymousCredentials
from google.cloud import dataflow_v1beta3 as api

from steps.errors import MissingInputError, RefeedError, TransientError, UsageError
from steps.google.errors import (
    CONNECTION_ERRORS,
    DEADLINE_SECONDS,
    ErrorTranslator,
    brief,
    call_options,
    project_role_hint,
)
from steps.retry import poll_until

ENDPOINT = "REFEED_DATAFLOW_ENDPOINT"
"""Names the environment variable with the URL of a stand-in: ``http://localhost:PORT``, or from
elsewhere ``http://localhost@ADDRESS:PORT``; Beam asks for that word at that place."""

LAG_SECONDS = 30.0
"""How long Dataflow may not know a job that it has taken."""

State = Literal["running", "done", "failed", "cancelled"]
_STATES: dict[str, State] = {
    "JOB_STATE_DONE": "done",
    "JOB_STATE_FAILED": "failed",
    "JOB_STATE_CANCELLED": "cancelled",
    "JOB_STATE_CANCELLING": "cancelled",
    "JOB_STATE_DRAINED": "cancelled",
    "JOB_STATE_STOPPED": "cancelled",
    "JOB_STATE_UPDATED": "cancelled",
}
"""All others are of a job that may still come to an end by itself."""


@dataclass(frozen=True)
class Job:
    """A job of Dataflow.

    Attributes:
        id: that Dataflow gave it.
        name: that we gave it.
        state: what became of it.
    """

    id: str
    name: str
    state: State


class Dataflow:
    """The jobs of one Google Cloud project and region.

    Args:
        project: that pays.
        region: where the workers are.
        deadline: seconds for which a call that was throttled or cut off is tried again.
        lag: seconds for which a job that is not found is looked for.
    """

    def __init__(
        self,
        project: str,
        region: str,
        deadline: float = DEADLINE_SECONDS,
        lag: float = LAG_SECONDS,
    ) -> None:
        self.project, self.region, self.lag = project, region, lag
        self._where = {"project_id": project, "location": region}
        pauses = {"initial": 0.2, "maximum": 10.0}
        self._options = call_options(_DataflowErrors.is_transient, deadline, **pauses)
        self._until_known = call_options(_is_transient_or_missing, max(deadline, lag), **pauses)
        self._jobs = api.JobsV1Beta3Client(**_transport())
        self._messages = api.MessagesV1Beta3Client(**_transport())
        self._metrics = api.MetricsV1Beta3Client(**_transport())

    def find(self, name: str) -> Job | None:
        """The newest job of a name, whatever became of it; None if there never was one.

        Raises:
            RefeedError: Dataflow does not answer, or does not let us.
        """
        with _DataflowErrors(self.project, self.region).translated():
            request = api.ListJobsRequest(name=name, filter="ALL", **self._where)
            found = list(self._jobs.list_jobs(request, **self._options))
        mine = sorted((job for job in found if job.name == name), key=lambda job: job.create_time)
        return _job(mine[-1]) if mine else None

    def find_lagging(self, name: str) -> Job | None:
        """As ``find``, of a job that may have been taken a moment ago, and is not listed yet."""
        return poll_until(lambda: self.find(name), interval=min(1.0, self.lag), timeout=self.lag)

    def get(self, job_id: str) -> Job:
        """The job of an id.

        Raises:
            MissingInputError: there is none, not even after a while.
            RefeedError: Dataflow does not answer, or does not let us.
        """
        with _DataflowErrors(self.project, self.region).translated():
            request = api.GetJobRequest(job_id=job_id, **self._where)
            return _job(self._jobs.get_job(request, **self._until_known))

    def cancel(self, job_id: str) -> None:
        """Ask a job to end; one that has ended stays as it is."""
        with _DataflowErrors(self.project, self.region).translated():
            wanted = api.Job(requested_state=api.JobState.JOB_STATE_CANCELLED)
            request = api.UpdateJobRequest(job_id=job_id, job=wanted, **self._where)
            self._jobs.update_job(request, **self._until_known)

    def errors(self, job_id: str) -> list[str]:
        """What Dataflow and the workers said that went wrong, in the order of time."""
        with _DataflowErrors(self.project, self.region).translated():
            request = api.ListJobMessagesRequest(
                job_id=job_id,
                minimum_importance=api.JobMessageImportance.JOB_MESSAGE_ERROR,
                **self._where,
            )
            found = self._messages.list_job_messages(request, **self._until_known)
            return [message.message_text for message in found]

    def counters(self, job_id: str) -> dict[str, int]:
        """The job's own counters so far, by name."""
        with _DataflowErrors(self.project, self.region).translated():
            request = api.GetJobMetricsRequest(job_id=job_id, **self._where)
            found = self._metrics.get_job_metrics(request, **self._until_known)
        return {
            update.name.name: int(update.scalar)
            for update in found.metrics
            if "tentative" not in update.name.context and update.scalar is not None
        }

    def page(self, job_id: str) -> str:
        """Where people look at the job."""
        return (
            f"https://console.cloud.google.com/dataflow/jobs/{self.region}/{job_id}"
            f"?project={self.project}"
        )

    def submit(self, name: str, run: Callable[[], str]) -> Job:
        """Have Beam submit a job, unless Dataflow has one that was asked for in the same words.

        Beam tries again by itself where Dataflow has an error, and not where it is asked to wait.

        Args:
            name: of the job.
            run: submits it, and returns its id, which is empty if there is a job of that name;
                called again, it submits the same.

        Raises:
            RefeedError: Dataflow does not answer, or does not let us.
        """
        job_id = ""
        with _DataflowErrors(self.project, self.region).translated(), suppress(exceptions.Conflict):
            job_id = self._options["retry"](run)()
        job = self.get(job_id) if job_id else self.find_lagging(name)
        if job is None:
            raise TransientError(f"Dataflow took the job {name!r}, and does not list it.")
        return job


class _DataflowErrors(ErrorTranslator):
    """Translates errors about the jobs of one project and region."""

    service = "Dataflow"
    connection_errors = (*CONNECTION_ERRORS, OSError)
    retry_hint = "Refeed retried for a while. Run again: the job itself continues meanwhile."

    def __init__(self, project: str, region: str) -> None:
        super().__init__(f"the project {project!r} in {region}")
        self._project, self._region = project, region

    def not_found(self, error: GoogleAPICallError) -> RefeedError:
        """See ``ErrorTranslator``."""
        return MissingInputError(f"Dataflow has no such job in {self._region}: {brief(error)}.")

    def invalid(self, error: GoogleAPICallError) -> RefeedError:
        """See ``ErrorTranslator``."""
        return UsageError(f"Dataflow rejected the request: {brief(error)}.")

    def role_hint(self, error: GoogleAPICallError) -> str:
        """See ``ErrorTranslator``."""
        del error
        role = project_role_hint("roles/dataflow.developer", self._project)
        return f"{role} It also needs roles/iam.serviceAccountUser on the workers' service account."


def _is_transient_or_missing(error: BaseException) -> bool:
    """A job that was submitted a moment ago may not be listed yet."""
    return isinstance(error, NotFound) or _DataflowErrors.is_transient(error)


def _job(job: api.Job) -> Job:
    state = api.JobState(job.current_state).name
    return Job(job.id, job.name, _STATES.get(state, "running"))


def _transport() -> dict[str, Any]:
    """How to reach Dataflow: itself, or a stand-in."""
    endpoint = os.environ.get(ENDPOINT, "")
    if not endpoint:
        return {}
    return {
        "credentials": AnonymousCredentials(),
        "client_options": ClientOptions(api_endpoint=endpoint.rstrip("/")),
        "transport": "rest",
    }
