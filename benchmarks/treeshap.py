"""SHAP values from tables per leaf, against LightGBM's own ``pred_contrib``.

Both explain the same rows of the same model in one thread, and the values are checked to be equal.
Ours starts from the model's text, so parsing the trees and building the tables are counted; the
peer starts from a loaded booster. The sizes are those of a partition: 20 features, 500 explained
rows (the default of ``explain.rows`` per partition) or 2,000, and models of two shapes.
"""

from __future__ import annotations

import time

from benchmarks.common import Row, in_new_process, median, seconds

FEATURES, TRAINING_ROWS = 20, 5000
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
SHAPES = {"100 trees of 31 leaves": (100, 31), "200 trees of 8 leaves": (200, 8)}


def times(trees: int, leaves: int, rows: int, rounds: int) -> list[tuple[float, float]]:
    """Return seconds of ours and of the peer, per round."""
    import lightgbm
    import numpy as np

    from containers.lightgbm.forest import parse_forest
    from containers.lightgbm.shapley import Shapley

    rng = np.random.default_rng(0)
    values = rng.normal(size=(TRAINING_ROWS, FEATURES))
    target = values[:, 0] + np.abs(values[:, 1]) * values[:, 2] + rng.normal(size=TRAINING_ROWS)
    params = {"num_leaves": leaves, "num_threads": 1, "verbosity": -1}
    booster = lightgbm.train(params, lightgbm.Dataset(values, target), trees)
    text, explained = booster.model_to_string(), np.ascontiguousarray(values[:rows])
    result = []
    for _ in range(rounds):
        began = time.perf_counter()
        shapley = Shapley(parse_forest(text))
        assert shapley.worthwhile(rows)
        ours = shapley.values(explained)
        between = time.perf_counter()
        theirs = booster.predict(explained, pred_contrib=True, num_threads=1)
        result.append((between - began, time.perf_counter() - between))
        np.testing.assert_allclose(ours[:, :, 0], theirs[:, :-1], rtol=1e-9, atol=1e-9)
    return result


def run(*, quick: bool = False) -> list[Row]:
    """Return the rows of the table."""
    rounds = 2 if quick else 9
    return [
        _row(name, rows, in_new_process(times, *shape, rows, rounds, **ONE_THREAD))
        for name, shape in SHAPES.items()
        for rows in ((500,) if quick else (500, 2000))
    ]


def _row(name: str, rows: int, measured: list[list[float]]) -> Row:
    ours, theirs = (median(list(each)) for each in zip(*measured, strict=True))
    return Row(
        f"SHAP values of {rows:,} rows, {name}",
        seconds(ours),
        f"pred_contrib {seconds(theirs)}",
        f"{theirs / ours:.1f} times as fast",
        "above 1",
        theirs / ours > 1,
    )
