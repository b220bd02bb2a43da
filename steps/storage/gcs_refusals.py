"""Refusals of Cloud Storage with their own remedy; docs/platform/google-cloud.md lists them."""

from __future__ import annotations

import re

from steps.google.refusals import COMMON, Refusal

_DOCS = "https://cloud.google.com/storage/docs"

REFUSALS = (
    Refusal(
        "retention policy",
        f"{_DOCS}/bucket-lock#retention-policy",
        "A bucket whose objects must be retained cannot be an artifact root: Refeed replaces and "
        "deletes its own objects. Set `output` to another bucket, or remove the policy unless it "
        "is locked: `gcloud storage buckets update {bucket} --clear-retention-period`",
        frozenset({"retentionPolicyNotMet"}),
        re.compile("subject to bucket's retention policy|object retention and cannot"),
    ),
    Refusal(
        "object hold",
        f"{_DOCS}/object-holds",
        "An object under a hold cannot be replaced, and a bucket that sets holds cannot be an "
        "artifact root. Release it: `gcloud storage objects update {uri} --no-temporary-hold "
        "--no-event-based-hold`, and for new objects `gcloud storage buckets update {bucket} "
        "--no-default-event-based-hold`",
        frozenset({"objectUnderActiveHold"}),
        # The documented code is not sent with each of them; "forbidden" is.
        re.compile("under active (Event-Based|Temporary) hold", re.IGNORECASE),
    ),
    Refusal(
        "requester pays",
        f"{_DOCS}/using-requester-pays#troubleshooting",
        "Readers of this bucket pay for their requests, and Refeed does not read such buckets. "
        "Copy the objects once to a bucket of your own, and read that: `gcloud storage cp -r {uri} "
        "gs://... --billing-project=...`",
        frozenset({"userProjectMissing"}),
        re.compile("is a requester pays bucket but no user project"),
    ),
    Refusal(
        "customer-managed key",
        f"{_DOCS}/encryption/using-customer-managed-keys#service-agent-access",
        "Cloud Storage's service agent uses the key, so no role of the caller helps. Authorize the "
        "agent of the bucket's project: `gcloud storage service-agent --project=PROJECT "
        "--authorize-cmek={key}`. A key that is disabled must be enabled.",
        text=re.compile(
            r"(Cloud KMS key|cloudkms\.\w+)(.*?(?P<key>projects/\S+/cryptoKeys/[\w-]+))?"
        ),
    ),
    *COMMON,
)
"""In the order in which they are tried."""
