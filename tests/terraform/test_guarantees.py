"""Check the guarantees of the security page against plans of the example environment."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.policy.tools import violations
from tests.terraform.plans import Plan
from tests.terraform.tools import ROOT, TERRAFORM, JsonObject, Workspace

DOCS = ROOT / "docs" / "platform"
PUBLIC = re.compile(r"^google_compute_((global_)?address|forwarding_rule|instance)|_router_nat$")
"""Matches resource types that have or provide a public address."""
DAY = 86_400


@pytest.fixture(params=["example", "full"])
def plan(request: pytest.FixtureRequest) -> Plan:
    selected: Plan = request.getfixturevalue(request.param)
    return selected


def class_pools(plan: Plan) -> list[JsonObject]:
    """Return the pools of the resource classes: all pools except the platform pool."""
    pools = plan.all("google_container_node_pool")
    return [each for each in pools if each["name"] != "platform"]


def firewalls(plan: Plan) -> dict[str, JsonObject]:
    return {each["name"]: each for each in plan.all("google_compute_firewall")}


def test_plan_passes_policies(plan: Plan) -> None:
    assert violations([plan.raw]) == []


def test_buckets_are_private_and_recoverable(plan: Plan) -> None:
    for bucket in plan.all("google_storage_bucket"):
        assert bucket["public_access_prevention"] == "enforced"
        assert bucket["uniform_bucket_level_access"] is True
        assert bucket["force_destroy"] is False
        assert bucket["versioning"] == [{"enabled": True}]
        assert bucket["soft_delete_policy"][0]["retention_duration_seconds"] == 7 * DAY


def test_lifecycle_rules_expire_work_files_only(example: Plan) -> None:
    (bucket,) = example.all("google_storage_bucket")
    rules = [(each["action"][0]["type"], each["condition"][0]) for each in bucket["lifecycle_rule"]]
    live = {
        prefix: condition["age"]
        for action, condition in rules
        if action == "Delete" and condition["with_state"] == "LIVE"
        for prefix in condition["matches_prefix"] or ["everything"]
    }
    assert live == {"demo/datasets/work/": 7}  # no segment: it holds results of many runs
    old = [rule for action, rule in rules if action == "Delete" and rule["with_state"] != "LIVE"]
    assert {each["days_since_noncurrent_time"] for each in old} == {1, 30}


def test_nodes_have_no_public_address(plan: Plan) -> None:
    cluster = plan.only("google_container_cluster")
    assert cluster["private_cluster_config"][0]["enable_private_nodes"] is True
    for pool in plan.all("google_container_node_pool"):
        assert pool["network_config"][0]["enable_private_nodes"] is True
    assert all(each["private_ip_google_access"] for each in plan.all("google_compute_subnetwork"))


def test_only_internet_adds_nat(example: Plan, full: Plan) -> None:
    assert [kind for kind in example.types if PUBLIC.search(kind)] == []
    assert [kind for kind in full.types if PUBLIC.search(kind)] == ["google_compute_router_nat"]
    nat = full.only("google_compute_router_nat")
    assert nat["source_subnetwork_ip_ranges_to_nat"] == "LIST_OF_SUBNETWORKS"


def test_only_workers_accept_ingress_from_workers(plan: Plan) -> None:
    ingress = [each for each in firewalls(plan).values() if each["direction"] == "INGRESS"]
    assert [(each["source_tags"], each["target_tags"]) for each in ingress] == [
        (["dataflow"], ["dataflow"])
    ]
    assert [each["source_ranges"] for each in ingress] == [None]


@pytest.mark.parametrize("name", ["refeed-closed", "refeed-dataflow-closed"])
def test_closed_machines_reach_named_ranges_only(plan: Plan, name: str) -> None:
    rules = firewalls(plan)
    closed = rules[name]
    assert closed["deny"][0]["protocol"] == "all"
    assert closed["destination_ranges"] == ["0.0.0.0/0"]
    rules_of_tag = [
        each
        for each in rules.values()
        if each["direction"] == "EGRESS" and each["target_tags"] == closed["target_tags"]
    ]
    allowed = {
        address_range
        for each in rules_of_tag
        if each["priority"] < closed["priority"]
        for address_range in each["destination_ranges"]
    }
    assert "199.36.153.8/30" in allowed
    assert all(each.startswith(("199.36.153.8/30", "10.")) for each in allowed)


def test_class_pools_are_closed_and_scale_to_zero(plan: Plan) -> None:
    pools = class_pools(plan)
    assert len(pools) == 6
    for pool in pools:
        assert pool["node_config"][0]["tags"] == ["refeed-closed"]
        assert pool["autoscaling"][0]["total_min_node_count"] == 0
        assert pool["initial_node_count"] == 0


def test_pods_cannot_get_node_credentials(plan: Plan) -> None:
    for pool in plan.all("google_container_node_pool"):
        node = pool["node_config"][0]
        assert node["workload_metadata_config"] == [{"mode": "GKE_METADATA"}]
        assert node["service_account"] == "refeed-node@my-project.iam.gserviceaccount.com"
        assert node["metadata"]["disable-legacy-endpoints"] == "true"
        assert node["shielded_instance_config"][0]["enable_secure_boot"] is True
        assert node["kubelet_config"][0]["insecure_kubelet_readonly_port_enabled"] == "FALSE"


def test_control_plane_allows_named_networks_only(plan: Plan) -> None:
    (networks,) = plan.only("google_container_cluster")["master_authorized_networks_config"]
    assert [each["cidr_block"] for each in networks["cidr_blocks"]] == ["203.0.113.0/24"]
    assert networks["gcp_public_cidrs_access_enabled"] is False


def test_legacy_authentication_is_off(plan: Plan) -> None:
    cluster = plan.only("google_container_cluster")
    certificates = cluster["master_auth"][0]["client_certificate_config"]
    assert certificates == [{"issue_client_certificate": False}]
    assert cluster["enable_legacy_abac"] is False
    assert cluster["enable_shielded_nodes"] is True
    assert cluster["workload_identity_config"] == [{"workload_pool": "my-project.svc.id.goog"}]
    assert cluster["anonymous_authentication_config"] == [{"mode": "LIMITED"}]
    assert set(cluster["rbac_binding_config"][0].values()) == {False}


def test_cluster_is_regional_upgraded_and_enforces_policies(plan: Plan) -> None:
    cluster = plan.only("google_container_cluster")
    assert cluster["datapath_provider"] == "ADVANCED_DATAPATH"
    assert cluster["release_channel"] == [{"channel": "REGULAR"}]
    assert cluster["location"] == "europe-west1"


def test_cluster_and_databases_are_protected(plan: Plan) -> None:
    assert plan.only("google_container_cluster")["deletion_protection"] is True
    for database in plan.all("google_firestore_database"):
        assert database["delete_protection_state"] == "DELETE_PROTECTION_ENABLED"
        assert database["deletion_policy"] == "ABANDON"


def test_databases_have_recovery_and_daily_backups(plan: Plan) -> None:
    databases = plan.all("google_firestore_database")
    enabled = {each["point_in_time_recovery_enablement"] for each in databases}
    assert enabled == {"POINT_IN_TIME_RECOVERY_ENABLED"}
    backups = plan.all("google_firestore_backup_schedule")
    assert [each["database"] for each in backups] == [each["name"] for each in databases]
    assert {each["retention"] for each in backups} == {f"{14 * DAY}s"}


def test_staging_datasets_expire_and_grant_no_access(plan: Plan) -> None:
    for dataset in plan.all("google_bigquery_dataset"):
        assert dataset["default_table_expiration_ms"] == 30 * 3_600_000
        assert not dataset.get("access")


def test_image_tags_are_immutable(plan: Plan) -> None:
    repositories = [
        each
        for each in plan.all("google_artifact_registry_repository")
        if each["repository_id"] == "refeed"
    ]
    assert [each["docker_config"] for each in repositories] == [[{"immutable_tags": True}]]


def test_no_service_account_keys(plan: Plan) -> None:
    assert not {kind for kind in plan.types if kind.endswith("_key")}
    sources = [each.read_text(encoding="utf-8") for each in TERRAFORM.rglob("*.tf")]
    assert len(sources) > 30
    assert not any(
        re.search(r'"google_service_account_key|"google_storage_hmac', s) for s in sources
    )


def test_projects_share_no_resources(full: Plan) -> None:
    kinds = ["storage_bucket", "bigquery_dataset", "firestore_database"]
    assert [len(full.all(f"google_{kind}")) for kind in kinds] == [2, 2, 2]
    accounts = {each["account_id"] for each in full.all("google_service_account")}
    assert len(accounts) == 2 + 4 + 3


def test_alerts_have_a_channel_and_a_runbook_section(plan: Plan) -> None:
    alerts = plan.all("google_monitoring_alert_policy")
    assert len(alerts) == 3
    text = (DOCS / "operate.md").read_text(encoding="utf-8")
    for alert in alerts:
        assert len(alert["documentation"][0]["content"]) > 100
        assert f"\n### {alert['display_name']}\n" in text
    channels = plan.all("google_monitoring_notification_channel")
    assert [each["labels"]["email_address"] for each in channels] == ["platform@example.com"]


def test_budget_has_thresholds(full: Plan) -> None:
    (budget,) = full.all("google_billing_budget")
    thresholds = [each["threshold_percent"] for each in budget["threshold_rules"]]
    assert thresholds == [0.5, 0.9, 1.0, 1.0]
    assert "\n### Refeed: my-project" in (DOCS / "operate.md").read_text(encoding="utf-8")


def test_install_page_shows_actual_plan(workspace: Workspace, tmp_path: Path) -> None:
    text = (DOCS / "install.md").read_text(encoding="utf-8")
    (variables,) = re.findall(r"```hcl\n(.*?)```", text, re.DOTALL)
    path = tmp_path / "install.tfvars"
    path.write_text(variables, encoding="utf-8")
    plan = Plan.create(workspace, str(path))
    count = len(plan.changes)
    assert f"Plan: {count} to add, 0 to change, 0 to destroy." in text
    assert f"Apply complete! Resources: {count} added, 0 changed, 0 destroyed." in text
    assert f'image_prefix = "{plan.output("image_prefix")}"' in text
    assert f'credentials = "{plan.output("credentials")}"' in text


@pytest.mark.parametrize("page", ["install.md", "operate.md", "security.md"])
def test_paths_in_docs_exist(page: str) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    named = set(
        re.findall(
            r"(?<![\w/.-])(?:\.\./)*((?:tests|manifests|terraform|examples)/[\w./-]*\w)", text
        )
    )
    created_later = {each for each in named if "/projects/" in each or each.endswith(".tfvars")}
    assert len(named) > 5
    assert [each for each in named - created_later if not (ROOT / each).exists()] == []
