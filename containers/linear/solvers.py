"""Home of scikit-learn: finds the coefficients."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import ElasticNet, LogisticRegression, Ridge

from containers.linear.encoding import learn_encoding
from containers.linear.model import LinearModel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from containers.linear.trainer import LinearParams
    from refeed import TrainingData

    Floats = NDArray[np.float64]


class NotConvergedError(ArithmeticError):
    """The solver stopped at ``max_iter``: its coefficients are not yet those of the parameters."""


def fit(data: TrainingData, params: LinearParams) -> LinearModel:
    """Encode the features, then find the coefficients.

    Raises:
        NotConvergedError: see there.
    """
    if data.weight is None:
        weight = np.ones(data.features.rows)
    else:  # rows without weight do not count: a class that has only such rows is absent
        rows = data.weight > 0
        weight = data.weight[rows]
        data = replace(data, features=data.features.take(rows), target=data.target[rows])
    encoding = learn_encoding(data.features, weight)
    terms = encoding.encode(data.features.values)
    solve = _regression if data.task == "regression" else _classification
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        try:
            coefficients, intercept = solve(terms, data, weight, params)
        except ConvergenceWarning as warning:
            raise NotConvergedError(
                f"not converged after max_iter={params.max_iter} iterations, so the coefficients "
                "cannot be trusted; raise max_iter, alpha or tol"
            ) from warning
    background = np.average(terms, axis=0, weights=weight)
    return LinearModel(encoding, np.ascontiguousarray(coefficients), intercept, background)


def _regression(
    terms: Floats, data: TrainingData, weight: Floats, params: LinearParams
) -> tuple[Floats, Floats]:
    """Return coefficients of shape (terms, 1), and the intercept of shape (1,)."""
    mean = np.average(data.target, weights=weight)
    scale = np.sqrt(np.average((data.target - mean) ** 2, weights=weight))
    if data.target.min() == data.target.max():
        return np.zeros((terms.shape[1], 1)), data.target[:1].copy()
    if params.l1_ratio:
        solver = ElasticNet(
            alpha=params.alpha, l1_ratio=params.l1_ratio, max_iter=params.max_iter, tol=params.tol
        )
    else:  # coordinate descent is slow and imprecise without an L1 part; Ridge's loss is a sum
        solver = Ridge(alpha=params.alpha * weight.sum(), solver="cholesky")
    solver.fit(terms, (data.target - mean) / scale, sample_weight=weight)
    return solver.coef_[:, None] * scale, np.atleast_1d(solver.intercept_ * scale + mean)


def _classification(
    terms: Floats, data: TrainingData, weight: Floats, params: LinearParams
) -> tuple[Floats, Floats]:
    """Return coefficients of shape (terms, outputs), and the intercept of shape (outputs,)."""
    count = len(data.classes)
    present = np.unique(data.target).astype(np.int64)
    margins, offset = _margins(terms, data, weight, params, len(present))
    coefficients = np.zeros((terms.shape[1], count))
    # Margins of the present classes add up to 0, so the logarithm of the sum of their exponentials
    # is at least 0, and an absent class gets a probability of at most 1 / (2 rows).
    intercept = np.full(count, -np.log(2.0 * len(terms)))
    coefficients[:, present], intercept[present] = margins, offset
    if data.task == "binary":
        return np.diff(coefficients, axis=1), np.diff(intercept)
    return coefficients, intercept


def _margins(
    terms: Floats, data: TrainingData, weight: Floats, params: LinearParams, present: int
) -> tuple[Floats, Floats]:
    """Return one margin per present class, adding up to 0: shapes (terms, present), (present,)."""
    if present == 1:
        return np.zeros((terms.shape[1], 1)), np.zeros(1)
    options: dict[str, Any] = {
        # C multiplies the sum of the losses; alpha is per unit of weight.
        "C": 1.0 / (params.alpha * weight.sum()),
        "max_iter": params.max_iter,
        "tol": params.tol,
    }
    if params.l1_ratio:
        options |= {"solver": "saga", "l1_ratio": params.l1_ratio, "random_state": data.seed}
        # Up to scikit-learn 1.7 l1_ratio counts only with this; from 1.8 on it is deprecated.
        if LogisticRegression().get_params().get("penalty") == "l2":
            options["penalty"] = "elasticnet"
    solver = LogisticRegression(**options)
    solver.fit(terms, data.target, sample_weight=weight)
    coefficients, intercept = solver.coef_.T, solver.intercept_
    if present == 2:  # noqa: PLR2004 - then scikit-learn has one output, the log-odds
        return coefficients / 2 * np.array([-1, 1]), intercept / 2 * np.array([-1, 1])
    return coefficients - coefficients.mean(axis=1, keepdims=True), intercept - intercept.mean()
