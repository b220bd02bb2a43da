"""Offset and exposure: constants, fits, metrics and explanations against independent code.

The scale is that of the raw score, as in R's ``glm(offset=)``, statsmodels' ``offset`` and
LightGBM's ``init_score``. An exposure is the offset log(exposure), as statsmodels' ``exposure``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import lightgbm
import numpy as np
import pytest
import statsmodels.api as sm
from scipy import special
from sklearn import metrics as sk

from containers.lightgbm.params import LightGBMParams
from containers.lightgbm.trainer import LightGBMTrainer
from refeed import Loss, TrainingData
from steps.table.grid import Grid
from steps.train.config import EvaluateConfig
from steps.train.evaluation.constants import best_score, constant_prediction
from steps.train.evaluation.evaluate import evaluate
from steps.train.evaluation.metrics import metrics_of, row_loss
from steps.train.explanation.importance import _shuffle
from steps.train.frame import Frame
from steps.train.trainer import Floats
from tests.science.test_explanations import Case, fit_and_explain
from tests.science.truth import cell, frame_of, grid_of, halves, read, roles_of, select, table_of
from tests.trainers.support import OF_LIGHTGBM, mixed_data

ALL = np.arange(300)
FAMILIES: dict[str, tuple[Loss, Any]] = {
    "gaussian": (Loss("squared_error", "identity"), sm.families.Gaussian()),
    "poisson": (Loss("poisson", "log"), sm.families.Poisson()),
    "gamma": (Loss("gamma", "log"), sm.families.Gamma(sm.families.links.Log())),
    "tweedie": (Loss("tweedie", "log", 1.4), sm.families.Tweedie(var_power=1.4)),
    "binomial": (Loss("log_loss", "logit"), sm.families.Binomial()),
}


def offset_frame(family: str, seed: int = 0) -> Frame:
    """Targets that follow the offset, which varies much."""
    rng = np.random.default_rng(seed)
    offset = rng.normal(size=300)
    mean = np.exp(offset - 0.7)
    target = {
        "gaussian": offset + rng.normal(size=300),
        "poisson": rng.poisson(mean),
        "gamma": mean * rng.gamma(2, 0.5, 300),
        "tweedie": rng.poisson(mean) * rng.gamma(2, 0.5, 300),
        "binomial": rng.random(300) < special.expit(offset - 0.7),
    }[family]
    weight = rng.integers(1, 4, 300).astype(np.float64)
    task = "binary" if family == "binomial" else "regression"
    frame = frame_of(np.asarray(target, np.float64), task=task, weight=weight)
    return replace(frame, offset=offset)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_constant_is_the_null_model_with_offset_of_statsmodels(family: str) -> None:
    loss, distribution = FAMILIES[family]
    frame = offset_frame(family)
    null = sm.GLM(
        frame.target, np.ones(300), family=distribution, offset=frame.offset,
        freq_weights=frame.weight,
    ).fit(tol=1e-14)  # fmt: skip
    score = best_score(loss, frame.target, frame.weight, frame.offset)
    assert score == pytest.approx(null.params[0], abs=1e-7)
    metric = row_loss(loss)
    constant = constant_prediction(metric, loss.link, frame, ALL, ALL)
    np.testing.assert_allclose(constant[:, 0], null.fittedvalues, rtol=1e-7)
    value = metric.score(frame.target, constant, frame.weights).value
    if family == "binomial":  # the deviance is twice the log loss of all rows
        assert value == pytest.approx(null.deviance / frame.weights.sum() / 2)
    else:
        assert value == pytest.approx(null.deviance / frame.weights.sum())


@pytest.mark.parametrize("name", ["mae", "pinball", "rmse"])
def test_no_other_rate_is_a_better_constant(name: str) -> None:
    frame = offset_frame("poisson")
    assert frame.offset is not None
    metric = next(m for m in metrics_of(FAMILIES["poisson"][0], 0.7) if m.name == name)
    constant = constant_prediction(metric, "log", frame, ALL, ALL)
    rate = constant[0, 0] / np.exp(frame.offset[0])
    np.testing.assert_allclose(constant[:, 0], rate * np.exp(frame.offset))

    def of(prediction: Floats) -> float:
        value = metric.score(frame.target, prediction, frame.weights).value
        assert value is not None
        return value

    others = [of(constant * factor) for factor in (0.5, 0.8, 0.99, 1.01, 1.3, 2)]
    assert of(constant) <= min(others)


@pytest.mark.parametrize("family", FAMILIES)
def test_metrics_compare_with_the_constant_of_the_training_rows(family: str) -> None:
    loss, distribution = FAMILIES[family]
    frame, folds = offset_frame(family), halves(300)
    assert frame.offset is not None
    assert frame.weight is not None
    predictions = [
        constant_prediction(row_loss(loss), loss.link, frame, ALL, f.held_out) for f in folds
    ]
    rows = evaluate(frame, folds, predictions, loss, EvaluateConfig())
    train, held = folds[0].train, folds[0].held_out
    null = sm.GLM(
        frame.target[train], np.ones(150), family=distribution, offset=frame.offset[train],
        freq_weights=frame.weight[train],
    ).fit(tol=1e-14)  # fmt: skip
    expected = distribution.link.inverse(null.params[0] + frame.offset[held])
    deviance = (
        distribution.deviance(frame.target[held], expected, freq_weights=frame.weight[held])
        / frame.weight[held].sum()
    )
    headline = rows["metric"][0]
    found = cell(rows, "constant_value", metric=headline, scope="fold", fold=0)
    expected_value = {"gaussian": np.sqrt(deviance), "binomial": deviance / 2}.get(family, deviance)
    assert found == pytest.approx(expected_value)
    if family == "binomial":  # the offset ranks the rows, so the constant's AUC is not 1/2
        held = np.concatenate([fold.held_out for fold in folds])
        auc = sk.roc_auc_score(
            frame.target[held], frame.offset[held], sample_weight=frame.weight[held]
        )
        assert cell(rows, "constant_value", metric="auc", scope="pooled") == pytest.approx(auc)
        assert auc > 0.6


def test_an_absent_class_counts_as_half_a_row() -> None:
    frame = offset_frame("binomial")
    absent = replace(frame, target=np.zeros(300), weight=None)
    assert absent.offset is not None
    constant = constant_prediction(row_loss(FAMILIES["binomial"][0]), "logit", absent, ALL, ALL)
    assert constant.sum() == pytest.approx(0.5)


# LightGBM


def lightgbm_of(**params: Any) -> LightGBMTrainer:
    small = {"rounds": 20, "min_data_in_leaf": 2, "min_data_per_group": 2}
    return LightGBMTrainer(LightGBMParams.model_validate({**OF_LIGHTGBM, **small, **params}))


@pytest.mark.parametrize(("objective", "power"), [("poisson", 1.0), ("gamma", 2.0)])
def test_an_exposure_is_a_rate_with_a_weight(objective: str, power: float) -> None:
    """d(y, e m) = e^(2-p) d(y / e, m): the same gradients up to the size of a number."""
    data = mixed_data("regression", rows=300)
    rng = np.random.default_rng(0)
    exposure = rng.uniform(0.05, 4, 300)
    target = rng.gamma(1, 0.02 * np.exp(data.target)) * exposure
    trainer = lightgbm_of(objective=objective, poisson_max_delta_step=0.7)
    model = trainer.fit(replace(data, target=target, offset=np.log(exposure)))
    weight = exposure ** (2 - power)
    rates = trainer.fit(replace(data, target=target / exposure, weight=weight))
    actual, expected = (trainer.predict(each, data.features) for each in (model, rates))
    np.testing.assert_allclose(actual, expected, atol=1e-5)
    assert np.ptp(expected) > 0.5


def test_an_offset_of_a_regression_is_subtracted_from_the_target() -> None:
    data = mixed_data("regression", rows=300)
    offset = np.random.default_rng(0).normal(size=300) * 3
    trainer = lightgbm_of()
    model = trainer.fit(replace(data, target=data.target + offset, offset=offset))
    actual = trainer.predict(model, data.features)
    np.testing.assert_allclose(actual, trainer.predict(trainer.fit(data), data.features), atol=1e-5)


def test_a_binary_offset_is_lightgbms_init_score() -> None:
    data = mixed_data("binary", rows=300)
    offset = np.random.default_rng(0).normal(size=300)
    start = best_score(Loss("log_loss", "logit"), data.target, None, offset)
    params = {
        "objective": "binary", "min_data_in_leaf": 2, "min_data_per_group": 2, "verbosity": -1,
        "num_threads": 1, "deterministic": True, "force_row_wise": True, "seed": 0,
    }  # fmt: skip
    values = data.features.values
    dataset = lightgbm.Dataset(
        values, data.target, init_score=offset + start, categorical_feature=[3], params=params
    )
    plain = lightgbm.train(params, dataset, 20)
    trainer = lightgbm_of()
    model = trainer.fit(replace(data, offset=offset))
    expected = plain.predict(values, raw_score=True) + start
    np.testing.assert_allclose(trainer.predict(model, data.features)[:, 0], expected, rtol=1e-12)


def test_a_model_without_a_split_is_the_constant() -> None:
    frame = offset_frame("poisson")
    assert frame.offset is not None
    data = TrainingData(frame.features, frame.target, None, "regression", (), 0, frame.offset)
    trainer = lightgbm_of(objective="poisson")
    raw = trainer.predict(trainer.fit(data), frame.features)
    rate = frame.target.sum() / np.exp(frame.offset).sum()
    np.testing.assert_allclose(raw, np.log(rate))


# Explanations


def explained(kind: str, **config: Any) -> Case:
    """Counts with an exposure, a number with an offset, or classes with an offset."""
    rng = np.random.default_rng(2)
    rows = 300
    number, level = rng.normal(size=rows).round(1), rng.choice(["red", "blue"], rows)
    score = 0.6 * number + 0.8 * (level == "red")
    known = rng.uniform(0.1, 3, rows)
    target: Any = {
        "exposure": rng.poisson(known * np.exp(score)),
        "offset": score + known + rng.normal(size=rows),
        "classes": np.where(rng.random(rows) < special.expit(score + known - 2), "yes", "no"),
    }[kind]
    table = table_of(
        key=["k"] * rows, target=target, number=number, level=level, known=known,
        w=rng.uniform(0.5, 2, rows),
    )  # fmt: skip
    column = {"exposure": "known"} if kind == "exposure" else {"offset": "known"}
    roles = roles_of(("number", "level"), categorical=("level",), weight="w", **column)
    grid: Grid = grid_of(table, roles, 6)
    trainer = lightgbm_of(objective="poisson") if kind == "exposure" else lightgbm_of()
    task, classes = ("binary", ("no", "yes")) if kind == "classes" else ("regression", ())
    settings = {"rows": 120, "permutation_importance": 2, **config}
    return fit_and_explain(read(table, roles, classes), task, trainer, grid, **settings)


def plain(found: Case, fold: int, values: Floats) -> Floats:
    """LightGBM's own raw score, which knows no offset."""
    booster = lightgbm.Booster(model_str=found.work.folds[fold].model.text)
    return np.asarray(booster.predict(values, raw_score=True, num_threads=1))


