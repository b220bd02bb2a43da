"""Find, follow and cancel Google Cloud Dataflow jobs.

This module needs no Beam, so a small image can cancel a job. Only submitting a job needs Beam.
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
"""Environment variable with the URL of a fake Dataflow: ``http://localhost:PORT``, or on another
machine ``http://localhost@ADDRESS:PORT``. Beam requires the URL to start with localhost."""

LAG_SECONDS = 30.0
"""Seconds during which Dataflow may not list a job that it has accepted."""

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
"""All other states belong to a running job."""


@dataclass(frozen=True)
class Job:
    """A Dataflow job.

    Attributes:
        id: id that Dataflow assigned.
        name: name that Refeed assigned.
        state: current state.
    """

    id: str
    name: str
    state: State


class Dataflow:
    """The jobs of one Google Cloud project and region.

    Args:
        project: the project that is billed.
        region: region of the workers.
        deadline: seconds during which a throttled or interrupted call is retried.
        lag: seconds to wait for a job that is not listed yet.
    """

    def __init__(
        self,
        project: str,
        region: str,
        deadline: float = DEADLINE_SECONDS,
        lag: float = LAG_SECONDS,
    ) -> None:
        self.project, self.region, self.lag = project, region, lag
        self._parent = {"project_id": project, "location": region}
        pauses = {"initial": 0.2, "maximum": 10.0}
        self._options = call_options(_DataflowErrors.is_transient, deadline, **pauses)
        self._until_known = call_options(_is_transient_or_missing, max(deadline, lag), **pauses)
        self._jobs = api.JobsV1Beta3Client(**_transport())
        self._messages = api.MessagesV1Beta3Client(**_transport())
        self._metrics = api.MetricsV1Beta3Client(**_transport())

    def find(self, name: str) -> Job | None:
        """Return the newest job with a name, in any state; None if there never was one.

        Raises:
            RefeedError: Dataflow does not respond or denies access.
        """
        with _DataflowErrors(self.project, self.region).translated():
            request = api.ListJobsRequest(name=name, filter="ALL", **self._parent)
            jobs = list(self._jobs.list_jobs(request, **self._options))
        matching = [job for job in jobs if job.name == name]
        return _job(max(matching, key=lambda job: job.create_time)) if matching else None

    def find_lagging(self, name: str) -> Job | None:
        """Find a job like ``find``, but wait until a job that was just accepted is listed."""
        return poll_until(lambda: self.find(name), interval=min(1.0, self.lag), timeout=self.lag)

    def get(self, job_id: str) -> Job:
        """Return the job with an id.

        Raises:
            MissingInputError: the job does not exist, even after retries.
            RefeedError: Dataflow does not respond or denies access.
        """
        with _DataflowErrors(self.project, self.region).translated():
            request = api.GetJobRequest(job_id=job_id, **self._parent)
            return _job(self._jobs.get_job(request, **self._until_known))

    def cancel(self, job_id: str) -> None:
        """Cancel a job. A job that has ended is not changed."""
        with _DataflowErrors(self.project, self.region).translated():
            cancelled = api.Job(requested_state=api.JobState.JOB_STATE_CANCELLED)
            request = api.UpdateJobRequest(job_id=job_id, job=cancelled, **self._parent)
            self._jobs.update_job(request, **self._until_known)

    def errors(self, job_id: str) -> list[str]:
        """Return the error messages of Dataflow and its workers, oldest first."""
        with _DataflowErrors(self.project, self.region).translated():
            request = api.ListJobMessagesRequest(
                job_id=job_id,
                minimum_importance=api.JobMessageImportance.JOB_MESSAGE_ERROR,
                **self._parent,
            )
            messages = self._messages.list_job_messages(request, **self._until_known)
            return [message.message_text for message in messages]

    def counters(self, job_id: str) -> dict[str, int]:
        """Return the job's current counters, by name."""
        with _DataflowErrors(self.project, self.region).translated():
            request = api.GetJobMetricsRequest(job_id=job_id, **self._parent)
            response = self._metrics.get_job_metrics(request, **self._until_known)
        return {
            update.name.name: int(update.scalar)
            for update in response.metrics
            if "tentative" not in update.name.context and update.scalar is not None
        }

    def page(self, job_id: str) -> str:
        """Return the URL of the job in the Google Cloud console."""
        return (
            f"https://console.cloud.google.com/dataflow/jobs/{self.region}/{job_id}"
            f"?project={self.project}"
        )

    def submit(self, name: str, run: Callable[[], str]) -> Job:
        """Submit a job with Beam, unless Dataflow already has it.

        Beam itself retries after server errors, but not when it is throttled.

        Args:
            name: name of the job.
            run: submits the job and returns its id, or an empty text if a job of that name exists.
                Repeated calls submit the same job.

        Raises:
            RefeedError: Dataflow does not respond or denies access.
        """
        job_id = ""
        with _DataflowErrors(self.project, self.region).translated(), suppress(exceptions.Conflict):
            job_id = self._options["retry"](run)()
        job = self.get(job_id) if job_id else self.find_lagging(name)
        if job is None:
            raise TransientError(
                f"Dataflow accepted the job {name!r}, but does not list it yet.",
                hint="Run again in a minute. It continues with the same job.",
            )
        return job


class _DataflowErrors(ErrorTranslator):
    """A translator of errors about the jobs of one project and region."""

    service = "Dataflow"
    connection_errors = (*CONNECTION_ERRORS, OSError)
    retry_hint = "Refeed retried for a while. Run again: the job itself continues meanwhile."

    def __init__(self, project: str, region: str) -> None:
        super().__init__(f"the project {project!r} in {region}")
        self._project, self._region = project, region

    def not_found(self, error: GoogleAPICallError) -> RefeedError:
        """See ``ErrorTranslator``."""
        return MissingInputError(
            f"Dataflow does not have the job in the region {self._region}: {brief(error)}.",
            hint="Check split.region in the spec or the installation file.",
        )

    def invalid(self, error: GoogleAPICallError) -> RefeedError:
        """See ``ErrorTranslator``."""
        return UsageError(f"Dataflow rejected the request: {brief(error)}.")

    def role_hint(self, error: GoogleAPICallError) -> str:
        """See ``ErrorTranslator``."""
        del error
        role = project_role_hint("roles/dataflow.developer", self._project)
        return f"{role} It also needs roles/iam.serviceAccountUser on the workers' service account."


def _is_transient_or_missing(error: BaseException) -> bool:
    """Return True for a transient error, or a job that may not be listed yet."""
    return isinstance(error, NotFound) or _DataflowErrors.is_transient(error)


def _job(job: api.Job) -> Job:
    state = api.JobState(job.current_state).name
    return Job(job.id, job.name, _STATES.get(state, "running"))


def _transport() -> dict[str, Any]:
    """Return the options that connect a client to Dataflow, or to a fake."""
    endpoint = os.environ.get(ENDPOINT, "")
    if not endpoint:
        return {}
    return {
        "credentials": AnonymousCredentials(),
        "client_options": ClientOptions(api_endpoint=endpoint.rstrip("/")),
        "transport": "rest",
    }
