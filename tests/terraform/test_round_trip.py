"""From a plan's output through the installation file to a WorkflowTemplate: both ends say the same.

What pods ask for is compared with the plan's resources, never with the output that told them.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import yaml

from tests.policy.tools import overlay, refusals
from tests.terraform.compiled import Compiled, Pool, compiled
from tests.terraform.plans import Plan
from tests.terraform.tools import ROOT, Found
from workflows.argo.project_folder import ProjectFolder, add
from workflows.installation.model import load_installation

DATAFLOW = "split.engine=dataflow"
STEPS = {"split", "train", "collect"}


@pytest.fixture
def spot(example: Plan, tmp_path: Path) -> Compiled:
    """The flights example on spot nodes, split by Dataflow."""
    return compiled(example, tmp_path, "execution.spot=true", DATAFLOW)


@pytest.fixture
def on_demand(example: Plan, tmp_path: Path) -> Compiled:
    return compiled(example, tmp_path, "execution.spot=false")


def pools(plan: Plan) -> list[Pool]:
    return [Pool.planned(found) for found in plan.all("google_container_node_pool")]


def accounts(plan: Plan) -> dict[str, str]:
    """The e-mail that each Kubernetes service account acts as, from the plan's grants."""
    binding = "roles/iam.workloadIdentityUser"
    grants = plan.all("google_service_account_iam_member")
    return {
        found["member"].rpartition("[")[2].rstrip("]"): found["service_account_id"].split("/")[-1]
        for found in grants
        if found["role"] == binding
    }


def made_accounts(plan: Plan) -> set[str]:
    """E-mails of the accounts that the plan makes."""
    return {
        f"{found['account_id']}@{found['project']}.iam.gserviceaccount.com"
        for found in plan.all("google_service_account")
    }


def repository(plan: Plan) -> str:
    """What images of the planned repository begin with."""
    (own,) = (
        found
        for found in plan.all("google_artifact_registry_repository")
        if found["mode"] != "REMOTE_REPOSITORY"
    )
    return f"{own['location']}-docker.pkg.dev/{own['project']}/{own['repository_id']}/"


def test_spot_pods_of_a_class_fit_the_spot_pool_of_it_alone(example: Plan, spot: Compiled) -> None:
    found = pools(example)
    training = [pod for pod in spot.pods() if pod.template.startswith("train-")]
    assert {pod.size for pod in training} == {"small", "medium", "large"}
    for pod in training:
        assert [pool.name for pool in found if pool.takes(pod)] == [f"{pod.size}-spot"], pod


def test_pods_on_demand_fit_the_pool_of_their_class_alone(
    example: Plan, on_demand: Compiled
) -> None:
    found = pools(example)
    pods = list(on_demand.pods())
    assert {pod.template for pod in pods} >= {"check", "split", "train-large", "collect", "finish"}
    assert len(pods) > len(on_demand.templates)  # those that got more memory are among them
    for pod in pods:
        assert [pool.name for pool in found if pool.takes(pod)] == [pod.size], pod


def test_every_pool_of_a_class_gets_pods(
    example: Plan, spot: Compiled, on_demand: Compiled
) -> None:
    pods = [*spot.pods(), *on_demand.pods()]
    unused = [pool.name for pool in pools(example) if not any(map(pool.takes, pods))]
    assert unused == ["platform"]


def test_the_platforms_pool_takes_what_asks_for_no_class(example: Plan) -> None:
    (platform,) = (pool for pool in pools(example) if pool.name == "platform")
    assert platform.taints == frozenset()
    assert all(pool.taints for pool in pools(example) if pool != platform)


def test_all_images_are_in_the_planned_repository(example: Plan, spot: Compiled) -> None:
    names = {image.removeprefix(repository(example)) for image in spot.images()}
    tag = example.raw["variables"]["image_tag"]["value"]
    wanted = {"worker", "collect", "lightgbm", "linear"}
    assert names == {f"{name}:{tag}" for name in wanted}


