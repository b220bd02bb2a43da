"""Out-of-fold metrics, each with its constant prediction. The values equal scikit-learn's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from steps.train.evaluation.estimates import Estimate, mean, ratio
from steps.train.evaluation.row_losses import (
    Constant,
    Score,
    deviance,
    huber,
    mean_constant,
    quantile_constant,
)
from steps.train.loss import Floats, Link, Loss

_EPSILON = float(np.finfo(np.float64).eps)
"""Distance that probabilities keep from 0 and 1, as in ``sklearn.metrics.log_loss``."""


@dataclass(frozen=True)
class Metric:
    """A metric and its constant prediction.

    Attributes:
        name: name in ``sklearn.metrics``, shortened.
        score: the metric of predictions.
        constant: the constant prediction for the metric, given training rows.
        gain: True if larger is better; the loss is then 1 - value.
        additive: whether the value follows from means over rows. If not, the pooled value
            is compared with one constant for all folds: constants that differ per fold rank rows
            of one fold above those of another, or name several classes, as no constant can.
        ranks: True if the value compares the ranks of rows, so it needs two rows of each class.
        degree: the loss of k y and k m is k to this power times that of y and m.
        factors: factors of the classes in the score and in the constant; shape (classes,).
    """

    name: str
    score: Score
    constant: Constant
    gain: bool = False
    additive: bool = True
    ranks: bool = False
    degree: float = 2.0
    factors: Floats | None = None

    def loss(self, estimate: Estimate) -> Estimate:
        """Return the metric as a loss, 0 at best."""
        if not self.gain or estimate.value is None:
            return estimate
        return estimate.mapped(1 - estimate.value, -1.0)


def metrics_of(loss: Loss, quantile: float, factors: Floats | None = None) -> tuple[Metric, ...]:
    """Return all metrics of a task; the first one is the headline, and follows from the loss.

    Args:
        loss: loss of the trainer.
        quantile: level of the pinball loss, unless it is the trainer's loss.
        factors: factor of each class, if the loss has any; shape (classes,).
    """
    if loss.name == "log_loss":
        usual = _BINARY if loss.link == "logit" else _MULTICLASS
        return usual if factors is None else (_by_class(usual[0], factors), *usual)
    usual = (
        Metric("rmse", _rmse, mean_constant),
        _mean_absolute_error(),
        Metric("r2", _r2, mean_constant, gain=True),
        _mean_pinball(quantile),
    )
    if loss.name == "squared_error":
        return usual
    own = row_loss(loss)
    return (own, *(metric for metric in usual if metric.name != own.name))


def row_loss(loss: Loss, factors: Floats | None = None) -> Metric:
    """Return the trainer's loss as a mean over rows; permutation importance is a share of it.

    Args:
        loss: loss of the trainer.
        factors: see ``metrics_of``.
    """
    match loss.name:
        case "log_loss":
            return metrics_of(loss, 0.5, factors)[0]
        case "squared_error":
            return Metric("mse", _mse, mean_constant)
        case "absolute_error":
            return _mean_absolute_error()
        case "pinball":
            assert loss.parameter is not None
            return _mean_pinball(loss.parameter)
        case "huber":
            assert loss.parameter is not None
            return Metric("huber", *huber(loss.parameter))
        case _:
            assert loss.power is not None
            name, degree = f"{loss.name}_deviance", 2 - loss.power
            return Metric(name, deviance(loss.power), mean_constant, degree=degree)


def row_losses(metric: Metric, target: Floats, prediction: Floats) -> Floats:
    """Return the loss of each row, of a metric that is the mean of row losses; shape (rows,).

    With equal weights, the influence of a row is (its loss - the mean) / rows.
    """
    score = metric.score(target, prediction, np.ones(len(target)))
    assert score.value is not None
    assert score.influence is not None
    losses: Floats = score.value + score.influence * len(target)
    return losses


def _mean_absolute_error() -> Metric:
    return Metric("mae", _mae, quantile_constant(0.5), degree=1)


def _mean_pinball(quantile: float) -> Metric:
    return Metric("pinball", _pinball(quantile), quantile_constant(quantile), degree=1)


# --- regression -----------------------------------------------------------------------------


def _squared(target: Floats, prediction: Floats) -> Floats:
    errors: Floats = (target - prediction[:, 0]) ** 2
    return errors


def _mse(target: Floats, prediction: Floats, weight: Floats) -> Estimate:
    return mean(_squared(target, prediction), weight)


def _rmse(target: Floats, prediction: Floats, weight: Floats) -> Estimate:
    squared = _mse(target, prediction, weight)
    assert squared.value is not None
    root = float(np.sqrt(squared.value))
    return squared.mapped(root, 0.5 / root if root else 0.0)


def _mae(target: Floats, prediction: Floats, weight: Floats) -> Estimate:
    return mean(np.abs(target - prediction[:, 0]), weight)


def _r2(target: Floats, prediction: Floats, weight: Floats) -> Estimate:
    """Return 1 - squared error / squared distance from the mean of the same rows."""
    centre = float(mean_constant(target, weight, 0)[0])
    spread = mean((target - centre) ** 2, weight)
    error = mean(_squared(target, prediction), weight)
    share = ratio(error, spread)
    if share.value is None:
        return Estimate(None, None, "constant_target")
    return share.mapped(1 - share.value, -1.0)


def _pinball(quantile: float) -> Score:
    def score(target: Floats, prediction: Floats, weight: Floats) -> Estimate:
        over = target - prediction[:, 0]
        return mean(np.where(over >= 0, quantile * over, (quantile - 1) * over), weight)

    return score


# --- classes --------------------------------------------------------------------------------


def _prior(target: Floats, weight: Floats, classes: int) -> Floats:
    counts = np.bincount(target.astype(np.intp), weights=weight, minlength=classes)
    prior: Floats = counts / counts.sum()
    return prior


def _positive_prior(target: Floats, weight: Floats, classes: int) -> Floats:
    return _prior(target, weight, classes)[1:]


def _possible_prior(target: Floats, weight: Floats, classes: int) -> Floats:
    """Return the prior; a class without training rows gets half an average row's share.

    The log loss of a probability of 0 is infinite, or whatever the clipping makes of it: any
    trainer that leaves a little to what it has not seen would beat such a constant.
    """
    counts = np.bincount(target.astype(np.intp), weights=weight, minlength=classes)
    counts[counts == 0] = weight.mean() / 2
    prior: Floats = counts / counts.sum()
    return prior


def with_possible_classes(
    prediction: Floats, target: Floats, weight: Floats, classes: int
) -> Floats:
    """Return probabilities that give a class without training rows its share of the constant.

    No trainer can know of such a class: LightGBM's margin for it is -34.5, and one held-out row of
    it would outweigh all others. The other probabilities keep their proportions.

    Args:
        prediction: probabilities of the held-out rows; shape (rows, outputs), one if binary.
        target: target of the training rows.
        weight: weight of the training rows.
        classes: number of classes of the partition.
    """
    absent = np.bincount(target.astype(np.intp), minlength=classes) == 0
    if not absent.any():
        return prediction
    prior = _possible_prior(target, weight, classes)
    if prediction.shape[1] == 1:
        return np.full(prediction.shape, prior[1])
    rest = np.where(absent, 0.0, prediction)
    rest *= prior[~absent].sum() / rest.sum(axis=1, keepdims=True)
    return np.where(absent, prior, rest)


def _possible_positive_prior(target: Floats, weight: Floats, classes: int) -> Floats:
    return _possible_prior(target, weight, classes)[1:]


def _majority(target: Floats, weight: Floats, classes: int) -> Floats:
    """Return all probability on the most frequent class.

    It is the constant prediction for accuracy and for macro F1: the F1 of always predicting a class
    of share p is 2p / (1 + p), which grows with p, and the F1 of every other class is 0.
    """
    prior = _prior(target, weight, classes)
    return np.asarray(np.eye(classes)[int(prior.argmax())])


def _binary_log_loss(target: Floats, prediction: Floats, weight: Floats) -> Estimate:
    likely = np.clip(prediction[:, 0], _EPSILON, 1 - _EPSILON)
    return mean(-np.where(target > 0, np.log(likely), np.log1p(-likely)), weight)


def _brier(target: Floats, prediction: Floats, weight: Floats) -> Estimate:
    return mean(_squared(target, prediction), weight)


def _auc(target: Floats, prediction: Floats, weight: Floats) -> Estimate:
    """Return the probability that a positive row scores above a negative one; ties count half.

    The influence values are DeLong's structural components.
    """
    positive = target > 0
    if positive.all() or not positive.any():
        return Estimate(None, None, "one_class")
    score = prediction[:, 0]
    up, down = weight * positive, weight * ~positive
    below = _share_below(score, down)  # per row: share of negatives below it
    above = 1 - _share_below(score, up)  # per row: share of positives above it
    value = float((up * below).sum() / up.sum())
    influence = up * (below - value) / up.sum() + down * (above - value) / down.sum()
    return Estimate(value, influence)


def _share_below(score: Floats, weight: Floats) -> Floats:
    """Return, per row, the share of ``weight`` with a smaller score; ties count half."""
    _, members = np.unique(score, return_inverse=True)
    totals = np.bincount(members, weights=weight)
    below = np.cumsum(totals) - totals / 2
    shares: Floats = (below / totals.sum())[members]
    return shares


def _average_precision(target: Floats, prediction: Floats, weight: Floats) -> Estimate:
    """Return the sum of (recall step) * precision over thresholds, as scikit-learn does."""
    positive = target > 0
    if not positive.any():
        return Estimate(None, None, "one_class")
    _, members = np.unique(-prediction[:, 0], return_inverse=True)
    hits = np.bincount(members, weights=weight * positive)
    all_rows = np.cumsum(np.bincount(members, weights=weight))
    precision = np.cumsum(hits) / all_rows
    value = float((hits * precision).sum() / hits.sum())
    return Estimate(value, None, "no_standard_error")


def _multiclass_log_loss(target: Floats, prediction: Floats, weight: Floats) -> Estimate:
    likely = prediction[np.arange(len(target)), target.astype(np.intp)]
    return mean(-np.log(np.clip(likely, _EPSILON, 1 - _EPSILON)), weight)


def _accuracy(target: Floats, prediction: Floats, weight: Floats) -> Estimate:
    return mean((prediction.argmax(axis=1) == target).astype(np.float64), weight)


def _macro_f1(target: Floats, prediction: Floats, weight: Floats) -> Estimate:
    """Return the mean F1 = 2 TP / (2 TP + FP + FN) over classes that occur or are predicted."""
    guess = prediction.argmax(axis=1)
    classes = np.union1d(target.astype(np.intp), guess)
    value, influence = 0.0, np.zeros(len(target))
    for label in classes:
        hit = 2.0 * ((guess == label) & (target == label))
        named = (guess == label).astype(np.float64) + (target == label)
        total = float((weight * named).sum())
        f1 = float((weight * hit).sum()) / total
        value += f1 / len(classes)
        influence += weight * (hit - f1 * named) / total / len(classes)
    return Estimate(value, influence)


_BINARY = (
    Metric("log_loss", _binary_log_loss, _possible_positive_prior),
    Metric("brier", _brier, _positive_prior),
    Metric("auc", _auc, _positive_prior, gain=True, additive=False, ranks=True),
    Metric(
        "average_precision",
        _average_precision,
        _positive_prior,
        gain=True,
        additive=False,
        ranks=True,
    ),
)
_MULTICLASS = (
    Metric("log_loss", _multiclass_log_loss, _possible_prior),
    Metric("accuracy", _accuracy, _majority, gain=True),
    Metric("macro_f1", _macro_f1, _majority, gain=True, additive=False),
)


def _by_class(metric: Metric, factors: Floats) -> Metric:
    """Return a metric in which each row counts as often as its class says."""

    def score(target: Floats, prediction: Floats, weight: Floats) -> Estimate:
        return metric.score(target, prediction, weight * factors[target.astype(np.intp)])

    def constant(target: Floats, weight: Floats, classes: int) -> Floats:
        return metric.constant(target, weight * factors[target.astype(np.intp)], classes)

    return Metric(f"weighted_{metric.name}", score, constant, factors=factors)


def inverse_link(link: Link, raw: Floats) -> Floats:
    """Return the predictions of raw scores; the last axis is the outputs.

    The exponential for log, the logistic function for logit (the probability of the positive
    class), the softmax over the outputs for more classes.
    """
    if link == "identity":
        return raw
    if link == "log":
        with np.errstate(over="ignore"):  # the caller checks that predictions are finite
            return np.asarray(np.exp(raw))
    if link == "logit":
        # No branch overflows: exp of a number that is not positive.
        small = np.exp(-np.abs(raw))
        return np.where(raw >= 0, 1 / (1 + small), small / (1 + small))
    grown = np.exp(raw - raw.max(axis=-1, keepdims=True))
    probabilities: Floats = grown / grown.sum(axis=-1, keepdims=True)
    return probabilities
