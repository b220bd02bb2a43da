"""Check that compiled pods match the plan: from the output through the installation file.

The tests compare pods with the planned resources, never with the output that they came from.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import yaml

from tests.policy.tools import build_overlay, violations
from tests.terraform.compiled import Compiled, Pool, compile_flights
from tests.terraform.plans import Plan
from tests.terraform.tools import ROOT, JsonObject
from workflows.argo.project_folder import ProjectFolder, add
from workflows.installation.model import load_installation

DATAFLOW = "split.engine=dataflow"
STEPS = {"split", "train", "collect"}


@pytest.fixture
def spot(example: Plan, tmp_path: Path) -> Compiled:
    """Return the flights example on spot nodes, split with Dataflow."""
    return compile_flights(example, tmp_path, "execution.spot=true", DATAFLOW)


@pytest.fixture
def on_demand(example: Plan, tmp_path: Path) -> Compiled:
    return compile_flights(example, tmp_path, "execution.spot=false")


def pools(plan: Plan) -> list[Pool]:
    return [Pool.from_plan(resource) for resource in plan.all("google_container_node_pool")]


def accounts(plan: Plan) -> dict[str, str]:
    """Return the email that each Kubernetes service account acts as, from the planned grants."""
    binding = "roles/iam.workloadIdentityUser"
    grants = plan.all("google_service_account_iam_member")
    return {
        resource["member"].rpartition("[")[2].rstrip("]"): resource["service_account_id"].split(
            "/"
        )[-1]
        for resource in grants
        if resource["role"] == binding
    }


def created_accounts(plan: Plan) -> set[str]:
    """Return the emails of the planned accounts."""
    return {
        f"{resource['account_id']}@{resource['project']}.iam.gserviceaccount.com"
        for resource in plan.all("google_service_account")
    }


def repository(plan: Plan) -> str:
    """Return the image prefix of the planned repository."""
    (own,) = (
        resource
        for resource in plan.all("google_artifact_registry_repository")
        if resource["mode"] != "REMOTE_REPOSITORY"
    )
    return f"{own['location']}-docker.pkg.dev/{own['project']}/{own['repository_id']}/"


def test_spot_pods_fit_only_the_spot_pool_of_their_class(example: Plan, spot: Compiled) -> None:
    all_pools = pools(example)
    training = [pod for pod in spot.pods() if pod.template.startswith("train-")]
    assert {pod.resource_class for pod in training} == {"small", "medium", "large"}
    for pod in training:
        assert [pool.name for pool in all_pools if pool.accepts(pod)] == [
            f"{pod.resource_class}-spot"
        ], pod


def test_on_demand_pods_fit_only_the_pool_of_their_class(
    example: Plan, on_demand: Compiled
) -> None:
    all_pools = pools(example)
    pods = list(on_demand.pods())
    assert {pod.template for pod in pods} >= {"check", "split", "train-large", "collect", "finish"}
    assert len(pods) > len(
        on_demand.templates
    )  # includes pods of larger classes after out-of-memory retries
    for pod in pods:
        assert [pool.name for pool in all_pools if pool.accepts(pod)] == [pod.resource_class], pod


def test_every_class_pool_gets_pods(example: Plan, spot: Compiled, on_demand: Compiled) -> None:
    pods = [*spot.pods(), *on_demand.pods()]
    unused = [pool.name for pool in pools(example) if not any(map(pool.accepts, pods))]
    assert unused == ["platform"]


def test_platform_pool_has_no_taints(example: Plan) -> None:
    (platform,) = (pool for pool in pools(example) if pool.name == "platform")
    assert platform.taints == frozenset()
    assert all(pool.taints for pool in pools(example) if pool != platform)


def test_images_are_in_the_planned_repository(example: Plan, spot: Compiled) -> None:
    names = {image.removeprefix(repository(example)) for image in spot.images()}
    tag = example.raw["variables"]["image_tag"]["value"]
    wanted = {"worker", "collect", "lightgbm", "linear", "ebm"}
    assert names == {f"{name}:{tag}" for name in wanted}


def test_embedded_engine_uses_split_image(example: Plan, on_demand: Compiled) -> None:
    assert f"{repository(example)}split:0.1.0" in on_demand.images()


def test_make_images_builds_the_images_that_pods_pull(
    example: Plan, spot: Compiled, on_demand: Compiled
) -> None:
    pulled = {image.rpartition("/")[2] for image in spot.images() | on_demand.images()}
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (built,) = re.findall(r"(?m)^IMAGES := (.*)$", makefile)
    assert {name.partition(":")[0] for name in pulled} == {*built.split()}
    dockerfile = (ROOT / "containers" / "Dockerfile").read_text(encoding="utf-8")
    assert {*built.split()} <= {*re.findall(r"(?m)^FROM runtime AS (\S+)$", dockerfile)}
    assert repository(example) == f"{example.output('image_prefix')}/"


def test_artifact_root_is_the_planned_bucket(example: Plan, spot: Compiled) -> None:
    bucket = example.only("google_storage_bucket")["name"]
    assert spot.roots() == {f"gs://{bucket}"}
    artifacts = [
        each["gcs"]["bucket"]
        for template in spot.templates
        for each in template.get("outputs", {}).get("artifacts", [])
    ]
    assert artifacts == [bucket]


def test_pods_act_as_their_step_accounts(example: Plan, spot: Compiled) -> None:
    identities = spot.installation.projects["demo"].identities.model_dump()
    pods = {pod.account for pod in spot.pods()}
    assert pods == {f"refeed-{step}" for step in STEPS}
    assert identities.keys() == STEPS
    for step in STEPS:
        email = accounts(example)[f"{spot.namespace}/refeed-{step}"]
        assert email == identities[step]
        assert email in created_accounts(example)


def test_step_accounts_can_write_the_artifact_root(example: Plan, spot: Compiled) -> None:
    writers = {
        (resource["bucket"], resource["member"].removeprefix("serviceAccount:"))
        for resource in example.all("google_storage_bucket_iam_member")
        if resource["role"] == "roles/storage.objectUser"
    }
    bucket = example.only("google_storage_bucket")["name"]
    project = spot.installation.projects["demo"]
    emails = [*project.identities.model_dump().values(), project.dataflow.service_account]
    assert writers == {(bucket, email) for email in emails}


def test_dataflow_workers_use_planned_subnetwork_and_account(example: Plan, spot: Compiled) -> None:
    dataflow = spot.platform("split")["dataflow"]
    (subnetwork,) = (
        resource
        for resource in example.all("google_compute_subnetwork")
        if resource["ip_cidr_range"] == "10.0.8.0/22"
    )
    path = f"regions/{subnetwork['region']}/subnetworks/{subnetwork['name']}"
    assert dataflow["subnetwork"] == path
    assert (dataflow["gcp_project"], dataflow["region"]) == (
        subnetwork["project"],
        subnetwork["region"],
    )
    assert dataflow["service_account"] in created_accounts(example)
    assert dataflow["worker_image"] == f"{repository(example)}worker:0.1.0"


def test_split_step_can_use_the_worker_account(example: Plan, spot: Compiled) -> None:
    worker = spot.platform("split")["dataflow"]["service_account"]
    email = accounts(example)[f"{spot.namespace}/refeed-split"]
    (grant,) = (
        resource
        for resource in example.all("google_service_account_iam_member")
        if resource["role"] == "roles/iam.serviceAccountUser"
    )
    assert grant["member"] == f"serviceAccount:{email}"
    assert grant["service_account_id"].endswith(f"/{worker}")


def test_pods_use_planned_database_and_staging_dataset(example: Plan, spot: Compiled) -> None:
    settings = spot.platform("collect")
    database = example.only("google_firestore_database")
    dataset = example.only("google_bigquery_dataset")
    assert settings["store"] == f"firestore://{database['project']}/{database['name']}"
    assert settings["staging"] == f"{dataset['project']}.{dataset['dataset_id']}"


def test_alerts_match_the_exit_handler_pods(example: Plan, spot: Compiled) -> None:
    filters = [
        condition["filter"]
        for alert in example.all("google_monitoring_alert_policy")
        for each in alert["conditions"]
        for condition in each["condition_matched_log"]
    ]
    assert len(filters) == 2
    assert all(f'namespace_name=("{spot.namespace}")' in each for each in filters)
    (finish,) = (each for each in spot.templates if each["name"] == "finish")
    assert finish["metadata"]["labels"]["refeed/step"] == "finish"
    assert all('labels."k8s-pod/refeed/step"="finish"' in each for each in filters)


def test_compiled_template_passes_policies(example: Plan, spot: Compiled, tmp_path: Path) -> None:
    path = tmp_path / "installation.yaml"
    path.write_text(example.output("installation"), encoding="utf-8")
    assert violations([spot.manifest], path) == []


def test_installation_file_with_all_options_loads(full: Plan, tmp_path: Path) -> None:
    path = tmp_path / "installation.yaml"
    path.write_text(full.output("installation"), encoding="utf-8")
    installation = load_installation(path)
    assert list(installation.classes) == ["small", "medium", "large"]
    assert installation.projects["lab"].dataflow.subnetwork is None
    assert installation.prices is not None
    roots = {project.root for project in installation.projects.values()}
    assert roots == {f"gs://{bucket['name']}" for bucket in full.all("google_storage_bucket")}


def test_platform_output_has_planned_accounts_and_mirrors(example: Plan) -> None:
    platform: JsonObject = yaml.safe_load(example.output("platform"))
    argo = platform["argo"]
    (server,) = argo["service_accounts"]
    assert accounts(example)[f"{argo['namespace']}/{server}"] == argo["identity"]
    remote = [
        resource
        for resource in example.all("google_artifact_registry_repository")
        if resource["mode"] == "REMOTE_REPOSITORY"
    ]
    mirrors = {each["remote_repository_config"][0]["description"]: each for each in remote}
    assert len(mirrors) == 3
    for registry, prefix in platform["mirrors"].items():
        assert prefix.endswith(f"/{mirrors[f'https://{registry}']['repository_id']}")


def test_gke_overlay_uses_planned_mirrors_and_accounts(example: Plan) -> None:
    platform: JsonObject = yaml.safe_load(example.output("platform"))
    overlay = ROOT / "manifests" / "overlays" / "gke"
    text = "".join(path.read_text() for path in sorted(overlay.rglob("kustomization.yaml")))
    images = set(re.findall(r"[a-z0-9-]+-docker\.pkg\.dev/[a-z0-9-]+/[a-z0-9-]+", text))
    assert images
    assert images <= {*platform["mirrors"].values()}
    emails = set(re.findall(r"[a-z0-9-]+@[a-z0-9-]+\.iam\.gserviceaccount\.com", text))
    assert emails == {*accounts(example).values()}


@pytest.fixture
def folder(full: Plan, tmp_path: Path) -> list[JsonObject]:
    """Return the objects that `refeed project add` generates for the project lab."""
    shutil.copytree(ROOT / "manifests", tmp_path / "manifests")
    gke = tmp_path / "manifests" / "overlays" / "gke"
    (tmp_path / "installation.yaml").write_text(full.output("installation"), encoding="utf-8")
    lab = ProjectFolder(gke, "lab")
    add(lab, load_installation(tmp_path / "installation.yaml"))
    return build_overlay(lab.path)


def test_service_account_annotations_match_planned_bindings(
    full: Plan, folder: list[JsonObject]
) -> None:
    annotated = {
        f"{resource['metadata']['namespace']}/{resource['metadata']['name']}": email
        for resource in folder
        for email in resource["metadata"].get("annotations", {}).values()
        if resource["kind"] == "ServiceAccount"
    }
    planned = {pod: email for pod, email in accounts(full).items() if pod.startswith("refeed-lab/")}
    assert annotated == planned
    assert len(planned) == 3


def test_project_root_is_the_planned_bucket(full: Plan, folder: list[JsonObject]) -> None:
    (config,) = (resource["data"] for resource in folder if resource["kind"] == "ConfigMap")
    buckets = {
        resource["labels"]["refeed-project"]: resource
        for resource in full.all("google_storage_bucket")
    }
    assert config == {"project": "lab", "root": f"gs://{buckets['lab']['name']}"}


def test_project_manifests_pass_policies(folder: list[JsonObject]) -> None:
    assert violations(folder) == []
    assert {resource["metadata"].get("namespace", "refeed-lab") for resource in folder} == {
        "refeed-lab"
    }
