"""Home of interpret: fits the curves."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from interpret import develop
from interpret.glassbox import ExplainableBoostingClassifier, ExplainableBoostingRegressor

from containers.ebm.model import AdditiveModel, CategoricalTerm, NumericTerm, Term

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from containers.ebm.params import EBMParams
    from refeed import TrainingData

    Floats = NDArray[np.float64]

# The wide instructions of a processor change the last digits; without them it takes no longer.
develop.set_option("acceleration", 0)

_OBJECTIVES = {
    "l2": "rmse",
    "poisson": "poisson_deviance",
    "gamma": "gamma_deviance",
}
_OURS = {
    *("objective", "tweedie_variance_power", "class_weight", "monotone_constraints"),
    *("bags", "max_rounds", "early_stopping_rounds"),
}
"""Parameters that interpret gets in another form."""


def fit(data: TrainingData, params: EBMParams) -> AdditiveModel:
    """Fit a model of the rows, with a bag per inner fold.

    Raises:
        ValueError: there are no inner folds.
    """
    if not data.inner_folds:
        raise ValueError("the trainer needs inner folds")
    data = data.with_class_weight(params.class_weight)
    used = [column for column in range(len(data.features.names)) if _varies(data, column)]
    if data.task == "regression":
        return _regression(data, params, used)
    return _classification(data, params, used)


def _varies(data: TrainingData, column: int) -> bool:
    """Return whether a column has two different values, of which one may be missing."""
    values = data.features.values[:, column]
    known = values[~np.isnan(values)]
    return len(known) > 0 and (len(known) < len(values) or bool(np.ptp(known) > 0))


def _regression(data: TrainingData, params: EBMParams, used: list[int]) -> AdditiveModel:
    if params.objective != "l2":
        if not used:
            return _constant(data, np.array([data.best_constant(params.loss("regression"))]))
        return _model(data, params, used, data.offset)
    # In units of its standard deviation, so that an amount in cents has the same fit as in euros.
    target = data.target if data.offset is None else data.target - data.offset
    mean, scale = np.average(target, weights=data.weight), float(np.std(target))
    if not used or not scale:
        return _constant(data, np.array([mean]))
    scaled = replace(data, target=(target - mean) / scale, offset=None)
    model = _model(scaled, params, used, None)
    terms = tuple(replace(term, scores=term.scores * scale) for term in model.terms)
    return replace(
        model,
        terms=terms,
        intercept=model.intercept * scale + mean,
        background=model.background * scale,
    )


def _classification(data: TrainingData, params: EBMParams, used: list[int]) -> AdditiveModel:
    """Fit the classes that occur; an absent one gets at most half a row's share."""
    present = np.unique(data.target).astype(np.intp)
    if used and len(present) == len(data.classes):
        return _model(data, params, used, data.offset)
    margins = _constant(data, np.zeros(len(present)))
    if used and len(present) > 1:
        codes = np.searchsorted(present, data.target).astype(np.float64)
        margins = _centred(_model(replace(data, target=codes), params, used, None))
    elif len(present) > 1:
        shares = np.bincount(data.target.astype(np.intp), weights=data.weight)[present]
        margins = _constant(data, np.log(shares) - np.log(shares).mean())
    if data.task == "binary" and len(present) > 1:
        return _constant(data, np.array([data.best_constant(params.loss("binary"))]))
    # Margins of the present classes add up to 0, so the sum of their exponentials is at least 1.
    intercept = np.full(len(data.classes), -np.log(2.0 * len(data.target)))
    model = _spread(margins, present, intercept)
    return _difference(model) if data.task == "binary" else model


def _model(
    data: TrainingData, params: EBMParams, used: list[int], offset: Floats | None
) -> AdditiveModel:
    """Return the mean of one model per bag, as terms of all columns.

    Args:
        data: the training rows.
        params: parameters of the trainer.
        used: the columns that vary.
        offset: what is added to the score of each row.
    """
    values = data.features.values[:, used]
    bags = _bags(data)
    machine = _machine(data, params, used)
    arguments: dict[str, Any] = {"sample_weight": data.weight, "init_score": offset}

    def rounds_of(bags: Any, **options: Any) -> Any:  # noqa: ANN401 - arrays of integers
        machine.set_params(outer_bags=bags.shape[1], **options)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that its own charts lack missing values
            machine.fit(values, data.target, bags=bags, **arguments)
        return np.ceil(machine.best_iteration_[0] / len(used)).astype(int)

    rounds = rounds_of(bags) if bags.shape[1] else np.array([params.early_stopping_rounds])
    if not (bags > 0).any(axis=1).all():  # such as the newest rows, which follow all training rows
        most = max(1, round(rounds.mean()))
        every = np.ones((len(values), 1), np.int8)
        rounds = rounds_of(every, max_rounds=most, early_stopping_rounds=0)
    intercept = np.atleast_1d(machine.intercept_).astype(np.float64)
    empty = NumericTerm((), np.zeros((2, len(intercept))))
    terms: list[Term] = [empty] * len(data.features.names)
    for position, column in enumerate(used):
        bins, scores = machine.bins_[position][0], machine.term_scores_[position]
        terms[column] = _term(data.features.levels[column], bins, scores.reshape(len(scores), -1))
    background = _means(terms, data)
    return AdditiveModel(tuple(terms), intercept, background, tuple(map(int, rounds)))


