"""Data and truths that the trainers' tests share."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from refeed import Features, Task, Trainer, TrainingData

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

ROOT = Path(__file__).parents[2]
OF_LIGHTGBM: dict[str, Any] = {"num_leaves": 31, "learning_rate": 0.1, "max_bin": 255}
"""LightGBM's defaults that are not ours, for comparisons with LightGBM used directly."""
TASKS: tuple[Task, ...] = ("regression", "binary", "multiclass")
CLASSES: dict[Task, tuple[str, ...]] = {
    "regression": (),
    "binary": ("no", "yes"),
    "multiclass": ("a", "b", "c"),
}


def mixed_features(rows: int, seed: int) -> Features:
    """Three numeric columns and one categorical one, all with missing values."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(rows, 4))
    values[:, 1] = np.round(values[:, 1])  # ties, zeros and negative zeros
    values[:, 3] = rng.integers(5, size=rows)
    values[rng.random(values.shape) < 0.15] = np.nan
    levels = (None, None, None, ("red", "green", "blue", "grey", "pink"))
    return Features(("x", "ties", "noise", "colour"), values, levels)


def mixed_data(task: Task, rows: int = 200, seed: int = 0) -> TrainingData:
    """A target with an interaction, a jump, and effects of levels and of missing values."""
    features = mixed_features(rows, seed)
    x, ties, noise, colour = features.values.T
    score = np.nan_to_num(x) * np.nan_to_num(ties) + 2.0 * (colour == 1) - (colour == 3)
    score = score + np.isnan(x) + 0.3 * np.nan_to_num(noise)
    target = score if task == "regression" else np.digitize(score, [0.2, 1.3])
    if task == "binary":
        target = np.minimum(target, 1)
    return TrainingData(features, target.astype(np.float64), None, task, CLASSES[task], seed=seed)


def numeric_data(values: Floats, target: NDArray[Any], task: Task = "regression") -> TrainingData:
    """Numeric columns, named by their positions."""
    columns = values.shape[1]
    features = Features(tuple(map(str, range(columns))), values, (None,) * columns)
    return TrainingData(features, target.astype(np.float64), None, task, CLASSES[task], seed=0)


def points_of(features: Features, column: int) -> Floats:
    """A grid: values seen, values between and beyond; a level never seen; missing."""
    levels = features.levels[column]
    if levels is not None:
        return np.array([*range(len(levels) + 1), np.nan], dtype=np.float64)
    inner = np.nanquantile(features.values[:, column], [0, 0.2, 0.5, 0.77, 1])
    return np.array([-1e300, *inner, 0.0, -0.0, 1e-36, 1e300, np.nan])


def brute_curves(
    trainer: Trainer[Any, Any], model: Any, features: Features, column: int, points: Floats
) -> Floats:
    """The base class's way: one prediction per point."""
    return Trainer.response_curves(trainer, model, features, column, points)


def assert_exact(actual: Any, expected: Any) -> None:
    """Equal but for rounding."""
    np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-9)


def run_python(code: str) -> str:
    """What a fresh interpreter prints; anything on stderr fails."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "random"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def heavy_imports(module: str) -> str:
    """Which heavy libraries importing a module loads."""
    return run_python(
        f"import sys, {module}\n"
        "heavy = {'lightgbm', 'numpy', 'pandas', 'pyarrow', 'scipy', 'sklearn', 'shap'}\n"
        "print(*sorted(heavy & set(sys.modules)))"
    ).strip()
