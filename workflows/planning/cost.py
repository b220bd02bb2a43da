"""Predicted cost of a run's partitions: the trainer's own model, corrected by an earlier run."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, replace

from steps.contract import ProjectLayout
from steps.errors import DamagedError, MissingInputError, RefeedError
from steps.records import PartitionIndex, RunRequest, canonical_json
from steps.storage.base import Storage, read_parsed
from steps.stores.base import ExperimentStore
from steps.train.config import EvaluateConfig, ExplainConfig
from steps.train.cost import CostTable, FitSize, Source, unknown_cost
from workflows.planning.actual import Actual, actual_costs
from workflows.planning.packing import RESIDENT_MIB, Work
from workflows.planning.trainer_info import TrainerInfo, probed_table, table_of
from workflows.spec.model import ExperimentSpec

FACTORS: Mapping[Source, float] = {"trainer": 3.0, "probe": 5.0, "unknown": 10.0}
"""Error factor of a prediction, by the source of its table: it was measured on other machines."""
MEASURED_FACTOR = 1.5
"""Error factor of a prediction from an earlier run, which may have used other machines."""

TELLING_MIB = 100
"""Predicted memory from which a measured peak says something about the memory per row."""

_RUNS = 5
"""Number of recent runs to search for measured costs."""
_SOURCES: Mapping[Source, str] = {
    "trainer": "based on the trainer's own model of its cost",
    "probe": "based on a probe: fits on generated rows",
    "unknown": "based on nothing, since the trainer states no model of its cost",
}


@dataclass(frozen=True)
class History:
    """Where earlier runs of a project are found.

    Attributes:
        project: paths of the project.
        storage: its storage.
        store: its experiment store, which on a cluster is the platform's and not in the spec.
    """

    project: ProjectLayout
    storage: Storage
    store: ExperimentStore


@dataclass(frozen=True)
class Basis:
    """The basis of a prediction.

    Attributes:
        source: source of the table of costs.
        run: earlier run that the prediction is corrected by; empty if there is none.
        partitions: number of that run's partitions with measured costs.
        scale: their measured seconds over the predicted ones.
        memory_scale: the same for the memory that depends on rows.
        memory_extra: memory that the trainer needs whatever the rows, in MiB.
    """

    source: Source
    run: str = ""
    partitions: int = 0
    scale: float = 1.0
    memory_scale: float = 1.0
    memory_extra: float = 0.0

    @property
    def factor(self) -> float:
        """Error factor of the prediction."""
        return MEASURED_FACTOR if self.run else FACTORS[self.source]

    @property
    def description(self) -> str:
        """Description of the basis."""
        accuracy = f"likely accurate within a factor of {self.factor:g}"
        if self.run:
            return f"based on {self.partitions:,} partitions trained in run {self.run}; {accuracy}"
        return f"{_SOURCES[self.source]}, since no run has finished yet; {accuracy}"


@dataclass(frozen=True)
class CostModel:
    """Predicts the cost of a run's partitions.

    Attributes:
        table: costs by size.
        features: number of features of the dataset.
        outputs: outputs of a model: one, or one per class if there are more than two.
        basis: basis of the prediction.
    """

    table: CostTable
    features: int
    outputs: int
    basis: Basis

    def seconds(self, rows: int) -> float:
        """Return the seconds of a partition, from its number of rows with a target."""
        return self.basis.scale * self.table.seconds_of(self._size(rows))

    def memory_mib(self, rows: int) -> float:
        """Return the memory of a worker beyond its fixed part, from a partition's rows."""
        variable = self.table.memory_of(self._size(rows))
        return self.basis.memory_extra + self.basis.memory_scale * variable

    def _size(self, rows: int) -> FitSize:
        return FitSize(rows, self.features, self.outputs)

    def corrected(self, actual: Actual | None) -> CostModel:
        """Return the model as measured costs of an earlier run correct it."""
        if actual is None:
            return self
        return CostModel(self.table, self.features, self.outputs, self._basis(actual))

    def _basis(self, actual: Actual) -> Basis:
        seconds = sum(each.seconds for each in actual.partitions)
        predicted = sum(self.seconds(each.rows) for each in actual.partitions)
        peaks = [
            (peak.memory_mib - RESIDENT_MIB, self.memory_mib(peak.rows)) for peak in actual.peaks
        ]
        telling = [(found, stated) for found, stated in peaks if stated >= TELLING_MIB]
        scale, extra = 1.0, 0.0
        if telling:  # never far below the prediction: too little memory costs more than too much
            found, stated = (sum(column) for column in zip(*telling, strict=True))
            scale = max(found / stated, 0.5)
        elif peaks:
            extra = max([0.0, *(found - stated for found, stated in peaks)])
        return Basis(
            self.basis.source,
            actual.run,
            len(actual.partitions),
            seconds / predicted,
            scale,
            extra if extra > TELLING_MIB else 0.0,
        )

    def works(
        self, index: PartitionIndex, target: str, min_rows: int, skipped: Container[str] = ()
    ) -> list[Work]:
        """Return the predicted cost of each partition.

        Args:
            index: the partitions.
            target: name of the target.
            min_rows: rows with a target below which a partition is not trained.
            skipped: ids of other partitions that are not trained.
        """
        rows = rows_with_target(index, target)
        return [
            Work(
                entry,
                0.0 if rows[key] < min_rows or key in skipped else self.seconds(rows[key]),
                self.memory_mib(entry.rows),
            )
            for entry in index.entries
            for key in [entry.key.partition_id]
        ]


