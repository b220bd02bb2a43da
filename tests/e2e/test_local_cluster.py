"""The page about a local cluster: its commands work as they stand, on a cluster that exists."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.docs.markdown import ROOT, commands
from tests.e2e.kubectl import needs_cluster, run_kubectl

pytestmark = needs_cluster
PAGE = ROOT / "docs" / "platform" / "local-cluster.md"
INSTALLATION = ROOT / "manifests" / "installation.local.yaml"
GIVEN = (
    *("kind ", "kubectl apply --server-side -k manifests/overlays/local/argo-workflows"),
    *("kubectl -n argo ", "make images", "for name in "),
)
"""Beginnings of commands for what a cluster of the end-to-end tests has already."""


def test_first_run_with_the_emulator_in_the_cluster(endpoint: str, tmp_path: Path) -> None:
    """The test cluster has no DNS, so pods use the address of the Service instead of its name."""
    run_kubectl("apply", "-k", str(ROOT / "manifests/overlays/local/storage"))
    service = "-n", "refeed-storage", "get", "service", "storage"
    address = run_kubectl(*service, "-o", "jsonpath={.spec.clusterIP}")
    installation = INSTALLATION.read_text(encoding="utf-8")
    assert 'STORAGE_EMULATOR_HOST: "http://storage.refeed-storage:4443"' in installation
    copy = tmp_path / "installation.yaml"
    copy.write_text(installation.replace("storage.refeed-storage", address), encoding="utf-8")
    lines = [
        # The flights take minutes; another test submits them.
        each.text.replace("examples/flights", "examples/penguins")
        .replace("manifests/installation.local.yaml", str(copy))
        .replace("--duration=8h", "--duration=8h > /dev/null")  # a token
        for each in commands(PAGE)
        if not each.mentioned and not each.text.startswith(GIVEN)
    ]
    assert len(lines) >= 10
    script = "\n".join(["set -e", "trap 'kill $(jobs -p)' EXIT", *lines])
    environment = {key: value for key, value in os.environ.items() if "STORAGE" not in key}
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    listed = [line for line in done.stdout.splitlines() if "penguin-species" in line]
    assert any("finished" in line for line in listed), done.stdout
