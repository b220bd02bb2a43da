"""Translate BigQuery errors: transient errors, missing roles with their resources, refusals."""

from __future__ import annotations

import re

import requests
from google.api_core.exceptions import GoogleAPICallError, InvalidArgument

from steps.errors import DataError, ExpiredError, MissingInputError, RefeedError
from steps.google.bigquery.refusals import FILTER, HISTORY, REFUSALS
from steps.google.bigquery.request import BigQueryRequest, TableName
from steps.google.errors import ErrorTranslator, brief, grant_hint, project_role_hint
from steps.google.refusals import Refusal, codes_of

_TRANSIENT_CODES = {
    *("rateLimitExceeded", "backendError", "internalError", "jobRateLimitExceeded"),
    "tableUnavailable",
}
_TERMINAL_CODES = {"bytesBilledLimitExceeded"}
"""Codes that no retry changes, although BigQuery sends them with status 500."""
_PERMISSION = re.compile(r"bigquery\.\w+\.\w+")
_TABLE = re.compile(r"[Tt]able '?([\w.-]+(?::[\w.-]+)?:?[\w$-]+\.[\w$-]+)")
_WRITES = {"bigquery.tables.create", "bigquery.tables.update", "bigquery.tables.updateData"}


class BigQueryErrors(ErrorTranslator):
    """A translator of BigQuery errors.

    Args:
        target: description of the requested resource, such as ``the query``.
        billing: the project that is billed.
        staging: the BigQuery dataset that is written to, if any.
        request: the request of the spec, for remedies that contain its table or filter.
    """

    service = "BigQuery"
    retry_hint = "Refeed retried for a while. Run again to resume: the same rows are read."
    refusals = REFUSALS

    def __init__(
        self,
        target: str,
        billing: str,
        staging: str | None = None,
        request: BigQueryRequest | None = None,
    ) -> None:
        super().__init__(target)
        self._billing, self._staging, self._request = billing, staging, request

    @classmethod
    def of_table(
        cls, table: TableName, billing: str, request: BigQueryRequest | None = None
    ) -> BigQueryErrors:
        """Return the translator for requests about one table."""
        return cls(f"the table {table}", billing, request=request or BigQueryRequest(table))

    @classmethod
    def is_transient(cls, error: BaseException) -> bool:
        """See ``ErrorTranslator``. The REST API has additional reasons for a retry."""
        if isinstance(error, GoogleAPICallError):
            codes = codes_of(error)
            if codes & (_TRANSIENT_CODES | _TERMINAL_CODES):
                return not codes & _TERMINAL_CODES
        return super().is_transient(error)

    def from_response(self, error: GoogleAPICallError) -> RefeedError:
        """See ``ErrorTranslator``. An expired session is read again from the beginning."""
        text, is_missing = str(error), error.code == requests.codes.not_found
        # github.com/GoogleCloudDataproc/spark-bigquery-connector/issues/1316 has the text.
        if "session expired" in text or (is_missing and "/streams/" in text):
            return ExpiredError(
                f"BigQuery's time limit for reading {self.target} expired: {brief(error)}.",
                hint="Run again: the same rows are read from the start.",
            )
        return super().from_response(error)

    def refusal_of(self, error: GoogleAPICallError) -> Refusal | None:
        """See ``ErrorTranslator``. What is left of a session with a filter is about the filter."""
        found = super().refusal_of(error)
        if found is None and isinstance(error, InvalidArgument):
            return FILTER if self._request and self._request.restriction else None
        return found

    def names(self) -> dict[str, str]:
        """See ``ErrorTranslator``."""
        request = self._request
        table = f"`{request.table}`" if request and request.table else "..."
        condition = f" WHERE {request.restriction}" if request and request.restriction else ""
        return {
            **super().names(),
            "billing": self._billing,
            "project": self._billing,
            "query": f"SELECT * FROM {table}{condition}",  # noqa: S608 - shown, not run
            "columns": "those in the message",
            "tag": "in the message",
            "column": "day",
            "key": "KEY",
            "bucket": "in the message",
        }

    def not_found(self, error: GoogleAPICallError) -> RefeedError:
        """See ``ErrorTranslator``."""
        return MissingInputError(
            f"BigQuery cannot find {self.target}: {brief(error)}.",
            hint="Check project, dataset and table. If the source is a query, all its tables "
            "must be in one location.",
        )

    def invalid(self, error: GoogleAPICallError) -> RefeedError:
        """See ``ErrorTranslator``."""
        if self.refusal_of(error) is HISTORY:
            return DataError(
                f"BigQuery can no longer read {self.target} as it was when the split began: "
                f"{brief(error)}."
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
        match = _PERMISSION.search(str(error))
        permission = match.group() if match else ""
        if permission.startswith("bigquery.readsessions."):
            return project_role_hint("roles/bigquery.readSessionUser", self._billing)
        if permission.startswith("bigquery.jobs."):
            return project_role_hint("roles/bigquery.jobUser", self._billing)
        writes = permission in _WRITES or permission.startswith("bigquery.datasets.")
        if self._staging and writes:
            role = "roles/bigquery.dataEditor"
            command = f'GRANT `{role}` ON SCHEMA `{self._staging}` TO "..." in BigQuery'
            return grant_hint(role, f"the staging dataset {self._staging}", command)
        return self._viewer_hint(error)

    def _viewer_hint(self, error: GoogleAPICallError) -> str:
        """Return the role for reading a table, with a command if the table is known."""
        match = _TABLE.search(str(error))
        table = match.group(1).replace(":", ".") if match else ""
        if not table and self._request and self._request.table:
            table = str(self._request.table)
        role = "roles/bigquery.dataViewer"
        if not table:
            return f"The caller needs {role} on all tables that the query reads."
        command = f'GRANT `{role}` ON TABLE `{table}` TO "..." in BigQuery'
        return grant_hint(role, f"the table {table}", command)
