"""Get the upstream manifests of Argo Workflows from the Go module proxy, without a Git server."""

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
    """Return the folder of a module version. Without Go, skip the test, or fail it in CI."""
    go = shutil.which("go") or str(ROOT / ".tools" / "go" / "bin" / "go")
    if not Path(go).is_file():
        absent("Go is missing, which downloads the upstream manifests. Run: make tools")
    result = subprocess.run(
        [go, "mod", "download", "-json", f"{_MODULE}@{version}"],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    if result.returncode:
        absent(f"cannot download the upstream manifests: {result.stdout} {result.stderr}")
    return Path(json.loads(result.stdout)["Dir"])


def copy_with_upstream(folder: Path) -> Path:
    """Copy ``manifests/`` and replace the upstream URL with a local folder."""
    copied = folder / "manifests"
    shutil.copytree(ROOT / "manifests", copied)
    file = copied / "argo-workflows" / "kustomization.yaml"
    text = file.read_text()
    (version,) = _REFERENCE.findall(text)
    shutil.copytree(_module(version) / "manifests", folder / "upstream")
    file.write_text(_REFERENCE.sub("../../upstream/cluster-install", text))
    return copied
