"""Translate real BigQuery errors.

Codes, reasons and the form of bodies are as documented: cloud.google.com/bigquery/docs, pages
error-messages and troubleshoot-quotas. The messages are those that users of the service reported:
GoogleCloudDataproc/spark-bigquery-connector#478 (tables.get), mozilla/bigquery-etl#7581
(jobs.create), hashicorp/terraform-provider-google#9577 (tables.create),
stanford-esrg/LEO_HitchHiking#2 (a query).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest

from steps.errors import (
    DataError,
    ForbiddenError,
    MissingInputError,
    RefeedError,
    SpecError,
    TransientError,
)
from steps.google.bigquery.jobs import Result, materialize
from steps.google.bigquery.refusals import FILTER, REFUSALS
from steps.google.bigquery.request import TableName
from steps.google.bigquery.source import BigQuerySource
from steps.google.refusals import Refusal
from steps.split.config import DatasetConfig
from steps.split.sources.base import open_source
from steps.storage.gcs_refusals import REFUSALS as GCS_REFUSALS
from tests.cluster.fake_server import fake_server
from tests.fakes.bigquery import PROJECT
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


DENIED = {
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


@pytest.mark.parametrize("case", DENIED)
def test_denied_table(case: str) -> None:
    answer, hint = DENIED[case]
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


def test_denied_query_without_a_table_has_no_grant() -> None:
    """A GRANT on a name that is not a table cannot run."""
    message = "Access Denied: BigQuery BigQuery: User does not have permission."
    error = error_for(
        [(200, VIEW), (403, body(403, "accessDenied", message))], lambda it: it.estimate(["key"])
    )
    assert "roles/bigquery.dataViewer on all tables that the query reads" in error.hint
    assert "GRANT" not in error.hint


@pytest.mark.parametrize("status", [403, 404, 400])
def test_target_has_one_article(status: int) -> None:
    reasons = {403: "accessDenied", 404: "notFound", 400: "invalid"}
    answer = body(status, reasons[status], "No.")
    error = error_for([(status, answer)], lambda it: it.take_snapshot())
    assert "the table acme-data.sales.orders" in error.message
    for text in ("the table the", "no the", "the the"):
        assert text not in str(error)


@dataclass(frozen=True)
class Refused:
    """A refusal as Google sends it.

    Attributes:
        kind: its line in the documentation.
        message: Google's text, as users of the service reported it.
        hint: part of the remedy.
        reason: reason of the REST API.
        code: code of gRPC for the Storage Read API; None if only the REST API refuses this way.
        details: further fields of a REST error.
        error: type of Refeed's error.
    """

    kind: str
    message: str
    hint: str
    reason: str = "accessDenied"
    code: grpc.StatusCode | None = grpc.StatusCode.PERMISSION_DENIED
    details: tuple[dict[str, Any], ...] = ()
    error: type[RefeedError] = ForbiddenError


INVALID = grpc.StatusCode.INVALID_ARGUMENT
HTTP = {"accessDenied": 403, "quotaExceeded": 403, "notFound": 404, "": 403}
PERIMETER = {
    "@type": "type.googleapis.com/google.rpc.PreconditionFailure",
    "violations": [{"type": "VPC_SERVICE_CONTROLS", "description": "abc123"}],
}
REFUSED = {
    "row access policies": Refused(
        "row access policies",
        "request failed: Access Denied: BigQuery BigQuery: Time travel on table "
        "my-project:sales.orders is forbidden as it has (or has had) row access policies.",
        'by dataset.query: "SELECT * FROM `{table}`", with a staging dataset',
    ),
    "policy tag": Refused(  # open-metadata/OpenMetadata#31249
        "policy tag",
        "Access Denied: BigQuery BigQuery: User has neither fine-grained reader nor masked get "
        'permission to get data protected by policy tag "PII : email" on columns '
        "my-project.sales.orders.email, my-project.sales.orders.phone.",
        "(my-project.sales.orders.email, my-project.sales.orders.phone): do not list them in "
        "dataset.features, or list them in `dataset.features: {exclude: [...]}`",
    ),
    "policy tag, documented words": Refused(
        "policy tag",
        "Access Denied: BigQuery BigQuery: User does not have permission to access policy tag "
        '"PII : email" on column my-project.sales.orders.email.',
        "roles/datacatalog.categoryFineGrainedReader granted on the policy tag PII : email",
    ),
    "partition filter": Refused(  # dask/dask-bigquery#56
        "partition filter",
        "request failed: Query error: Cannot query over table 'my-project.sales.orders' without a "
        "filter over column(s) 'day' that can be used for partition elimination",
        "Set dataset.filter, such as dataset.filter: \"day >= '2026-01-01'\"",
        "invalidQuery",
        INVALID,
        error=DataError,
    ),
    "ingestion time": Refused(
        "partition filter",
        "request failed: Query error: Cannot query over table 'p.raw.events' without a filter over "
        "column(s) '_PARTITION_LOAD_TIME', '_PARTITIONDATE', '_PARTITIONTIME' that can be used for "
        "partition elimination",
        "dataset.filter: \"_PARTITIONDATE >= '2026-01-01'\"",
        "invalidQuery",
        INVALID,
        error=DataError,
    ),
    "perimeter, text": Refused(
        "VPC Service Controls",
        "VPC Service Controls: Request is prohibited by organization's policy. "
        "vpcServiceControlsUniqueIdentifier: abc123.",
        "Ask the administrators of the perimeter for an ingress or egress rule",
    ),
    "perimeter, code": Refused(
        "VPC Service Controls",
        "Not allowed.",
        "Ask the administrators of the perimeter for an ingress or egress rule",
        code=None,
        details=(PERIMETER,),
    ),
    "key": Refused(
        "customer-managed key",
        "Access Denied: BigQuery BigQuery: Permission 'cloudkms.cryptoKeyVersions.useToDecrypt' "
        "denied on resource 'projects/k/locations/eu/keyRings/r/cryptoKeys/c' (or it may not "
        "exist).",
        "`gcloud kms keys add-iam-policy-binding projects/k/locations/eu/keyRings/r/cryptoKeys/c",
    ),
    "quota, text": Refused(
        "quota",
        "request failed: Quota exceeded: Your project exceeded quota for concurrent read sessions",
        "A quota of the project {billing} is exhausted",
    ),
    "quota, code": Refused(
        "quota",
        "Custom quota exceeded: Your usage exceeded the custom quota for QueryUsagePerDay",
        "A quota of the project {billing} is exhausted",
        "quotaExceeded",
        None,
    ),
    "location": Refused(
        "location",
        "Not found: Dataset my-project:sales was not found in location EU",
        "The query ran in EU",
        "notFound",
        grpc.StatusCode.NOT_FOUND,
        error=MissingInputError,
    ),
    "billing": Refused(
        "billing",
        "Access Denied: Project my-project: Billing has not been enabled for this project.",
        "gcloud billing projects link",
        "billingNotEnabled",
        None,
    ),
    "quota project": Refused(
        "quota project",
        "Caller does not have required permission to use project acme-jobs. Grant the caller the "
        "roles/serviceusage.serviceUsageConsumer role, or a custom role with the "
        "serviceusage.services.use permission, by visiting the console.",
        "roles/serviceusage.serviceUsageConsumer on the project acme-jobs",
    ),
    "scopes": Refused(
        "access scopes",
        "Request had insufficient authentication scopes.",
        "limited to other services by their access scopes",
    ),
    "sheet": Refused(
        "Google Drive",
        "Access Denied: BigQuery BigQuery: Permission denied while getting Drive credentials.",
        "CREATE TABLE project.dataset.copy AS SELECT",
        code=None,
    ),
    "files": Refused(
        "files of an external table",
        "Access Denied: BigQuery BigQuery: Permission denied while globbing file pattern. "
        "split@acme.iam.gserviceaccount.com does not have storage.objects.list access to the "
        "Google Cloud Storage bucket. Please make sure gs://acme-lake/x is accessible.",
        "roles/storage.objectViewer on the bucket acme-lake",
        code=None,
    ),
    "resources": Refused(
        "resources exceeded",
        "Resources exceeded during query execution: The query could not be executed in the "
        "allotted memory.",
        "Remove ORDER BY",
        "resourcesExceeded",
        None,
        error=SpecError,
    ),
}
HTTP |= {"invalidQuery": 400, "resourcesExceeded": 400, "billingNotEnabled": 403}


def remedy(refused: Refused, table: str, billing: str) -> str:
    return refused.hint.replace("{table}", table).replace("{billing}", billing)


@pytest.mark.parametrize("name", REFUSED)
def test_refused_query(name: str) -> None:
    """Each refusal of a view has a remedy of its own, and Google's words."""
    refused = REFUSED[name]
    if name == "row access policies":
        pytest.skip("a query has no snapshot time")
    answer = body(HTTP[refused.reason], refused.reason, refused.message)
    answer["error"]["details"] = list(refused.details)
    error = error_for([(200, VIEW), (answer["error"]["code"], answer)], lambda it: it.estimate([]))
    assert type(error) is (SpecError if answer["error"]["code"] == 400 else refused.error)
    assert refused.message[:60] in str(error)
    assert remedy(refused, "...", "acme-jobs") in str(error)
    assert "GRANT" not in str(error)


