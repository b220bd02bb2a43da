"""terraform and tflint, called in a copy of terraform/ as people call them in the folder itself."""

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
"""Every module and environment."""
Done = subprocess.CompletedProcess[str]
Found = dict[str, Any]
"""What JSON says of one thing."""

_LEFT_OUT = shutil.ignore_patterns(
    ".terraform", ".terraform.lock.hcl", "*.tfstate*", "*.tfplan", "terraform.tfvars"
)
_INSTALL = {
    "terraform": "https://developer.hashicorp.com/terraform/install, 1.9 or newer",
    "tflint": "https://github.com/terraform-linters/tflint, 0.55 or newer",
}
_SECONDS = 300


def tool(name: str) -> str:
    """Where a tool is; without it the test is skipped, and fails in CI."""
    return shutil.which(name) or absent(f"{name} is not on the PATH: {_INSTALL[name]}")


def last_words(done: Done) -> str:
    """What a tool said went wrong, in one line and without its frames."""
    words = " ".join(re.sub(r"[│╷╵]", " ", f"{done.stdout}\n{done.stderr}").split())
    return words[max(words.find("Error:"), 0) :][:300]


@dataclass(frozen=True)
class Workspace:
    """A copy of terraform/ without lock files, whose roots are ready.

    Attributes:
        folder: the copy.
        cache: where providers are kept, once for all roots.
    """

    folder: Path
    cache: Path

    @classmethod
    def copied(cls, into: Path) -> Workspace:
        """A fresh copy; a root that can not be made ready skips the tests, and fails them in CI."""
        made = cls(into / "terraform", into / "plugins")
        made.cache.mkdir()
        shutil.copytree(TERRAFORM, made.folder, ignore=_LEFT_OUT)
        for root in ROOTS:
            done = made.terraform(root, "init", "-backend=false", "-input=false")
            if done.returncode != 0:
                absent(f"terraform init of {root} fails: {last_words(done)}")
        return made

    def terraform(self, root: str, *arguments: str) -> Done:
        """A command of terraform in a root."""
        given = {key: value for key, value in os.environ.items() if key != "TF_DATA_DIR"}
        mine = {
            "TF_PLUGIN_CACHE_DIR": str(self.cache),
            "TF_IN_AUTOMATION": "1",
            "TF_CLI_ARGS": "-no-color",
            # The published provider wants some credentials before it plans; it asks Google nothing.
            "GOOGLE_OAUTH_ACCESS_TOKEN": "none",
        }
        return self._run([tool("terraform"), *arguments], self.folder / root, given | mine)

    def tflint(self) -> Done:
        """tflint over all roots, with Google's rules as well."""
        config = self.folder / ".tflint.hcl"
        plugins = self.cache / "tflint"
        where = {**os.environ, "TFLINT_PLUGIN_DIR": str(plugins)}
        given = shutil.which("tflint-ruleset-google")
        if given:  # a plugin without an origin is one that somebody installed
            plugins.mkdir()
            (plugins / "tflint-ruleset-google").symlink_to(given)
            config.write_text(re.sub(r"(?m)^  (version|source) .*\n", "", config.read_text()))
        done = self._run([tool("tflint"), "--init", f"--config={config}"], self.folder, where)
        if done.returncode != 0:
            absent(
                f"tflint --init fails, and no tflint-ruleset-google is there: {last_words(done)}"
            )
        return self._run([tool("tflint"), "--recursive", f"--config={config}"], self.folder, where)

    def _run(self, command: list[str], folder: Path, environment: dict[str, str]) -> Done:
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
            cwd=folder,
            env=environment,
        )
