"""Default parameters of LightGBM in Refeed against LightGBM's own, on the field suite's tables.

Both sides train all partitions of a table as the train step does: one model per fold and the final
model, through the same trainer, so that they share bins alike and only the parameters differ.
LightGBM's own defaults are 31 leaves, 100 rounds at a learning rate of 0.1, and 255 bins; all other
parameters are the same on both sides. The features, the partitions and how rows are held out are
those of each table's spec.

The time is CPU time of the fits, so that other load hardly matters, and the sides take turns. The
loss is RMSE or log loss of the held-out rows, pooled over the folds, which are the same on both
sides. The relative difference of a table is that of the geometric mean over its partitions,
weighted by rows, and over several shuffles of the folds (none with method time). The bound is the
upper end of the 95 % interval of the mean over tables, with Student's t.

The defaults were chosen on one half of the tables, by a hash of their names, and are judged on the
other half.
"""

from __future__ import annotations

import hashlib
import math
import os
import time
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import ROOT, Row, in_new_process, scratch, show_progress

OWN = {"num_leaves": 31, "learning_rate": 0.1, "rounds": 100, "max_bin": 255}
"""LightGBM's own defaults of the parameters whose defaults are others in Refeed."""
TIME_TARGET, MEAN_TARGET, WORST_TARGET = 0.5, 0.005, 0.03
SHUFFLES = 3
EXPLAINED_ROWS = 300
QUICK = ("titanic", "babies", "cars", "seattle_weather", "cell_churn")
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def is_judged(name: str) -> bool:
    """Return whether a table is in the half that the defaults were not chosen on."""
    return int(hashlib.sha256(name.encode()).hexdigest(), 16) % 2 == 1


# --- what is measured, in one process ---------------------------------------------------------


@dataclass
class _Side:
    """One side's parameters, and what they cost.

    Attributes:
        trainer: the trainer with these parameters.
        fit: CPU seconds of all fits.
        explain: CPU seconds of SHAP values.
        losses: loss of each partition and shuffle.
    """

    trainer: Any
    fit: float
    explain: float
    losses: list[float]


def measure(name: str, shuffles: int) -> dict[str, float]:
    """Return the ratios of ours to LightGBM's own defaults on one table."""
    import containers.lightgbm.booster  # noqa: F401 - LightGBM is loaded before the clock starts
    from benchmarks.train import context_of
    from containers.lightgbm.params import LightGBMParams
    from containers.lightgbm.trainer import LightGBMTrainer
    from steps.train.evaluation.folds import make_folds
    from steps.train.reading import frame_of, read_rows
    from steps.train.skips import skip_before_reading

    ours, own = (
        _Side(LightGBMTrainer(LightGBMParams.model_validate(params)), 0.0, 0.0, [])
        for params in ({}, OWN)
    )
    weights: list[int] = []
    with scratch() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pandas', of mixed columns
        os.chdir(folder)
        work = context_of(str(_table(name).write(folder)))
        os.chdir(ROOT)
        by_time = work.evaluation.method == "time"
        for entry in work.index.entries:
            if skip_before_reading(work, entry) is not None:
                continue
            frame = frame_of(work, read_rows(work, entry))
            if np.ptp(frame.target) == 0:
                continue
            for seed in range(1 if by_time else shuffles):
                folds = make_folds(frame, work.evaluation.model_copy(update={"seed": seed})).parts
                if not folds:
                    continue
                weights.append(len(frame.target))
                for side in (ours, own) if seed % 2 else (own, ours):
                    _train(side, work.task, frame, folds, by_time)
    logs = np.log(np.array(ours.losses) / np.array(own.losses))
    return {
        "time": ours.fit / own.fit,
        "explain": ours.explain / own.explain,
        "loss": float(np.expm1(np.average(logs, weights=weights))),
        "seconds": own.fit,
    }


def _table(name: str) -> Any:  # noqa: ANN401 - a Table, whose import is heavy
    from tests.field.suite.tables import TABLES

    return next(table for table in TABLES if table.name == name)


