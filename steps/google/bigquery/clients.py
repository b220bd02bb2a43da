"""BigQuery's two clients: REST for jobs and tables, and the Storage Read API (gRPC) for rows."""

from __future__ import annotations

import os
from functools import cached_property
from typing import Any

import grpc
from google.api_core.client_options import ClientOptions
from google.api_core.retry import Retry
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery, bigquery_storage
from google.cloud.bigquery_storage_v1.services.big_query_read.transports import (
    BigQueryReadGrpcTransport,
)

from steps.google.bigquery.errors import BigQueryErrors
from steps.google.errors import DEADLINE_SECONDS

REST_ENDPOINT = "BIGQUERY_EMULATOR_HOST"
"""Environment variable with the URL of an emulator's REST API, which Google's client reads too."""
ROWS_ENDPOINT = "BIGQUERY_STORAGE_EMULATOR_HOST"
"""Environment variable with host:port of an emulator's Storage API, defined by Refeed."""
_UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


class Clients:
    """Both clients, opened on first use.

    Args:
        billing: the project that is billed; None for the project of the credentials.
        fallback: the project that is billed if the credentials have no project.
        deadline: seconds during which a call is retried.
    """

    def __init__(
        self, billing: str | None, fallback: str = "", deadline: float = DEADLINE_SECONDS
    ) -> None:
        self._billing, self._fallback, self._deadline = billing, fallback, deadline

    @property
    def options(self) -> dict[str, Any]:
        """Retry and timeout of a REST API call."""
        return {"retry": self.retry, "timeout": self._deadline}

    @property
    def retry(self) -> Retry:
        """Retry of a call, without a timeout for streams of the Storage API."""
        return Retry(BigQueryErrors.is_transient, timeout=self._deadline)

    @cached_property
    def rest(self) -> bigquery.Client:
        """Client for jobs and tables.

        Raises:
            ForbiddenError: there are no credentials.
        """
        with BigQueryErrors("a client", self._billing or "?").translated():
            if os.environ.get(REST_ENDPOINT):
                project = self._billing or self._fallback
                return bigquery.Client(project=project, credentials=AnonymousCredentials())
            try:
                return bigquery.Client(project=self._billing)
            except OSError:  # the credentials have no project
                return bigquery.Client(project=self._billing or self._fallback)

    @cached_property
    def rows(self) -> bigquery_storage.BigQueryReadClient:
        """Client for rows.

        Raises:
            ForbiddenError: there are no credentials.
        """
        host = os.environ.get(ROWS_ENDPOINT)
        if host:
            channel = grpc.insecure_channel(host, options=_UNLIMITED)
            transport = BigQueryReadGrpcTransport(channel=channel)
            return bigquery_storage.BigQueryReadClient(transport=transport)
        with BigQueryErrors("a client", self._billing or "?").translated():
            options = ClientOptions(quota_project_id=self._billing)
            return bigquery_storage.BigQueryReadClient(client_options=options)

    @property
    def billing(self) -> str:
        """The project that is billed."""
        return str(self._billing or self.rest.project)

    def close(self) -> None:
        """Close open clients."""
        if "rest" in self.__dict__:
            self.rest.close()
            del self.__dict__["rest"]
        if "rows" in self.__dict__:
            self.rows.transport.close()
            del self.__dict__["rows"]
