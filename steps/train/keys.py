"""Cache keys: what a result depends on, so that equal inputs are computed once."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from steps.contract import (
    COMPARISON_VERSION,
    TRAIN_VERSION,
    comparison_member,
    explanation_member,
    fit_member,
)
from steps.records import PartitionEntry, digest
from steps.train.context import TrainContext
from steps.train.loss import LOSSES


@dataclass(frozen=True)
class PartitionKeys:
    """Cache keys of one partition's results: digests of all inputs.

    Attributes:
        fit: of models and metrics.
        explanation: of the explanations.
        comparison: of the comparison with the base model; empty if the run has none.
    """

    fit: str
    explanation: str
    comparison: str = ""

    @property
    def members(self) -> tuple[str, ...]:
        """Names of the members that a trained partition's record refers to."""
        compared = [comparison_member(self.comparison)] if self.comparison else []
        return (fit_member(self.fit), explanation_member(self.explanation), *compared)


def keys_of(context: TrainContext, entry: PartitionEntry) -> PartitionKeys:
    """Return the cache keys of a partition."""
    request = context.request
    roles = request.roles
    loss = context.loss
    fit_key = digest(
        {
            "rows": entry.content,
            "target": [roles.target, request.task, request.classes],
            "features": [roles.features, sorted(roles.categorical), request.max_levels],
            "weight": roles.weight,
            "folds": [roles.group, roles.time, request.evaluate, *roles.identity],
            "trainer": [request.trainer, context.trainer.version],
            "versions": request.versions,
            "train": TRAIN_VERSION,
            # A loss that decides the metrics; by default it is not in the key, as it never was.
            **({} if loss == LOSSES[context.task] else {"loss": asdict(loss)}),
            **({"offset": [roles.offset, roles.exposure]} if roles.has_offset else {}),
        }
    )
    explanation = digest([fit_key, request.explain, context.grid.digest_of(roles.features)])
    comparison = digest([fit_key, request.base_key, COMPARISON_VERSION]) if request.base else ""
    return PartitionKeys(fit_key, explanation, comparison)
