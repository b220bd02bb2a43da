"""Translate BigQuery errors: transient errors, and missing roles with their resources."""

from __future__ import annotations

import re

import requests
from google.api_core.exceptions import GoogleAPICallError

from steps.errors import DataError, ExpiredError, ForbiddenError, MissingInputError, RefeedError
from steps.google.errors import ErrorTranslator, brief, grant_hint, project_role_hint

_TRANSIENT_REASONS = {"rateLimitExceeded", "backendError", "internalError", "jobRateLimitExceeded"}
_PERMISSION = re.compile(r"bigquery\.\w+\.\w+")
_TABLE = re.compile(r"[Tt]able ([\w.-]+(?::[\w.-]+)?:?[\w$-]+\.[\w$-]+)")


class BigQueryErrors(ErrorTranslator):
    """A translator of BigQuery errors.

    Args:
        target: the requested resource, such as a table's name.
        billing: the project that is billed.
        staging: the BigQuery dataset that is written to, if any.
    """

    service = "BigQuery"
    retry_hint = "Refeed retried for a while. Run again to resume: the same rows are read."

    def __init__(self, target: str, billing: str, staging: str | None = None) -> None:
        super().__init__(target)
        self._billing, self._staging = billing, staging

    @classmethod
    def is_transient(cls, error: BaseException) -> bool:
        """See ``ErrorTranslator``. The REST API has additional reasons for a retry."""
        if isinstance(error, GoogleAPICallError) and reason_of(error) in _TRANSIENT_REASONS:
            return True
        return super().is_transient(error)

    def from_response(self, error: GoogleAPICallError) -> RefeedError:
        """See ``ErrorTranslator``. An expired session is read again from the beginning."""
        text, is_missing = str(error), error.code == requests.codes.not_found
        if "session expired" in text or (is_missing and "/streams/" in text):
            return ExpiredError(
                f"BigQuery's time limit for reading {self.target} expired: {brief(error)}.",
                hint="Run again: the same rows are read from the start.",
            )
        if reason_of(error) == "accessNotConfigured":
            message = f"BigQuery denied access to {self.target}: {brief(error)}."
            return ForbiddenError(message, hint=self.enable_hint())
        return super().from_response(error)

    def not_found(self, error: GoogleAPICallError) -> RefeedError:
        """See ``ErrorTranslator``."""
        return MissingInputError(
            f"BigQuery has no {self.target}: {brief(error)}.",
            hint="Check project, dataset and table. If the source is a query, all its tables "
            "must be in one location.",
        )

    def invalid(self, error: GoogleAPICallError) -> RefeedError:
        """See ``ErrorTranslator``."""
        if re.search("snapshot|time travel", str(error), re.IGNORECASE):
            return DataError(
                f"BigQuery can no longer read {self.target} as it was when the split began: "
                f"{brief(error)}.",
                hint="BigQuery keeps at most 7 days of history, and none from before the table was "
                "created. Run again: the split starts over with the current rows.",
            )
        return DataError(
            f"BigQuery rejected the request for {self.target}: {brief(error)}.",
            hint="The message is from BigQuery. Correct the dataset section of the spec.",
        )

    def enable_hint(self) -> str:
        """See ``ErrorTranslator``."""
        return (
            "Enable the APIs: `gcloud services enable bigquery.googleapis.com "
            f"bigquerystorage.googleapis.com --project={self._billing}`"
        )

    def role_hint(self, error: GoogleAPICallError) -> str:
        """See ``ErrorTranslator``. The role follows from the permission in the error's text."""
        if reason_of(error) == "quotaExceeded":
            return f"A quota of the project {self._billing} is exhausted."
        match = _PERMISSION.search(str(error))
        permission = match.group() if match else ""
        if permission.startswith("bigquery.readsessions."):
            return project_role_hint("roles/bigquery.readSessionUser", self._billing)
        if permission.startswith("bigquery.jobs."):
            return project_role_hint("roles/bigquery.jobUser", self._billing)
        if self._staging and permission in {"bigquery.tables.create", "bigquery.tables.update"}:
            role = "roles/bigquery.dataEditor"
            command = f'GRANT `{role}` ON SCHEMA `{self._staging}` TO "..." in BigQuery'
            return grant_hint(role, f"the staging dataset {self._staging}", command)
        table_match = _TABLE.search(str(error))
        table = table_match.group(1).replace(":", ".") if table_match else self.target
        role = "roles/bigquery.dataViewer"
        command = f'GRANT `{role}` ON TABLE `{table}` TO "..." in BigQuery'
        return grant_hint(role, f"the table {table}", command)


def reason_of(error: GoogleAPICallError) -> str:
    """Return the first reason in a response of the REST API, such as ``rateLimitExceeded``."""
    reasons = [each.get("reason", "") for each in error.errors if isinstance(each, dict)]
    return reasons[0] if reasons else ""
