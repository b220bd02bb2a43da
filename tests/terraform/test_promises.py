"""A plan of the example environment holds what the docs promise of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.policy.tools import refusals
from tests.terraform.plans import Plan
from tests.terraform.tools import ROOT, TERRAFORM, Found, Workspace

DOCS = ROOT / "docs" / "platform"
PUBLIC = re.compile(r"^google_compute_((global_)?address|forwarding_rule|instance)|_router_nat$")
"""Types of resources that have, or give, a public address."""
DAY = 86_400


@pytest.fixture(params=["example", "full"])
def plan(request: pytest.FixtureRequest) -> Plan:
    found: Plan = request.getfixturevalue(request.param)
    return found


def class_pools(plan: Plan) -> list[Found]:
    """The pools of resource classes: all but the platform's."""
    pools = plan.all("google_container_node_pool")
    return [each for each in pools if each["name"] != "platform"]


def firewalls(plan: Plan) -> dict[str, Found]:
    return {each["name"]: each for each in plan.all("google_compute_firewall")}


def test_the_policies_refuse_nothing(plan: Plan) -> None:
    assert refusals([plan.raw]) == []


def test_a_bucket_is_never_public_and_forgets_nothing_at_once(plan: Plan) -> None:
    for bucket in plan.all("google_storage_bucket"):
        assert bucket["public_access_prevention"] == "enforced"
        assert bucket["uniform_bucket_level_access"] is True
        assert bucket["force_destroy"] is False
        assert bucket["versioning"] == [{"enabled": True}]
        assert bucket["soft_delete_policy"][0]["retention_duration_seconds"] == 7 * DAY


def test_a_bucket_forgets_caches_and_never_results(example: Plan) -> None:
    (bucket,) = example.all("google_storage_bucket")
    rules = [(each["action"][0]["type"], each["condition"][0]) for each in bucket["lifecycle_rule"]]
    live = {
        prefix: condition["age"]
        for action, condition in rules
        if action == "Delete" and condition["with_state"] == "LIVE"
        for prefix in condition["matches_prefix"] or ["everything"]
    }
    assert live == {"demo/cache/": 180, "demo/datasets/work/": 7}
    old = [rule for action, rule in rules if action == "Delete" and rule["with_state"] != "LIVE"]
    assert {each["days_since_noncurrent_time"] for each in old} == {1, 30}


def test_no_node_has_a_public_address(plan: Plan) -> None:
    cluster = plan.only("google_container_cluster")
    assert cluster["private_cluster_config"][0]["enable_private_nodes"] is True
    for pool in plan.all("google_container_node_pool"):
        assert pool["network_config"][0]["enable_private_nodes"] is True
    assert all(each["private_ip_google_access"] for each in plan.all("google_compute_subnetwork"))


def test_nothing_has_a_public_address_unless_internet_is_asked_for(
    example: Plan, full: Plan
) -> None:
    assert [kind for kind in example.types if PUBLIC.search(kind)] == []
    assert [kind for kind in full.types if PUBLIC.search(kind)] == ["google_compute_router_nat"]
    nat = full.only("google_compute_router_nat")
    assert nat["source_subnetwork_ip_ranges_to_nat"] == "LIST_OF_SUBNETWORKS"


def test_nothing_comes_in_but_from_a_worker_to_a_worker(plan: Plan) -> None:
    inward = [each for each in firewalls(plan).values() if each["direction"] == "INGRESS"]
    assert [(each["source_tags"], each["target_tags"]) for each in inward] == [
        (["dataflow"], ["dataflow"])
    ]
    assert [each["source_ranges"] for each in inward] == [None]


@pytest.mark.parametrize("name", ["refeed-closed", "refeed-dataflow-closed"])
def test_closed_nodes_and_workers_reach_nothing_but_what_is_named(plan: Plan, name: str) -> None:
    rules = firewalls(plan)
    closed = rules[name]
    assert closed["deny"][0]["protocol"] == "all"
    assert closed["destination_ranges"] == ["0.0.0.0/0"]
    before = [
        each
        for each in rules.values()
        if each["direction"] == "EGRESS" and each["target_tags"] == closed["target_tags"]
    ]
    open_to = {
        place
        for each in before
        if each["priority"] < closed["priority"]
        for place in each["destination_ranges"]
    }
    assert "199.36.153.8/30" in open_to
    assert all(place.startswith(("199.36.153.8/30", "10.")) for place in open_to)


def test_nodes_of_classes_are_closed_and_go_to_zero(plan: Plan) -> None:
    pools = class_pools(plan)
    assert len(pools) == 6
    for pool in pools:
        assert pool["node_config"][0]["tags"] == ["refeed-closed"]
        assert pool["autoscaling"][0]["total_min_node_count"] == 0
        assert pool["initial_node_count"] == 0


def test_a_pod_never_gets_its_nodes_credentials(plan: Plan) -> None:
    for pool in plan.all("google_container_node_pool"):
        node = pool["node_config"][0]
        assert node["workload_metadata_config"] == [{"mode": "GKE_METADATA"}]
        assert node["service_account"] == "refeed-node@my-project.iam.gserviceaccount.com"
        assert node["metadata"]["disable-legacy-endpoints"] == "true"
        assert node["shielded_instance_config"][0]["enable_secure_boot"] is True
        assert node["kubelet_config"][0]["insecure_kubelet_readonly_port_enabled"] == "FALSE"


def test_the_control_plane_answers_the_named_networks_only(plan: Plan) -> None:
    (asked,) = plan.only("google_container_cluster")["master_authorized_networks_config"]
    assert [each["cidr_block"] for each in asked["cidr_blocks"]] == ["203.0.113.0/24"]
    assert asked["gcp_public_cidrs_access_enabled"] is False