def test_the_embedded_engine_takes_the_small_image(example: Plan, on_demand: Compiled) -> None:
    assert f"{repository(example)}split:0.1.0" in on_demand.images()


def test_make_images_builds_each_image_by_the_name_that_pods_pull(
    example: Plan, spot: Compiled, on_demand: Compiled
) -> None:
    pulled = {image.rpartition("/")[2] for image in spot.images() | on_demand.images()}
    made = {path.parent.name for path in (ROOT / "containers").glob("*/Dockerfile")}
    assert {name.partition(":")[0] for name in pulled} == made
    assert repository(example) == f"{example.output('image_prefix')}/"


def test_the_artifact_root_is_the_planned_bucket(example: Plan, spot: Compiled) -> None:
    bucket = example.only("google_storage_bucket")["name"]
    assert spot.roots() == {f"gs://{bucket}"}
    artifacts = [
        each["gcs"]["bucket"]
        for template in spot.templates
        for each in template.get("outputs", {}).get("artifacts", [])
    ]
    assert artifacts == [bucket]


def test_pods_act_as_the_accounts_that_were_made_for_their_steps(
    example: Plan, spot: Compiled
) -> None:
    identities = spot.installation.projects["demo"].identities.model_dump()
    pods = {pod.account for pod in spot.pods()}
    assert pods == {f"refeed-{step}" for step in STEPS}
    assert identities.keys() == STEPS
    for step in STEPS:
        email = accounts(example)[f"{spot.namespace}/refeed-{step}"]
        assert email == identities[step]
        assert email in made_accounts(example)


def test_the_accounts_of_all_steps_may_write_the_artifact_root(
    example: Plan, spot: Compiled
) -> None:
    writers = {
        (found["bucket"], found["member"].removeprefix("serviceAccount:"))
        for found in example.all("google_storage_bucket_iam_member")
        if found["role"] == "roles/storage.objectUser"
    }
    bucket = example.only("google_storage_bucket")["name"]
    place = spot.installation.projects["demo"]
    emails = [*place.identities.model_dump().values(), place.dataflow.service_account]
    assert writers == {(bucket, email) for email in emails}


def test_dataflows_workers_are_where_the_plan_has_a_place(example: Plan, spot: Compiled) -> None:
    place = spot.platform("split")["dataflow"]
    (subnetwork,) = (
        found
        for found in example.all("google_compute_subnetwork")
        if found["ip_cidr_range"] == "10.0.8.0/22"
    )
    where = f"regions/{subnetwork['region']}/subnetworks/{subnetwork['name']}"
    assert place["subnetwork"] == where
    assert (place["gcp_project"], place["region"]) == (subnetwork["project"], subnetwork["region"])
    assert place["service_account"] in made_accounts(example)
    assert place["worker_image"] == f"{repository(example)}worker:0.1.0"


def test_the_split_step_may_use_the_workers_account(example: Plan, spot: Compiled) -> None:
    worker = spot.platform("split")["dataflow"]["service_account"]
    email = accounts(example)[f"{spot.namespace}/refeed-split"]
    (grant,) = (
        found
        for found in example.all("google_service_account_iam_member")
        if found["role"] == "roles/iam.serviceAccountUser"
    )
    assert grant["member"] == f"serviceAccount:{email}"
    assert grant["service_account_id"].endswith(f"/{worker}")


def test_database_and_staging_dataset_are_the_planned_ones(example: Plan, spot: Compiled) -> None:
    told = spot.platform("collect")
    database = example.only("google_firestore_database")
    dataset = example.only("google_bigquery_dataset")
    assert told["store"] == f"firestore://{database['project']}/{database['name']}"
    assert told["staging"] == f"{dataset['project']}.{dataset['dataset_id']}"


def test_alerts_look_where_the_pods_run(example: Plan, spot: Compiled) -> None:
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


