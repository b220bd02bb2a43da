"""Refusals of BigQuery that have a remedy of their own; docs/platform/bigquery.md lists them."""

from __future__ import annotations

import re

from steps.google.refusals import COMMON, Refusal

_DOCS = "https://cloud.google.com/bigquery/docs"

HISTORY = Refusal(
    "time travel",
    f"{_DOCS}/time-travel",
    "BigQuery keeps at most 7 days of history, and none from before the table was created. Run "
    "again: the split starts over with the current rows.",
    text=re.compile(r"[Ss]napshot time|[Tt]ime travel (?!on table)"),
)

FILTER = Refusal(
    "filter",
    "https://github.com/GoogleCloudDataproc/spark-bigquery-connector/issues/278",
    "BigQuery applies dataset.filter to a table without a query, so it must be a condition on the "
    "table's columns, without subqueries and aggregates. Correct it, or replace dataset.source and "
    'dataset.filter by dataset.query: "{query}", with a staging dataset (dataset.staging).',
)
"""An invalid argument of a read session with a filter; no code is more specific."""

REFUSALS = (
    Refusal(
        "row access policies",
        f"{_DOCS}/using-row-level-security-with-features#time_travel",
        "Only an administrator may read a table that has, or has had, row access policies as of "
        "an earlier moment, which is how Refeed reads tables. Read it by a query: replace "
        'dataset.source and dataset.filter by dataset.query: "{query}", with a staging dataset '
        "(dataset.staging). The result has the rows that the policies grant to the caller.",
        text=re.compile(r"has \(or has had\) row access polic"),
    ),
    Refusal(
        "policy tag",
        f"{_DOCS}/column-level-security",
        "Leave the columns out ({columns}): do not list them in dataset.features, or list them in "
        "`dataset.features: {{exclude: [...]}}`, or in a query select the others. Or have "
        "roles/datacatalog.categoryFineGrainedReader granted on the policy tag {tag}. No role on "
        "the table gives access.",
        text=re.compile(
            r'policy tag "(?P<tag>[^"]+)"( on columns? (?P<columns>[\w.:-]+(, [\w.:-]*\w)*))?'
        ),
    ),
    Refusal(
        "partition filter",
        f"{_DOCS}/querying-partitioned-tables#require_a_partition_filter_in_queries",
        "The table is read only with a condition on its partitioning column. Set dataset.filter, "
        "such as dataset.filter: \"{column} >= '2026-01-01'\"; in a query use WHERE. A condition "
        "on other columns, or one that joins them by OR, is not enough.",
        # Of the pseudocolumns of an ingestion-time table, _PARTITIONDATE takes a date.
        text=re.compile(
            r"without a filter over column\(s\) (.*?(?='_PARTITIONDATE'))?'?(?P<column>\w+)"
        ),
    ),
    HISTORY,
    Refusal(
        "customer-managed key",
        f"{_DOCS}/customer-managed-encryption#grant_permission",
        "BigQuery's service account uses the key, so no role of the caller helps. Give "
        "roles/cloudkms.cryptoKeyEncrypterDecrypter to the account of the project that has the "
        "table: `bq show --encryption_service_account --project_id=PROJECT` shows it; then `gcloud "
        "kms keys add-iam-policy-binding {key} "
        "--role=roles/cloudkms.cryptoKeyEncrypterDecrypter --member=serviceAccount:...`",
        text=re.compile(
            r"cloudkms\.\w+\.\w+(.*?(?P<key>projects/\S+/cryptoKeys/[\w-]+))?|Cloud KMS key"
        ),
    ),
    Refusal(
        "Google Drive",
        f"{_DOCS}/external-data-drive#sharing-drive-tables",
        "The table is a sheet or file in Google Drive, which needs a share with the caller and a "
        "login with Drive's scope. Copy it into a table of BigQuery, as someone who can read it, "
        "and read that: `CREATE TABLE project.dataset.copy AS SELECT * FROM project.dataset.sheet`",
        text=re.compile("getting Drive credentials"),
    ),
    Refusal(
        "files of an external table",
        f"{_DOCS}/external-data-cloud-storage#required_roles",
        "The table's rows are objects in Cloud Storage, which the caller reads too: give it "
        "roles/storage.objectViewer on the bucket {bucket}. No role on the table is enough.",
        text=re.compile(
            r"while globbing file pattern(.*gs://(?P<bucket>[\w.-]+))?"
            r"|storage\.objects\.(get|list) access to the Google Cloud Storage"
        ),
    ),
    Refusal(
        "location",
        f"{_DOCS}/locations#specify_locations",
        "The query ran in {location}, and reads nothing from other locations. Check the name, and "
        "where the dataset is: `bq show --format=prettyjson PROJECT:DATASET`. A staging dataset "
        "must be in the location of the tables.",
        text=re.compile(r"not found in location (?P<location>[\w-]*\w)"),
    ),
    Refusal(
        "bytes billed",
        f"{_DOCS}/best-practices-costs#limit_query_costs_by_restricting_the_number_of_bytes_billed",
        "The limit is dataset.max_bytes. Use fewer columns, a filter on the partitioning column, "
        "or a larger limit.",
        frozenset({"bytesBilledLimitExceeded"}),
    ),
    Refusal(
        "resources exceeded",
        f"{_DOCS}/troubleshoot-queries#troubleshoot-resources-exceeded",
        "The query is too large for BigQuery, so it fails each time. Remove ORDER BY, which has no "
        "effect on results of Refeed; aggregate or filter before you join; or store the result as "
        "a table in steps, and set dataset.source to it.",
        frozenset({"resourcesExceeded", "billingTierLimitExceeded", "responseTooLarge"}),
    ),
    *COMMON,
)
"""In the order in which they are tried."""