def predicted(kind: str, raw: Floats, offset: Floats) -> Floats:
    """The prediction with the offset of each row, by the definition of the links."""
    links = {"exposure": np.exp, "offset": np.asarray, "classes": special.expit}
    return np.asarray(links[kind](raw + offset))


@pytest.mark.parametrize("kind", ["exposure", "offset", "classes"])
def test_partial_dependence_keeps_each_rows_offset(kind: str) -> None:
    """With an exposure: total predicted target per total exposure (weighted by row)."""
    found = explained(kind)
    assert found.frame.offset is not None
    rows = found.tables["partial_dependence"]
    units = {"exposure": "target_per_exposure", "offset": "target", "classes": "probability"}
    assert set(rows["scale"]) == {units[kind]}
    for column, name in enumerate(("number", "level")):
        curves = []
        for fold, seen in enumerate(found.work.folds):
            weight, offset = found.weight(seen), found.frame.offset[seen.rows]
            total = (weight * np.exp(offset)).sum() if kind == "exposure" else weight.sum()
            raws = [
                plain(found, fold, seen.features.with_column(column, point).values)
                for point in found.frame.points(column, found.work.grid[name])
            ]
            curves.append([(weight * predicted(kind, raw, offset)).sum() / total for raw in raws])
        values = select(rows, "value", feature=name)
        np.testing.assert_allclose(values, np.mean(curves, axis=0), rtol=1e-9)


