"""The overlays build, the API server accepts them, and a project is one more folder."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.kubectl import LOCAL, MANIFESTS, apply_local, build, needs_cluster, run_kubectl
from tests.policy.upstream import copy_with_upstream
from workflows.argo.project_folder import ProjectFolder, add
from workflows.installation.model import Installation

pytestmark = needs_cluster

OVERLAYS = ["gke", "local"]
CLUSTER_WIDE = {"ClusterRole", "Namespace"}


@pytest.fixture(scope="module")
def projects() -> None:
    apply_local()


def of_kind(objects: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [found for found in objects if found["kind"] == kind]


def names(objects: list[dict[str, Any]], namespace: str) -> set[tuple[str, str]]:
    """Kind and name of what lies in a namespace."""
    return {
        (found["kind"], found["metadata"]["name"])
        for found in objects
        if found["metadata"].get("namespace") == namespace
    }


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_api_server_accepts_an_overlay(projects: None, overlay: str) -> None:
    made = build(MANIFESTS / "overlays" / overlay)
    output = run_kubectl("apply", "--dry-run=server", "-f", "-", stdin=made)
    assert len(output.splitlines()) == len(made) > 10
    assert all(line.endswith("(server dry run)") for line in output.splitlines())


FOLDERS = sorted(
    str(path.parent.relative_to(MANIFESTS / "overlays"))
    for pattern in ("*/argocd", "*/projects/*/workflows")
    for path in (MANIFESTS / "overlays").glob(f"{pattern}/kustomization.yaml")
)
"""Other objects that Argo CD applies: its own, and the workflows of projects."""


@pytest.mark.parametrize("folder", FOLDERS)
def test_api_server_accepts_the_objects_of_argo_cd(projects: None, folder: str) -> None:
    made = build(MANIFESTS / "overlays" / folder)
    if made:  # a project without a spec has no workflows
        output = run_kubectl("apply", "--dry-run=server", "-f", "-", stdin=made)
        assert len(output.splitlines()) == len(made)
    assert len(made) > 0 or not list((MANIFESTS / "overlays" / folder).glob("*.workflow-*"))


def test_the_api_server_accepts_argo_workflows(tmp_path: Path) -> None:
    """Check all objects except those of Google's Prometheus, which only GKE knows."""
    made = build(copy_with_upstream(tmp_path) / "overlays" / "gke" / "argo-workflows")
    known = [found for found in made if found["kind"] != "PodMonitoring"]
    assert len(known) == len(made) - 1 > 20
    options = ("--server-side", "--force-conflicts", "--dry-run=server")
    output = run_kubectl("apply", *options, "-f", "-", stdin=known)
    assert len(output.splitlines()) == len(known)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_namespaced_objects_are_in_restricted_namespaces(overlay: str) -> None:
    made = build(MANIFESTS / "overlays" / overlay)
    restricted = {
        found["metadata"]["name"]
        for found in of_kind(made, "Namespace")
        if found["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    }
    placed = {f["metadata"].get("namespace") for f in made if f["kind"] not in CLUSTER_WIDE}
    assert placed == restricted != set()


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_each_project_has_its_own_name_and_root(overlay: str) -> None:
    made = build(MANIFESTS / "overlays" / overlay)
    facts = [found["data"] for found in of_kind(made, "ConfigMap")]
    assert len(facts) == len(of_kind(made, "Namespace"))
    for key in ("project", "root"):
        assert len({fact[key] for fact in facts} - {""}) == len(facts)


def test_roles_are_bound_in_projects_only() -> None:
    for overlay in OVERLAYS:
        made = build(MANIFESTS / "overlays" / overlay)
        assert not of_kind(made, "ClusterRoleBinding")
        for binding in of_kind(made, "RoleBinding"):
            accounts = [each for each in binding["subjects"] if each["kind"] != "Group"]
            subjects = {found["namespace"] for found in accounts}
            assert subjects == {binding["metadata"]["namespace"]}


def test_on_gke_each_step_has_an_identity_of_its_own() -> None:
    accounts = of_kind(build(MANIFESTS / "overlays" / "gke"), "ServiceAccount")
    found = {
        account["metadata"]["name"]: account["metadata"]["annotations"]
        for account in accounts
        if "annotations" in account["metadata"]
    }
    assert set(found) == {"refeed-split", "refeed-train", "refeed-collect"}
    assert len({str(annotations) for annotations in found.values()}) == 3


def test_the_metadata_server_is_reached_with_workload_identity_only() -> None:
    for overlay, reached in (("local", False), ("gke", True)):
        policies = of_kind(build(MANIFESTS / "overlays" / overlay), "NetworkPolicy")
        named = {found["metadata"]["name"]: found["spec"] for found in policies}
        assert ("refeed-metadata" in named) is reached
        block = named["refeed-https"]["egress"][0]["to"][0]["ipBlock"]
        assert "169.254.0.0/16" in block["except"]


def test_a_new_folder_is_a_new_project(tmp_path: Path) -> None:
    """It holds what the others hold, and the API server takes it."""
    shutil.copytree(MANIFESTS, tmp_path / "manifests")
    local = tmp_path / "manifests" / LOCAL.relative_to(MANIFESTS)
    known = yaml.safe_load((MANIFESTS / "installation.local.yaml").read_text())
    known["projects"]["sales"] = {"namespace": "refeed-sales", "root": "gs://refeed-sales"}
    add(ProjectFolder(local, "sales"), Installation.model_validate(known))

    made = build(local)
    assert names(made, "refeed-sales") == names(made, "refeed-lab") != set()
    assert "gs://refeed-sales" in {found["data"]["root"] for found in of_kind(made, "ConfigMap")}
