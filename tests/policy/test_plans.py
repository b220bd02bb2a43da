"""Check Terraform plans: a plan passes every rule, and a changed value violates its rule."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from tests.policy.mutations import REMOVED, Mutation, mutated
from tests.policy.tools import violations

PLAN = Path(__file__).with_name("plan.json")
BUCKET = 'module.storage.google_storage_bucket.root["demo"]'
MEMBER = "module.identities.google_storage_bucket_iam_member.train"
CLUSTER = "module.cluster.google_container_cluster.this"
POOL = 'module.node_pools.google_container_node_pool.this["small-spot"]'
DATABASE = "module.firestore.google_firestore_database.this"
DATASET = "module.bigquery.google_bigquery_dataset.staging"

PLAN_MUTATIONS = [
    Mutation(
        "bucket-not-public", "public_access_prevention", "inherited", "enforced", object=BUCKET
    ),
    Mutation("bucket-not-public", "public_access_prevention", REMOVED, "enforced", object=BUCKET),
    Mutation("bucket-uniform", "uniform_bucket_level_access", False, "to true", object=BUCKET),
    Mutation("iam-not-public", "member", "allUsers", "Name a service account", object=MEMBER),
    Mutation(
        "iam-not-public",
        "access[0].special_group",
        "allAuthenticatedUsers",
        "Name a service account",
        field="access",
        object=DATASET,
    ),
    Mutation("iam-no-primitive-role", "role", "roles/editor", "Grant the roles", object=MEMBER),
    Mutation(
        "nodes-private",
        "private_cluster_config[0].enable_private_nodes",
        False,
        "to true",
        object=CLUSTER,
    ),
    Mutation(
        "nodes-private",
        "network_config[0].enable_private_nodes",
        False,
        "use the cluster's setting",
        object=POOL,
    ),
    Mutation("deletion-protected", "deletion_protection", False, "Set it", object=CLUSTER),
    Mutation(
        "deletion-protected",
        "delete_protection_state",
        REMOVED,
        "DELETE_PROTECTION_ENABLED",
        object=DATABASE,
    ),
    Mutation("deletion-protected", "force_destroy", True, "Remove it", object=BUCKET),
    Mutation("region-allowed", "location", "US", "policy.regions", object=BUCKET),
    Mutation("region-allowed", "location_id", "nam5", "policy.regions", object=DATABASE),
    Mutation("region-allowed", "node_locations", ["us-east1-b"], "policy.regions", object=CLUSTER),
]


def plan() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(PLAN.read_text(encoding="utf-8"))
    return content


def mutated_plan(mutation: Mutation) -> dict[str, Any]:
    """Return the plan with one value of one resource changed."""
    copy = deepcopy(plan())
    change = next(c["change"] for c in copy["resource_changes"] if c["address"] == mutation.object)
    change["after"] = mutated(change["after"], mutation.path, mutation.value)
    return copy


def test_plan_passes() -> None:
    assert violations([plan()]) == []


@pytest.mark.parametrize(
    "mutation", PLAN_MUTATIONS, ids=lambda mutation: f"{mutation.object} {mutation}"
)
def test_changed_value_violates_its_rule(mutation: Mutation) -> None:
    reported = violations([mutated_plan(mutation)])
    assert mutation.is_reported(reported, mutation.object), reported
    assert len(reported) == 1
