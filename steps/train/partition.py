"""Training of one partition, from its rows to its record: fit, evaluate, explain.

Nothing here writes: results are returned as members of a segment, which the supervisor stores. Fits
and explanations have cache keys, so that stored ones are used again.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
import pyarrow as pa

from steps.contract import (
    TRAIN_VERSION,
    DatasetLayout,
    explanation_member,
    final_model_member,
    fit_member,
    fold_models_member,
    model_card_member,
    skip_member,
)
from steps.errors import DamagedError, MissingInputError
from steps.records import (
    Json,
    PartitionEntry,
    PartitionIndex,
    PartitionRecord,
    Reason,
    RunRequest,
    canonical_json,
    digest,
)
from steps.runtime.lost_artifacts import rebuild_if_lost
from steps.storage.base import Storage
from steps.table.grid import Grid
from steps.table.part_codec import arrow_schema, decode_part
from steps.train.config import EvaluateConfig, ExplainConfig
from steps.train.evaluation.constants import constant_prediction
from steps.train.evaluation.evaluate import evaluate, factors_of
from steps.train.evaluation.folds import Fold, Folds, make_folds
from steps.train.evaluation.inner_folds import InnerFolds, make_inner_folds
from steps.train.evaluation.metrics import inverse_link, row_loss, with_possible_classes
from steps.train.explanation.context import AnyTrainer, ExplainContext, seen_rows
from steps.train.explanation.explain import explain
from steps.train.frame import Frame, make_frame
from steps.train.loss import LOSSES, Loss
from steps.train.model_card import model_card
from steps.train.trainer import Floats, RowSubset, Task, TrainingData

Cached = Literal["full", "fit", "none"]


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


class StoredMembers(Protocol):
    """The members that are stored for the runs of a fit context; see ``SegmentReader``."""

    def __contains__(self, name: str) -> bool: ...

    def read(self, name: str) -> bytes:
        """Return the content of a member."""


@dataclass(frozen=True)
class StoredFit:
    """A fit that an earlier run stored: the archive of its fold models."""

    fold_models: bytes


@dataclass(frozen=True)
class Inputs:
    """What a worker needs to train a partition.

    Attributes:
        parts: contents of its part files; None if the worker has to read them, as they are large.
        fit: its fit, if only the explanations have to be computed.
        threads: threads that a fit may use.
    """

    parts: tuple[bytes, ...] | None = None
    fit: StoredFit | None = None
    threads: int = 1


@dataclass(frozen=True)
class Trained:
    """Result of training a partition.

    Attributes:
        record: its record.
        cached: how much of it was stored already.
        members: new members of a segment, without the record.
    """

    record: PartitionRecord
    cached: Cached = "none"
    members: dict[str, bytes] = field(default_factory=dict)


def record_without_training(
    context: TrainContext, entry: PartitionEntry, stored: StoredMembers
) -> tuple[PartitionRecord, Cached] | None:
    """Return the record of a partition that needs no computation; None for any other.

    It does not read rows: the partition index and the list of stored members are enough.
    """
    reason = skip_before_reading(context, entry)
    if reason is not None:
        return PartitionRecord(entry.key, "skipped", *reason), "none"
    fit_key, explanation_key = keys_of(context, entry)
    if fit_member(fit_key) in stored and explanation_member(explanation_key) in stored:
        return PartitionRecord(entry.key, "trained", "", "", fit_key, explanation_key), "full"
    if skip_member(fit_key) in stored:
        try:
            why, message = json.loads(stored.read(skip_member(fit_key)))
        except (MissingInputError, DamagedError):
            return None
        return PartitionRecord(entry.key, "skipped", why, message, fit_key), "full"
    return None


def has_results(context: TrainContext, entry: PartitionEntry, stored: StoredMembers) -> bool:
    """Return whether everything is stored that a final record of the partition refers to."""
    if skip_before_reading(context, entry) is not None:
        return True
    fit_key, explanation_key = keys_of(context, entry)
    if skip_member(fit_key) in stored:
        return True
    return fit_member(fit_key) in stored and explanation_member(explanation_key) in stored


def train_partition(context: TrainContext, entry: PartitionEntry, inputs: Inputs) -> Trained:
    """Fit, evaluate and explain one partition, as far as no earlier run has stored it.

    Raises:
        Exception: any exception of the trainer.
    """
    context.trainer.threads = inputs.threads
    fit_key, explanation_key = keys_of(context, entry)
    frame = read_frame(context, entry, inputs.parts)
    folds = make_folds(frame, context.evaluation)
    reason = _skip_after_reading(
        frame, folds.parts, context.evaluation, context.loss
    ) or _skip_for_inner_folds(context, frame, folds.parts)
    if reason is not None:
        record = PartitionRecord(entry.key, "skipped", *reason, fit_key)
        return Trained(record, members={skip_member(fit_key): _json(reason)})
    members: dict[str, bytes] = {}
    models = _load(context, inputs.fit)
    has_fit = models is not None
    if models is None:
        models, members = _fit(context, entry, frame, folds, fit_key)
    explained = ExplainContext(
        trainer=context.trainer,
        task=context.task,
        frame=frame,
        folds=seen_rows(frame, folds.parts, models, context.explanation.rows),
        grid=context.grid,
        config=context.explanation,
        seed=context.evaluation.seed,
    )
    members[explanation_member(explanation_key)] = _json(explain(explained))
    record = PartitionRecord(entry.key, "trained", "", "", fit_key, explanation_key)
    return Trained(record, "fit" if has_fit else "none", members)


def _json(value: Json) -> bytes:
    return canonical_json(value).encode("utf-8", "surrogatepass")


# --- reasons to skip ------------------------------------------------------------------------


def skip_before_reading(context: TrainContext, entry: PartitionEntry) -> tuple[Reason, str] | None:
    """Return a reason that follows from the partition index, and its message."""
    rows = trainable_rows(context.index, entry, context.request.roles.target)
    if entry.key.kind == "null":
        return "null_key", "The partition column is missing in these rows."
    if not rows:
        return "target_missing", "No row has a target."
    if rows < context.request.min_rows:
        return "too_few_rows", f"{rows} rows have a target, min_rows is {context.request.min_rows}."
    return None


def trainable_rows(index: PartitionIndex, entry: PartitionEntry, target: str) -> int:
    """Return the number of rows that can be trained on."""
    return entry.rows - entry.missing[index.column_position(target)]


def _skip_after_reading(
    frame: Frame, folds: list[Fold], evaluation: EvaluateConfig, loss: Loss
) -> tuple[Reason, str] | None:
    if np.isnan(frame.features.values).all():
        return "all_features_missing", "Every feature is missing in every row."
    if frame.classes and len(frame.classes) < 2:  # noqa: PLR2004 - nothing to tell apart
        return "one_class", f"All rows are of the class {frame.classes[0]!r}."
    if np.ptp(frame.target) == 0:
        return "constant_target", f"The target is {frame.target[0]:g} in every row."
    if not folds:
        return "too_few_groups", _too_few(frame, evaluation)
    return _skip_for_loss(frame, folds, loss)


def _skip_for_loss(frame: Frame, folds: list[Fold], loss: Loss) -> tuple[Reason, str] | None:
    smallest = frame.target.min()
    if not loss.accepts(smallest):
        message = f"The smallest target is {smallest:g}, but {loss.name} needs {loss.domain}."
        return "target_out_of_range", message
    if not all(loss.can_fit(frame.target[fold.train]) for fold in folds):
        message = "The target is 0 in all training rows of a fold, and 0 has no logarithm."
        return "constant_target", message
    return None


def _too_few(frame: Frame, evaluation: EvaluateConfig) -> str:
    """Return why there are no folds."""
    if evaluation.method == "time":
        assert frame.time is not None
        times = len(np.unique(frame.time[frame.time > 0]))
        return f"{times} distinct times; {evaluation.folds} folds need {evaluation.folds + 1}."
    if frame.groups is not None:
        groups = len(np.unique(frame.groups))
        return f"{groups} groups are too few to hold some out and train on two or more."
    return f"{len(frame.target)} rows are too few to hold some out."


def _skip_for_inner_folds(
    context: TrainContext, frame: Frame, folds: list[Fold]
) -> tuple[Reason, str] | None:
    count = context.trainer.inner_folds
    trained_on = [*(fold.train for fold in folds), slice(None)]
    if count and not all(_inner_folds(context, frame, rows) for rows in trained_on):
        message = (
            f"The training rows of a fold cannot be divided into {count} inner folds: there are "
            "too few rows, groups or times."
        )
        return "too_few_groups", message
    return None


# --- keys -----------------------------------------------------------------------------------


def keys_of(context: TrainContext, entry: PartitionEntry) -> tuple[str, str]:
    """Return the cache keys of fit and explanation: digests of all inputs."""
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
    return fit_key, digest([fit_key, request.explain, context.grid.digest_of(roles.features)])


# --- read and fit ---------------------------------------------------------------------------


def read_parts(context: TrainContext, entry: PartitionEntry) -> Iterator[bytes]:
    """Yield the contents of a partition's part files.

    Raises:
        LostArtifactError: a part file was deleted.
    """
    with rebuild_if_lost(context.dataset, context.storage):
        for part in entry.parts:
            yield context.storage.read(f"{context.dataset.base}/{part}")


def read_frame(
    context: TrainContext, entry: PartitionEntry, parts: tuple[bytes, ...] | None = None
) -> Frame:
    """Return the rows of a partition that have a target.

    Args:
        context: inputs that all partitions share.
        entry: the partition.
        parts: contents of its part files; None to read them.

    Raises:
        LostArtifactError: a part file was deleted or damaged.
    """
    uris = [f"{context.dataset.base}/{part}" for part in entry.parts]
    contents = read_parts(context, entry) if parts is None else parts
    with rebuild_if_lost(context.dataset, context.storage):
        tables = [
            decode_part(content, context.index.format, context.schema, uri)
            for uri, content in zip(uris, contents, strict=True)
        ]
        table = pa.concat_tables(tables)
        if table.num_rows != entry.rows:  # a CSV file that ends early can be read without an error
            raise DamagedError(uris[-1], f"{table.num_rows:,} of {entry.rows:,} rows are left")
    request = context.request
    return make_frame(table, request.roles, request.classes, request.max_levels)


def _fit_models(context: TrainContext, frame: Frame, folds: list[Fold]) -> list[Any]:
    """Return the model of each fold, and the final model last.

    Bins are shared between the models, except with method time: bins of later rows would say how
    the features develop.
    """
    data = TrainingData(
        features=frame.features,
        target=frame.target,
        weight=frame.weight,
        task=context.task,
        classes=frame.classes,
        seed=context.evaluation.seed,
        offset=frame.offset,
    )
    wanted = [*(fold.train for fold in folds), np.arange(len(frame.target))]
    subsets = [RowSubset(rows, _inner_folds(context, frame, rows)) for rows in wanted]
    if context.evaluation.method == "time":
        return [context.trainer.fit(data.subset(subset)) for subset in subsets]
    return context.trainer.fit_subsets(data, subsets)


def _inner_folds(context: TrainContext, frame: Frame, rows: Any) -> InnerFolds:  # noqa: ANN401 - index
    count = context.trainer.inner_folds
    return make_inner_folds(frame, rows, context.evaluation, count, context.loss)


def _fit(
    context: TrainContext, entry: PartitionEntry, frame: Frame, dealt: Folds, key: str
) -> tuple[list[Any], dict[str, bytes]]:
    """Fit and evaluate a partition, and return the fold models and the members to store."""
    folds = dealt.parts
    *models, final = _fit_models(context, frame, folds)
    predictions = [
        _predict(context, frame, model, fold) for model, fold in zip(models, folds, strict=True)
    ]
    metrics = evaluate(frame, folds, predictions, context.loss, context.evaluation)
    facts = {
        "folds": len(folds),
        "largest_fold": dealt.largest_share,
        "own_folds": dealt.own,
        "metrics": metrics,
    }
    card = model_card(context.request, entry, frame, metrics, context.trainer.describe(final))
    members = {
        fit_member(key): _json(facts),
        final_model_member(key, context.trainer.suffix): context.trainer.save(final),
        model_card_member(key): card.encode(),
    }
    if context.request.fold_models == "keep":
        members[fold_models_member(key)] = _archive(context, models)
    return models, members


def _archive(context: TrainContext, models: list[Any]) -> bytes:
    """Return a zip archive of models. Its members are not compressed, as the segment is."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as writer:
        for number, model in enumerate(models):
            # A ZipInfo without clock and owner: the archive depends on its contents only.
            writer.writestr(zipfile.ZipInfo(f"{number:03d}"), context.trainer.save(model))
    return archive.getvalue()