def test_the_compiled_template_passes_the_policies_with_that_installation(
    example: Plan, spot: Compiled, tmp_path: Path
) -> None:
    path = tmp_path / "installation.yaml"
    path.write_text(example.output("installation"), encoding="utf-8")
    assert refusals([spot.manifest], path) == []


def test_every_project_and_all_that_may_be_said_is_read(full: Plan, tmp_path: Path) -> None:
    path = tmp_path / "installation.yaml"
    path.write_text(full.output("installation"), encoding="utf-8")
    found = load_installation(path)
    assert list(found.classes) == ["small", "medium", "large"]
    assert found.projects["lab"].dataflow.subnetwork is None
    assert found.prices is not None
    roots = {place.root for place in found.projects.values()}
    assert roots == {f"gs://{bucket['name']}" for bucket in full.all("google_storage_bucket")}


def test_argos_kustomization_gets_the_accounts_and_mirrors_of_the_plan(example: Plan) -> None:
    told: Found = yaml.safe_load(example.output("platform"))
    argo = told["argo"]
    (server,) = argo["service_accounts"]
    assert accounts(example)[f"{argo['namespace']}/{server}"] == argo["identity"]
    remote = [
        found
        for found in example.all("google_artifact_registry_repository")
        if found["mode"] == "REMOTE_REPOSITORY"
    ]
    stands_for = {each["remote_repository_config"][0]["description"]: each for each in remote}
    assert len(stands_for) == 3
    for registry, place in told["mirrors"].items():
        assert place.endswith(f"/{stands_for[f'https://{registry}']['repository_id']}")


def test_the_overlay_gke_names_what_the_plan_makes(example: Plan) -> None:
    told: Found = yaml.safe_load(example.output("platform"))
    overlay = ROOT / "manifests" / "overlays" / "gke"
    text = "".join(path.read_text() for path in sorted(overlay.rglob("kustomization.yaml")))
    images = set(re.findall(r"[a-z0-9-]+-docker\.pkg\.dev/[a-z0-9-]+/[a-z0-9-]+", text))
    assert images
    assert images <= {*told["mirrors"].values()}
    emails = set(re.findall(r"[a-z0-9-]+@[a-z0-9-]+\.iam\.gserviceaccount\.com", text))
    assert emails == {*accounts(example).values()}


@pytest.fixture
def folder(full: Plan, tmp_path: Path) -> list[Found]:
    """What `refeed project add` makes of the plan's installation file, for the project lab."""
    shutil.copytree(ROOT / "manifests", tmp_path / "manifests")
    gke = tmp_path / "manifests" / "overlays" / "gke"
    (tmp_path / "installation.yaml").write_text(full.output("installation"), encoding="utf-8")
    lab = ProjectFolder(gke, "lab")
    add(lab, load_installation(tmp_path / "installation.yaml"))
    return overlay(lab.path)


def test_a_projects_service_accounts_are_bound_on_both_ends(
    full: Plan, folder: list[Found]
) -> None:
    annotated = {
        f"{found['metadata']['namespace']}/{found['metadata']['name']}": email
        for found in folder
        for email in found["metadata"].get("annotations", {}).values()
        if found["kind"] == "ServiceAccount"
    }
    of_lab = {pod: email for pod, email in accounts(full).items() if pod.startswith("refeed-lab/")}
    assert annotated == of_lab
    assert len(of_lab) == 3


def test_a_projects_root_is_its_planned_bucket(full: Plan, folder: list[Found]) -> None:
    (facts,) = (found["data"] for found in folder if found["kind"] == "ConfigMap")
    buckets = {
        found["labels"]["refeed-project"]: found for found in full.all("google_storage_bucket")
    }
    assert facts == {"project": "lab", "root": f"gs://{buckets['lab']['name']}"}


def test_a_projects_manifests_pass_the_policies(folder: list[Found]) -> None:
    assert refusals(folder) == []
    assert {found["metadata"].get("namespace", "refeed-lab") for found in folder} == {"refeed-lab"}
