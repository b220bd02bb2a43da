"""Check the overlays: they pass every rule, and a changed field violates its rule."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.policy.mutations import REMOVED, Mutation, mutated
from tests.policy.tools import OVERLAYS, ROOT, build_overlay, violations

LOCAL = ROOT / "manifests" / "overlays" / "local"
INSTALLATIONS = ["installation.example.yaml", "installation.local.yaml"]

ROLE = "ClusterRole/refeed-analyst"
BINDING = "RoleBinding/refeed-demo/refeed-analyst"
NAMESPACE = "Namespace/refeed-demo"
PROJECT = "AppProject/argocd/demo"
APP_PROJECT = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "AppProject",
    "metadata": {
        "name": "demo",
        "namespace": "argocd",
        "labels": {"app.kubernetes.io/part-of": "refeed"},
    },
    "spec": {
        "sourceRepos": ["https://git.example.com/platform.git"],
        "destinations": [{"server": "https://kubernetes.default.svc", "namespace": "refeed-demo"}],
        "namespaceResourceWhitelist": [{"group": "argoproj.io", "kind": "WorkflowTemplate"}],
    },
}

OBJECT_MUTATIONS = [
    Mutation("rbac-no-wildcard", "rules[0].verbs", ["*"], "List the permissions", object=ROLE),
    Mutation("rbac-no-escalation", "rules[0].verbs", ["bind"], "Remove it", object=ROLE),
    Mutation(
        "rbac-cluster-binding",
        "kind",
        "ClusterRoleBinding",
        "Use a RoleBinding",
        field="roleRef.name",
        object=BINDING,
        reported_object="ClusterRoleBinding/refeed-demo/refeed-analyst",
    ),
    Mutation("rbac-cluster-role", "roleRef.name", "admin", "refeed-executor", object=BINDING),
    Mutation(
        "rbac-subject",
        "subjects[0].name",
        "default",
        "Bind one service account",
        field="subjects[0]",
        object=BINDING,
    ),
    Mutation(
        "rbac-subject",
        "subjects[0].namespace",
        "refeed-lab",
        "belongs to another namespace",
        field="subjects[0]",
        object=BINDING,
    ),
    Mutation(
        "namespace-restricted",
        "metadata.labels[pod-security.kubernetes.io/enforce]",
        "baseline",
        "Set it",
        object=NAMESPACE,
    ),
    Mutation(
        "label-part-of",
        "metadata.labels[app.kubernetes.io/part-of]",
        REMOVED,
        "Set it",
        object="ServiceAccount/refeed-demo/refeed-train",
    ),
    Mutation(
        "app-project-bounded",
        "spec.destinations[0].namespace",
        "*",
        "Name each one",
        object=PROJECT,
    ),
    Mutation("app-project-bounded", "spec.sourceRepos[0]", "*", "Name each one", object=PROJECT),
]


def object_id(thing: dict[str, Any]) -> str:
    """Return `Kind/namespace/name`."""
    metadata = thing["metadata"]
    parts = (thing["kind"], metadata.get("namespace", ""), metadata["name"])
    return "/".join(part for part in parts if part)


@pytest.mark.parametrize("path", OVERLAYS, ids=[path.name for path in OVERLAYS])
@pytest.mark.parametrize("installation", INSTALLATIONS)
def test_overlay_passes(path: Path, installation: str) -> None:
    objects = build_overlay(path)
    assert len(objects) > 10
    assert violations(objects, ROOT / "manifests" / installation) == []


def test_app_project_passes() -> None:
    assert violations([APP_PROJECT]) == []


@pytest.mark.parametrize(
    "mutation", OBJECT_MUTATIONS, ids=lambda mutation: f"{mutation.object} {mutation}"
)
def test_changed_field_violates_its_rule(mutation: Mutation) -> None:
    things = {object_id(thing): thing for thing in [*build_overlay(LOCAL), APP_PROJECT]}
    things[mutation.object] = mutated(things[mutation.object], mutation.path, mutation.value)
    reported = violations(things.values())
    assert mutation.is_reported(reported, mutation.reported_object or mutation.object), reported
    assert {each.rule for each in reported} == {mutation.rule}


def test_pods_of_other_kinds_are_checked() -> None:
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "bare", "labels": {"app.kubernetes.io/part-of": "refeed"}},
        "spec": {"template": {"spec": {"containers": [{"name": "main", "image": "busybox"}]}}},
    }
    assert {each.rule for each in violations([job])} == {
        "account-named",
        "capabilities-dropped",
        "image-pinned",
        "image-registry",
        "no-privilege-escalation",
        "read-only-root",
        "resources-set",
        "run-as-non-root",
        "seccomp-default",
    }
