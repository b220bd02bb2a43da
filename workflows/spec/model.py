"""The experiment spec, composed of the config models of the steps. See docs/analysts/spec.md."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from steps.config import SpecPart
from steps.records import digest
from steps.split.config import DatasetConfig, SplitConfig
from steps.train.config import EvaluateConfig, ExplainConfig, TrainerConfig

NAME = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"
STORE = r"^firestore://[a-z][a-z0-9-]{4,28}[a-z0-9](/[a-z][a-z0-9-]{2,61}[a-z0-9])?$"
DURATION = r"^[1-9][0-9]{0,5}[smhd]$"
MOST_PODS = 500
"""Training pods of a run at the most: Argo's controller and page suffer from thousands."""
_LABEL = r"^[^\x00-\x1f\x7f{}]*$"
_CRON = r"^\s*([0-9A-Za-z*/,?#-]+\s+){4}[0-9A-Za-z*/,?#-]+\s*$"

_WHEREABOUTS = {"execution", "schedule", "output", "store", "split"}
"""Parts that say where and how the work is done."""
_WHENCE = (
    *("source", "query", "filter", "max_bytes", "staging", "billing"),
    *("format", "types", "null_values"),
)
"""Fields of the data set that say whence and how rows come. Which ones came, its hash tells."""

Duration = Annotated[str, Field(pattern=DURATION)]


class ExecutionConfig(SpecPart):
    """How a run is carried out; nothing here changes a result."""

    max_failed_fraction: float = Field(default=0.05, ge=0, le=1)
    """The run counts as failed if a larger share of the partitions failed; its tables are written
    all the same."""
    workers: int | None = Field(default=None, ge=1, le=256)
    """On one machine: processes that train at once, one thread each; default: one per processor."""
    shards: int = Field(default=1, ge=1, le=1000)
    """On one machine: portions into which the partitions are packed, by cost."""
    force: bool = False
    """Compute everything anew, whatever the cache holds."""
    label: str = Field(default="", max_length=200, pattern=_LABEL)
    """A note of your own on the run, such as why it is made."""
    max_pods: int = Field(default=100, ge=1, le=MOST_PODS)
    """On a cluster: training pods at the most, whatever the number of partitions; but at least one
    for each resource class in use."""
    classes: list[str] | None = None
    """On a cluster: resource classes that training pods may use; default: all of the
    installation's. A partition too large for the first goes to the next."""
    spot: bool = True
    """On a cluster: train on spot nodes where the installation has some. Pods that are taken away
    are started again and go on."""
    retries: int = Field(default=5, ge=0, le=50)
    """On a cluster: how often a pod that failed for a passing reason (throttled, network) is
    started again. Lost pods do not count; bad data is never tried again."""
    deadline: Duration = "24h"
    """On a cluster: a run that takes longer is stopped and counts as failed."""
    ttl: Duration = "7d"
    """On a cluster: how long Argo remembers a run that has ended. Results stay."""


class ScheduleConfig(SpecPart):
    """When a cluster runs the experiment by itself."""

    cron: str = Field(pattern=_CRON)
    """Five fields: minute, hour, day of the month, month, day of the week."""
    timezone: str = Field(default="UTC", pattern=r"^[A-Za-z][A-Za-z0-9_+/-]*$")
    """Of the cron expression, a name such as `Europe/Paris`."""
    concurrency: Literal["allow", "forbid", "replace"] = "allow"
    """When a run is due and the one before has not ended. allow: both run. forbid: the new one is
    left out; and runs started by hand wait for their turn. replace: the old one is stopped."""
    suspended: bool = False
    """Do not run by itself for now."""


class ExperimentSpec(SpecPart):
    """One experiment: a table, what to predict of it, how to judge it and what to explain."""

    name: str = Field(pattern=NAME, max_length=45)
    """Lower case letters, digits and hyphens; runs are filed under it."""
    project: str = Field(pattern=NAME, max_length=45)
    """The unit of isolation: data sets, cache and runs of a project lie in a folder of its own."""
    dataset: DatasetConfig
    split: SplitConfig = SplitConfig()
    task: Literal["auto", "regression", "binary", "multiclass"] = "auto"
    """auto: binary if the target has two values, multiclass if it is text, else regression."""
    trainer: TrainerConfig = TrainerConfig()
    evaluate: EvaluateConfig = EvaluateConfig()
    explain: ExplainConfig = ExplainConfig()
    execution: ExecutionConfig = ExecutionConfig()
    schedule: ScheduleConfig | None = None
    """When a cluster runs it by itself; default: only when told."""
    output: str = Field(default="runs", min_length=1)
    """The artifact root; a path is relative to the spec file. On a cluster it is a `gs://` URI, the
    project's root or below it."""
    store: str | None = Field(default=None, pattern=STORE)
    """The experiment store, `firestore://gcp-project` or `firestore://gcp-project/database`;
    default: it lies with the artifacts. On a cluster it is the project's own, and need not be
    named."""

    @model_validator(mode="after")
    def _target_is_held_back(self) -> ExperimentSpec:
        if self.dataset.target in {self.evaluate.group, self.evaluate.time}:
            raise ValueError(
                f"evaluate deals the rows to folds by the target {self.dataset.target!r}: every "
                "fold would be about targets that no other fold has"
            )
        return self

    def identity(self) -> dict[str, Any]:
        """What decides the results: all but URIs, execution and schedule."""
        raw = self.model_dump(mode="json", exclude=_WHEREABOUTS)
        for name in _WHENCE:
            raw["dataset"].pop(name)
        return raw

    def digest(self) -> str:
        """Digest of ``identity``: the spec hash."""
        return digest(self.identity())
