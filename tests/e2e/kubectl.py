"""Calls of kubectl as the user of KUBECONFIG, or as a service account with its own token."""

from __future__ import annotations

import json
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

MANIFESTS = Path(__file__).parents[2] / "manifests"
LOCAL = MANIFESTS / "overlays" / "local"
DEMO, LAB = "refeed-demo", "refeed-lab"

# KUBECONFIG alone is no permission to write to a cluster: it may name anyone's.
needs_cluster = pytest.mark.skipif(
    not os.environ.get("REFEED_E2E"), reason="needs a cluster that may be written to: make e2e"
)


@dataclass(frozen=True)
class Answer:
    """Result of a kubectl command."""

    code: int
    out: str
    err: str

    @property
    def ok(self) -> bool:
        return self.code == 0


def kubectl(*arguments: str, stdin: object = None, config: Path | None = None) -> Answer:
    """Runs kubectl; `stdin` is an object, or a list of them, for `-f -`."""
    environment = {**os.environ, "KUBECONFIG": str(config)} if config else None
    done = subprocess.run(
        ["kubectl", *arguments],
        input=None if stdin is None else as_yaml(stdin),
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return Answer(done.returncode, done.stdout, done.stderr)


def run_kubectl(*arguments: str, stdin: object = None) -> str:
    """Run kubectl and return what it printed.

    Raises:
        AssertionError: it failed.
    """
    answer = kubectl(*arguments, stdin=stdin)
    assert answer.ok, answer.err
    return answer.out


def as_yaml(objects: object) -> str:
    """One document per object."""
    listed = objects if isinstance(objects, list) else [objects]
    return yaml.safe_dump_all(listed)


def build(overlay: Path) -> list[dict[str, Any]]:
    """Return the objects that kustomize builds from a folder."""
    return [found for found in yaml.safe_load_all(run_kubectl("kustomize", str(overlay))) if found]


def apply_local() -> None:
    """Brings the projects of the local overlay up to date."""
    run_kubectl("apply", "-k", str(LOCAL))


def token_config(folder: Path, namespace: str, account: str) -> Path:
    """Write a kubeconfig with only a real token of a service account.

    `kubectl --token` is not enough: a client certificate takes precedence.
    """
    config = json.loads(run_kubectl("config", "view", "--minify", "--raw", "--output", "json"))
    token = run_kubectl(
        "create", "token", account, "--namespace", namespace, "--duration", "1h"
    ).strip()
    config["users"] = [{"name": account, "user": {"token": token}}]
    config["contexts"][0]["context"] |= {"user": account, "namespace": namespace}
    path = folder / f"{namespace}.{account}.json"
    path.write_text(json.dumps(config))
    path.chmod(0o600)
    return path


def subject(namespace: str, account: str) -> str:
    """Return the user name of a service account at the API server."""
    return f"system:serviceaccount:{namespace}:{account}"


def rights(user: str, namespace: str) -> dict[str, frozenset[str]]:
    """Return the verbs that a user has in a namespace, by resource (`name.group`)."""
    output = run_kubectl(
        "auth", "can-i", "--list", "--no-headers", f"--as={user}", "--namespace", namespace
    )
    lines = re.findall(r"^(\S+) +\[.*?\] +\[.*?\] +\[(.*)\]$", output, flags=re.MULTILINE)
    found: dict[str, frozenset[str]] = {}
    for resource, verbs in lines:
        found[resource] = found.get(resource, frozenset()) | frozenset(verbs.split())
    return found
