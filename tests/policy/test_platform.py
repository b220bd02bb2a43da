"""Check that the Argo CD objects and Argo Workflows of the overlays pass every rule."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.policy.tools import OVERLAYS, ROOT, build_overlay, violations
from tests.policy.upstream import copy_with_upstream

EXAMPLE = ROOT / "manifests" / "installation.example.yaml"


@pytest.fixture(scope="module")
def argo(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Return the Argo Workflows objects of the gke overlay."""
    manifests = copy_with_upstream(tmp_path_factory.mktemp("argo"))
    return build_overlay(manifests / "overlays" / "gke" / "argo-workflows")


def values(thing: Any, key: str) -> list[Any]:
    """Return all values of a key, at any depth."""
    if isinstance(thing, dict):
        matches = [thing[key]] if key in thing else []
        return matches + [each for inner in thing.values() for each in values(inner, key)]
    if isinstance(thing, list):
        return [each for inner in thing for each in values(inner, key)]
    return []


def of_kind(objects: list[dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
    return {each["metadata"]["name"]: each for each in objects if each["kind"] == kind}


@pytest.mark.parametrize("folder", OVERLAYS, ids=lambda path: path.name)
def test_argo_cd_objects_pass_and_use_one_source(folder: Path) -> None:
    objects = build_overlay(folder / "argocd")
    assert violations(objects) == []
    assert "ConfigMap" not in {each["kind"] for each in objects}  # only a source of values
    repositories = {url for each in objects for url in values(each["spec"], "repoURL")}
    repositories |= {
        url for each in objects for urls in values(each["spec"], "sourceRepos") for url in urls
    }
    assert len(repositories) == 1
    paths = [path for each in objects for path in values(each["spec"], "path")]
    assert all("OVERLAY" not in path for path in paths)
    assert f"manifests/overlays/{folder.name}/projects/*/project.yaml" in paths


def test_local_argo_differs_only_in_the_emulator(tmp_path: Path) -> None:
    overlay = copy_with_upstream(tmp_path) / "overlays" / "local" / "argo-workflows"
    objects = build_overlay(overlay)
    base = build_overlay(tmp_path / "manifests" / "argo-workflows")
    settings, same = (
        of_kind(each, "ConfigMap")["workflow-controller-configmap"]["data"]
        for each in (objects, base)
    )
    executor = yaml.safe_load(settings.pop("executor"))
    variable = {"name": "STORAGE_EMULATOR_HOST", "value": "http://storage.refeed-storage:4443"}
    assert executor.pop("env") == [variable]
    assert executor == yaml.safe_load(same.pop("executor"))
    assert settings == same
    server = of_kind(objects, "Deployment")["argo-server"]["spec"]["template"]["spec"]
    assert server["containers"][0]["env"] == [variable]


def test_local_storage_passes_every_rule_but_its_image_is_of_a_third_party() -> None:
    objects = build_overlay(ROOT / "manifests" / "overlays" / "local" / "storage")
    assert {each["kind"] for each in objects} >= {"Namespace", "Deployment", "Service"}
    found = violations(objects, ROOT / "manifests" / "installation.local.yaml")
    assert [each.rule for each in found] == ["image-registry"]


def test_sync_waves_are_ordered() -> None:
    objects = build_overlay(ROOT / "manifests" / "overlays" / "gke" / "argocd")
    waves = {
        each["metadata"]["name"]: int(
            each["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"]
        )
        for each in objects
    }
    order = ["refeed-platform", "argo-workflows", "refeed-base", "refeed-boundaries"]
    assert [waves[name] for name in [*order, "refeed-projects"]] == [0, 1, 2, 3, 4]


def test_argo_workflows_passes(argo: list[dict[str, Any]]) -> None:
    assert violations(argo, EXAMPLE) == []
    images = [image for each in argo for image in values(each.get("spec"), "image")]
    assert [image for image in images if isinstance(image, str)] == [
        "europe-west1-docker.pkg.dev/my-project/refeed-quay/argoproj/argocli:v4.0.2",
        "europe-west1-docker.pkg.dev/my-project/refeed-quay/argoproj/workflow-controller:v4.0.2",
    ]


def test_argo_workflows_has_one_version(argo: list[dict[str, Any]]) -> None:
    """Of manifests, images and the executor alike."""
    controller = of_kind(argo, "Deployment")["workflow-controller"]
    (container,) = controller["spec"]["template"]["spec"]["containers"]
    (executor,) = [each for each in container["args"] if each.startswith("--executor-image=")]
    assert executor.endswith("/argoexec:v4.0.2")
    assert container["image"].endswith("/workflow-controller:v4.0.2")
    text = (ROOT / "manifests" / "argo-workflows" / "kustomization.yaml").read_text()
    assert text.count("v4.0.2") == 3


def test_controller_has_limits_and_security_settings(argo: list[dict[str, Any]]) -> None:
    settings = of_kind(argo, "ConfigMap")["workflow-controller-configmap"]["data"]
    assert {"parallelism", "namespaceParallelism", "executor", "retentionPolicy"} <= settings.keys()
    assert "runAsNonRoot: true" in settings["executor"]
    assert "limits" in settings["executor"]


def test_persistence_can_be_added(tmp_path: Path) -> None:
    """The persistence component adds node status offload and the workflow archive."""
    folder = copy_with_upstream(tmp_path) / "overlays" / "gke" / "argo-workflows"
    text = (folder / "kustomization.yaml").read_text()
    assert "components: [generated]" in text
    more = "components: [generated, ../../../argo-workflows/persistence]"
    (folder / "kustomization.yaml").write_text(text.replace("components: [generated]", more))
    objects = build_overlay(folder)
    settings = of_kind(objects, "ConfigMap")["workflow-controller-configmap"]["data"]
    assert "nodeStatusOffLoad: true" in settings["persistence"]
    assert "archive: true" in settings["persistence"]
    assert violations(objects, EXAMPLE) == []


def test_latest_tag_is_rejected(argo: list[dict[str, Any]]) -> None:
    controller = of_kind(argo, "Deployment")["workflow-controller"]
    container = controller["spec"]["template"]["spec"]["containers"][0]
    changed = {**container, "image": container["image"].replace(":v4.0.2", ":latest")}
    pod = {**controller["spec"]["template"]["spec"], "containers": [changed]}
    template = {**controller["spec"]["template"], "spec": pod}
    reported = violations(
        [{**controller, "spec": {**controller["spec"], "template": template}}], EXAMPLE
    )
    assert [each.rule for each in reported] == ["image-pinned"]