@pytest.mark.parametrize("name", [name for name, each in REFUSED.items() if each.code])
def test_refused_session(name: str, warehouse: Any) -> None:
    """The Storage Read API refuses the same, with a code of gRPC."""
    refused = REFUSED[name]
    assert refused.code is not None
    warehouse.load(small_table())
    warehouse.proxy.faults.append(Fault(CREATE, refused.code, refused.message))
    opened = open_source(
        DatasetConfig(source=warehouse.uri("t"), partition_by="key", target="target")
    )
    with pytest.raises(refused.error) as caught:
        list(opened.batches(["key", "target"]))
    assert refused.message[:60] in caught.value.message
    assert remedy(refused, warehouse.name("t"), PROJECT) in caught.value.hint
    assert "GRANT" not in caught.value.hint


FILTERS = {
    "subquery": (  # GoogleCloudDataproc/spark-bigquery-connector#278
        "day = (SELECT MAX(day) FROM x)",
        "request failed: Row filter for table a:b.c is invalid. Filter is '...'",
    ),
    "too complex": (  # GoogleCloudDataproc/spark-bigquery-connector#197
        "ST_X(place) > 1",
        "request failed: row filter '...' is too complex to be processed in filtering; consider "
        "executing a query instead",
    ),
}


@pytest.mark.parametrize("name", FILTERS)
def test_filter_that_only_a_query_can_apply(name: str, warehouse: Any) -> None:
    condition, message = FILTERS[name]
    warehouse.load(small_table())
    warehouse.proxy.faults.append(Fault(CREATE, INVALID, message))
    opened = open_source(
        DatasetConfig(
            source=warehouse.uri("t"), filter=condition, partition_by="key", target="target"
        )
    )
    with pytest.raises(DataError) as caught:
        list(opened.batches(["key", "target"]))
    query = f'dataset.query: "SELECT * FROM `{warehouse.name("t")}` WHERE {condition}"'
    assert query in caught.value.hint


