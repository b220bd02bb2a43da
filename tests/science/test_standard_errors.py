"""Standard errors against closed forms, the bootstrap, DeLong, and the truth of simulations."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from steps.table.data_warnings import FEWEST_EVENTS
from steps.train.config import EvaluateConfig
from steps.train.evaluation.estimates import Estimate, interval, mean, ratio, standard_error
from steps.train.evaluation.evaluate import Judged, _skill, evaluate
from steps.train.evaluation.folds import Fold, make_folds
from steps.train.evaluation.metrics import Metric, inverse_link, metrics_of
from steps.train.frame import Integers
from steps.train.loss import LOSSES
from steps.train.trainer import Floats
from tests.science.truth import CLASSES, cell, frame_of, labels

TASKS = ("regression", "binary", "multiclass")
WITH_ERROR = [
    (task, metric)
    for task in TASKS
    for metric in metrics_of(LOSSES[task], 0.3)
    if metric.name != "average_precision"
]


# --- closed forms ----------------------------------------------------------------------------


def test_of_a_mean_it_is_the_textbook_one() -> None:
    losses = np.random.default_rng(0).gamma(1.0, size=50)
    actual = standard_error(mean(losses, np.ones(50)), labels(np.arange(50)))
    assert actual == pytest.approx(losses.std(ddof=1) / np.sqrt(50), rel=1e-12)


def test_standard_error_of_equal_groups_is_that_of_the_group_means() -> None:
    losses = np.random.default_rng(0).gamma(1.0, size=60)
    actual = standard_error(mean(losses, np.ones(60)), labels(np.arange(60) // 4))
    means = losses.reshape(15, 4).mean(axis=1)
    assert actual == pytest.approx(means.std(ddof=1) / np.sqrt(15), rel=1e-12)


def test_copies_of_rows_change_nothing_if_they_are_groups() -> None:
    losses = np.random.default_rng(0).gamma(1.0, size=40)
    once = standard_error(mean(losses, np.ones(40)), labels(np.arange(40)))
    thrice = standard_error(mean(np.repeat(losses, 3), np.ones(120)), labels(np.arange(120) // 3))
    assert thrice == pytest.approx(once, rel=1e-12)


def test_of_a_weighted_mean_it_is_that_of_a_ratio() -> None:
    """Cochran, Sampling Techniques (1977), equation 6.13: residuals w (l - v) over the mean w."""
    rng = np.random.default_rng(0)
    losses, weight = rng.gamma(1.0, size=40), rng.gamma(1.0, size=40)
    residuals = weight * (losses - np.average(losses, weights=weight))
    expected = residuals.std(ddof=1) / np.sqrt(40) / weight.mean()
    actual = standard_error(mean(losses, weight), labels(np.arange(40)))
    assert actual == pytest.approx(expected, rel=1e-12)


def test_the_scale_of_the_weights_changes_nothing() -> None:
    rng = np.random.default_rng(0)
    losses, weight = rng.gamma(1.0, size=40), rng.uniform(0.1, 2, 40)
    one, other = (
        standard_error(mean(losses, scale * weight), labels(np.arange(40))) for scale in (1, 1e6)
    )
    assert one == pytest.approx(other, rel=1e-12)


def test_the_interval_is_students() -> None:
    low, high = interval(0.5, 0.1, 7)
    assert stats.t.cdf((high - 0.5) / 0.1, 6) == pytest.approx(0.95)
    assert low + high == pytest.approx(1)


def test_one_group_has_none() -> None:
    assert standard_error(mean(np.arange(4.0), np.ones(4)), labels(np.zeros(4))) is None
    assert standard_error(Estimate(0.3), labels(np.arange(4))) is None


def test_a_ratio_to_nothing_is_undefined() -> None:
    some, none = mean(np.arange(4.0), np.ones(4)), mean(np.zeros(4), np.ones(4))
    assert ratio(some, none).reason == "constant_is_perfect"
    assert ratio(none, some).value == 0
    assert ratio(none, none).reason == "constant_is_perfect"
    speck = mean(np.full(4, 1e-17), np.ones(4))  # a rounding error
    assert ratio(some, speck).reason == "constant_is_perfect"
    assert ratio(speck, speck).value == 1


def delong(positive: Floats, negative: Floats) -> float:
    """DeLong, DeLong and Clarke-Pearson (1988), equations 5 to 7, by their double loop."""
    kernel = (positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)
    return float(
        np.sqrt(
            kernel.mean(axis=1).var(ddof=1) / len(positive)
            + kernel.mean(axis=0).var(ddof=1) / len(negative)
        )
    )


@pytest.mark.parametrize("digits", [1, 9])
def test_of_the_auc_it_is_delongs(digits: int) -> None:
    rng = np.random.default_rng(0)
    target = (rng.random(2000) < 0.2).astype(np.float64)
    score = (rng.normal(size=2000) + target).round(digits)
    auc = metrics_of(LOSSES["binary"], 0.5)[2].score(target, score[:, None], np.ones(2000))
    actual = standard_error(auc, labels(np.arange(2000)))
    assert actual == pytest.approx(delong(score[target > 0], score[target == 0]), rel=2e-3)


# --- the bootstrap ---------------------------------------------------------------------------


def sample(task: str, groups: int, rng: np.random.Generator, per: int = 5) -> Judged:
    """Rows whose errors are alike within a group, of which no prediction knows."""
    rows = groups * per
    signal, effect = rng.normal(size=rows), np.repeat(rng.normal(size=groups), per)
    noisy = signal + effect + 0.5 * rng.normal(size=rows)
    cuts = {"regression": None, "binary": [0.6], "multiclass": [-0.5, 0.9]}[task]
    target = noisy if cuts is None else np.digitize(noisy, cuts).astype(np.float64)
    outputs = np.column_stack([-signal - 1, 0 * signal, signal - 1])
    raw = outputs if task == "multiclass" else signal[:, None]
    constants = {
        "regression": [0.0],
        "binary": [0.35],
        "multiclass": [0.37, 0.35, 0.28],
    }
    return Judged(
        target,
        inverse_link(LOSSES[task].link, raw),
        {"": np.broadcast_to(constants[task], (rows, len(constants[task])))},
        rng.uniform(0.1, 3, rows),
        np.repeat(labels(np.arange(groups)), per),
    )


def take(part: Judged, rows: Integers) -> Judged:
    return Judged(
        part.target[rows],
        part.prediction[rows],
        {"": part.constants[""][rows]},
        part.weight[rows],
        part.clusters[rows],
    )


def estimates(metric: Metric, part: Judged) -> tuple[Estimate, Estimate]:
    """The metric and its skill."""
    value = metric.score(part.target, part.prediction, part.weight)
    constant = metric.score(part.target, part.constants[""], part.weight)
    return value, _skill(metric, value, constant)


@pytest.mark.parametrize(
    ("task", "metric"), WITH_ERROR, ids=[f"{task}-{m.name}" for task, m in WITH_ERROR]
)
def test_it_agrees_with_the_cluster_bootstrap(task: str, metric: Metric) -> None:
    rng = np.random.default_rng(5)
    groups, per, draws = 250, 5, 1200
    part = sample(task, groups, rng, per)
    actual = np.array(
        [standard_error(e, part.clusters) for e in estimates(metric, part)], np.float64
    )
    redrawn = []
    for _ in range(draws):
        chosen = rng.integers(groups, size=groups)
        rows = (chosen[:, None] * per + np.arange(per)).ravel()
        redrawn.append([each.value for each in estimates(metric, take(part, rows))])
    # The bootstrap's own error is 1 / sqrt(2 * draws), 2 %.
    np.testing.assert_allclose(actual, np.array(redrawn, np.float64).std(axis=0, ddof=1), rtol=0.08)


# --- coverage --------------------------------------------------------------------------------


def _truth(metric: Metric, task: str) -> float:
    rng = np.random.default_rng(99)
    skill = estimates(metric, sample(task, 60_000, rng))[1].value
    assert skill is not None
    return skill


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(("groups", "least"), [(20, 0.83), (60, 0.865)])
def test_nine_intervals_of_ten_hold_the_true_skill(task: str, groups: int, least: float) -> None:
    """Of the headline metric; and far fewer do where rows are taken for independent."""
    metric, rng = metrics_of(LOSSES[task], 0.5)[0], np.random.default_rng(7)
    truth, repeats = _truth(metric, task), 700
    hits = np.zeros(2)
    per = 12
    for _ in range(repeats):
        part = sample(task, groups, rng, per)
        skill = estimates(metric, part)[1]
        rows = len(part.target)
        for i, (by, count) in enumerate([(part.clusters, groups), (labels(np.arange(rows)), rows)]):
            error = standard_error(skill, by)
            assert error is not None
            assert skill.value is not None
            low, high = interval(skill.value, error, count)
            hits[i] += low <= truth <= high
    clustered, independent = hits / repeats
    # Two standard errors of 700 draws: 2.3 %; with few groups a ratio's interval is a bit short.
    assert least <= clustered <= 0.935
    assert independent < clustered - 0.05


def test_coverage_of_the_whole_evaluation() -> None:
    """Folds, fits and pooled intervals of linear models; the truth is the fold models' own.

    The rows of a group share an error. The interval knows of the draw of held-out rows, not of
    the draw of training rows, hence a truth that is given the models.
    """
    rng, hits, repeats, groups, per = np.random.default_rng(3), 0, 300, 40, 4
    slopes = np.array([1.0, -0.5, 0.0])
    config = EvaluateConfig(folds=5)
    for _ in range(repeats):
        values = rng.normal(size=(groups * per, 3))
        effect = np.repeat(rng.normal(size=groups), per)
        target = values @ slopes + 0.8 * effect + 0.6 * rng.normal(size=groups * per)
        frame = frame_of(target, values=values, groups=np.repeat(rng.permutation(groups), per))
        folds = make_folds(frame, config).parts
        fits = [
            np.linalg.lstsq(values[fold.train], target[fold.train], rcond=None)[0] for fold in folds
        ]
        predictions = [
            (values[fold.held_out] @ fit)[:, None] for fold, fit in zip(folds, fits, strict=True)
        ]
        rows = evaluate(frame, folds, predictions, LOSSES["regression"], config)
        noise = 0.8**2 + 0.6**2
        sizes = np.array([len(fold.held_out) for fold in folds])
        left = np.average([((fit - slopes) ** 2).sum() + noise for fit in fits], weights=sizes)
        means = np.array([target[fold.train].mean() for fold in folds])
        plain = np.average(means**2 + (slopes**2).sum() + noise, weights=sizes)
        where = {"metric": "r2", "scope": "pooled"}
        low, high = cell(rows, "skill_low", **where), cell(rows, "skill_high", **where)
        hits += low <= 1 - left / plain <= high
    assert 0.85 <= hits / repeats <= 0.95


@pytest.mark.parametrize("task", TASKS)
def test_evaluate_reports_these_numbers(task: str) -> None:
    part = sample(task, 60, np.random.default_rng(2))
    rows = np.arange(len(part.target))
    frame = frame_of(
        part.target,
        task=task,
        weight=part.weight,
        groups=part.clusters,
        classes=CLASSES[task],
    )
    folds = [Fold(rows[rows % 10 >= 5], rows[rows % 10 < 5])]
    folds.append(Fold(folds[0].held_out, folds[0].train, 1))
    predictions = [part.prediction[fold.held_out] for fold in folds]
    actual = evaluate(frame, folds, predictions, LOSSES[task], EvaluateConfig())
    metric, held = metrics_of(LOSSES[task], 0.5)[0], folds[0].held_out
    train = folds[0].train
    constant = metric.constant(part.target[train], part.weight[train], len(CLASSES[task]))
    value = metric.score(part.target[held], part.prediction[held], part.weight[held])
    plain = metric.score(part.target[held], np.tile(constant, (len(held), 1)), part.weight[held])
    skill = _skill(metric, value, plain)
    error = standard_error(skill, frame.clusters[held])
    assert error is not None
    assert skill.value is not None
    reach = stats.t.ppf(0.95, 29) * error
    where = {"metric": metric.name, "scope": "fold", "fold": 0}
    expected = standard_error(value, frame.clusters[held])
    assert cell(actual, "standard_error", **where) == pytest.approx(expected)
    assert cell(actual, "skill_standard_error", **where) == pytest.approx(error)
    assert cell(actual, "skill_low", **where) == pytest.approx(skill.value - reach)
    assert cell(actual, "skill_high", **where) == pytest.approx(skill.value + reach)


def covered(metric: Metric, events: int, draws: int) -> float:
    """Return how often the interval of skill holds the true one, given the number of events.

    The model is fixed: log-odds of -4 + 1.2 x, where the truth is -4.2 + x.
    """
    rng = np.random.default_rng(events)

    def rows_of(count: int) -> tuple[Floats, Floats]:
        x = rng.normal(size=count)
        return x, (rng.random(count) < 1 / (1 + np.exp(4.2 - x))).astype(np.float64)

    def skill_of(x: Floats, y: Floats) -> Estimate:
        prediction = 1 / (1 + np.exp(4 - 1.2 * x))[:, None]
        weight = np.ones(len(y))
        value = metric.score(y, prediction, weight)
        constant = metric.score(y, np.full((len(y), 1), 0.0236), weight)
        share = ratio(metric.loss(value), metric.loss(constant))
        assert share.value is not None
        return share.mapped(1 - share.value, -1.0)

    truth = skill_of(*rows_of(400_000)).value
    hits: list[bool] = []
    while len(hits) < draws:
        x, y = rows_of(400)
        if y.sum() == events:
            skill = skill_of(x, y)
            error = standard_error(skill, labels(np.arange(400)))
            assert skill.value is not None
            assert error is not None
            assert truth is not None
            low, high = interval(skill.value, error, 400)
            hits.append(low <= truth <= high)
    return float(np.mean(hits))


@pytest.mark.parametrize("name", ["log_loss", "auc"])
def test_intervals_of_few_events_cover_too_little_and_are_not_shown(name: str) -> None:
    (metric,) = [each for each in metrics_of(LOSSES["binary"], 0.5) if each.name == name]
    assert covered(metric, 2, 200) < 0.75
    assert covered(metric, 14, 300) > 0.80
    assert 2 < FEWEST_EVENTS <= 14
