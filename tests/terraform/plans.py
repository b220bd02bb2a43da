"""A plan of the example environment, as `terraform show -json` writes it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from tests.terraform.tools import EXAMPLE, Found, Workspace, last_words

EXAMPLE_VARIABLES = "terraform.tfvars.example"
FULL_VARIABLES = Path(__file__).with_name("full.tfvars")
"""Everything that gives somebody a role is switched on, and a second project has little."""


@dataclass(frozen=True)
class Plan:
    """What `terraform apply` would make.

    Attributes:
        raw: the whole JSON.
    """

    raw: Found

    @classmethod
    def of(cls, workspace: Workspace, variables: str) -> Plan:
        """Plans the example environment, from nothing."""
        path = f"{Path(variables).name}.tfplan"
        asked = ["-input=false", "-refresh=false", "-lock=false", f"-var-file={variables}"]
        done = workspace.terraform(EXAMPLE, "plan", *asked, f"-out={path}")
        assert done.returncode == 0, last_words(done)
        shown = workspace.terraform(EXAMPLE, "show", "-json", path)
        assert shown.returncode == 0, last_words(shown)
        return cls(json.loads(shown.stdout))

    @property
    def changes(self) -> list[Found]:
        """All resources, each with `type`, `address` and `change`."""
        found: list[Found] = self.raw["resource_changes"]
        return found

    @property
    def types(self) -> set[str]:
        """Of all resources."""
        return {each["type"] for each in self.changes}

    def all(self, kind: str) -> list[Found]:
        """What is known of the resources of a type, in the order of their addresses."""
        return [each["change"]["after"] for each in self.changes if each["type"] == kind]

    def only(self, kind: str) -> Found:
        """The one resource of a type."""
        (found,) = self.all(kind)
        return found

    def output(self, name: str) -> str:
        """A text that `terraform output -raw` prints."""
        value: str = self.raw["planned_values"]["outputs"][name]["value"]
        return value
