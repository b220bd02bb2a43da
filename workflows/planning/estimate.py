"""What a run would meet before it is started: pods, hours and money, on a cluster or here."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from steps.quantity import parse_cpus
from steps.records import PartitionIndex
from workflows.installation.model import Installation, Prices
from workflows.installation.resource_classes import ResourceClass
from workflows.planning.cost import Basis, Shape, rows_with_target
from workflows.planning.packing import pack_classes
from workflows.spec.model import ExperimentSpec

START_SECONDS = 20
"""From a pod's start to its first partition, when its image is on the node."""

_MOST_NAMED = 10


@dataclass(frozen=True)
class ClassPlan:
    """Training pods of one resource class.

    Attributes:
        name: of the class.
        pods: that would run, one for each shard.
        partitions: that they would train.
        pod_hours: of all pods together.
        longest_seconds: of the pod that takes longest.
        money: None where the installation has no prices.
    """

    name: str
    pods: int
    partitions: int
    pod_hours: float
    longest_seconds: float
    money: float | None


@dataclass(frozen=True)
class Preflight:
    """What training would take. Split and collect, a pod each, come on top.

    Attributes:
        core_hours: of training.
        seconds: from the first to the last partition, if all pods run at once.
        low: the least and
        high: the most of all these, as a factor.
        basis: where the estimate comes from, in words.
        classes: by resource class; empty for this machine.
        too_large: partitions that no class can hold, at most ten of them.
        too_large_total: how many there are.
        workers: processes at once on this machine; 0 on a cluster.
        money: None where there are no prices.
        currency: empty where there are no prices.
    """

    core_hours: float
    seconds: float
    low: float
    high: float
    basis: str
    classes: tuple[ClassPlan, ...]
    too_large: tuple[str, ...]
    too_large_total: int
    workers: int
    money: float | None
    currency: str


@dataclass(frozen=True)
class Load:
    """The work of a run.

    Attributes:
        index: of the data set.
        seconds: of one processor, by partition id; 0 for what is skipped.
        features: of the data set.
        basis: of the seconds.
    """

    index: PartitionIndex
    seconds: Mapping[str, float]
    features: int
    basis: Basis


def load_of(
    index: PartitionIndex, target: str, skipped: Mapping[str, str], shape: Shape, basis: Basis
) -> Load:
    """The work of a run: ``skipped`` has the reason of those that would not be trained, by id."""
    rows = rows_with_target(index, target)
    seconds = {
        key: 0.0 if key in skipped else basis.scale * shape.seconds(count)
        for key, count in rows.items()
    }
    return Load(index, seconds, shape.features, basis)


def preflight(spec: ExperimentSpec, load: Load, installation: Installation | None) -> Preflight:
    """On a cluster if there is an installation, else on this machine."""
    if installation is None:
        return _here(spec, load)
    return _on_cluster(spec, load, installation)


def _here(spec: ExperimentSpec, load: Load) -> Preflight:
    workers = spec.execution.workers or os.cpu_count() or 1
    return _told(load, _span(list(load.seconds.values()), workers), workers=workers)


def _span(seconds: Sequence[float], workers: int) -> float:
    """Of partitions on some processors, the largest first: as long as the work, or the longest."""
    return max(sum(seconds) / workers, max(seconds, default=0.0))


def _told(
    load: Load,
    seconds: float,
    *,
    classes: Sequence[ClassPlan] = (),
    too_large: Sequence[str] = (),
    workers: int = 0,
    prices: Prices | None = None,
) -> Preflight:
    return Preflight(
        core_hours=sum(load.seconds.values()) / 3600,
        seconds=seconds,
        low=1 / load.basis.factor,
        high=load.basis.factor,
        basis=load.basis.words,
        classes=tuple(classes),
        too_large=tuple(too_large[:_MOST_NAMED]),
        too_large_total=len(too_large),
        workers=workers,
        money=sum(each.money or 0.0 for each in classes) if prices else None,
        currency=prices.currency if prices else "",
    )


def _on_cluster(spec: ExperimentSpec, load: Load, installation: Installation) -> Preflight:
    classes = installation.training_classes(spec)
    packing = pack_classes(load.index.entries, load.features, classes, spec.execution.max_pods)
    plans = [
        _class_plan(each, packing.shards[each.name], load, installation.prices)
        for each in classes
        if packing.shards[each.name]
    ]
    gone = {entry.key.partition_id for entry in packing.too_large}
    fitting = {key: 0.0 if key in gone else each for key, each in load.seconds.items()}
    return _told(
        Load(load.index, fitting, load.features, load.basis),
        max((plan.longest_seconds for plan in plans), default=0.0),
        classes=plans,
        too_large=[entry.key.text for entry in packing.too_large],
        prices=installation.prices,
    )


def _class_plan(
    resource_class: ResourceClass,
    shards: Sequence[Sequence[str]],
    load: Load,
    prices: Prices | None,
) -> ClassPlan:
    spans = [
        START_SECONDS + _span([load.seconds[key] for key in shard], resource_class.workers)
        for shard in shards
    ]
    hours = sum(spans) / 3600
    return ClassPlan(
        name=resource_class.name,
        pods=len(shards),
        partitions=sum(map(len, shards)),
        pod_hours=hours,
        longest_seconds=max(spans),
        money=hours * _per_hour(resource_class, prices) if prices else None,
    )


def _per_hour(resource_class: ResourceClass, prices: Prices) -> float:
    memory_gib = resource_class.memory_mib / 1024
    return parse_cpus(resource_class.cpu) * prices.cpu_hour + memory_gib * prices.gib_hour
