"""Translate real BigQuery errors.

Codes, reasons and the form of bodies are as documented: cloud.google.com/bigquery/docs, pages
error-messages and troubleshoot-quotas. The messages are those that users of the service reported:
GoogleCloudDataproc/spark-bigquery-connector#478 (tables.get), mozilla/bigquery-etl#7581
(jobs.create), hashicorp/terraform-provider-google#9577 (tables.create),
stanford-esrg/LEO_HitchHiking#2 (a query).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
import pytest

from steps.errors import DataError, ForbiddenError, MissingInputError, RefeedError, TransientError
from steps.google.bigquery.jobs import Result, materialize
from steps.google.bigquery.request import TableName
from steps.google.bigquery.source import BigQuerySource
from steps.split.config import DatasetConfig
from steps.split.sources.base import open_source
from tests.cluster.fake_server import fake_server
from tests.sources.rows_proxy import CREATE, READ, Fault
from tests.workspace import small_table

TABLE = "bigquery://acme-data.sales.orders"
LOGIN = "gcloud auth application-default login"
VIEW = {
    "id": "acme-data:sales.orders",
    "type": "VIEW",
    "tableReference": {"projectId": "acme-data", "datasetId": "sales", "tableId": "orders"},
    "view": {"query": "SELECT 1"},
    "lastModifiedTime": "1795581282773",
    "schema": {"fields": [{"name": "key", "type": "STRING"}]},
}


def body(code: int, reason: str, message: str) -> dict[str, Any]:
    """Return an error body of the REST API."""
    error = {"message": message, "domain": "global", "reason": reason}
    return {"error": {"code": code, "message": message, "errors": [error]}}


def source() -> BigQuerySource:
    """Return a source that retries its calls for at most one second."""
    config = DatasetConfig(source=TABLE, partition_by="key", target="target", billing="acme-jobs")
    opened = open_source(config)
    assert isinstance(opened, BigQuerySource)
    return BigQuerySource(opened.request, deadline=1.0)


def error_for(
    responses: list[tuple[int, Any]], request: Callable[[BigQuerySource], object]
) -> RefeedError:
    """Return the error for these responses, of which the last one is repeated."""
    with fake_server(*responses) as end, pytest.MonkeyPatch.context() as patch:
        patch.setenv("BIGQUERY_EMULATOR_HOST", f"http://{end.address}")
        with pytest.raises(RefeedError) as caught:
            request(source())
    return caught.value


REFUSALS = {
    "no role on the table": (
        body(
            403,
            "accessDenied",
            "Access Denied: Table acme-data:sales.orders: Permission bigquery.tables.get denied on "
            "table acme-data:sales.orders (or it may not exist).",
        ),
        "roles/bigquery.dataViewer on the table acme-data.sales.orders: GRANT",
    ),
    "the API is off": (
        body(
            403,
            "accessNotConfigured",
            "BigQuery API has not been used in project 1234 before or it is disabled. Enable it by "
            "visiting https://console.developers.google.com/apis/api/bigquery then retry.",
        ),
        "gcloud services enable bigquery.googleapis.com bigquerystorage.googleapis.com "
        "--project=acme-jobs",
    ),
    "the quota is used up": (
        body(403, "quotaExceeded", "Quota exceeded: Your project exceeded quota for table reads."),
        "A quota of the project acme-jobs is exhausted.",
    ),
    "credentials that are not taken": (
        body(
            401,
            "authError",
            "Request had invalid authentication credentials. Expected OAuth 2 access token, login "
            "cookie or other valid authentication credential.",
        ),
        LOGIN,
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_denied_table(case: str) -> None:
    answer, hint = REFUSALS[case]
    error = error_for([(answer["error"]["code"], answer)], lambda it: it.take_snapshot())
    assert type(error) is ForbiddenError
    assert error.exit_code == 77
    assert "acme-data.sales.orders" in error.message
    message = answer["error"]["message"].split(":")[0].split(".")[0]
    if hint == LOGIN:  # the client first requests new credentials, which a fake does not have
        message = "Not authenticated with Google Cloud"
    assert message in error.message
    assert hint in (error.hint or "")


JOBS = {
    "no role to run jobs": (
        "Access Denied: Project acme-jobs: User does not have bigquery.jobs.create permission in "
        "project acme-jobs.",
        "roles/bigquery.jobUser on the project acme-jobs: `gcloud projects add-iam-policy-binding "
        "acme-jobs",
    ),
    "no role on a table of the query": (
        "Access Denied: Table acme-data:raw.lines: User does not have permission to query table "
        "acme-data:raw.lines, or perhaps it does not exist in location EU.",
        "roles/bigquery.dataViewer on the table acme-data.raw.lines: GRANT",
    ),
}


@pytest.mark.parametrize("case", JOBS)
def test_denied_view(case: str) -> None:
    """The view is visible, but the tables that it reads are not."""
    message, hint = JOBS[case]
    error = error_for(
        [(200, VIEW), (403, body(403, "accessDenied", message))], lambda it: it.estimate(["key"])
    )
    assert type(error) is ForbiddenError
    assert message.removesuffix(".") in error.message
    assert hint in (error.hint or "")


def test_denied_staging_dataset(monkeypatch: pytest.MonkeyPatch) -> None:
    message = (
        "Access Denied: Dataset acme-data:staging: Permission bigquery.tables.create denied on "
        "dataset acme-data:staging (or it may not exist)."
    )
    dataset = {
        "id": "acme-data:staging",
        "location": "EU",
        "datasetReference": {"projectId": "acme-data", "datasetId": "staging"},
    }
    with fake_server((200, dataset), (403, body(403, "accessDenied", message))) as end:
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", f"http://{end.address}")
        result = Result(TableName("acme-data", "staging", ""), "refeed_1", 1795581282773000)
        with pytest.raises(ForbiddenError) as caught:
            materialize(source().clients, "SELECT 1", result, None)
    assert "roles/bigquery.dataEditor on the staging dataset acme-data.staging" in (
        caught.value.hint or ""
    )


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (403, "rateLimitExceeded"),
        (429, "rateLimitExceeded"),
        (500, "internalError"),
        (503, "backendError"),
        (503, ""),  # from a proxy: a status without BigQuery's reason
        (504, ""),
    ],
)
def test_overload_is_transient(code: int, reason: str) -> None:
    error = error_for([(code, body(code, reason, "Slow down."))], lambda it: it.take_snapshot())
    assert type(error) is TransientError
    assert "Slow down" in error.message


def test_missing_table() -> None:
    message = "Not found: Table acme-data:sales.orders was not found in location EU"
    error = error_for([(404, body(404, "notFound", message))], lambda it: it.take_snapshot())
    assert type(error) is MissingInputError
    assert message in error.message


ROWS = {
    "no sessions": (
        grpc.StatusCode.PERMISSION_DENIED,
        "request failed: the user does not have 'bigquery.readsessions.create' permission for "
        "'projects/refeed-test'",
        ForbiddenError,
        "roles/bigquery.readSessionUser on the project",
    ),
    "no rows": (
        grpc.StatusCode.PERMISSION_DENIED,
        "Access Denied: Table acme-data:sales.orders: Permission bigquery.tables.getData denied on "
        "table acme-data:sales.orders (or it may not exist).",
        ForbiddenError,
        "roles/bigquery.dataViewer on the table acme-data.sales.orders",
    ),
    "nobody is logged in": (
        grpc.StatusCode.UNAUTHENTICATED,
        "Request had invalid authentication credentials. Expected OAuth 2 access token.",
        ForbiddenError,
        LOGIN,
    ),
    "the API is off": (
        grpc.StatusCode.PERMISSION_DENIED,
        "BigQuery Storage API has not been used in project 1234 before or it is disabled.",
        ForbiddenError,
        "gcloud services enable",
    ),
    "a filter that is none": (
        grpc.StatusCode.INVALID_ARGUMENT,
        "request failed: Query error: Unrecognized name: nope at [1:1]",
        DataError,
        "",
    ),
}


@pytest.mark.parametrize("method", [CREATE, READ])
@pytest.mark.parametrize("case", ROWS)
def test_denied_rows(case: str, method: str, warehouse: Any) -> None:
    """Errors pass through Google's client of the Storage Read API."""
    code, message, kind, hint = ROWS[case]
    warehouse.load(small_table())
    warehouse.proxy.faults += [Fault(method, code, message)] * 4  # each of four streams may ask
    opened = open_source(
        DatasetConfig(source=warehouse.uri("t"), partition_by="key", target="target")
    )
    with pytest.raises(kind) as caught:
        list(opened.batches(["key", "target"]))
    assert message.removesuffix(".") in str(caught.value)
    assert hint in (caught.value.hint or "")