def _bags(data: TrainingData) -> Any:  # noqa: ANN401 - an array of int8
    """Return 1 for a training row of a bag, -1 for a held-out one, else 0; shape (rows, bags).

    A bag whose training rows lack a class is left out: interpret's score of it would be infinite.
    So is one whose held-out rows have a single class: any overfitting lowers its loss there.
    """
    bags = np.zeros((len(data.target), len(data.inner_folds)), np.int8)
    for number, (train, held_out) in enumerate(data.inner_folds):
        bags[train, number] = 1
        bags[held_out, number] = -1
    if data.task == "regression":
        return bags
    classes = np.unique(data.target)
    usable = [
        len(np.unique(data.target[bag > 0])) == len(classes)
        and len(np.unique(data.target[bag < 0])) > 1
        for bag in bags.T
    ]
    return bags[:, usable]


def _machine(data: TrainingData, params: EBMParams, used: list[int]) -> Any:  # noqa: ANN401 - interpret has no types
    options: dict[str, Any] = params.model_dump(exclude=_OURS)
    options |= {
        "max_rounds": params.max_rounds,
        "early_stopping_rounds": params.early_stopping_rounds,
        "interactions": 0,
        "n_jobs": 1,
        "random_state": data.seed,
        "feature_types": [
            "nominal" if column in data.features.categorical else "continuous" for column in used
        ],
    }
    if params.monotone_constraints:
        directions = params.monotone_constraints
        names = data.features.names
        options["monotone_constraints"] = [directions.get(names[column], 0) for column in used]
    if data.task != "regression":
        return ExplainableBoostingClassifier(**options)
    power = f":variance_power={params.tweedie_variance_power}"
    objective = _OBJECTIVES.get(params.objective, f"tweedie_deviance{power}")
    return ExplainableBoostingRegressor(objective=objective, **options)


def _term(levels: tuple[str, ...] | None, bins: Any, scores: Floats) -> Term:  # noqa: ANN401 - see there
    """Return a term from interpret's scores: first of a missing value, last of an unseen one.

    Args:
        levels: levels of a category; None for a number.
        bins: the position of each code, or the cuts.
        scores: shape (bins + 2, outputs).
    """
    if levels is None:
        return NumericTerm(tuple(map(float, bins)), np.concatenate([scores[1:-1], scores[:1]]))
    positions = {int(float(code)): position for code, position in bins.items()}
    known = [positions.get(code, len(scores) - 1) for code in range(len(levels))]
    return CategoricalTerm(scores[[*known, len(scores) - 1, 0]])


def _means(terms: list[Term], data: TrainingData) -> Floats:
    values, weight = data.features.values, data.weight
    means = [
        np.average(term.scores[term.bins(values[:, column])], axis=0, weights=weight)
        for column, term in enumerate(terms)
    ]
    return np.array(means)


def _constant(data: TrainingData, intercept: Floats) -> AdditiveModel:
    """Return a model whose terms are all 0."""
    columns, outputs = len(data.features.names), len(intercept)
    term = NumericTerm((), np.zeros((2, outputs)))
    return AdditiveModel((term,) * columns, intercept, np.zeros((columns, outputs)), ())


def _centred(model: AdditiveModel) -> AdditiveModel:
    """Return one margin per class, adding up to 0; interpret has one for two classes."""
    if len(model.intercept) == 1:
        return _mapped(model, np.array([[-0.5, 0.5]]))
    count = len(model.intercept)
    return _mapped(model, np.eye(count) - 1 / count)


def _spread(model: AdditiveModel, present: Any, intercept: Floats) -> AdditiveModel:  # noqa: ANN401 - positions
    """Return a model of all classes; ``intercept`` is the score of the absent ones."""
    places = np.eye(len(intercept))[present]
    spread = _mapped(model, places)
    absent = np.setdiff1d(np.arange(len(intercept)), present)
    spread.intercept[absent] = intercept[absent]
    return spread


def _difference(model: AdditiveModel) -> AdditiveModel:
    """Return the log-odds of the second of two classes."""
    return _mapped(model, np.array([[-1.0], [1.0]]))


def _mapped(model: AdditiveModel, matrix: Floats) -> AdditiveModel:
    """Return a model whose scores are linear functions of these."""
    return replace(
        model,
        terms=tuple(replace(term, scores=term.scores @ matrix) for term in model.terms),
        intercept=model.intercept @ matrix,
        background=model.background @ matrix,
    )
