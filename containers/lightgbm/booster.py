"""Home of LightGBM: training, prediction and its text format."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import lightgbm
import numpy as np

from containers.lightgbm.curves import Walk
from containers.lightgbm.forest import parse_forest
from containers.lightgbm.label_range import LabelRange, label_range
from containers.lightgbm.shapley import Shapley
from refeed import RowSubset

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from containers.lightgbm.forest import Forest
    from containers.lightgbm.params import LightGBMParams
    from refeed import TrainingData

    Floats = NDArray[np.float64]
    Integers = NDArray[np.intp]

_OBJECTIVES = {
    "l2": "regression",
    "l1": "regression_l1",
    "huber": "huber",
    "quantile": "quantile",
    "poisson": "poisson",
    "gamma": "gamma",
    "tweedie": "tweedie",
}

# Bit-identical models on every machine, in every process and with any number of threads; and not a
# word on stdout.
_FIXED = {
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
}


class LightGBMModel:
    """A fitted model: LightGBM's own text, and what is read from it when needed.

    The text is the only truth. A booster fresh from training knows its split gains to more digits
    than the text does, so a resumed run would report other gains than an uninterrupted one.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._walk: Walk | None = None

    @cached_property
    def booster(self) -> Any:  # noqa: ANN401 - lightgbm has no usable types
        """The model as LightGBM's Booster."""
        return lightgbm.Booster(model_str=self.text)

    @cached_property
    def forest(self) -> Forest:
        """The model's trees as arrays."""
        return parse_forest(self.text)

    @cached_property
    def shapley(self) -> Shapley:
        """The tables of the trees that SHAP values are computed from."""
        return Shapley(self.forest)

    @property
    def outputs(self) -> int:
        """Scores per row."""
        return int(self.booster.num_model_per_iteration())

    def parameter(self, name: str) -> str:
        """Return a parameter of LightGBM, as its text has it."""
        return self.text.rpartition(f"[{name}: ")[2].partition("]")[0]

    def walk(self, values: Floats) -> Walk:
        """Return the trees walked for these rows; the last answer is kept.

        Columns are asked for one after the other on the same matrix, hence the test for identity.
        """
        if self._walk is None or self._walk.values is not values:
            self._walk = Walk(self.forest, values)
        return self._walk


_NOT_LIGHTGBMS = {
    *("objective", "class_weight", "monotone_constraints", "interaction_constraints"),
    *("rounds", "max_rounds", "early_stopping_round", "inner_folds"),
}
"""Parameters that LightGBM gets in another form, or not at all."""


def fit(data: TrainingData, params: LightGBMParams, threads: int = 1) -> LightGBMModel:
    """Train a booster; with rounds auto, as many rounds as inner folds find best."""
    everything = RowSubset(np.arange(len(data.target)), data.inner_folds)
    return fit_subsets(data, [everything], params, threads)[0]


def fit_subsets(
    data: TrainingData, subsets: Sequence[RowSubset], params: LightGBMParams, threads: int = 1
) -> list[LightGBMModel]:
    """Train a booster per subset of the rows; all have the bins of all rows.

    Bins and parameters follow from the features and the number of all rows. A booster never sees
    the target, weight or offset of a row outside its subset.
    """
    params = params.for_rows(len(data.target))
    if params.data_sample_strategy == "goss":
        threads = 1  # each thread would draw from rows of its own
    bins = _bins(data, params, threads)
    return [
        _fit(_Rows(bins, subset.rows, data.subset(subset), threads), params) for subset in subsets
    ]


@dataclass(frozen=True)
class _Rows:
    """Some of the rows of a partition, to fit one booster on.

    Attributes:
        bins: all rows of the partition, binned.
        positions: positions of these rows among them, ascending.
        data: these rows.
        threads: number of threads to fit with.
    """

    bins: Any  # lightgbm has no usable types
    positions: Integers
    data: TrainingData
    threads: int

    def take(self, rows: Integers) -> _Rows:
        """Return some of these rows, in their order here: LightGBM sorts the rows of a subset."""
        rows = np.sort(rows)
        return replace(self, positions=self.positions[rows], data=self.data.take(rows))

    def dataset(self, begin: float) -> Any:  # noqa: ANN401 - lightgbm has no usable types
        """Return the rows as LightGBM takes them.

        Args:
            begin: score that the first tree improves on, in addition to the offset.
        """
        data = self.data
        dataset = self.bins.subset(self.positions).construct()
        dataset.set_label(data.target)
        dataset.set_weight(data.weight)
        dataset.set_init_score(None if data.offset is None else data.offset + begin)
        return dataset


def _bins(data: TrainingData, params: LightGBMParams, threads: int) -> Any:  # noqa: ANN401 - lightgbm has no usable types
    """Bin the features of a partition.

    LightGBM leaves out a feature here if no split of all rows has min_data_in_leaf rows on either
    side, which is then true of each subset (its ``feature_pre_filter``).
    """
    return lightgbm.Dataset(
        data.features.values,
        label=np.zeros(len(data.target)),  # LightGBM wants one; each subset sets its own
        categorical_feature=list(data.features.categorical),
        params=_options(data, params, threads),
    ).construct()


def _fit(rows: _Rows, params: LightGBMParams) -> LightGBMModel:
    data = rows.data.with_class_weight(params.class_weight)
    labels = label_range(data, params.objective)
    data, params = labels.rows(data), labels.params(params)
    rows = replace(rows, data=data)
    begin = _begin(data, params)
    booster = _booster(rows, params, begin)
    for _ in range(_best_rounds(rows, params) if params.rounds == "auto" else params.rounds):
        # Without sampling, a round that finds no split is followed by more of the same.
        if booster.update() and not _samples(params):
            break
    if data.offset is not None:
        _add(booster, begin)
    if labels != LabelRange():
        labels.restore(booster)
    # The number of threads is the only parameter that says nothing about the model.
    text = booster.model_to_string()
    return LightGBMModel(text.replace(f"[num_threads: {rows.threads}]", "[num_threads: 1]"))


