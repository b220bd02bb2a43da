"""Google's two clients: of jobs and tables (REST), and of rows (the Storage Read API, gRPC)."""

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
"""Names the environment variable with the URL of a stand-in's REST API; it is Google's own."""
ROWS_ENDPOINT = "BIGQUERY_STORAGE_EMULATOR_HOST"
"""Names the one with host:port of a stand-in's Storage API, which Google's client has none for."""
_UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


class Clients:
    """Both clients, opened on first use.

    Args:
        billing: the project that pays; None for the one that the credentials name.
        fallback: the project that pays where they name none.
        deadline: seconds for which a call is tried again.
    """

    def __init__(
        self, billing: str | None, fallback: str = "", deadline: float = DEADLINE_SECONDS
    ) -> None:
        self._billing, self._fallback, self._deadline = billing, fallback, deadline

    @property
    def options(self) -> dict[str, Any]:
        """How long a call of the REST API may take, and is tried again."""
        return {"retry": self.retry, "timeout": self._deadline}

    @property
    def retry(self) -> Retry:
        """When a call is tried again; a stream of the Storage API may take as long as it likes."""
        return Retry(BigQueryErrors.is_transient, timeout=self._deadline)

    @cached_property
    def rest(self) -> bigquery.Client:
        """The client of jobs and tables.

        Raises:
            ForbiddenError: nobody is logged in.
        """
        with BigQueryErrors("a client", self._billing or "?").translated():
            if os.environ.get(REST_ENDPOINT):
                project = self._billing or self._fallback
                return bigquery.Client(project=project, credentials=AnonymousCredentials())
            try:
                return bigquery.Client(project=self._billing)
            except OSError:  # the credentials name no project
                return bigquery.Client(project=self._billing or self._fallback)

    @cached_property
    def rows(self) -> bigquery_storage.BigQueryReadClient:
        """The client of rows.

        Raises:
            ForbiddenError: nobody is logged in.
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
        """The project that pays."""
        return str(self._billing or self.rest.project)

    def close(self) -> None:
        """Close what is open."""
        if "rest" in self.__dict__:
            self.rest.close()
            del self.__dict__["rest"]
        if "rows" in self.__dict__:
            self.rows.transport.close()
            del self.__dict__["rows"]
