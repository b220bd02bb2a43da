"""What training of all partitions of a run has in common."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import pyarrow as pa

from steps.contract import CacheLayout, DatasetLayout
from steps.records import PartitionIndex, RunRequest
from steps.storage.base import Storage, read_parsed
from steps.table.grid import Grid
from steps.table.part_codec import arrow_schema
from steps.train.base_models import BaseModels
from steps.train.config import EvaluateConfig, ExplainConfig
from steps.train.explanation.context import AnyTrainer
from steps.train.loss import Loss, Task


@dataclass(frozen=True)
class TrainContext:
    """Inputs that all partitions of a run share.

    Attributes:
        request: the request that started the run.
        index: the dataset's partition index.
        grid: the grid that all partitions share.
        trainer: the plug-in that fits a partition.
        dataset: paths of the part files.
        storage: storage of part files.
        cache: paths of the results that runs share.
        schema: schema of the part files.
        evaluation: settings of the folds.
        explanation: settings of the explanations.
    """

    request: RunRequest
    index: PartitionIndex
    grid: Grid
    trainer: AnyTrainer
    dataset: DatasetLayout
    storage: Storage
    cache: CacheLayout
    schema: pa.Schema = field(init=False)
    evaluation: EvaluateConfig = field(init=False)
    explanation: ExplainConfig = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "schema", arrow_schema(self.index.columns))
        object.__setattr__(self, "evaluation", EvaluateConfig(**self.request.evaluate))
        object.__setattr__(self, "explanation", ExplainConfig.model_validate(self.request.explain))

    @property
    def task(self) -> Task:
        """Kind of target."""
        task: Task = self.request.task  # type: ignore[assignment]  # split resolved it
        return task

    @property
    def loss(self) -> Loss:
        """The loss of the trainer."""
        return self.trainer.loss(self.task)

    @cached_property
    def base(self) -> BaseModels | None:
        """The base models; None if the run has none.

        Raises:
            MissingInputError: the base step has not written them.
            DamagedError: they cannot be parsed.
        """
        if not self.request.base:
            return None
        uri = self.cache.base_models(self.request.base_key)
        return read_parsed(self.storage, uri, lambda text: BaseModels.parse(text, self.trainer))
