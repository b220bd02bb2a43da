"""A resource class as pods get it: amounts, and nodes, spot or not."""

from __future__ import annotations

from dataclasses import dataclass

from workflows.installation.model import Installation, ResourceClass
from workflows.planning.packing import SizeClass
from workflows.spec.model import ExperimentSpec


@dataclass(frozen=True)
class Placed:
    """What a pod of a class gets.

    Attributes:
        name: of the class.
        cpu: request and limit.
        memory: request and limit.
        node_selector: labels that a node must have.
        tolerations: taints that a node may have, as Kubernetes writes them.
    """

    name: str
    cpu: str
    memory: str
    node_selector: dict[str, str]
    tolerations: list[dict[str, str]]


def place(installation: Installation, name: str, *, spot: bool = False) -> Placed:
    """A class of the installation; on spot nodes if asked for and if it has some."""
    size = installation.classes[name]
    places = [size, *([size.spot] if spot and size.spot else [])]
    return Placed(
        name=name,
        cpu=size.cpu,
        memory=size.memory,
        node_selector={k: v for each in places for k, v in each.node_selector.items()},
        tolerations=[
            toleration.model_dump(exclude_defaults=True) | {"effect": toleration.effect}
            for each in places
            for toleration in each.tolerations
        ],
    )


def training_classes(spec: ExperimentSpec, installation: Installation) -> dict[str, ResourceClass]:
    """The classes that training pods of a spec may use, the smallest first."""
    wanted = spec.execution.classes or list(installation.classes)
    return {name: size for name, size in installation.classes.items() if name in wanted}


def sizes(spec: ExperimentSpec, installation: Installation) -> tuple[SizeClass, ...]:
    """The same, as far as packing goes."""
    return tuple(
        SizeClass(name, size.memory_mib, size.workers)
        for name, size in training_classes(spec, installation).items()
    )
