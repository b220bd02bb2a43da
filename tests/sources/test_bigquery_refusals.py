"""What BigQuery refuses, in its own words, and what is said about it.

Codes, reasons and the form of bodies are as documented: cloud.google.com/bigquery/docs, pages
error-messages and troubleshoot-quotas. The sentences are those that users of the service reported:
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
from steps.google.bigquery.jobs import Result, materialise
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
    """An error of the REST API."""
    told = {"message": message, "domain": "global", "reason": reason}
    return {"error": {"code": code, "message": message, "errors": [told]}}


def source() -> BigQuerySource:
    """A source whose calls are tried again for a second at the most."""
    config = DatasetConfig(source=TABLE, partition_by="key", target="target", billing="acme-jobs")
    opened = open_source(config)
    assert isinstance(opened, BigQuerySource)
    return BigQuerySource(opened.wanted, deadline=1.0)


def refused(answers: list[tuple[int, Any]], ask: Callable[[BigQuerySource], object]) -> RefeedError:
    """What is raised where the service answers so, the last answer again and again."""
    with fake_server(*answers) as end, pytest.MonkeyPatch.context() as patch:
        patch.setenv("BIGQUERY_EMULATOR_HOST", f"http://{end.address}")
        with pytest.raises(RefeedError) as caught:
            ask(source())
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
        "A quota of the project acme-jobs is used up.",
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
def test_a_table_is_refused(case: str) -> None:
    answer, hint = REFUSALS[case]
    error = refused([(answer["error"]["code"], answer)], lambda it: it.take_snapshot())
    assert type(error) is ForbiddenError
    assert error.exit_code == 77
    assert "acme-data.sales.orders" in error.message
    said = answer["error"]["message"].split(":")[0].split(".")[0]
    if hint == LOGIN:  # the client asks for fresh credentials first; a stand-in's have none
        said = "Not authenticated with Google Cloud"
    assert said in error.message
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
def test_a_view_is_refused(case: str) -> None:
    """It may be seen, and what it reads not."""
    said, hint = JOBS[case]
    error = refused(
        [(200, VIEW), (403, body(403, "accessDenied", said))], lambda it: it.estimate(["key"])
    )
    assert type(error) is ForbiddenError
    assert said.removesuffix(".") in error.message
    assert hint in (error.hint or "")


def test_the_staging_dataset_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    said = (
        "Access Denied: Dataset acme-data:staging: Permission bigquery.tables.create denied on "
        "dataset acme-data:staging (or it may not exist)."
    )
    dataset = {
        "id": "acme-data:staging",
        "location": "EU",
        "datasetReference": {"projectId": "acme-data", "datasetId": "staging"},
    }
    with fake_server((200, dataset), (403, body(403, "accessDenied", said))) as end:
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", f"http://{end.address}")
        result = Result(TableName("acme-data", "staging", ""), "refeed_1", 1795581282773000)
        with pytest.raises(ForbiddenError) as caught:
            materialise(source().clients, "SELECT 1", result, None)
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
        (503, ""),  # as of a proxy in between: a status, and nothing that BigQuery says
        (504, ""),
    ],
)
def test_overload_is_transient(code: int, reason: str) -> None:
    error = refused([(code, body(code, reason, "Slow down."))], lambda it: it.take_snapshot())
    assert type(error) is TransientError
    assert "Slow down" in error.message


def test_what_is_not_there() -> None:
    said = "Not found: Table acme-data:sales.orders was not found in location EU"
    error = refused([(404, body(404, "notFound", said))], lambda it: it.take_snapshot())
    assert type(error) is MissingInputError
    assert said in error.message


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
def test_rows_are_refused(case: str, method: str, warehouse: Any) -> None:
    """Through Google's client of the Storage Read API, whose call it is."""
    code, said, kind, hint = ROWS[case]
    warehouse.load(small_table())
    warehouse.proxy.faults += [Fault(method, code, said)] * 4  # each of four streams may ask
    opened = open_source(
        DatasetConfig(source=warehouse.uri("t"), partition_by="key", target="target")
    )
    with pytest.raises(kind) as caught:
        list(opened.batches(["key", "target"]))
    assert said.removesuffix(".") in str(caught.value)
    assert hint in (caught.value.hint or "")