def _best_rounds(rows: _Rows, params: LightGBMParams) -> int:
    """Return the number of rounds with the smallest mean loss on the held-out rows.

    The inner folds grow together, so that they stop at the same round. The loss is LightGBM's own
    for the objective, with weights and offset; each inner fold counts the same.
    """
    boosters = [_inner_booster(rows, params, *fold) for fold in rows.data.inner_folds]
    smallest, best = np.inf, 1
    for number in range(1, params.max_rounds + 1):
        stuck = [booster.update() for booster in boosters]
        loss = np.mean([booster.eval_valid()[0][2] for booster in boosters])
        if loss < smallest:
            smallest, best = loss, number
        if number - best >= params.early_stopping_round:
            break
        if all(stuck) and not _samples(params):
            break
    return best


def _inner_booster(rows: _Rows, params: LightGBMParams, train: Integers, held_out: Integers) -> Any:  # noqa: ANN401 - lightgbm has no usable types
    """Return a booster of an inner fold, with its held-out rows to evaluate."""
    part = rows.take(train)
    begin = _begin(part.data, params)
    booster = _booster(part, params, begin)
    booster.add_valid(rows.take(held_out).dataset(begin), "held-out")
    return booster


def _booster(rows: _Rows, params: LightGBMParams, begin: float) -> Any:  # noqa: ANN401 - lightgbm has no usable types
    """Return an untrained booster."""
    return lightgbm.Booster(_options(rows.data, params, rows.threads), rows.dataset(begin))


def _begin(data: TrainingData, params: LightGBMParams) -> float:
    """Return the score that the first tree improves on, in addition to the offset.

    LightGBM begins with the constant prediction, but with 0 for rows that have an offset: with a
    mean rate of 0.01, a hundred rounds would not reach it.
    """
    if data.offset is None or not params.boost_from_average:
        return 0.0
    return data.best_constant(params.loss(data.task))


def _add(booster: Any, score: float) -> None:  # noqa: ANN401 - lightgbm has no usable types
    """Add a score to the first tree, as LightGBM does with the constant that it begins with."""
    leaves = booster.dump_model(num_iteration=1)["tree_info"][0]["num_leaves"]
    for leaf in range(leaves):
        booster.set_leaf_output(0, leaf, booster.get_leaf_output(0, leaf) + score)


def _options(data: TrainingData, params: LightGBMParams, threads: int) -> dict[str, Any]:
    """Return the parameters as LightGBM takes them: features by position."""
    task: dict[str, Any] = {"objective": data.task}
    if data.task == "regression":
        task = {"objective": _OBJECTIVES[params.objective]}
    elif data.task == "multiclass":
        task["num_class"] = len(data.classes)
    options = {**params.model_dump(exclude=_NOT_LIGHTGBMS), **_FIXED, **task}
    options |= {"seed": data.seed, "num_threads": threads}
    names = data.features.names
    if params.monotone_constraints:
        directions = params.monotone_constraints
        options["monotone_constraints"] = [directions.get(name, 0) for name in names]
    if params.interaction_constraints:
        options["interaction_constraints"] = _together(names, params.interaction_constraints)
    return options


def _together(names: tuple[str, ...], lists: list[list[str]]) -> list[list[int]]:
    """Return the features that may interact, by position.

    LightGBM would never split on a feature that is in no list. Here these features are one more
    list, as in scikit-learn's HistGradientBoostingRegressor.
    """
    position = {name: at for at, name in enumerate(names)}
    listed = {name for each in lists for name in each}
    found = [[position[name] for name in each] for each in lists]
    rest = [at for name, at in position.items() if name not in listed]
    return [*found, rest] if rest else found


def _samples(params: LightGBMParams) -> bool:
    """Return whether a tree is grown on a random part of the rows or features."""
    shares = (
        *(params.feature_fraction, params.feature_fraction_bynode, params.bagging_fraction),
        *(params.pos_bagging_fraction, params.neg_bagging_fraction),
    )
    return min(shares) < 1 or params.data_sample_strategy == "goss"


def predict(model: LightGBMModel, values: Floats) -> Floats:
    """Return raw scores; shape (rows, outputs)."""
    scores = model.booster.predict(values, raw_score=True, num_threads=1)
    return np.asarray(scores, dtype=np.float64).reshape(len(values), model.outputs)


def contributions(model: LightGBMModel, values: Floats) -> tuple[Floats, Floats]:
    """Return path-dependent SHAP values.

    They are ours where those are faster, else LightGBM's; both are the same but for rounding.

    Returns:
        Shapes (rows, columns, outputs) and (outputs,).
    """
    if model.shapley.worthwhile(len(values)):
        return model.shapley.values(values), model.shapley.base()
    rows, columns = values.shape
    flat = model.booster.predict(values, pred_contrib=True, num_threads=1)
    by_output = np.asarray(flat).reshape(rows, model.outputs, columns + 1)
    return by_output[:, :, :-1].transpose(0, 2, 1), by_output[0, :, -1].copy()


def gain(model: LightGBMModel) -> Floats:
    """Return the total gain of the splits on each column; shape (columns,)."""
    return np.asarray(model.booster.feature_importance("gain"), dtype=np.float64)
