"""Argo CD's objects and Argo Workflows itself pass every rule, as an overlay brings them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.policy.tools import OVERLAYS, ROOT, overlay, refusals
from tests.policy.upstream import with_upstream

EXAMPLE = ROOT / "manifests" / "installation.example.yaml"


@pytest.fixture(scope="module")
def argo(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Argo Workflows, as the overlay gke installs it."""
    manifests = with_upstream(tmp_path_factory.mktemp("argo"))
    return overlay(manifests / "overlays" / "gke" / "argo-workflows")


def values(thing: Any, key: str) -> list[Any]:
    """All values of a key, at any depth."""
    if isinstance(thing, dict):
        found = [thing[key]] if key in thing else []
        return found + [each for inner in thing.values() for each in values(inner, key)]
    if isinstance(thing, list):
        return [each for inner in thing for each in values(inner, key)]
    return []


def of_kind(objects: list[dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
    return {each["metadata"]["name"]: each for each in objects if each["kind"] == kind}


@pytest.mark.parametrize("folder", OVERLAYS, ids=lambda path: path.name)
def test_what_argo_cd_is_told_is_accepted_and_named_once(folder: Path) -> None:
    made = overlay(folder / "argocd")
    assert refusals(made) == []
    assert "ConfigMap" not in {each["kind"] for each in made}  # what was named does not stay
    repositories = {url for each in made for url in values(each["spec"], "repoURL")}
    repositories |= {
        url for each in made for urls in values(each["spec"], "sourceRepos") for url in urls
    }
    assert len(repositories) == 1
    paths = [path for each in made for path in values(each["spec"], "path")]
    assert all("OVERLAY" not in path for path in paths)
    assert f"manifests/overlays/{folder.name}/projects/*/project.yaml" in paths


def test_argo_is_brought_before_what_needs_it() -> None:
    made = overlay(ROOT / "manifests" / "overlays" / "gke" / "argocd")
    waves = {
        each["metadata"]["name"]: int(
            each["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"]
        )
        for each in made
    }
    order = ["refeed-platform", "argo-workflows", "refeed-base", "refeed-boundaries"]
    assert [waves[name] for name in [*order, "refeed-projects"]] == [0, 1, 2, 3, 4]


def test_argo_workflows_is_accepted(argo: list[dict[str, Any]]) -> None:
    assert refusals(argo, EXAMPLE) == []
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


def test_the_controller_is_told_what_this_load_needs(argo: list[dict[str, Any]]) -> None:
    told = of_kind(argo, "ConfigMap")["workflow-controller-configmap"]["data"]
    assert {"parallelism", "namespaceParallelism", "executor", "retentionPolicy"} <= told.keys()
    assert "runAsNonRoot: true" in told["executor"]
    assert "limits" in told["executor"]


def test_a_database_may_be_added(tmp_path: Path) -> None:
    """For workflows beyond 1 MiB, and an archive: one more component of the overlay."""
    folder = with_upstream(tmp_path) / "overlays" / "gke" / "argo-workflows"
    text = (folder / "kustomization.yaml").read_text()
    assert "components: [generated]" in text
    more = "components: [generated, ../../../argo-workflows/persistence]"
    (folder / "kustomization.yaml").write_text(text.replace("components: [generated]", more))
    made = overlay(folder)
    told = of_kind(made, "ConfigMap")["workflow-controller-configmap"]["data"]
    assert "nodeStatusOffLoad: true" in told["persistence"]
    assert "archive: true" in told["persistence"]
    assert refusals(made, EXAMPLE) == []


def test_a_tag_that_moves_is_refused(argo: list[dict[str, Any]]) -> None:
    controller = of_kind(argo, "Deployment")["workflow-controller"]
    container = controller["spec"]["template"]["spec"]["containers"][0]
    changed = {**container, "image": container["image"].replace(":v4.0.2", ":latest")}
    pod = {**controller["spec"]["template"]["spec"], "containers": [changed]}
    template = {**controller["spec"]["template"], "spec": pod}
    found = refusals(
        [{**controller, "spec": {**controller["spec"], "template": template}}], EXAMPLE
    )
    assert [each.rule for each in found] == ["image-pinned"]
