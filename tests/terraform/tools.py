"""Run terraform and tflint in a copy of terraform/."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.fakes import absent

ROOT = Path(__file__).parents[2]
TERRAFORM = ROOT / "terraform"
EXAMPLE = "environments/example"
ROOTS = sorted(
    str(each.parent.relative_to(TERRAFORM)) for each in TERRAFORM.glob("*/*/versions.tf")
)
"""The folders of all modules and environments."""
Result = subprocess.CompletedProcess[str]
JsonObject = dict[str, Any]
"""A JSON object."""

_EXCLUDED = shutil.ignore_patterns(
    ".terraform", ".terraform.lock.hcl", "*.tfstate*", "*.tfplan", "terraform.tfvars"
)
_INSTALL = {
    "terraform": "https://developer.hashicorp.com/terraform/install, 1.9 or newer",
    "tflint": "https://github.com/terraform-linters/tflint, 0.55 or newer",
}
_SECONDS = 300


def tool(name: str) -> str:
    """Return the path of a tool. If it is missing, skip the test, or fail it in CI."""
    return shutil.which(name) or absent(f"{name} is not on the PATH: {_INSTALL[name]}")


def error_of(result: Result) -> str:
    """Return the error message of a tool on one line, without box characters."""
    text = " ".join(re.sub(r"[│╷╵]", " ", f"{result.stdout}\n{result.stderr}").split())
    return text[max(text.find("Error:"), 0) :][:300]


@dataclass(frozen=True)
class Workspace:
    """A copy of terraform/ without lock files, with all roots initialized.

    Attributes:
        folder: the path of the copy.
        cache: the plugin cache that all roots share.
    """

    folder: Path
    cache: Path

    @classmethod
    def create(cls, into: Path) -> Workspace:
        """Copy terraform/ and initialize all roots. On failure, skip the tests; fail them in CI."""
        workspace = cls(into / "terraform", into / "plugins")
        workspace.cache.mkdir()
        shutil.copytree(TERRAFORM, workspace.folder, ignore=_EXCLUDED)
        for root in ROOTS:
            result = workspace.terraform(root, "init", "-backend=false", "-input=false")
            if result.returncode != 0:
                absent(f"terraform init of {root} fails: {error_of(result)}")
        return workspace

    def terraform(self, root: str, *arguments: str) -> Result:
        """Run a terraform command in a root."""
        inherited = {key: value for key, value in os.environ.items() if key != "TF_DATA_DIR"}
        settings = {
            "TF_PLUGIN_CACHE_DIR": str(self.cache),
            "TF_IN_AUTOMATION": "1",
            "TF_CLI_ARGS": "-no-color",
            # The published provider requires credentials to plan, but does not send requests.
            "GOOGLE_OAUTH_ACCESS_TOKEN": "none",
        }
        return self._run([tool("terraform"), *arguments], self.folder / root, inherited | settings)

    def tflint(self) -> Result:
        """Run tflint with Google's rules in all roots."""
        config = self.folder / ".tflint.hcl"
        plugins = self.cache / "tflint"
        environment = {**os.environ, "TFLINT_PLUGIN_DIR": str(plugins)}
        ruleset = shutil.which("tflint-ruleset-google")
        if ruleset:  # tflint uses an installed plugin if its config has no source
            plugins.mkdir()
            (plugins / "tflint-ruleset-google").symlink_to(ruleset)
            config.write_text(re.sub(r"(?m)^  (version|source) .*\n", "", config.read_text()))
        result = self._run(
            [tool("tflint"), "--init", f"--config={config}"], self.folder, environment
        )
        if result.returncode != 0:
            absent(f"tflint --init fails without tflint-ruleset-google: {error_of(result)}")
        return self._run(
            [tool("tflint"), "--recursive", f"--config={config}"], self.folder, environment
        )

    def _run(self, command: list[str], folder: Path, environment: dict[str, str]) -> Result:
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
            cwd=folder,
            env=environment,
        )