def _train(side: _Side, task: Any, frame: Any, folds: list[Any], by_time: bool) -> None:  # noqa: ANN401
    """Fit, and add the times and the held-out loss of a partition to its side."""
    from refeed import RowSubset, TrainingData

    data = TrainingData(frame.features, frame.target, frame.weight, task, frame.classes, seed=0)
    subsets = [RowSubset(fold.train) for fold in folds]
    subsets.append(RowSubset(np.arange(len(frame.target))))
    began = time.process_time()
    if by_time:
        models = [side.trainer.fit(data.subset(subset)) for subset in subsets]
    else:
        models = side.trainer.fit_subsets(data, subsets)
    side.fit += time.process_time() - began
    raw = [
        side.trainer.predict(model, frame.features.take(fold.held_out))
        for model, fold in zip(models, folds, strict=False)
    ]
    held = np.concatenate([fold.held_out for fold in folds])
    side.losses.append(_loss(task, frame.target[held], np.concatenate(raw)))
    features = frame.features.take(slice(EXPLAINED_ROWS))
    began = time.process_time()
    side.trainer.shap_values(models[-1], features)
    side.explain += time.process_time() - began


def _loss(task: str, target: Any, raw: Any) -> float:  # noqa: ANN401 - arrays
    """Return RMSE or log loss, from raw scores."""
    if task == "regression":
        return float(np.sqrt(np.mean((raw[:, 0] - target) ** 2)))
    if task == "binary":
        raw = np.column_stack([np.zeros(len(raw)), raw])
    raw = raw - raw.max(axis=1, keepdims=True)
    chosen = raw[np.arange(len(target)), target.astype(np.intp)]
    return float(np.mean(np.log(np.exp(raw).sum(axis=1)) - chosen))


# --- the question -----------------------------------------------------------------------------


def verdict(what: str, found: dict[str, dict[str, float]], *, judged: bool) -> list[Row]:
    """Return the rows of one half of the tables."""
    from scipy import stats

    what = f"default parameters, {len(found)} tables {what}"
    ratio = _geometric_mean([each["time"] for each in found.values()])
    shap = _geometric_mean([each["explain"] for each in found.values()])
    losses = {name: each["loss"] for name, each in found.items()}
    values = list(losses.values())
    mean = float(np.mean(values))
    bound = mean + stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / len(values) ** 0.5
    worst = max(losses, key=lambda name: losses[name])
    rows = [
        Row(
            f"{what}: CPU time of fits",
            f"{ratio:.2f} of LightGBM's defaults",
            ratio=f"{ratio:.2f} (geometric mean)",
            target=f"at most {TIME_TARGET:g}",
            meets_target=ratio <= TIME_TARGET,
        ),
        Row(
            f"{what}: held-out loss, mean relative difference",
            f"{mean:+.2%}",
            ratio=f"95 % bound {bound:+.2%}",
            target=f"bound at most {MEAN_TARGET:+.1%}",
            meets_target=bool(bound <= MEAN_TARGET),
        ),
        Row(
            f"{what}: held-out loss, worst table",
            f"{worst} {losses[worst]:+.2%}",
            target=f"at most {WORST_TARGET:+.0%}",
            meets_target=losses[worst] <= WORST_TARGET,
        ),
        Row(
            f"{what}: CPU time of SHAP values, {EXPLAINED_ROWS} rows per partition",
            f"{shap:.2f} of LightGBM's defaults",
        ),
    ]
    return rows if judged else [replace(row, target="", meets_target=None) for row in rows]


def _geometric_mean(values: list[float]) -> float:
    return math.exp(float(np.mean(np.log(values))))


def run(*, quick: bool) -> list[Row]:
    names = list(QUICK) if quick else _names()
    found: dict[str, dict[str, float]] = {}
    for name in names:
        found[name] = in_new_process(measure, name, 1 if quick else SHUFFLES, **ONE_THREAD)
        each = found[name]
        show_progress(
            f"defaults: {name}: time {each['time']:.2f}, loss {each['loss']:+.2%}, "
            f"SHAP {each['explain']:.2f} ({each['seconds']:.1f} s with LightGBM's defaults)"
        )
    judged = {name: each for name, each in found.items() if is_judged(name)}
    chosen = {name: each for name, each in found.items() if not is_judged(name)}
    return [
        *verdict("they were not chosen on", judged, judged=True),
        *verdict("they were chosen on", chosen, judged=False),
    ]


def _names() -> list[str]:
    import tomllib

    path = Path(ROOT) / "tests" / "field" / "suite" / "tables.toml"
    return list(tomllib.loads(path.read_text(encoding="utf-8")))
