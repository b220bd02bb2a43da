"""A plan of Terraform passes every rule, and with one value broken the rule for it refuses it."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from tests.policy.mutations import ABSENT, Broken, broken
from tests.policy.tools import refusals

PLAN = Path(__file__).with_name("plan.json")
BUCKET = 'module.storage.google_storage_bucket.root["demo"]'
MEMBER = "module.identities.google_storage_bucket_iam_member.train"
CLUSTER = "module.cluster.google_container_cluster.this"
POOL = 'module.node_pools.google_container_node_pool.this["small-spot"]'
DATABASE = "module.firestore.google_firestore_database.this"
DATASET = "module.bigquery.google_bigquery_dataset.staging"

BROKEN_PLANS = [
    Broken("bucket-not-public", "public_access_prevention", "inherited", "enforced", object=BUCKET),
    Broken("bucket-not-public", "public_access_prevention", ABSENT, "enforced", object=BUCKET),
    Broken("bucket-uniform", "uniform_bucket_level_access", False, "to true", object=BUCKET),
    Broken("iam-not-public", "member", "allUsers", "name a service account", object=MEMBER),
    Broken(
        "iam-not-public",
        "access[0].special_group",
        "allAuthenticatedUsers",
        "name a service account",
        field="access",
        object=DATASET,
    ),
    Broken("iam-no-primitive-role", "role", "roles/editor", "grant the roles", object=MEMBER),
    Broken(
        "nodes-private",
        "private_cluster_config[0].enable_private_nodes",
        False,
        "to true",
        object=CLUSTER,
    ),
    Broken(
        "nodes-private",
        "network_config[0].enable_private_nodes",
        False,
        "leave it to the cluster",
        object=POOL,
    ),
    Broken("deletion-protected", "deletion_protection", False, "set it", object=CLUSTER),
    Broken(
        "deletion-protected",
        "delete_protection_state",
        ABSENT,
        "DELETE_PROTECTION_ENABLED",
        object=DATABASE,
    ),
    Broken("deletion-protected", "force_destroy", True, "leave it out", object=BUCKET),
    Broken("region-allowed", "location", "US", "policy.regions", object=BUCKET),
    Broken("region-allowed", "location_id", "nam5", "policy.regions", object=DATABASE),
    Broken("region-allowed", "node_locations", ["us-east1-b"], "policy.regions", object=CLUSTER),
]


def plan() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(PLAN.read_text(encoding="utf-8"))
    return found


def with_broken(row: Broken) -> dict[str, Any]:
    """The plan, with one value of one resource changed."""
    copy = deepcopy(plan())
    change = next(c["change"] for c in copy["resource_changes"] if c["address"] == row.object)
    change["after"] = broken(change["after"], row.path, row.value)
    return copy


def test_a_good_plan_is_accepted() -> None:
    assert refusals([plan()]) == []


@pytest.mark.parametrize("row", BROKEN_PLANS, ids=lambda row: f"{row.object} {row}")
def test_a_broken_value_is_refused(row: Broken) -> None:
    found = refusals([with_broken(row)])
    assert row.seen_in(found, row.object), found
    assert len(found) == 1
