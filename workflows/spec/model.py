"""The experiment spec, composed of the config models of the steps. See docs/analysts/spec.md."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from steps.config import SpecPart
from steps.records import digest
from steps.split.config import DatasetConfig, SplitConfig
from steps.train.config import BaseConfig, EvaluateConfig, ExplainConfig, TrainerConfig

NAME = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"
STORE = r"^firestore://[a-z][a-z0-9-]{4,28}[a-z0-9](/[a-z][a-z0-9-]{2,61}[a-z0-9])?$"
DURATION = r"^[1-9][0-9]{0,5}[smhd]$"
MAX_PODS = 500
"""Limit on the training pods of a run: Argo's controller and UI slow down with thousands."""
_LABEL = r"^[^\x00-\x1f\x7f{}]*$"
_CRON = r"^\s*(@[a-z]+|([0-9A-Za-z*/,?-]+\s+){4}[0-9A-Za-z*/,?-]+)\s*$"
_ZONE = r"^[A-Za-z][A-Za-z0-9_+/-]*$"

_EXECUTION_PARTS = {"execution", "schedule", "output", "store", "split"}
"""Parts that decide where and how a run executes, but not its results."""
_SOURCE_FIELDS = (
    *("source", "query", "filter", "max_bytes", "staging", "billing"),
    *("format", "types", "null_values"),
    *("delimiter", "decimal", "encoding", "skip_lines", "sheet"),
)
"""Fields that describe how rows are read. The dataset's hash covers the rows themselves."""
_ADDED_FIELDS = ("identity", "positive")
"""Fields of ``dataset`` that are newer than the digest, which leaves them out if they are unset."""

Preference = Literal["time", "price"]
Duration = Annotated[str, Field(pattern=DURATION)]


def _added(default: Any, **limits: Any) -> Any:  # noqa: ANN401 - as pydantic's Field
    """Return a field that was added later: compiled templates leave it out at its default."""
    return Field(default=default, exclude_if=lambda value: value == default, **limits)


class ExecutionConfig(SpecPart):
    """Execution settings of a run; none of them changes a result."""

    max_failed_fraction: float = Field(default=0.05, ge=0, le=1)
    """The run counts as failed if a larger share of its partitions fails. Its tables are written
    in any case."""
    workers: int | None = Field(default=None, ge=1, le=256)
    """On one machine: number of training processes, one thread each; default: one per core."""
    shards: int = Field(default=1, ge=1, le=1000)
    """On one machine: number of shards into which the partitions are packed, by cost."""
    force: bool = False
    """Compute everything again, ignoring the cache."""
    fold_models: Literal["keep", "drop"] = _added("keep")
    """keep: store the models of the folds, about half of a run's bytes. drop: store the final model
    only; a run that changes `explain` then fits the models again."""
    label: str = Field(default="", max_length=200, pattern=_LABEL)
    """A note to store with the run, such as its purpose."""
    max_pods: int = Field(default=100, ge=1, le=MAX_PODS)
    """On a cluster: maximum number of training pods, for any number of partitions. Each resource
    class in use gets at least one."""
    prefer: Preference = _added("time")
    """On a cluster: what decides the number of pods, up to max_pods. time: a pod more is started if
    it shortens training by at least a second. price: only if it shortens training by at least the
    time that its start takes, which is paid for too."""
    partitions_per_pod: int | None = _added(None, ge=1)
    """On a cluster: maximum number of partitions that a pod trains; 1 for a pod per partition. It
    is an error if that needs more pods than max_pods."""
    classes: list[str] | None = None
    """On a cluster: resource classes that training pods may use; default: all classes of the
    installation. A partition too large for one class moves to the next."""
    spot: bool = True
    """On a cluster: train on spot nodes if the installation has them. A preempted pod is started
    again and resumes."""
    retries: int = Field(default=5, ge=0, le=50)
    """On a cluster: maximum number of retries after transient errors (throttling, network).
    Preemptions do not count. Invalid data is never retried."""
    deadline: Duration = "24h"
    """On a cluster: a run that takes longer is stopped and counts as failed."""
    ttl: Duration = "7d"
    """On a cluster: how long Argo keeps the Workflow of a run that has ended. Results stay."""


class ScheduleConfig(SpecPart):
    """Schedule on which a cluster runs the experiment."""

    # ``workflows.spec.schedule.check`` checks what a user writes. A stored spec is always valid.

    cron: str = Field(json_schema_extra={"pattern": _CRON})
    """Five fields: minute (0-59), hour (0-23), day of the month (1-31), month (1-12 or JAN-DEC),
    day of the week (0-6 or SUN-SAT); or `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`."""
    timezone: str = Field(default="UTC", json_schema_extra={"pattern": _ZONE})
    """Time zone of the cron expression in the IANA database, such as `Europe/Paris`."""
    concurrency: Literal["allow", "forbid", "replace"] = "allow"
    """Behaviour if a run is due before the previous one has ended. allow: both run. forbid: the new
    run is skipped, and runs started by hand wait. replace: the previous run is stopped."""
    suspended: bool = False
    """Pause the schedule."""


class ExperimentSpec(SpecPart):
    """An experiment: a table, the target, and how to evaluate and explain the models."""

    name: str = Field(pattern=NAME, max_length=45)
    """Name of the experiment: lower case letters, digits and hyphens."""
    project: str = Field(pattern=NAME, max_length=45)
    """Project, the unit of isolation: it has its own datasets, cache and runs."""
    dataset: DatasetConfig
    split: SplitConfig = SplitConfig()
    task: Literal["auto", "regression", "binary", "multiclass"] = "auto"
    """auto: binary if the target has two values, multiclass if it is text, else regression."""
    trainer: TrainerConfig = TrainerConfig()
    evaluate: EvaluateConfig = EvaluateConfig()
    explain: ExplainConfig = ExplainConfig()
    base: BaseConfig = _added(BaseConfig())
    execution: ExecutionConfig = ExecutionConfig()
    schedule: ScheduleConfig | None = None
    """Schedule on a cluster; default: runs only on request."""
    output: str = Field(default="runs", min_length=1)
    """Artifact root; a path is relative to the spec file. On a cluster, a `gs://` URI: the
    project's root or a folder below it."""
    store: str | None = Field(default=None, pattern=STORE)
    """Experiment store, `firestore://gcp-project` or `firestore://gcp-project/database`;
    default: files in the artifact root. On a cluster, the project's store is used by default."""

    @model_validator(mode="after")
    def _folds_do_not_use_target(self) -> ExperimentSpec:
        if self.dataset.target in {self.evaluate.group, self.evaluate.time}:
            raise ValueError(
                f"evaluate.group or evaluate.time is the target {self.dataset.target!r}. Each fold "
                "would then hold target values that its model has not seen. Choose another column"
            )
        return self

    def identity(self) -> dict[str, Any]:
        """Return the fields that decide the results: all but URIs, execution and schedule."""
        raw = self.model_dump(mode="json", exclude=_EXECUTION_PARTS)
        for name in _SOURCE_FIELDS:
            raw["dataset"].pop(name)
        for name in _ADDED_FIELDS:
            if raw["dataset"][name] is None:
                raw["dataset"].pop(name)
        return raw

    def digest(self) -> str:
        """Return the digest of ``identity``, which is the spec hash."""
        return digest(self.identity())
