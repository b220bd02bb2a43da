"""A spec that was compiled with an installation file, as the scheduler and Google see its pods."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.terraform.plans import Plan
from tests.terraform.tools import ROOT, Found
from workflows.argo.compile import compile_spec
from workflows.installation.model import Installation, load_installation
from workflows.spec.load import load_spec

FLIGHTS = ROOT / "examples" / "flights" / "spec.yaml"
SPOT = {"cloud.google.com/gke-spot": "true"}
"""GKE gives it to spot nodes itself."""
_IMAGE = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)+/[a-z0-9./_-]+:[A-Za-z0-9._-]+")


@dataclass(frozen=True)
class Pool:
    """What the nodes of a planned pool are to the scheduler.

    Attributes:
        name: of the pool.
        labels: of its nodes.
        taints: of its nodes, as key, value and effect.
    """

    name: str
    labels: dict[str, str]
    taints: frozenset[tuple[str, str, str]]

    @classmethod
    def planned(cls, found: Found) -> Pool:
        """Reads a resource of the plan."""
        (node,) = found["node_config"]
        taints = ((each["key"], each["value"], _effect(each["effect"])) for each in node["taint"])
        own = node["labels"] or {}
        return cls(found["name"], own | (SPOT if node["spot"] else {}), frozenset(taints))

    def takes(self, pod: Pod) -> bool:
        """Whether the scheduler may put a pod there."""
        return pod.selector.items() <= self.labels.items() and self.taints <= pod.tolerated


@dataclass(frozen=True)
class Pod:
    """A pod of a template: as it is written, or as a patch changes it.

    Attributes:
        template: its name.
        account: of Kubernetes.
        size: the resource class that it believes to be in.
        selector: labels that a node must have.
        tolerated: taints that a node may have, as key, value and effect.
    """

    template: str
    account: str
    size: str
    selector: dict[str, str]
    tolerated: frozenset[tuple[str, str, str]]


def _effect(planned: str) -> str:
    """Kubernetes' word for Google's: NO_SCHEDULE is NoSchedule."""
    return "".join(each.capitalize() for each in planned.split("_"))


@dataclass(frozen=True)
class Compiled:
    """A WorkflowTemplate, and the installation file that it was compiled with."""

    manifest: Found
    installation: Installation

    @property
    def namespace(self) -> str:
        """Where its pods run."""
        found: str = self.manifest["metadata"]["namespace"]
        return found

    @property
    def templates(self) -> list[Found]:
        """Those with a container."""
        return [each for each in self.manifest["spec"]["templates"] if "container" in each]

    def pods(self) -> Iterator[Pod]:
        """All that may be made of the templates: by themselves, and with each of their patches."""
        for template in self.templates:
            yield _pod(template, {})
            for patch in re.findall(r"\? '(\{.*?\})' :", template.get("podSpecPatch", "")):
                yield _pod(template, json.loads(patch))

    def images(self) -> set[str]:
        """Every image that the templates name, wherever they name it."""
        return {image for each in self.templates for image in _IMAGE.findall(json.dumps(each))}

    def roots(self) -> set[str]:
        """Every URI of Cloud Storage that the templates name, without its path."""
        return set(re.findall(r"gs://[a-z0-9._-]+", json.dumps(self.templates)))

    def platform(self, template: str) -> Found:
        """What the pods of a template are told of the installation."""
        (found,) = (each for each in self.templates if each["name"] == template)
        environment = found["container"]["env"]
        (text,) = (each["value"] for each in environment if each["name"] == "REFEED_PLATFORM")
        told: Found = json.loads(text)
        return told


def _pod(template: Found, patch: Found) -> Pod:
    """A template with a strategic merge: labels one by one, tolerations as a whole."""
    labels = template["metadata"]["labels"]
    selector = template["nodeSelector"] | patch.get("nodeSelector", {})
    tolerations: list[Found] = (template | patch)["tolerations"]
    named = {v["name"]: v["value"] for c in patch.get("containers", []) for v in c["env"]}
    return Pod(
        template["name"],
        template["serviceAccountName"],
        named.get("REFEED_CLASS", labels["refeed/class"]),
        {key: value for key, value in selector.items() if value is not None},
        frozenset((each["key"], each.get("value", ""), each["effect"]) for each in tolerations),
    )


def compiled(plan: Plan, folder: Path, *changes: str) -> Compiled:
    """The flights example, compiled as somebody does who has run `terraform output`."""
    path = folder / "installation.yaml"
    path.write_text(plan.output("installation"), encoding="utf-8")
    installation = load_installation(path)
    root = installation.projects["demo"].root
    moved = [f"output={root}", f"dataset.source={root}/demo/uploads/a/flights.parquet"]
    spec = load_spec(FLIGHTS, [*moved, *changes]).spec
    return Compiled(compile_spec(spec, installation, "workflow-template"), installation)
