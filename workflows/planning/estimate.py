"""Estimate the pods, time and cost of a run, on a cluster or on this machine."""

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
"""Seconds from a pod's start to its first partition, if its image is on the node."""

_MAX_NAMED = 10


@dataclass(frozen=True)
class ClassPlan:
    """Training pods of one resource class.

    Attributes:
        name: name of the class.
        pods: number of pods, one per shard.
        partitions: number of partitions that they train.
        pod_hours: hours of all pods together.
        longest_seconds: seconds of the longest pod.
        money: cost; None if the installation has no prices.
    """

    name: str
    pods: int
    partitions: int
    pod_hours: float
    longest_seconds: float
    money: float | None


@dataclass(frozen=True)
class TrainingEstimate:
    """Estimate of training, without split and collect, which take one pod each.

    Attributes:
        core_hours: CPU hours of training.
        seconds: seconds from the first to the last partition, if all pods run at once.
        low: lower bound of all these, as a factor.
        high: upper bound, as a factor.
        basis: description of the estimate's basis.
        classes: plan by resource class; empty on this machine.
        too_large: keys of up to ten partitions that fit no class.
        too_large_total: number of partitions that fit no class.
        workers: number of processes on this machine; 0 on a cluster.
        money: cost; None if there are no prices.
        currency: currency of the cost; empty if there are no prices.
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
        index: partition index of the dataset.
        seconds: CPU seconds by partition id; 0 for skipped partitions.
        features: number of features of the dataset.
        basis: basis of the seconds.
    """

    index: PartitionIndex
    seconds: Mapping[str, float]
    features: int
    basis: Basis


def load_of(
    index: PartitionIndex, target: str, skipped: Mapping[str, str], shape: Shape, basis: Basis
) -> Load:
    """Return the work of a run; ``skipped`` maps ids of untrained partitions to reasons."""
    rows = rows_with_target(index, target)
    seconds = {
        key: 0.0 if key in skipped else basis.scale * shape.seconds(count)
        for key, count in rows.items()
    }
    return Load(index, seconds, shape.features, basis)


def estimate_training(
    spec: ExperimentSpec, load: Load, installation: Installation | None
) -> TrainingEstimate:
    """Estimate a run on a cluster if there is an installation, else on this machine."""
    if installation is None:
        workers = spec.execution.workers or os.cpu_count() or 1
        return _estimate(load, _duration(list(load.seconds.values()), workers), workers=workers)
    classes = installation.training_classes(spec)
    packing = pack_classes(load.index.entries, load.features, classes, spec.execution.max_pods)
    plans = [
        _class_plan(each, packing.shards[each.name], load, installation.prices)
        for each in classes
        if packing.shards[each.name]
    ]
    too_large = {entry.key.partition_id for entry in packing.too_large}
    seconds = {key: 0.0 if key in too_large else each for key, each in load.seconds.items()}
    return _estimate(
        Load(load.index, seconds, load.features, load.basis),
        max((plan.longest_seconds for plan in plans), default=0.0),
        classes=plans,
        too_large=[entry.key.text for entry in packing.too_large],
        prices=installation.prices,
    )


def _duration(seconds: Sequence[float], workers: int) -> float:
    """Return the duration of partitions on some workers, at least that of the longest."""
    return max(sum(seconds) / workers, max(seconds, default=0.0))


def _estimate(
    load: Load,
    seconds: float,
    *,
    classes: Sequence[ClassPlan] = (),
    too_large: Sequence[str] = (),
    workers: int = 0,
    prices: Prices | None = None,
) -> TrainingEstimate:
    return TrainingEstimate(
        core_hours=sum(load.seconds.values()) / 3600,
        seconds=seconds,
        low=1 / load.basis.factor,
        high=load.basis.factor,
        basis=load.basis.description,
        classes=tuple(classes),
        too_large=tuple(too_large[:_MAX_NAMED]),
        too_large_total=len(too_large),
        workers=workers,
        money=sum(each.money or 0.0 for each in classes) if prices else None,
        currency=prices.currency if prices else "",
    )


def _class_plan(
    resource_class: ResourceClass,
    shards: Sequence[Sequence[str]],
    load: Load,
    prices: Prices | None,
) -> ClassPlan:
    durations = [
        START_SECONDS + _duration([load.seconds[key] for key in shard], resource_class.workers)
        for shard in shards
    ]
    hours, money = sum(durations) / 3600, None
    if prices:
        memory_gib = resource_class.memory_mib / 1024
        per_hour = parse_cpus(resource_class.cpu) * prices.cpu_hour + memory_gib * prices.gib_hour
        money = hours * per_hour
    return ClassPlan(
        name=resource_class.name,
        pods=len(shards),
        partitions=sum(map(len, shards)),
        pod_hours=hours,
        longest_seconds=max(durations),
        money=money,
    )