def rows_with_target(index: PartitionIndex, target: str) -> dict[str, int]:
    """Return the number of rows with a target by partition id."""
    at = index.column_position(target)
    return {entry.key.partition_id: entry.rows - entry.missing[at] for entry in index.entries}


def unknown_table(evaluate: EvaluateConfig, explain: ExplainConfig) -> CostTable:
    """Return the costs that are assumed of a trainer about which nothing is known."""
    return CostTable.build("unknown", unknown_cost, evaluate, explain)


def cost_model(
    spec: ExperimentSpec,
    request: RunRequest,
    table: CostTable | None,
    history: History,
) -> CostModel:
    """Return the model of a run's costs, corrected by the latest run with the same trainer.

    Args:
        spec: spec of the experiment.
        request: request of the run.
        table: costs by size, from ``operations/trainer.json``; None if they are unknown.
        history: earlier runs of the project.
    """
    known = table or unknown_table(spec.evaluate, spec.explain)
    model = _model(known, request)
    for run in recent_runs(spec, history):
        layout = history.project.run(spec.name, run)
        try:
            earlier = read_parsed(history.storage, layout.request, RunRequest.from_json)
            if earlier.trainer["name"] != spec.trainer.name:
                continue
            actual = actual_costs(earlier, history.project, history.storage)
        except (MissingInputError, DamagedError):  # removed, or written by another version
            continue
        if actual is None:
            continue
        if _same_costs(earlier, request):
            return model.corrected(actual)
        before = _table_of_run(earlier, known.source, history)
        if before is not None and before.source == known.source:
            basis = _model(before, earlier).corrected(actual).basis
            return CostModel(known, model.features, model.outputs, basis)
    return model


def recent_runs(spec: ExperimentSpec, history: History) -> Iterator[str]:
    """Yield the ids of recent runs of the experiment that have ended, the newest first.

    There are none if the store cannot be read: a prediction is no reason to fail.
    """
    try:
        runs = history.store.runs(spec.name)
    except RefeedError:
        return
    ended = [each.run for each in runs if each.status in {"finished", "failed"}]
    yield from ended[:_RUNS]


def with_measured_cost(spec: ExperimentSpec, trainer: TrainerInfo, history: History) -> TrainerInfo:
    """Return a trainer with its costs: if it states none and no run measured them, by a probe."""
    if trainer.cost or has_measured_run(spec, trainer, history):
        return trainer
    return replace(trainer, cost=probed_table(spec))


def has_measured_run(spec: ExperimentSpec, trainer: TrainerInfo, history: History) -> bool:
    """Return whether a recent run measured the costs of the same trainer, with its parameters."""
    parts = [
        trainer.config,
        *(part.model_dump(mode="json") for part in (spec.evaluate, spec.explain)),
    ]
    for run in recent_runs(spec, history):
        layout = history.project.run(spec.name, run)
        try:
            earlier = read_parsed(history.storage, layout.request, RunRequest.from_json)
            actual = actual_costs(earlier, history.project, history.storage)
        except (MissingInputError, DamagedError):
            continue
        if actual and [earlier.trainer, earlier.evaluate, earlier.explain] == parts:
            return True
    return False


def _model(table: CostTable, request: RunRequest) -> CostModel:
    outputs = len(request.classes) if request.task == "multiclass" else 1
    return CostModel(table, len(request.roles.features), outputs, Basis(table.source))


def _same_costs(one: RunRequest, other: RunRequest) -> bool:
    """Return whether partitions with equally many rows cost the same in two runs."""
    return all(
        canonical_json(first) == canonical_json(second)
        for first, second in (
            (one.trainer, other.trainer),
            (one.evaluate, other.evaluate),
            (one.explain, other.explain),
            (len(one.roles.features), len(other.roles.features)),
            (len(one.classes), len(other.classes)),
        )
    )


def _table_of_run(request: RunRequest, source: Source, history: History) -> CostTable | None:
    """Return the costs that an earlier run was planned with, before they were corrected."""
    evaluate = EvaluateConfig.model_validate(request.evaluate)
    explain = ExplainConfig.model_validate(request.explain)
    if source == "unknown":
        return unknown_table(evaluate, explain)
    layout = history.project.run(request.experiment, request.run)
    try:
        stored = read_parsed(history.storage, layout.trainer, TrainerInfo.from_json).cost
    except (MissingInputError, DamagedError):  # a run on a laptop by an earlier version
        stored = None
    return stored or table_of(request.trainer, evaluate, explain)