@pytest.mark.parametrize(("kind", "unit"), [
    ("exposure", "log_target_per_exposure"), ("offset", "target"), ("classes", "log_odds"),
])  # fmt: skip
def test_raw_partial_dependence(kind: str, unit: str) -> None:
    found = explained(kind, partial_dependence={"grid": 6, "scale": "raw"})
    assert found.frame.offset is not None
    rows = found.tables["partial_dependence"]
    assert set(rows["scale"]) == {unit}
    curves = []
    for fold, seen in enumerate(found.work.folds):
        added = 0 if kind == "exposure" else found.frame.offset[seen.rows]
        raws = [
            plain(found, fold, seen.features.with_column(0, point).values) + added
            for point in found.frame.points(0, found.work.grid["number"])
        ]
        curves.append([np.average(raw, weights=found.weight(seen)) for raw in raws])
    values = select(rows, "value", feature="number")
    np.testing.assert_allclose(values, np.mean(curves, axis=0), rtol=1e-9)


@pytest.mark.parametrize("kind", ["exposure", "offset", "classes"])
def test_shap_values_and_offset_add_up_to_the_prediction(kind: str) -> None:
    found = explained(kind)
    assert found.frame.offset is not None
    units = {"exposure": "log_target_per_exposure", "offset": "target", "classes": "log_odds"}
    assert set(found.tables["shap_summary"]["scale"]) == {units[kind]}
    for fold, seen in enumerate(found.work.folds):
        shap = found.work.trainer.shap_values(seen.model, seen.features)
        assert shap is not None
        total = shap.values[:, :, 0].sum(axis=1) + shap.base[0]
        np.testing.assert_allclose(total, plain(found, fold, seen.features.values), rtol=1e-9)
        native = lightgbm.Booster(model_str=seen.model.text).predict(
            seen.features.values, pred_contrib=True
        )
        np.testing.assert_allclose(shap.values[:, :, 0], np.asarray(native)[:, :-1], atol=1e-9)