def _predict(context: TrainContext, frame: Frame, model: Any, fold: Fold) -> Floats:  # noqa: ANN401
    raw = context.trainer.predict(model, frame.features.take(fold.held_out))
    outputs = len(frame.classes) if context.task == "multiclass" else 1
    shape = (len(fold.held_out), outputs)
    if raw.shape != shape:
        raise ValueError(f"predict returned an array of shape {raw.shape} instead of {shape}")
    if not np.isfinite(raw).all():
        raise ValueError("predict returned a value that is not finite")
    prediction = inverse_link(context.loss.link, frame.with_offset(raw, fold.held_out))
    if not np.isfinite(prediction).all():
        raise ValueError(f"a raw score of {raw.max():g} on the log scale is beyond any number")
    if context.task == "regression":
        return prediction
    weight = frame.weights[fold.train]
    target = frame.target[fold.train]
    if frame.offset is not None and np.ptp(target) == 0:  # the constant differs from row to row
        metric = row_loss(context.loss, factors_of(frame, context.loss))
        return constant_prediction(metric, "logit", frame, fold.train, fold.held_out)
    return with_possible_classes(prediction, target, weight, len(frame.classes))


def _load(context: TrainContext, fit: StoredFit | None) -> list[Any] | None:
    """Return the fold models of a stored fit; None if there is none that can be read."""
    if fit is None:
        return None
    try:
        archive = zipfile.ZipFile(io.BytesIO(fit.fold_models))
        return [context.trainer.load(archive.read(name)) for name in sorted(archive.namelist())]
    except MemoryError:
        raise  # the models may be intact: retry the partition instead of fitting it again
    except Exception:  # noqa: BLE001 - a trainer may raise anything for damaged bytes: fit again
        return None
