"""Training of one partition, from its rows to its record: fit, evaluate, explain.

Nothing here writes: results are returned as members of a segment, which the supervisor stores. Fits
and explanations have cache keys, so that stored ones are used again.
"""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np

from steps.contract import (
    comparison_member,
    explanation_member,
    final_model_member,
    fit_member,
    fold_models_member,
    model_card_member,
    skip_member,
)
from steps.errors import DamagedError, MissingInputError
from steps.records import Json, PartitionEntry, PartitionRecord, canonical_json
from steps.train.comparison import Held, compare
from steps.train.context import TrainContext
from steps.train.evaluation.constants import constant_prediction
from steps.train.evaluation.evaluate import evaluate, factors_of
from steps.train.evaluation.folds import Fold, Folds, make_folds
from steps.train.evaluation.metrics import inverse_link, row_loss, with_possible_classes
from steps.train.explanation.context import ExplainContext, seen_rows
from steps.train.explanation.explain import explain
from steps.train.frame import Frame
from steps.train.keys import PartitionKeys, keys_of
from steps.train.model_card import model_card
from steps.train.reading import frame_of, read_rows
from steps.train.skips import inner_folds, skip_after_reading, skip_before_reading
from steps.train.trainer import Floats, RowSubset

Cached = Literal["full", "fit", "none"]


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
        fit: its fit, if it is stored.
        explained: whether the explanations of that fit are stored too.
        threads: threads that a fit may use.
    """

    parts: tuple[bytes, ...] | None = None
    fit: StoredFit | None = None
    explained: bool = False
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
    keys = keys_of(context, entry)
    if all(name in stored for name in keys.members):
        return _trained_record(entry, keys), "full"
    if skip_member(keys.fit) in stored:
        try:
            why, message = json.loads(stored.read(skip_member(keys.fit)))
        except (MissingInputError, DamagedError):
            return None
        return PartitionRecord(entry.key, "skipped", why, message, keys.fit), "full"
    return None


def _trained_record(entry: PartitionEntry, keys: PartitionKeys) -> PartitionRecord:
    return PartitionRecord(
        entry.key, "trained", "", "", keys.fit, keys.explanation, keys.comparison
    )


def has_results(context: TrainContext, entry: PartitionEntry, stored: StoredMembers) -> bool:
    """Return whether everything is stored that a final record of the partition refers to."""
    if skip_before_reading(context, entry) is not None:
        return True
    keys = keys_of(context, entry)
    return skip_member(keys.fit) in stored or all(name in stored for name in keys.members)


def train_partition(context: TrainContext, entry: PartitionEntry, inputs: Inputs) -> Trained:
    """Fit, evaluate and explain one partition, as far as no earlier run has stored it.

    Raises:
        Exception: any exception of the trainer.
    """
    context.trainer.threads = inputs.threads
    keys = keys_of(context, entry)
    rows = read_rows(context, entry, inputs.parts)
    frame = frame_of(context, rows)
    folds = make_folds(frame, context.evaluation)
    reason = skip_after_reading(context, frame, folds.parts)
    if reason is not None:
        record = PartitionRecord(entry.key, "skipped", *reason, keys.fit)
        return Trained(record, members={skip_member(keys.fit): _json(reason)})
    members: dict[str, bytes] = {}
    models = _load(context, inputs.fit)
    has_fit = models is not None
    predictions: list[Floats] | None = None
    if models is None:
        models, predictions, members = _fit(context, entry, frame, folds, keys.fit)
    if not (has_fit and inputs.explained):
        explained = ExplainContext(
            trainer=context.trainer,
            task=context.task,
            frame=frame,
            folds=seen_rows(frame, folds.parts, models, context.explanation.rows),
            grid=context.grid,
            config=context.explanation,
            seed=context.evaluation.seed,
        )
        members[explanation_member(keys.explanation)] = _json(explain(explained))
    if context.base is not None:
        if predictions is None:
            predictions = _predict_folds(context, frame, models, folds.parts)
        own = Held(frame, folds.parts, predictions)
        compared = compare(context, context.base, rows, own)
        members[comparison_member(keys.comparison)] = _json(compared)
    return Trained(_trained_record(entry, keys), "fit" if has_fit else "none", members)


def _json(value: Json) -> bytes:
    return canonical_json(value).encode("utf-8", "surrogatepass")


# --- fit ---------------------------------------------------------------------------------


def _fit_models(context: TrainContext, frame: Frame, folds: list[Fold]) -> list[Any]:
    """Return the model of each fold, and the final model last.

    Bins are shared between the models, except with method time: bins of later rows would say how
    the features develop.
    """
    data = frame.training_data(context.task, context.evaluation.seed)
    wanted = [*(fold.train for fold in folds), np.arange(len(frame.target))]
    subsets = [RowSubset(rows, inner_folds(context, frame, rows)) for rows in wanted]
    if context.evaluation.method == "time":
        return [context.trainer.fit(data.subset(subset)) for subset in subsets]
    return context.trainer.fit_subsets(data, subsets)


def _fit(
    context: TrainContext, entry: PartitionEntry, frame: Frame, dealt: Folds, key: str
) -> tuple[list[Any], list[Floats], dict[str, bytes]]:
    """Fit and evaluate a partition.

    Returns:
        The fold models, their predictions of the held-out rows, and the members to store.
    """
    folds = dealt.parts
    *models, final = _fit_models(context, frame, folds)
    predictions = _predict_folds(context, frame, models, folds)
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
    return models, predictions, members


def _archive(context: TrainContext, models: list[Any]) -> bytes:
    """Return a zip archive of models. Its members are not compressed, as the segment is."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as writer:
        for number, model in enumerate(models):
            # A ZipInfo without clock and owner: the archive depends on its contents only.
            writer.writestr(zipfile.ZipInfo(f"{number:03d}"), context.trainer.save(model))
    return archive.getvalue()


def _predict_folds(
    context: TrainContext, frame: Frame, models: list[Any], folds: list[Fold]
) -> list[Floats]:
    return [
        _predict(context, frame, model, fold) for model, fold in zip(models, folds, strict=True)
    ]


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
