"""Small Kubernetes objects for tests: valid, and none of them does any work."""

from __future__ import annotations

from typing import Any

CONTAINER: dict[str, Any] = {
    "name": "main",
    "image": "docker.io/refeed/split:dev",
    "args": ["--version"],
    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
}
POD_SPEC: dict[str, Any] = {
    "securityContext": {
        "runAsNonRoot": True,
        "runAsUser": 10001,
        "seccompProfile": {"type": "RuntimeDefault"},
    },
    "containers": [CONTAINER],
    # Never scheduled, so that it costs nothing and waits for nobody.
    "schedulingGates": [{"name": "refeed.test/never"}],
}


def thing(kind: str, name: str, api: str = "v1", **fields: object) -> dict[str, Any]:
    """An object of any kind."""
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name}, **fields}


def pod(name: str, **fields: object) -> dict[str, Any]:
    """Return a pod that meets the restricted standard; `fields` change its spec."""
    return thing("Pod", name, spec={**POD_SPEC, **fields})


def pod_with(name: str, **fields: object) -> dict[str, Any]:
    """Return a pod with other fields of its container's security context."""
    context = {**CONTAINER["securityContext"], **fields}
    return pod(name, containers=[{**CONTAINER, "securityContext": context}])


def workflow(name: str, *, kind: str = "Workflow", suspend: bool = True) -> dict[str, Any]:
    """Return a workflow of one container, or a WorkflowTemplate, suspended before its first pod."""
    spec: dict[str, Any] = {
        "entrypoint": "main",
        "serviceAccountName": "refeed-split",
        "executor": {"serviceAccountName": "refeed-executor"},
        "templates": [{"name": "main", "container": {**CONTAINER, "command": ["refeed"]}}],
    }
    if suspend:
        spec["suspend"] = True
    return thing(kind, name, "argoproj.io/v1alpha1", spec=spec)


def role(name: str) -> dict[str, Any]:
    """Return a role that grants nothing."""
    return thing("Role", name, "rbac.authorization.k8s.io/v1", rules=[])


def admin_binding(name: str, account: str, namespace: str) -> dict[str, Any]:
    """Makes a service account the administrator of a namespace."""
    reference = {
        "apiGroup": "rbac.authorization.k8s.io",
        "kind": "ClusterRole",
        "name": "admin",
    }
    subjects = [{"kind": "ServiceAccount", "name": account, "namespace": namespace}]
    return thing(
        "RoleBinding",
        name,
        "rbac.authorization.k8s.io/v1",
        roleRef=reference,
        subjects=subjects,
    )
