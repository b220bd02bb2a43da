"""Home of scikit-learn: finds the coefficients."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import (
    ElasticNet,
    LogisticRegression,
    QuantileRegressor,
    Ridge,
    TweedieRegressor,
)

from containers.linear.encoding import learn_encoding
from containers.linear.model import LinearModel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from containers.linear.params import LinearParams
    from refeed import TrainingData

    Floats = NDArray[np.float64]


class NotConvergedError(ArithmeticError):
    """The solver stopped at ``max_iter``: its coefficients are not yet those of the parameters."""


def fit(data: TrainingData, params: LinearParams) -> LinearModel:
    """Encode the features, then find the coefficients.

    Raises:
        NotConvergedError: see there.
    """
    data = data.with_class_weight(params.class_weight)
    if data.weight is None:
        weight = np.ones(data.features.rows)
    else:  # rows without weight do not count: a class that has only such rows is absent
        data = data.take(np.flatnonzero(data.weight > 0))
        assert data.weight is not None
        weight = data.weight
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
    if params.loss("regression").link == "log":
        return _log_regression(terms, data, weight, params)
    target = data.target if data.offset is None else data.target - data.offset
    mean = np.average(target, weights=weight)
    scale = np.sqrt(np.average((target - mean) ** 2, weights=weight))
    if target.min() == target.max():
        return np.zeros((terms.shape[1], 1)), target[:1].copy()
    scaled = (target - mean) / scale
    if params.objective in {"l1", "quantile"}:
        level = 0.5 if params.objective == "l1" else params.quantile
        solver = QuantileRegressor(quantile=level, alpha=params.alpha, solver="highs")
        solver.fit(terms, scaled, sample_weight=weight)
    elif params.objective == "huber":
        assert params.width is not None
        solver = _huber(terms, scaled, weight, params.width / scale, params)
    else:
        solver = _least_squares(params, weight.sum()).fit(terms, scaled, sample_weight=weight)
    return solver.coef_[:, None] * scale, np.atleast_1d(solver.intercept_ * scale + mean)


def _least_squares(params: LinearParams, total: float) -> Any:  # noqa: ANN401 - of scikit-learn
    """Return a solver of the squared error, of which a total weight of ``total`` is the mean."""
    if params.l1_ratio:
        return ElasticNet(
            alpha=params.alpha, l1_ratio=params.l1_ratio, max_iter=params.max_iter, tol=params.tol
        )
    # coordinate descent is slow and imprecise without an L1 part; Ridge's loss is a sum
    return Ridge(alpha=params.alpha * total, solver="cholesky")


def _huber(
    terms: Floats, target: Floats, weight: Floats, width: float, params: LinearParams
) -> Any:  # noqa: ANN401 - a solver of scikit-learn
    """Return a solver fitted by iteratively reweighted least squares.

    The Huber loss of an error e is at most the squared error with the weight min(1, d / |e|), up to
    a constant, and equal for the error at hand. So each step lowers it (Holland and Welsch, Comm.
    Statist. A6, 1977). scikit-learn's HuberRegressor estimates a width of its own for each fit,
    with which no two fits have the same loss.
    """
    before = None
    for _ in range(params.max_iter):
        if before is None:
            share = np.ones(len(target))
        else:
            error = np.abs(target - before)
            share = np.minimum(1.0, width / np.maximum(error, width))
        solver = _least_squares(params, weight.sum())
        if params.l1_ratio:  # a mean over the weights: the penalty must not shrink with them
            solver.set_params(alpha=params.alpha * weight.sum() / (weight * share).sum())
        solver.fit(terms, target, sample_weight=weight * share)
        after = solver.predict(terms)
        if before is not None and np.abs(after - before).max() <= params.tol:
            return solver
        before = after
    raise ConvergenceWarning


def _log_regression(
    terms: Floats, data: TrainingData, weight: Floats, params: LinearParams
) -> tuple[Floats, Floats]:
    """Return coefficients and intercept of a generalized linear model with a log link.

    scikit-learn has no offset. With an exposure e and the power p of the deviance d, d(y, e m) =
    e^(2-p) d(y / e, m): the same model of the rates y / e, weighted by e^(2-p). The loss is the
    mean with these weights, of rates in units of their mean, so alpha does not depend on the unit
    of the exposure.
    """
    loss = params.loss("regression")
    assert loss.power is not None
    exposure = np.ones(len(data.target)) if data.offset is None else np.exp(data.offset)
    rates, counts = data.target / exposure, weight * exposure ** (2 - loss.power)
    mean = np.average(rates, weights=counts)
    if rates.min() == rates.max():
        return np.zeros((terms.shape[1], 1)), np.log(rates[:1])
    solver = TweedieRegressor(
        power=loss.power,
        link="log",
        alpha=params.alpha,
        max_iter=params.max_iter,
        tol=params.tol,
    )
    solver.fit(terms, rates / mean, sample_weight=counts)
    return solver.coef_[:, None], np.atleast_1d(solver.intercept_ + np.log(mean))


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
