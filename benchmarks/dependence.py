"""Partial dependence by walking the trees, against predicting the rows once per grid value.

The peer is `sklearn.inspection.partial_dependence(method="brute")` on LightGBM's own estimator,
one feature after the other, one thread. Ours reads the same fitted model from LightGBM's text and
draws the same curves on the same rows and grid values; timings include parsing the
model and walking the trees. Both give the same curves, which is checked.
Runs in a process of its own with one thread for every library.
"""

from __future__ import annotations

import os
import time
from typing import Any

import psutil

from benchmarks.common import MIB, Row, in_new_process, median, seconds, show_progress

FEATURES, POINTS, TREES, LEAVES = 30, 20, 100, 31
TRAINING_ROWS = 2000
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def _fitted(scale: str) -> tuple[Any, Any]:
    """Return a fitted LightGBM estimator and its training rows."""
    import lightgbm
    import numpy as np

    rng = np.random.default_rng(0)
    values = rng.normal(size=(TRAINING_ROWS, FEATURES))
    target = values[:, 0] + np.abs(values[:, 1]) * values[:, 2] + rng.normal(size=TRAINING_ROWS)
    options = {"n_estimators": TREES, "num_leaves": LEAVES, "n_jobs": 1, "verbosity": -1}
    if scale == "probability":
        return lightgbm.LGBMClassifier(**options).fit(values, target > 0), values
    return lightgbm.LGBMRegressor(**options).fit(values, target), values


def _theirs(model: Any, values: Any, scale: str) -> list[Any]:  # noqa: ANN401
    from sklearn.inspection import partial_dependence

    method = "predict_proba" if scale == "probability" else "auto"
    return [
        partial_dependence(
            model,
            values,
            [column],
            method="brute",
            response_method=method,
            grid_resolution=POINTS,
        )
        for column in range(FEATURES)
    ]


def _ours(text: bytes, values: Any, grids: list[Any], scale: str) -> list[Any]:  # noqa: ANN401
    import numpy as np

    from containers.lightgbm.params import LightGBMParams
    from containers.lightgbm.trainer import LightGBMTrainer
    from refeed import Features
    from steps.train.evaluation.metrics import inverse_link

    trainer = LightGBMTrainer(LightGBMParams())
    model = trainer.load(text)
    names = tuple(map(str, range(FEATURES)))
    totals: list[Any] = [0.0] * FEATURES
    for start in range(0, len(values), 512):  # the blocks that `explain` uses
        rows = Features(names, values[start : start + 512], (None,) * FEATURES)
        for column, points in enumerate(grids):
            raw = trainer.response_curves(model, rows, column, points)
            answers = inverse_link("logit", raw) if scale == "probability" else raw
            totals[column] = totals[column] + answers[..., -1].sum(axis=0)
    return [np.asarray(total) / len(values) for total in totals]


def curves(rows: int, scale: str, rounds: int) -> list[tuple[float, float]]:
    """Seconds of ours and of the peer, per round, for all features."""
    import numpy as np

    model, training = _fitted(scale)
    text = model.booster_.model_to_string().encode()
    values = np.ascontiguousarray(training[:rows])
    pairs = []
    for _ in range(rounds):
        began = time.perf_counter()
        theirs = _theirs(model, values, scale)
        middle = time.perf_counter()
        mine = _ours(text, values, [found["grid_values"][0] for found in theirs], scale)
        pairs.append((time.perf_counter() - middle, middle - began))
    for found, curve in zip(theirs, mine, strict=True):
        np.testing.assert_allclose(found["average"][0], curve, rtol=1e-9, atol=1e-9)
    return pairs


def cold_start() -> dict[str, float]:
    """Measure the first curve in a process that has imported only LightGBM."""
    model, values = _fitted("raw")
    text = model.booster_.model_to_string().encode()
    grid = [values[:POINTS, 0].copy()] * FEATURES
    process = psutil.Process(os.getpid())
    before, began = process.memory_info().rss, time.perf_counter()
    _ours(text, values[:400], grid, "raw")
    first, after = time.perf_counter() - began, process.memory_info().rss
    began = time.perf_counter()
    _ours(text, values[:400], grid, "raw")
    return {"first": first, "next": time.perf_counter() - began, "bytes": after - before}


def compare(rows: int, scale: str, target: float | None, rounds: int) -> Row:
    pairs = in_new_process(curves, rows, scale, rounds, **ONE_THREAD)
    mine, theirs = median([a for a, _ in pairs]), median([b for _, b in pairs])
    ratio = median([b / a for a, b in pairs])
    show_progress(
        f"dependence: {rows} rows, {scale}: ours {mine:.3f} s, scikit-learn {theirs:.2f} s"
    )
    return Row(
        f"partial dependence, {rows:,} rows x {FEATURES} features x {POINTS} points, {scale}",
        seconds(mine),
        f"scikit-learn {seconds(theirs)}",
        f"{ratio:.1f} times as fast",
        f"at least {target:g}" if target else "",
        ratio >= target if target else None,
    )


def run(*, quick: bool) -> list[Row]:
    rounds = 1 if quick else 3
    rows = [compare(100 if quick else 400, "raw", None, rounds)]
    if not quick:
        rows = [compare(2000, "raw", 15, rounds), *rows]
    rows.append(compare(100 if quick else 2000, "probability", 7, rounds))
    cold = in_new_process(cold_start, **ONE_THREAD)
    return [
        *rows,
        Row(
            "partial dependence, cold start: imports above LightGBM's and the first 30 curves",
            f"{seconds(cold['first'])}, {cold['bytes'] / MIB:.0f} MiB",
            f"the next 30 curves: {seconds(cold['next'])}",
        ),
    ]
