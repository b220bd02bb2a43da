"""Compile a spec with a planned installation file, and read the pods' scheduling constraints."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.terraform.plans import Plan
from tests.terraform.tools import ROOT, JsonObject
from workflows.argo.compile import compile_spec
from workflows.installation.model import Installation, load_installation
from workflows.spec.load import load_spec

FLIGHTS = ROOT / "examples" / "flights" / "spec.yaml"
SPOT = {"cloud.google.com/gke-spot": "true"}
"""The label that GKE adds to spot nodes."""
_IMAGE = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)+/[a-z0-9./_-]+:[A-Za-z0-9._-]+")


@dataclass(frozen=True)
class Pool:
    """A planned node pool, with what the scheduler checks.

    Attributes:
        name: the name of the pool.
        labels: the labels of its nodes.
        taints: the taints of its nodes, as (key, value, effect).
    """

    name: str
    labels: dict[str, str]
    taints: frozenset[tuple[str, str, str]]

    @classmethod
    def from_plan(cls, resource: JsonObject) -> Pool:
        """Create a pool from a resource of the plan."""
        (node,) = resource["node_config"]
        taints = ((each["key"], each["value"], _effect(each["effect"])) for each in node["taint"])
        labels = node["labels"] or {}
        return cls(resource["name"], labels | (SPOT if node["spot"] else {}), frozenset(taints))

    def accepts(self, pod: Pod) -> bool:
        """Return true if the scheduler can place the pod on a node of the pool."""
        return pod.selector.items() <= self.labels.items() and self.taints <= pod.tolerated


@dataclass(frozen=True)
class Pod:
    """A pod of a template, before or after a patch.

    Attributes:
        template: the name of the template.
        account: the Kubernetes service account.
        resource_class: the resource class in its label or environment.
        selector: the labels that a node must have.
        tolerated: the taints that a node may have, as (key, value, effect).
    """

    template: str
    account: str
    resource_class: str
    selector: dict[str, str]
    tolerated: frozenset[tuple[str, str, str]]


def _effect(planned: str) -> str:
    """Convert Google's taint effect to Kubernetes', such as NO_SCHEDULE to NoSchedule."""
    return "".join(each.capitalize() for each in planned.split("_"))


@dataclass(frozen=True)
class Compiled:
    """A compiled WorkflowTemplate and its installation."""

    manifest: JsonObject
    installation: Installation

    @property
    def namespace(self) -> str:
        """The namespace of its pods."""
        namespace: str = self.manifest["metadata"]["namespace"]
        return namespace

    @property
    def templates(self) -> list[JsonObject]:
        """The templates with a container."""
        return [each for each in self.manifest["spec"]["templates"] if "container" in each]

    def pods(self) -> Iterator[Pod]:
        """Yield all possible pods of the templates: without a patch, and with each patch."""
        for template in self.templates:
            yield _pod(template, {})
            for patch in re.findall(r"\? '(\{.*?\})' :", template.get("podSpecPatch", "")):
                yield _pod(template, json.loads(patch))

    def images(self) -> set[str]:
        """Return every image in the templates."""
        return {image for each in self.templates for image in _IMAGE.findall(json.dumps(each))}

    def roots(self) -> set[str]:
        """Return the bucket URIs in the templates."""
        return set(re.findall(r"gs://[a-z0-9._-]+", json.dumps(self.templates)))

    def platform(self, template: str) -> JsonObject:
        """Return the REFEED_PLATFORM settings of a template."""
        (match,) = (each for each in self.templates if each["name"] == template)
        environment = match["container"]["env"]
        (text,) = (each["value"] for each in environment if each["name"] == "REFEED_PLATFORM")
        settings: JsonObject = json.loads(text)
        return settings


def _pod(template: JsonObject, patch: JsonObject) -> Pod:
    """Apply a strategic merge patch, which merges labels and replaces tolerations."""
    labels = template["metadata"]["labels"]
    selector = template["nodeSelector"] | patch.get("nodeSelector", {})
    tolerations: list[JsonObject] = (template | patch)["tolerations"]
    environment = {v["name"]: v["value"] for c in patch.get("containers", []) for v in c["env"]}
    return Pod(
        template["name"],
        template["serviceAccountName"],
        environment.get("REFEED_CLASS", labels["refeed/class"]),
        {key: value for key, value in selector.items() if value is not None},
        frozenset((each["key"], each.get("value", ""), each["effect"]) for each in tolerations),
    )


def compile_flights(plan: Plan, folder: Path, *changes: str) -> Compiled:
    """Compile the flights example with the installation file from the plan."""
    path = folder / "installation.yaml"
    path.write_text(plan.output("installation"), encoding="utf-8")
    installation = load_installation(path)
    root = installation.projects["demo"].root
    paths = [f"output={root}", f"dataset.source={root}/demo/uploads/a/flights.parquet"]
    spec = load_spec(FLIGHTS, [*paths, *changes]).spec
    return Compiled(compile_spec(spec, installation, "workflow-template"), installation)
