r"""The constant prediction of each metric. With an offset, it is a constant score plus the offset.

Given the offset o of each row, the constant score a that is best minimises sum w L(y, g^-1(a + o)):

- identity: L(y, a + o) = L(y - o, a), the constant of the targets y - o.
- log: with e = exp(o), and a loss of degree d (L(k y, k m) = k^d L(y, m)),
  sum w L(y, c e) = sum w e^d L(y / e, c): the constant c = exp(a) of the rates y / e, weighted by
  w e^d. The degree is 2 for the squared error, 1 for the absolute one, 2 - p for a deviance.
- logit: the maximum-likelihood intercept, sum w (sigma(a + o) - y) = 0, for all metrics.

It is the null model with offset of R's ``glm`` and of statsmodels.
"""

from __future__ import annotations

import numpy as np
from scipy import special

from steps.train.evaluation.metrics import Metric, row_loss
from steps.train.frame import Frame, Integers
from steps.train.loss import Floats, Link, Loss


def constant_prediction(
    metric: Metric, link: Link, frame: Frame, train: Integers, rows: Integers
) -> Floats:
    """Return the constant prediction of a metric, fitted on training rows, for other rows.

    Returns:
        Shape (rows, outputs).
    """
    target, weight = frame.target[train], frame.weights[train]
    if frame.offset is None:
        constant = metric.constant(target, weight, len(frame.classes))
        return np.broadcast_to(constant, (len(rows), len(constant)))
    known, offset = frame.offset[train], frame.offset[rows]
    if link == "identity":
        return (metric.constant(target - known, weight, 0) + offset)[:, None]
    if link == "log":
        return (_rate(metric, target, weight, np.exp(known)) * np.exp(offset))[:, None]
    if metric.factors is not None:
        weight = weight * metric.factors[target.astype(np.intp)]
    return np.asarray(special.expit(_log_odds(target, weight, known) + offset))[:, None]


def best_score(loss: Loss, target: Floats, weight: Floats | None, offset: Floats | None) -> float:
    """Return the constant score with the smallest loss; of a class, the log-odds."""
    weight = np.ones(len(target)) if weight is None else weight
    offset = np.zeros(len(target)) if offset is None else offset
    if loss.link == "identity":
        return float(row_loss(loss).constant(target - offset, weight, 0)[0])
    if loss.link == "log":
        return float(np.log(_rate(row_loss(loss), target, weight, np.exp(offset))))
    return _log_odds(target, weight, offset)


def _rate(metric: Metric, target: Floats, weight: Floats, exposure: Floats) -> float:
    rates = target / exposure
    return float(metric.constant(rates, weight * exposure**metric.degree, 0)[0])


def _log_odds(target: Floats, weight: Floats, offset: Floats) -> float:
    """Return a with sum w (sigma(a + o) - y) = 0; an absent class counts as half a row."""
    half = weight.mean() / 2
    hits = float(np.clip((weight * target).sum(), half, weight.sum() - half))
    reach = float(np.abs(offset).max()) + 50

    def excess(score: float) -> float:
        return float((weight * special.expit(score + offset)).sum() - hits)

    from scipy import optimize  # noqa: PLC0415 - takes half a second, and few partitions need it

    return float(optimize.brentq(excess, -reach, reach, xtol=1e-12))
