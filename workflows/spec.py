"""The experiment spec: composes the config of the steps. See docs/spec.md, made from this."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from steps.config import SpecPart
from steps.records import digest
from steps.split.config import DatasetConfig
from steps.train.config import EvaluateConfig, ExplainConfig, TrainerConfig

NAME = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"


class ExecutionConfig(SpecPart):
    """How a run is carried out; nothing here changes a result."""

    max_failed_fraction: float = Field(default=0.05, ge=0, le=1)
    """The run counts as failed if a larger share of the partitions failed; its tables are written
    all the same."""
    workers: int | None = Field(default=None, ge=1, le=256)
    """Processes that train at once, one thread each; default: one per processor."""
    shards: int = Field(default=1, ge=1, le=1000)
    """Portions into which the partitions are packed, by cost."""


class ExperimentSpec(SpecPart):
    """One experiment: a table, what to predict of it, how to judge it and what to explain."""

    name: str = Field(pattern=NAME, max_length=45)
    """Lower case letters, digits and hyphens; runs are filed under it."""
    project: str = Field(pattern=NAME, max_length=45)
    """The unit of isolation: data sets, cache and runs of a project lie in a folder of its own."""
    dataset: DatasetConfig
    task: Literal["auto", "regression", "binary", "multiclass"] = "auto"
    """auto: binary if the target has two values, multiclass if it is text, else regression."""
    trainer: TrainerConfig = TrainerConfig()
    evaluate: EvaluateConfig = EvaluateConfig()
    explain: ExplainConfig = ExplainConfig()
    execution: ExecutionConfig = ExecutionConfig()
    output: str = Field(default="runs", min_length=1)
    """The artifact root; a path is relative to the spec file."""

    @model_validator(mode="after")
    def _target_is_held_back(self) -> ExperimentSpec:
        if self.dataset.target in {self.evaluate.group, self.evaluate.time}:
            raise ValueError(
                f"evaluate deals the rows to folds by the target {self.dataset.target!r}: every "
                "fold would be about targets that no other fold has"
            )
        return self

    def identity(self) -> dict[str, Any]:
        """What decides the results: all but URIs and execution."""
        raw = self.model_dump(mode="json", exclude={"execution": True, "output": True})
        for name in ("source", "format", "types", "null_values"):  # how rows come, not which
            raw["dataset"].pop(name)
        return raw

    def digest(self) -> str:
        """Digest of ``identity``: the spec hash."""
        return digest(self.identity())
