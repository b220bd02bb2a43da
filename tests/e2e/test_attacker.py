"""Hostile code in a training pod of one project reaches nothing of another, and not the cluster.

The pod is the one that a compiled template makes: its image, account, security and environment are
taken from there. Only real buckets show what storage itself denies: docs/platform/security.md.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.kubectl import DEMO, LAB, kubectl, needs_cluster, run_kubectl
from tests.e2e.platform import Platform, wait_until
from workflows.argo.compile import compile_spec
from workflows.installation.model import load_installation
from workflows.spec.load import load_spec

pytestmark = needs_cluster

NAME = "attacker"
SCRIPT = Path(__file__).with_name("attack.py")
REFUSED = {"401", "403"}


def pod_of(platform: Platform) -> dict[str, Any]:
    """Return a compiled training pod with another program in it."""
    spec = load_spec(platform.spec("attacked", "gs://refeed-lab/x.parquet", trainer__name="linear"))
    made = compile_spec(spec.spec, load_installation(platform.installation), "workflow")["spec"]
    template = next(each for each in made["templates"] if each["name"] == "train-small")
    container = {
        "name": "main",
        "image": "docker.io/refeed/linear:dev",
        "imagePullPolicy": "IfNotPresent",
        "command": ["/opt/refeed/bin/python", "-c", SCRIPT.read_text(), DEMO, LAB],
        "securityContext": template["container"]["securityContext"],
        "env": [each for each in template["container"]["env"] if _plain(each)],
        "resources": {"requests": {"cpu": "100m"}, "limits": {"memory": "512Mi"}},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": NAME, "namespace": LAB, "labels": {"refeed/step": "train"}},
        "spec": {
            "serviceAccountName": template.get("serviceAccountName") or made["serviceAccountName"],
            "automountServiceAccountToken": made["automountServiceAccountToken"],
            "securityContext": made["securityContext"],
            "restartPolicy": "Never",
            "containers": [container],
        },
    }


def _plain(variable: dict[str, Any]) -> bool:
    """Known without Argo."""
    return "{{" not in json.dumps(variable)


@pytest.fixture(scope="module")
def attempts(platform: Platform) -> Iterator[dict[str, Any]]:
    """Return the result of each attempt."""
    gone = ("-n", LAB, "delete", "pod", NAME, "--ignore-not-found", "--grace-period=0", "--force")
    kubectl(*gone)
    run_kubectl("apply", "-f", "-", stdin=pod_of(platform))

    def phase() -> str:
        found = run_kubectl("-n", LAB, "get", "pod", NAME, "-o", "jsonpath={.status.phase}")
        return found if found in {"Succeeded", "Failed"} else ""

    ended = wait_until("the attacker's end", phase, 240)
    output = run_kubectl("-n", LAB, "logs", NAME)
    assert ended == "Succeeded", output
    yield json.loads(output)
    kubectl(*gone)


def test_pod_has_no_token(attempts: dict[str, Any]) -> None:
    assert attempts["tokens"] == []


@pytest.mark.parametrize(
    "attempt",
    ["secrets of another", "workflows of another", "logs of another", "pods there"],
)
def test_other_projects_are_unreachable(attempt: str, attempts: dict[str, Any]) -> None:
    assert attempts[attempt] in REFUSED


@pytest.mark.parametrize("attempt", ["own secrets", "own workflows", "pods here", "nodes"])
def test_api_server_is_unreachable(attempt: str, attempts: dict[str, Any]) -> None:
    assert attempts[attempt] in REFUSED


def test_metadata_server_is_unreachable(attempts: dict[str, Any]) -> None:
    assert attempts["metadata"] != "connected"


def test_only_scratch_is_writable(attempts: dict[str, Any]) -> None:
    assert attempts["root file system"] in {"OSError", "PermissionError"}
    assert attempts["image"] in {"OSError", "PermissionError"}
    assert attempts["root"] == "PermissionError"


def test_step_rejects_the_root_of_another_project(attempts: dict[str, Any]) -> None:
    code, _, output = attempts["another root"].partition(" ")
    assert code == "65", output
    assert "gs://refeed-lab" in output
