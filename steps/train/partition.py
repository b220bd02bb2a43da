"""One partition, from its part files to its record: fit, judge, explain, each found again by key.

Order of writes: fold models, final model and card, then ``fit.json``; ``explanation.json``; and
last, by the caller, the record. Killed in between, whatever is there already is used again.
"""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from steps.contract import TRAIN_VERSION, CacheLayout, DatasetLayout
from steps.errors import DamagedError, MissingInputError, TransientError
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
from steps.storage.base import Storage, read_parsed, write_text
from steps.table.grid import Grid
from steps.table.part_codec import arrow_schema, decode_part
from steps.train.config import EvaluateConfig, ExplainConfig
from steps.train.evaluation.evaluate import evaluate, weights_of
from steps.train.evaluation.folds import Fold, make_folds
from steps.train.evaluation.metrics import inverse_link, with_possible_classes
from steps.train.explanation.context import AnyTrainer, ExplainContext, seen_rows
from steps.train.explanation.explain import explain
from steps.train.frame import Frame, make_frame
from steps.train.model_card import model_card
from steps.train.trainer import Floats, Task, TrainingData

Cached = Literal["full", "fit", "none"]


@dataclass(frozen=True)
class TrainContext:
    """What all partitions of a run have in common.

    Attributes:
        request: of the run.
        index: of the data set.
        grid: shared by all partitions.
        trainer: the plug-in.
        dataset: where the part files lie.
        cache: where work is found again.
        storage: of all of them.
        schema: of the part files.
        evaluation: how rows are held out.
        explanation: what is told.
    """

    request: RunRequest
    index: PartitionIndex
    grid: Grid
    trainer: AnyTrainer
    dataset: DatasetLayout
    cache: CacheLayout
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
        """What is predicted."""
        task: Task = self.request.task  # type: ignore[assignment]
        return task


@dataclass(frozen=True)
class Models:
    """The models of a partition."""

    folds: list[Any]
    final: Any


def settle_untrained(
    work: TrainContext, entry: PartitionEntry
) -> tuple[PartitionRecord, Cached] | None:
    """The record of a partition for which nothing need be computed, or None.

    Its rows are not read: the index and the cache tell.
    """
    reason = skip_before_reading(work, entry)
    if reason is not None:
        return PartitionRecord(entry.key, "skipped", *reason), "none"
    fit_key, explanation_key = keys_of(work, entry)
    if work.storage.exists(work.cache.explanation(explanation_key)):
        if work.storage.exists(work.cache.fit(fit_key)):
            return PartitionRecord(entry.key, "trained", "", "", fit_key, explanation_key), "full"
    elif skipped := _cached_fit(work, fit_key).get("skipped"):
        why, message = skipped
        return PartitionRecord(entry.key, "skipped", why, message, fit_key), "full"
    return None


def train_partition(work: TrainContext, entry: PartitionEntry) -> tuple[PartitionRecord, Cached]:
    """Fit, judge and explain one partition, or find that done.

    Returns:
        Its record, and how much of it was found in the cache.

    Raises:
        Exception: whatever the trainer raises.
    """
    settled = settle_untrained(work, entry)
    if settled is not None:
        return settled
    fit_key, explanation_key = keys_of(work, entry)
    frame = read_frame(work, entry)
    folds = make_folds(frame, work.evaluation)
    reason = _skip_after_reading(frame, folds)
    if reason is not None:
        _write_json(work, work.cache.fit(fit_key), {"skipped": reason})
        return PartitionRecord(entry.key, "skipped", *reason, fit_key), "none"
    models = _load(work, fit_key)
    has_fit = models is not None
    models = models or _fit(work, entry, frame, folds, fit_key)
    _explain(work, frame, folds, models, explanation_key)
    record = PartitionRecord(entry.key, "trained", "", "", fit_key, explanation_key)
    return record, "fit" if has_fit else "none"


def _write_json(work: TrainContext, uri: str, value: Json) -> None:
    write_text(work.storage, uri, canonical_json(value))


def _cached_fit(work: TrainContext, key: str) -> dict[str, Any]:
    """Return a fit from the cache; empty if there is none that can be read."""
    try:
        fit: dict[str, Any] = read_parsed(work.storage, work.cache.fit(key), json.loads)
    except (MissingInputError, DamagedError):
        return {}
    return fit


# --- reasons to skip ------------------------------------------------------------------------


def skip_before_reading(work: TrainContext, entry: PartitionEntry) -> tuple[Reason, str] | None:
    """A reason that the partition index alone tells, with words for it."""
    rows = rows_with_target(work.index, entry, work.request.roles.target)
    if entry.key.kind == "null":
        return "null_key", "The partition column is missing in these rows."
    if not rows:
        return "target_missing", "No row has a target."
    if rows < work.request.min_rows:
        return "too_few_rows", f"{rows} rows have a target, min_rows is {work.request.min_rows}."
    return None


def rows_with_target(index: PartitionIndex, entry: PartitionEntry, target: str) -> int:
    """Rows of a partition that can be trained on."""
    return entry.rows - entry.missing[index.column_position(target)]


def _skip_after_reading(frame: Frame, folds: list[Fold]) -> tuple[Reason, str] | None:
    if np.isnan(frame.features.values).all():
        return "all_features_missing", "Every feature is missing in every row."
    if frame.classes and len(frame.classes) < 2:  # noqa: PLR2004 - nothing to tell apart
        return "one_class", f"All rows are of the class {frame.classes[0]!r}."
    if np.ptp(frame.target) == 0:
        return "constant_target", f"The target is {frame.target[0]:g} in every row."
    if not folds:
        return "too_few_groups", "There are fewer groups or distinct rows than folds."
    return None