@pytest.mark.parametrize("kind", ["exposure", "offset", "classes"])
def test_permutation_importance_is_of_predictions_with_offset(kind: str) -> None:
    found = explained(kind)
    assert found.frame.offset is not None
    functions = {
        "exposure": sk.mean_poisson_deviance,
        "offset": sk.mean_squared_error,
        "classes": sk.log_loss,
    }
    grown, constants = [], []
    for fold, seen in enumerate(found.work.folds):
        target, offset = found.frame.target[seen.rows], found.frame.offset[seen.rows]
        weight, train = found.weight(seen), seen.fold.train

        def loss(
            raw: Floats, known: Floats = offset, y: Floats = target, w: Floats = weight
        ) -> float:
            return float(functions[kind](y, predicted(kind, raw, known), sample_weight=w))

        losses = []
        for repeat in range(2):
            source = _shuffle(found.work, seen, 0, repeat)
            values = seen.features.with_column(0, seen.features.values[source, 0]).values
            losses.append(loss(plain(found, fold, values)))
        grown.append(np.mean(losses) - loss(plain(found, fold, seen.features.values)))
        family = {"exposure": "poisson", "offset": "gaussian", "classes": "binomial"}[kind]
        null = sm.GLM(
            found.frame.target[train], np.ones(len(train)), family=FAMILIES[family][1],
            offset=found.frame.offset[train], freq_weights=found.frame.weights[train],
        ).fit(tol=1e-14)  # fmt: skip
        constants.append(loss(np.full(len(target), null.params[0])))
    value = cell(found.tables["importance"], "value", feature="number", method="permutation")
    assert value == pytest.approx(np.mean(grown) / np.mean(constants), rel=1e-6)
    assert abs(value) > 0.01