def test_the_cluster_takes_no_old_way_in(plan: Plan) -> None:
    cluster = plan.only("google_container_cluster")
    certificates = cluster["master_auth"][0]["client_certificate_config"]
    assert certificates == [{"issue_client_certificate": False}]
    assert cluster["enable_legacy_abac"] is False
    assert cluster["enable_shielded_nodes"] is True
    assert cluster["workload_identity_config"] == [{"workload_pool": "my-project.svc.id.goog"}]
    assert cluster["anonymous_authentication_config"] == [{"mode": "LIMITED"}]
    assert set(cluster["rbac_binding_config"][0].values()) == {False}


def test_the_cluster_enforces_network_policies_is_upgraded_and_outlives_a_zone(plan: Plan) -> None:
    cluster = plan.only("google_container_cluster")
    assert cluster["datapath_provider"] == "ADVANCED_DATAPATH"
    assert cluster["release_channel"] == [{"channel": "REGULAR"}]
    assert cluster["location"] == "europe-west1"


def test_cluster_and_databases_refuse_to_be_deleted(plan: Plan) -> None:
    assert plan.only("google_container_cluster")["deletion_protection"] is True
    for database in plan.all("google_firestore_database"):
        assert database["delete_protection_state"] == "DELETE_PROTECTION_ENABLED"
        assert database["deletion_policy"] == "ABANDON"


def test_each_database_goes_back_seven_days_and_is_backed_up_daily(plan: Plan) -> None:
    databases = plan.all("google_firestore_database")
    enabled = {each["point_in_time_recovery_enablement"] for each in databases}
    assert enabled == {"POINT_IN_TIME_RECOVERY_ENABLED"}
    backups = plan.all("google_firestore_backup_schedule")
    assert [each["database"] for each in backups] == [each["name"] for each in databases]
    assert {each["retention"] for each in backups} == {f"{14 * DAY}s"}


def test_staging_datasets_empty_themselves_and_let_nobody_in_by_themselves(plan: Plan) -> None:
    for dataset in plan.all("google_bigquery_dataset"):
        assert dataset["default_table_expiration_ms"] == 30 * 3_600_000
        assert not dataset.get("access")


def test_tags_of_images_do_not_move(plan: Plan) -> None:
    own = [
        each
        for each in plan.all("google_artifact_registry_repository")
        if each["repository_id"] == "refeed"
    ]
    assert [each["docker_config"] for each in own] == [[{"immutable_tags": True}]]


def test_there_is_no_key_and_nothing_makes_one(plan: Plan) -> None:
    assert not {kind for kind in plan.types if kind.endswith("_key")}
    sources = [each.read_text(encoding="utf-8") for each in TERRAFORM.rglob("*.tf")]
    assert len(sources) > 30
    assert not any(
        re.search(r'"google_service_account_key|"google_storage_hmac', s) for s in sources
    )


def test_each_refeed_project_has_things_of_its_own(full: Plan) -> None:
    kinds = ["storage_bucket", "bigquery_dataset", "firestore_database"]
    assert [len(full.all(f"google_{kind}")) for kind in kinds] == [2, 2, 2]
    accounts = {each["account_id"] for each in full.all("google_service_account")}
    assert len(accounts) == 2 + 4 + 3


def test_each_alert_reaches_somebody_and_has_a_section_that_says_what_to_do(plan: Plan) -> None:
    alerts = plan.all("google_monitoring_alert_policy")
    assert len(alerts) == 3
    text = (DOCS / "operate.md").read_text(encoding="utf-8")
    for alert in alerts:
        assert len(alert["documentation"][0]["content"]) > 100
        assert f"\n### {alert['display_name']}\n" in text
    channels = plan.all("google_monitoring_notification_channel")
    assert [each["labels"]["email_address"] for each in channels] == ["platform@example.com"]


def test_a_budget_tells_of_what_is_spent(full: Plan) -> None:
    (budget,) = full.all("google_billing_budget")
    told = [each["threshold_percent"] for each in budget["threshold_rules"]]
    assert told == [0.5, 0.9, 1.0, 1.0]
    assert "\n### Refeed: my-project" in (DOCS / "operate.md").read_text(encoding="utf-8")


def test_the_installing_page_says_how_much_its_variables_make(
    workspace: Workspace, tmp_path: Path
) -> None:
    text = (DOCS / "install.md").read_text(encoding="utf-8")
    (variables,) = re.findall(r"```hcl\n(.*?)```", text, re.DOTALL)
    path = tmp_path / "install.tfvars"
    path.write_text(variables, encoding="utf-8")
    plan = Plan.of(workspace, str(path))
    made = len(plan.changes)
    assert f"Plan: {made} to add, 0 to change, 0 to destroy." in text
    assert f"Apply complete! Resources: {made} added, 0 changed, 0 destroyed." in text
    assert f'image_prefix = "{plan.output("image_prefix")}"' in text
    assert f'credentials = "{plan.output("credentials")}"' in text


@pytest.mark.parametrize("page", ["install.md", "operate.md", "security.md"])
def test_what_a_page_names_in_this_repository_is_there(page: str) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    named = set(
        re.findall(
            r"(?<![\w/.-])(?:\.\./)*((?:tests|manifests|terraform|examples)/[\w./-]*\w)", text
        )
    )
    made_later = {each for each in named if "/projects/" in each or each.endswith(".tfvars")}
    assert len(named) > 5
    assert [each for each in named - made_later if not (ROOT / each).exists()] == []