# --- keys -----------------------------------------------------------------------------------


def keys_of(work: TrainContext, entry: PartitionEntry) -> tuple[str, str]:
    """Keys of fit and explanation: digests of all that decides them. Content, not name."""
    request = work.request
    roles = request.roles
    fit_key = digest(
        {
            "rows": entry.content,
            "target": [roles.target, request.task, request.classes],
            "features": [roles.features, sorted(roles.categorical), request.max_levels],
            "weight": roles.weight,
            "folds": [roles.group, roles.time, request.evaluate],
            "trainer": [request.trainer, work.trainer.version],
            "versions": request.versions,
            "train": TRAIN_VERSION,
        }
    )
    return fit_key, digest([fit_key, request.explain, work.grid.digest_of(roles.features)])


# --- work -----------------------------------------------------------------------------------


def read_frame(work: TrainContext, entry: PartitionEntry) -> Frame:
    """Read the rows of a partition that have a target.

    Raises:
        LostArtifactError: a part file was deleted or damaged.
    """
    with rebuild_if_lost(work.dataset, work.storage):
        table = _read_parts(work, entry)
    request = work.request
    return make_frame(table, request.roles, request.classes, request.max_levels)


def _read_parts(work: TrainContext, entry: PartitionEntry) -> pa.Table:
    uris = [f"{work.dataset.base}/{part}" for part in entry.parts]
    tables = [
        decode_part(work.storage.read(uri), work.index.format, work.schema, uri) for uri in uris
    ]
    table = pa.concat_tables(tables)
    if table.num_rows != entry.rows:  # a CSV file that ends early can be read without an error
        raise DamagedError(uris[-1], f"{table.num_rows:,} of {entry.rows:,} rows are left")
    return table


def _training_data(work: TrainContext, frame: Frame, rows: Any) -> TrainingData:  # noqa: ANN401 - index
    return TrainingData(
        features=frame.features.take(rows),
        target=frame.target[rows],
        weight=None if frame.weight is None else frame.weight[rows],
        task=work.task,
        classes=frame.classes,
        seed=work.evaluation.seed,
    )


def _fit(
    work: TrainContext, entry: PartitionEntry, frame: Frame, folds: list[Fold], key: str
) -> Models:
    models = [work.trainer.fit(_training_data(work, frame, fold.train)) for fold in folds]
    predictions = [
        _predict(work, frame, model, fold) for model, fold in zip(models, folds, strict=True)
    ]
    metrics = evaluate(frame, folds, predictions, work.task, work.evaluation)
    final = work.trainer.fit(_training_data(work, frame, slice(None)))
    storage, cache = work.storage, work.cache
    storage.write(cache.fold_models(key), _zip([work.trainer.save(model) for model in models]))
    storage.write(cache.final_model(key, work.trainer.suffix), work.trainer.save(final))
    storage.write(cache.model_card(key), model_card(work.request, entry, frame, metrics).encode())
    _write_json(work, cache.fit(key), {"folds": len(folds), "metrics": metrics})
    return Models(models, final)


def _predict(work: TrainContext, frame: Frame, model: Any, fold: Fold) -> Floats:  # noqa: ANN401
    raw = work.trainer.predict(model, frame.features.take(fold.held_out))
    outputs = len(frame.classes) if work.task == "multiclass" else 1
    shape = (len(fold.held_out), outputs)
    if raw.shape != shape:
        raise ValueError(f"predict returned an array of shape {raw.shape} instead of {shape}")
    if not np.isfinite(raw).all():
        raise ValueError("predict returned a value that is not finite")
    prediction = inverse_link(work.task, raw)
    if work.task == "regression":
        return prediction
    weight = weights_of(frame)[fold.train]
    target = frame.target[fold.train]
    return with_possible_classes(prediction, target, weight, len(frame.classes))


def _load(work: TrainContext, key: str) -> Models | None:
    """The fold models of the cache; None where there are none, or none that can be read."""
    if not _cached_fit(work, key):
        return None
    try:
        archive = zipfile.ZipFile(io.BytesIO(work.storage.read(work.cache.fold_models(key))))
        models = [work.trainer.load(archive.read(name)) for name in sorted(archive.namelist())]
    except (MemoryError, TransientError):
        raise  # the models may be whole: the partition is tried again, not fitted again
    except Exception:  # noqa: BLE001 - whatever a trainer makes of damaged bytes: fit again
        return None
    return Models(models, None)


def _zip(contents: list[bytes]) -> bytes:
    """A zip archive that depends on nothing but its contents (no clock, no owner)."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for number, content in enumerate(contents):
            archive.writestr(zipfile.ZipInfo(f"{number:03d}"), content, zipfile.ZIP_DEFLATED, 1)
    return sink.getvalue()


def _explain(work: TrainContext, frame: Frame, folds: list[Fold], models: Models, key: str) -> None:
    config = work.explanation
    explained = ExplainContext(
        trainer=work.trainer,
        task=work.task,
        frame=frame,
        folds=seen_rows(frame, folds, models.folds, config.rows),
        grid=work.grid,
        config=config,
        seed=work.evaluation.seed,
    )
    _write_json(work, work.cache.explanation(key), explain(explained))
