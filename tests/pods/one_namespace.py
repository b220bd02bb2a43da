"""A fake cluster of one namespace."""

# ruff: noqa: ARG002 - a port has arguments that not every adapter needs

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import cycle

from tests.pods.fake_project import CREATED
from workflows.cluster.base import Manifest
from workflows.cluster.errors import ConflictError


@dataclass
class OneNamespace:
    """A fake cluster that holds Workflows by name and records those created.

    Attributes:
        held: by name.
        blind: whether it answers, each time in turn, as if it held nothing.
    """

    held: dict[str, Manifest] = field(default_factory=dict)
    blind: cycle[bool] = field(default_factory=lambda: cycle([False]))
    server: str = "a test server"
    whoami: str = "a test"

    def find(self, kind: str, namespace: str, name: str) -> Manifest | None:
        raise AssertionError("a retry leaves the template alone")

    def apply(self, manifest: Manifest) -> None:
        raise AssertionError("a retry leaves the template alone")

    def create(self, manifest: Manifest) -> Manifest:
        name = manifest["metadata"]["name"]
        if name in self.held:
            raise ConflictError(f"{name} already exists")
        manifest["metadata"]["creationTimestamp"] = CREATED
        self.held[name] = manifest
        return manifest

    def workflow(self, namespace: str, name: str) -> Manifest | None:
        return None if next(self.blind) else self.held.get(name)

    def workflows(self, namespace: str, selector: str) -> list[Manifest]:
        return list(self.held.values())

    def stop(self, namespace: str, name: str) -> None:
        self.held[name]["spec"]["shutdown"] = "Stop"
        self.held[name]["status"] = {"phase": "Failed"}
