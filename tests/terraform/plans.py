"""Plan the example environment and read `terraform show -json`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from tests.terraform.tools import EXAMPLE, JsonObject, Workspace, error_of

EXAMPLE_VARIABLES = "terraform.tfvars.example"
FULL_VARIABLES = Path(__file__).with_name("full.tfvars")
"""All options that grant roles are on, and a second project has the defaults."""


@dataclass(frozen=True)
class Plan:
    """A Terraform plan.

    Attributes:
        raw: the whole JSON document.
    """

    raw: JsonObject

    @classmethod
    def create(cls, workspace: Workspace, variables: str) -> Plan:
        """Plan the example environment without existing state."""
        path = f"{Path(variables).name}.tfplan"
        options = ["-input=false", "-refresh=false", "-lock=false", f"-var-file={variables}"]
        result = workspace.terraform(EXAMPLE, "plan", *options, f"-out={path}")
        assert result.returncode == 0, error_of(result)
        shown = workspace.terraform(EXAMPLE, "show", "-json", path)
        assert shown.returncode == 0, error_of(shown)
        return cls(json.loads(shown.stdout))

    @property
    def changes(self) -> list[JsonObject]:
        """The changes of all resources, each with `type`, `address` and `change`."""
        changes: list[JsonObject] = self.raw["resource_changes"]
        return changes

    @property
    def types(self) -> set[str]:
        """The types of all resources."""
        return {each["type"] for each in self.changes}

    def all(self, kind: str) -> list[JsonObject]:
        """Return the planned values of all resources of a type, ordered by address."""
        return [each["change"]["after"] for each in self.changes if each["type"] == kind]

    def only(self, kind: str) -> JsonObject:
        """Return the only resource of a type."""
        (resource,) = self.all(kind)
        return resource

    def output(self, name: str) -> str:
        """Return the text that `terraform output -raw` prints."""
        value: str = self.raw["planned_values"]["outputs"][name]["value"]
        return value
