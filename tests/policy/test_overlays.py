"""Every overlay passes every rule, and with one field broken the rule for it refuses it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.policy.mutations import ABSENT, Broken, broken
from tests.policy.tools import OVERLAYS, ROOT, overlay, refusals

LOCAL = ROOT / "manifests" / "overlays" / "local"
EXAMPLES = ["installation.example.yaml", "installation.local.yaml"]

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

BROKEN_OBJECTS = [
    Broken("rbac-no-wildcard", "rules[0].verbs", ["*"], "name what is needed", object=ROLE),
    Broken("rbac-no-escalation", "rules[0].verbs", ["bind"], "leave it out", object=ROLE),
    Broken(
        "rbac-cluster-binding",
        "kind",
        "ClusterRoleBinding",
        "use a RoleBinding",
        field="roleRef.name",
        object=BINDING,
        named="ClusterRoleBinding/refeed-demo/refeed-analyst",
    ),
    Broken("rbac-cluster-role", "roleRef.name", "admin", "refeed-executor", object=BINDING),
    Broken(
        "rbac-subject",
        "subjects[0].name",
        "default",
        "name one service account",
        field="subjects[0]",
        object=BINDING,
    ),
    Broken(
        "rbac-subject",
        "subjects[0].namespace",
        "refeed-lab",
        "of another namespace",
        field="subjects[0]",
        object=BINDING,
    ),
    Broken(
        "namespace-restricted",
        "metadata.labels[pod-security.kubernetes.io/enforce]",
        "baseline",
        "set it",
        object=NAMESPACE,
    ),
    Broken(
        "label-part-of",
        "metadata.labels[app.kubernetes.io/part-of]",
        ABSENT,
        "set it",
        object="ServiceAccount/refeed-demo/refeed-train",
    ),
    Broken("app-project-bounded", "spec.destinations[0].namespace", "*", "name it", object=PROJECT),
    Broken("app-project-bounded", "spec.sourceRepos[0]", "*", "name it", object=PROJECT),
]


def name(thing: dict[str, Any]) -> str:
    about = thing["metadata"]
    return "/".join(p for p in (thing["kind"], about.get("namespace", ""), about["name"]) if p)


@pytest.mark.parametrize("path", OVERLAYS, ids=[path.name for path in OVERLAYS])
@pytest.mark.parametrize("installation", EXAMPLES)
def test_an_overlay_is_accepted(path: Path, installation: str) -> None:
    made = overlay(path)
    assert len(made) > 10
    assert refusals(made, ROOT / "manifests" / installation) == []


def test_an_app_project_is_accepted() -> None:
    assert refusals([APP_PROJECT]) == []


@pytest.mark.parametrize("row", BROKEN_OBJECTS, ids=lambda row: f"{row.object} {row}")
def test_a_broken_field_is_refused(row: Broken) -> None:
    things = {name(thing): thing for thing in [*overlay(LOCAL), APP_PROJECT]}
    things[row.object] = broken(things[row.object], row.path, row.value)
    found = refusals(things.values())
    assert row.seen_in(found, row.named or row.object), found
    assert {one.rule for one in found} == {row.rule}


def test_a_pod_of_any_kind_is_judged() -> None:
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "bare", "labels": {"app.kubernetes.io/part-of": "refeed"}},
        "spec": {"template": {"spec": {"containers": [{"name": "main", "image": "busybox"}]}}},
    }
    assert {one.rule for one in refusals([job])} == {
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
