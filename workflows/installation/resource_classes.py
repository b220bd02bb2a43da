"""Resource classes: how much CPU, memory and disk a pod gets, and on which nodes it runs.

The installation file defines them, smallest memory first. The compiler, packing and the pods use
the same type.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, PrivateAttr

from steps.config import SpecPart
from steps.quantity import parse_cpus, parse_mib

Cpus = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?m?$")]
Bytes = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?(Ki|Mi|Gi|Ti|k|M|G|T)?$")]
ResourceName = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[A-Za-z0-9._-]+$")]


class Toleration(SpecPart):
    """A taint that pods tolerate, with the fields of Kubernetes."""

    key: str
    """Key of the taint."""
    operator: Literal["Exists", "Equal"] = "Equal"
    """Operator; `Exists` tolerates any value."""
    value: str = ""
    """Value of the taint."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] = "NoSchedule"
    """Effect of the taint."""

    def manifest(self) -> dict[str, Any]:
        """Return the toleration of a pod's manifest, always with an effect."""
        return self.model_dump(exclude_defaults=True) | {"effect": self.effect}


class Placement(SpecPart):
    """The nodes that pods may run on."""

    node_selector: dict[str, str] = Field(default_factory=dict)
    """Labels that a node must have."""
    tolerations: list[Toleration] = Field(default_factory=list)
    """Taints that a node may have."""


class ResourceClass(Placement):
    """CPU, memory and disk of a pod, and the nodes it runs on."""

    cpu: Cpus
    """CPUs, such as `2` or `500m`; a training pod runs one process per whole CPU."""
    memory: Bytes
    """Memory, such as `4Gi`: both request and limit."""
    ephemeral_storage: Bytes = "10Gi"
    """Disk of its node that a pod may use, mostly for /tmp: request, limit and size of /tmp. GKE
    Autopilot allows 10Gi per pod, in which Argo's container needs 128Mi: set 9Gi there."""
    resources: dict[ResourceName, Annotated[int, Field(ge=1)]] = Field(default_factory=dict)
    """Other resources of a pod, such as `{nvidia.com/gpu: 1}`. Only trainers that name the class
    run in it."""
    spot: Placement | None = None
    """Additional labels and taints of spot nodes; null if the class has no spot nodes."""
    _name: str = PrivateAttr(default="")

    @classmethod
    def named(cls, name: str, *, cpu: str, memory: str) -> Self:
        """Return a class that no installation file defines."""
        return cls(cpu=cpu, memory=memory).with_name(name)

    def with_name(self, name: str) -> Self:
        """Return the class under a name."""
        named = self.model_copy()
        named._name = name  # noqa: SLF001 - of its own class
        return named

    @property
    def name(self) -> str:
        """Name of the class in the installation file."""
        return self._name

    @property
    def memory_mib(self) -> int:
        """Memory in MiB, rounded down."""
        return parse_mib(self.memory)

    @property
    def disk_mib(self) -> int:
        """Disk in MiB, rounded down."""
        return parse_mib(self.ephemeral_storage)

    @property
    def amounts(self) -> dict[str, str]:
        """Resources of a pod by Kubernetes' names: both requests and limits."""
        return {
            "cpu": self.cpu,
            "memory": self.memory,
            "ephemeral-storage": self.ephemeral_storage,
            **{name: str(count) for name, count in self.resources.items()},
        }

    @property
    def other_amounts(self) -> dict[str, dict[str, str]] | None:
        """Requests and limits of resources such as GPUs, which must be equal; None without any."""
        counts = {name: str(count) for name, count in self.resources.items()}
        return {"requests": counts, "limits": counts} if counts else None

    @property
    def workers(self) -> int:
        """Number of training processes in a pod: one per whole CPU, at least one."""
        return max(1, int(parse_cpus(self.cpu)))

    def fits_at_once(self, threads: int) -> int:
        """Return the number of training processes in a pod if a fit needs so many CPUs."""
        return max(1, self.workers // threads)

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
        """Return the values that a pod needs, for ``Platform``."""
        return {"name": self.name, "memory_mib": self.memory_mib, "workers": self.workers}

    @classmethod
    def from_raw(cls, raw: dict[str, Any]) -> Self:
        """Read what ``to_raw`` returned."""
        return cls.named(raw["name"], cpu=str(raw["workers"]), memory=f"{raw['memory_mib']}Mi")