def test_limit_on_bytes_is_no_retry() -> None:
    """BigQuery sends the limit with status 500, and again after each retry."""
    message = "Query exceeded limit for bytes billed: 1. 10485760 or higher required."
    answer = body(500, "bytesBilledLimitExceeded", message)
    began = time.monotonic()
    error = error_for([(200, VIEW), (500, answer)], lambda it: it.estimate(["key"]))
    assert time.monotonic() - began < 0.9
    assert type(error) is DataError
    assert "The limit is dataset.max_bytes" in error.hint


def documented(page: str) -> set[str]:
    """Return the first cells of the tables of refusals in a page of the documentation."""
    text = Path("docs/platform", page).read_text(encoding="utf-8")
    lines = text.partition("## Refusals")[2].splitlines()
    return {line.split("|")[1].strip() for line in lines if line.startswith("| ")}


@pytest.mark.parametrize(
    ("page", "refusals"),
    [("bigquery.md", (*REFUSALS, FILTER)), ("google-cloud.md", GCS_REFUSALS)],
)
def test_each_refusal_is_documented(page: str, refusals: tuple[Refusal, ...]) -> None:
    kinds = {each.kind for each in refusals}
    assert kinds <= documented(page)
    assert all(each.source.startswith("https://") for each in refusals)


def test_each_refusal_is_tested() -> None:
    tested = {each.kind for each in REFUSED.values()} | {"filter", "time travel", "bytes billed"}
    assert tested == {each.kind for each in (*REFUSALS, FILTER)}
