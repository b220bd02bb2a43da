"""Upstream's manifests of Argo Workflows from Go's module proxy: no Git server is needed."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

from tests.fakes import absent
from tests.policy.tools import ROOT

_MODULE = "github.com/argoproj/argo-workflows/v4"
_REFERENCE = re.compile(
    r"https://github\.com/argoproj/argo-workflows//manifests/cluster-install\?ref=(v[\d.]+)"
)


@cache
def _module(version: str) -> Path:
    """The folder of a version's module; without Go the test is skipped, and fails in CI."""
    go = shutil.which("go") or str(ROOT / ".tools" / "go" / "bin" / "go")
    if not Path(go).is_file():
        absent("there is no Go, by which upstream's manifests are had: make tools")
    done = subprocess.run(
        [go, "mod", "download", "-json", f"{_MODULE}@{version}"],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    if done.returncode:
        absent(f"upstream's manifests cannot be had: {done.stdout} {done.stderr}")
    return Path(json.loads(done.stdout)["Dir"])


def with_upstream(folder: Path) -> Path:
    """A copy of ``manifests/`` in which the reference to upstream leads to a folder beside it."""
    copied = folder / "manifests"
    shutil.copytree(ROOT / "manifests", copied)
    file = copied / "argo-workflows" / "kustomization.yaml"
    text = file.read_text()
    (version,) = _REFERENCE.findall(text)
    shutil.copytree(_module(version) / "manifests", folder / "upstream")
    file.write_text(_REFERENCE.sub("../../upstream/cluster-install", text))
    return copied
