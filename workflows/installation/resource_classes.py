"""Resource classes: how much CPU and memory a pod gets, and on which nodes it runs.

The installation file defines them, smallest memory first. The same type is what the compiler places
pods with, what packing fits partitions into, and what pods read from their environment.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, PrivateAttr

from steps.config import SpecPart
from steps.quantity import parse_cpus, parse_mib

Quantity = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?(m|Ki|Mi|Gi|Ti|k|M|G|T)?$")]


class Toleration(SpecPart):
    """A taint that pods tolerate, in Kubernetes' own fields."""

    key: str
    """The taint's key."""
    operator: Literal["Exists", "Equal"] = "Equal"
    """Exists tolerates any value."""
    value: str = ""
    """The taint's value."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] = "NoSchedule"
    """The taint's effect."""

    def manifest(self) -> dict[str, Any]:
        """Return it as it stands in a pod's manifest; the effect is always given."""
        return self.model_dump(exclude_defaults=True) | {"effect": self.effect}


class Placement(SpecPart):
    """The nodes that pods may run on."""

    node_selector: dict[str, str] = Field(default_factory=dict)
    """Labels that a node must have."""
    tolerations: list[Toleration] = Field(default_factory=list)
    """Taints that a node may have."""


class ResourceClass(Placement):
    """CPU and memory of a pod, and the nodes it runs on."""

    cpu: Quantity
    """CPUs, such as `2` or `500m`; a training pod runs one process per whole CPU."""
    memory: Quantity
    """Memory, such as `4Gi`: both request and limit."""
    spot: Placement | None = None
    """Where spot pods of this class run, in addition to the above; null if there are none."""
    _name: str = PrivateAttr(default="")

    @classmethod
    def named(cls, name: str, *, cpu: str, memory: str) -> Self:
        """Return a class outside of an installation file."""
        return cls(cpu=cpu, memory=memory).with_name(name)

    def with_name(self, name: str) -> Self:
        """Return the class under a name."""
        named = self.model_copy()
        named._name = name  # noqa: SLF001 - of its own class
        return named

    @property
    def name(self) -> str:
        """The key that the installation file has it under."""
        return self._name

    @property
    def memory_mib(self) -> int:
        """Memory in MiB, rounded down."""
        return parse_mib(self.memory)

    @property
    def workers(self) -> int:
        """Processes that train at the same time in a pod: one per whole CPU, at least one."""
        return max(1, int(parse_cpus(self.cpu)))

    def on_spot(self) -> Self:
        """Return the class with its spot nodes' labels and taints, if it has spot nodes."""
        if self.spot is None:
            return self
        nodes = {
            "node_selector": self.node_selector | self.spot.node_selector,
            "tolerations": [*self.tolerations, *self.spot.tolerations],
        }
        return self.model_copy(update=nodes)

    def to_raw(self) -> dict[str, Any]:
        """Return what a running pod needs of it, for ``Platform``."""
        return {"name": self.name, "memory_mib": self.memory_mib, "workers": self.workers}

    @classmethod
    def from_raw(cls, raw: dict[str, Any]) -> Self:
        """Read what ``to_raw`` returned."""
        return cls.named(raw["name"], cpu=str(raw["workers"]), memory=f"{raw['memory_mib']}Mi")
