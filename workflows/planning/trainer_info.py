"""Information about a trainer that is available only where it is installed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from refeed import __version__
from steps.errors import RefeedError
from steps.records import canonical_json
from steps.train.config import EvaluateConfig, ExplainConfig
from steps.train.cost import CostTable, FitCost, FitSize
from steps.train.probe import probe
from steps.train.registry import (
    installed,
    library_versions,
    load_class,
    make_trainer,
    predicted_quantile,
    trainer_of,
)
from workflows.installation.trainer_rules import with_defaults
from workflows.spec.model import ExperimentSpec


@dataclass(frozen=True)
class TrainerInfo:
    """Information about a trainer that is available only where it is installed.

    Attributes:
        config: name and parameters, with all defaults.
        versions: versions of Refeed and of the libraries that affect results.
        tasks: tasks that it supports.
        quantile: level of the quantile that its regressions predict; None for all other losses.
        threads: CPUs that a fit needs.
        cost: predicted costs of partitions; None if they are unknown.
    """

    config: dict[str, Any]
    versions: dict[str, str]
    tasks: tuple[str, ...]
    quantile: float | None = None
    threads: int = 1
    cost: CostTable | None = None

    def to_json(self) -> str:
        """Return the text of ``operations/trainer.json``."""
        return canonical_json(asdict(self))

    @classmethod
    def from_json(cls, text: str | bytes) -> TrainerInfo:
        """Read what ``to_json`` wrote, or an earlier version of it."""
        raw = json.loads(text)
        cost = raw.get("cost")
        return cls(
            raw["config"],
            raw["versions"],
            tuple(raw["tasks"]),
            raw.get("quantile"),
            raw.get("threads", 1),
            cost and CostTable.from_raw(cost),
        )


def trainer_info(spec: ExperimentSpec) -> TrainerInfo:
    """Check the trainer's part of a spec against the installed trainer.

    Raises:
        SpecError: the trainer does not exist, or a setting is not valid.
    """
    trainer = trainer_of(spec.trainer, spec.evaluate)
    config = {"name": spec.trainer.name, "params": trainer.params.model_dump(mode="json")}
    return TrainerInfo(
        config=config,
        versions={"refeed": __version__, **library_versions(type(trainer))},
        tasks=tuple(sorted(trainer.tasks)),
        quantile=predicted_quantile(trainer),
        threads=trainer.threads_per_fit,
        cost=table_of(config, spec.evaluate, spec.explain),
    )


def with_trainer_defaults(spec: ExperimentSpec, rules: Mapping[str, Any]) -> ExperimentSpec:
    """Return a spec with the platform's defaults of its trainer's parameters.

    Args:
        spec: the spec.
        rules: the platform's defaults and limits.

    Raises:
        SpecError: the trainer is not installed.
    """
    defaults = rules.get("defaults", {})
    if not defaults:
        return spec
    aliases = getattr(load_class(spec.trainer.name).Params, "aliases", {})
    params = with_defaults(spec.trainer.params, defaults, aliases)
    trainer = spec.trainer.model_copy(update={"params": params})
    return spec.model_copy(update={"trainer": trainer})


def table_of(
    trainer: Mapping[str, Any], evaluate: EvaluateConfig, explain: ExplainConfig
) -> CostTable | None:
    """Return the costs that a trainer states, or None if it is not installed or states none."""
    if trainer["name"] not in installed():
        return None
    try:
        made = make_trainer(trainer["name"], dict(trainer["params"]))
    except RefeedError:  # the run was made with parameters of another version
        return None
    if made.fit_cost(FitSize(1000, 10)) is None:
        return None

    def stated(size: FitSize) -> FitCost:
        return made.fit_cost(size) or FitCost(0.0)

    return CostTable.build("trainer", stated, evaluate, explain)


def probed_table(spec: ExperimentSpec) -> CostTable | None:
    """Return the costs that a probe of the spec's trainer measures, or None if it fails."""
    cost = probe(spec.trainer, spec.task)
    return cost and CostTable.build("probe", cost, spec.evaluate, spec.explain)
