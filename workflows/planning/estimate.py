"""Estimate the pods, time and cost of a run, on a cluster or on this machine."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

from steps.quantity import parse_cpus
from workflows.installation.model import Installation, Prices
from workflows.installation.resource_classes import ResourceClass
from workflows.planning.cost import Basis
from workflows.planning.packing import START_SECONDS, Work, pack_classes
from workflows.spec.model import ExperimentSpec, Preference

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
class PreferencePlan:
    """What a run would take with one value of ``execution.prefer``.

    Attributes:
        prefer: the value.
        pods: number of training pods.
        seconds: seconds from the first to the last partition, if all pods run at once.
        money: cost; None if the installation has no prices.
    """

    prefer: Preference
    pods: int
    seconds: float
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
        prefer: the spec's ``execution.prefer``.
        preferences: pods, time and cost with each value of it; empty on this machine.
        refits: true if a run that changes ``explain`` fits the models again.
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
    prefer: Preference = "time"
    preferences: tuple[PreferencePlan, ...] = ()
    refits: bool = False


@dataclass(frozen=True)
class Load:
    """The work of a run.

    Attributes:
        works: predicted cost of each partition; no seconds for skipped ones.
        basis: basis of the prediction.
        threads: CPUs that a fit needs.
    """

    works: Sequence[Work]
    basis: Basis
    threads: int = 1


def estimate_training(
    spec: ExperimentSpec, load: Load, installation: Installation | None
) -> TrainingEstimate:
    """Estimate a run on a cluster if there is an installation, else on this machine.

    Raises:
        SpecError: the spec's limits of pods contradict each other.
    """
    if installation is None:
        workers = max(1, (spec.execution.workers or os.cpu_count() or 1) // load.threads)
        return _local(spec, load, workers)
    plans = {prefer: _plan(spec, load, installation, prefer) for prefer in get_args(Preference)}
    plan, prices = plans[spec.execution.prefer], installation.prices
    return TrainingEstimate(
        core_hours=plan.core_seconds / 3600,
        seconds=plan.seconds,
        low=1 / load.basis.factor,
        high=load.basis.factor,
        basis=load.basis.description,
        classes=tuple(plan.classes),
        too_large=tuple(work.entry.key.text for work in plan.too_large[:_MAX_NAMED]),
        too_large_total=len(plan.too_large),
        workers=0,
        money=plan.money,
        currency=prices.currency if prices else "",
        prefer=spec.execution.prefer,
        preferences=tuple(
            PreferencePlan(prefer, each.pods, each.seconds, each.money)
            for prefer, each in plans.items()
        ),
        refits=_refits(spec),
    )


def _refits(spec: ExperimentSpec) -> bool:
    return spec.execution.fold_models == "drop"


def _local(spec: ExperimentSpec, load: Load, workers: int) -> TrainingEstimate:
    seconds = [work.seconds for work in load.works]
    return TrainingEstimate(
        core_hours=load.threads * sum(seconds) / 3600,
        seconds=_duration(seconds, workers),
        low=1 / load.basis.factor,
        high=load.basis.factor,
        basis=load.basis.description,
        classes=(),
        too_large=(),
        too_large_total=0,
        workers=workers,
        money=None,
        currency="",
        refits=_refits(spec),
    )


def _duration(seconds: Sequence[float], workers: int) -> float:
    """Return the duration of partitions on some workers, at least that of the longest."""
    return max(sum(seconds) / workers, max(seconds, default=0.0))


@dataclass(frozen=True)
class _Plan:
    """The pods of a run on a cluster."""

    classes: list[ClassPlan]
    too_large: list[Work]
    core_seconds: float

    @property
    def pods(self) -> int:
        return sum(each.pods for each in self.classes)

    @property
    def seconds(self) -> float:
        return max((each.longest_seconds for each in self.classes), default=0.0)

    @property
    def money(self) -> float | None:
        amounts = [each.money for each in self.classes if each.money is not None]
        return sum(amounts) if amounts else None


def _plan(
    spec: ExperimentSpec, load: Load, installation: Installation, prefer: Preference
) -> _Plan:
    classes = installation.training_classes(spec)
    execution = spec.execution.model_copy(update={"prefer": prefer})
    packing = pack_classes(load.works, classes, execution, load.threads)
    too_large = {work.partition_id for work in packing.too_large}
    seconds = {
        work.partition_id: 0.0 if work.partition_id in too_large else work.seconds
        for work in load.works
    }
    plans = [
        _class_plan(each, packing.shards[each.name], seconds, load.threads, installation.prices)
        for each in classes
        if packing.shards[each.name]
    ]
    return _Plan(plans, packing.too_large, load.threads * sum(seconds.values()))


def _class_plan(
    resource_class: ResourceClass,
    shards: Sequence[Sequence[str]],
    seconds: Mapping[str, float],
    threads: int,
    prices: Prices | None,
) -> ClassPlan:
    workers = resource_class.fits_at_once(threads)
    durations = [
        START_SECONDS + _duration([seconds[key] for key in shard], workers) for shard in shards
    ]
    hours = sum(durations) / 3600
    return ClassPlan(
        name=resource_class.name,
        pods=len(shards),
        partitions=sum(map(len, shards)),
        pod_hours=hours,
        longest_seconds=max(durations),
        money=hours * _per_hour(resource_class, prices) if prices else None,
    )


def _per_hour(resource_class: ResourceClass, prices: Prices) -> float:
    """Return the price of a pod per hour."""
    memory_gib = resource_class.memory_mib / 1024
    others = sum(
        count * prices.resource_hour.get(name, 0.0)
        for name, count in resource_class.resources.items()
    )
    cpus = parse_cpus(resource_class.cpu)
    return cpus * prices.cpu_hour + memory_gib * prices.gib_hour + others
