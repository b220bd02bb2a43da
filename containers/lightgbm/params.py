"""The parameters of the trainer. Neither LightGBM nor numpy is loaded to validate them."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from containers.lightgbm.names import ALIASES, OBJECTIVE_NAMES, REFUSED
from refeed import DataShape, Link, Loss, LossName, Problem, Task, TrainerParams


def _added(default: Any, **limits: Any) -> Any:  # noqa: ANN401 - as pydantic's Field
    """Return a field that was added later: at its default it changes no cache key and no table."""
    return Field(default=default, exclude_if=lambda value: value == default, **limits)


def _class_texts(value: Any) -> Any:  # noqa: ANN401 - any YAML value
    """Return a mapping with classes as text: YAML reads 0 and true as a number and a boolean."""
    if not isinstance(value, Mapping):
        return value
    return {
        str(name).lower() if isinstance(name, bool) else str(name): each
        for name, each in value.items()
    }


Objective = Literal["l2", "l1", "huber", "quantile", "poisson", "gamma", "tweedie"]
_MOST_ROUNDS = 100_000
Rounds = Annotated[int, Field(ge=1, le=_MOST_ROUNDS)]
Factor = Annotated[float, Field(gt=0, allow_inf_nan=False)]


_LOSSES: dict[Objective, tuple[LossName, Link]] = {
    "l2": ("squared_error", "identity"),
    "l1": ("absolute_error", "identity"),
    "huber": ("huber", "identity"),
    "quantile": ("pinball", "identity"),
    "poisson": ("poisson", "log"),
    "gamma": ("gamma", "log"),
    "tweedie": ("tweedie", "log"),
}


_LEAVES_OF_ROWS = ((2_000, 4), (10_000, 8), (20_000, 15))
"""Leaves of ``num_leaves: auto`` for partitions with fewer rows; 31 for all others."""
_MOST_LEAVES = 31
_RATE_TIMES_ROUNDS = 10
"""Learning rate times rounds: as with LightGBM's own defaults, the first trees reach the target."""


class LightGBMParams(TrainerParams):
    """Parameters of LightGBM, with its names; ``rounds`` is its num_iterations.

    The defaults are LightGBM's except those of ``num_leaves``, ``learning_rate``, ``rounds`` and
    ``max_bin``, which were chosen on half of the tables of the field suite: see
    ``benchmarks/defaults.py``.
    """

    aliases: ClassVar[Mapping[str, str]] = ALIASES
    refused: ClassVar[Mapping[str, str]] = REFUSED

    num_leaves: Annotated[int, Field(ge=2, le=131_072)] | Literal["auto"] = "auto"
    """Leaves per tree, at most: the main control of a tree's complexity. auto: 4 for partitions
    with fewer than 2,000 rows, 8 below 10,000, 15 below 20,000, and 31 from there on."""
    learning_rate: float = Field(default=0.2, gt=0, le=1)
    """Shrinkage of each tree; smaller values need more rounds."""
    rounds: Rounds | Literal["auto"] = 50
    """Boosting rounds (LightGBM: num_iterations); each adds one tree, or one per class. By default
    10 / learning_rate. auto: for each fit as many as have the smallest mean loss on inner folds of
    its training rows."""
    max_rounds: Rounds = _added(1000)
    """rounds auto: rounds, at most."""
    early_stopping_round: Rounds = _added(50)
    """rounds auto: stop after so many rounds without a smaller loss."""
    inner_folds: int = _added(5, ge=2, le=20)
    """rounds auto: inner folds. They hold out as the evaluation does: groups stay together, and
    with method time no row is predicted from later ones."""
    max_depth: int = Field(default=-1, ge=-1, le=1000)
    """Depth of a tree, at most; -1 or 0 for no limit but num_leaves."""
    min_data_in_leaf: int = Field(default=20, ge=0)
    """Minimum number of training rows in a leaf. Below twice this many rows nothing can be split,
    and the model is a constant: lower it for small partitions."""
    min_sum_hessian_in_leaf: float = Field(default=1e-3, ge=0)
    """Minimum sum of the loss's second derivatives in a leaf."""
    feature_fraction: float = Field(default=1.0, gt=0, le=1)
    """Share of the features that each tree may use."""
    feature_fraction_bynode: float = _added(1.0, gt=0, le=1)
    """Share of the tree's features that each node may use."""
    bagging_fraction: float = Field(default=1.0, gt=0, le=1)
    """Share of the rows that a tree is grown on; needs bagging_freq above 0."""
    bagging_freq: int = Field(default=0, ge=0)
    """Draw the rows again after this many rounds; 0 for no bagging."""
    pos_bagging_fraction: float = _added(1.0, gt=0, le=1)
    """Binary tasks: share of the rows of the positive class; needs bagging_freq above 0."""
    neg_bagging_fraction: float = _added(1.0, gt=0, le=1)
    """Binary tasks: share of the rows of the negative class; needs bagging_freq above 0."""
    data_sample_strategy: Literal["bagging", "goss"] = _added("bagging")
    """goss: grow each tree on the rows with large gradients and a sample of the others."""
    top_rate: float = _added(0.2, gt=0, lt=1)
    """goss: share of the rows with the largest gradients, which are all kept."""
    other_rate: float = _added(0.1, gt=0, lt=1)
    """goss: share of the rows that is drawn from the others."""
    lambda_l1: float = Field(default=0.0, ge=0)
    """L1 penalty on the leaf values."""
    lambda_l2: float = Field(default=0.0, ge=0)
    """L2 penalty on the leaf values."""
    max_delta_step: float = _added(0.0, ge=0)
    """Largest absolute value of a leaf, before shrinkage; 0 for no limit."""
    min_gain_to_split: float = Field(default=0.0, ge=0)
    """Minimum gain of a split."""
    max_bin: int = Field(default=63, ge=2, le=65_535)
    """Bins of a numeric feature, at most."""
    min_data_in_bin: int = Field(default=3, ge=1)
    """Minimum number of training rows in a bin."""
    bin_construct_sample_cnt: int = _added(200_000, ge=1)
    """Rows from which the bins are made, at most."""
    enable_bundle: bool = _added(True)
    """Bundle sparse features that exclude each other; false never does."""
    extra_trees: bool = False
    """Try one random threshold per feature and node instead of all."""
    path_smooth: float = Field(default=0.0, ge=0)
    """Pulls the values of small leaves towards their parent's."""
    min_data_per_group: int = Field(default=100, ge=1)
    """Minimum number of training rows per level group in a split of sorted levels."""
    cat_smooth: float = Field(default=10.0, ge=0)
    """Smooths the statistics of rare levels."""
    cat_l2: float = Field(default=10.0, ge=0)
    """L2 penalty of categorical splits."""
    max_cat_threshold: int = Field(default=32, ge=1)
    """Levels that a categorical split sends one way, at most."""
    max_cat_to_onehot: int = Field(default=4, ge=1)
    """A feature with at most this many levels is split one level against the others."""
    objective: Annotated[
        Objective,
        BeforeValidator(lambda value: OBJECTIVE_NAMES.get(str(value), value)),  # any YAML value
    ] = "l2"
    """Loss of a regression; a classification always takes the log loss. The metrics follow it.
    poisson, gamma and tweedie predict on the log scale; gamma needs targets above 0, poisson and
    tweedie 0 or more."""
    alpha: float = Field(default=0.9, gt=0, lt=1)
    """Level of objective quantile, or the width of objective huber in units of the target."""
    poisson_max_delta_step: float = _added(0.7, gt=0)
    """Objective poisson: the larger, the smaller the steps of each tree."""
    tweedie_variance_power: float = _added(1.5, gt=1, lt=2)
    """Objective tweedie: power of the mean that the variance is proportional to. Close to 1 for
    counts, close to 2 for amounts without zeros."""
    boost_from_average: bool = _added(True)
    """Begin with the constant prediction; false begins with a score of 0."""
    class_weight: Annotated[
        Literal["balanced"] | dict[str, Factor] | None, BeforeValidator(_class_texts)
    ] = _added(None)
    """Classifications: a factor for the rows of each class, such as `{yes: 5}`, or `balanced`,
    which gives all classes the same total. Probabilities are then those of the reweighted
    classes."""
    monotone_constraints: dict[str, Literal[-1, 0, 1]] | None = _added(None, min_length=1)
    """Numeric features by name: 1 if the prediction may only increase with the feature, -1 if it
    may only decrease, such as `{price: -1}`."""
    monotone_constraints_method: Literal["basic", "intermediate", "advanced"] = _added("basic")
    """How monotone constraints are kept; advanced constrains the trees least, and is slowest."""
    monotone_penalty: float = _added(0.0, ge=0)
    """Forbid splits on constrained features in the first levels of a tree, up to this depth."""
    interaction_constraints: list[Annotated[list[str], Field(min_length=1)]] | None = _added(
        None, min_length=1
    )
    """Lists of features that may interact, such as `[[lat, lon], [age]]`: two features are on one
    path of a tree only if a list has both. Features in no list are one more list."""

    @model_validator(mode="before")
    @classmethod
    def _rounds_follow_learning_rate(cls, values: Any) -> Any:  # noqa: ANN401 - any YAML value
        """Set the rounds that a learning rate needs, unless they are set."""
        if not isinstance(values, Mapping) or "rounds" in values:
            return values
        rate = values.get("learning_rate")
        if not isinstance(rate, float | int) or not 0 < rate <= 1:
            return values
        return {**values, "rounds": min(math.ceil(_RATE_TIMES_ROUNDS / rate), _MOST_ROUNDS)}

    def for_rows(self, rows: int) -> LightGBMParams:
        """Return the parameters for a partition with so many rows."""
        if self.num_leaves != "auto":
            return self
        leaves = next((most for below, most in _LEAVES_OF_ROWS if rows < below), _MOST_LEAVES)
        return self.model_copy(update={"num_leaves": leaves})

    def loss(self, task: Task) -> Loss:
        """Return the loss that LightGBM minimises."""
        if task != "regression":
            return Loss(
                "log_loss",
                "logit" if task == "binary" else "softmax",
                class_weight=self.class_weight,
            )
        power = self.tweedie_variance_power
        parameters = {"huber": self.alpha, "quantile": self.alpha, "tweedie": power}
        name, link = _LOSSES[self.objective]
        return Loss(name, link, parameters.get(self.objective))

    def conflicts(self, shape: DataShape) -> Iterator[Problem]:
        """Yield a problem for each parameter that does not fit the data."""
        yield from self._without_effect(shape)
        yield from self._goss()
        if isinstance(self.class_weight, Mapping) and shape.task != "regression":
            yield from _unknown("class_weight", self.class_weight, shape.classes, "class")
        yield from self._constraints(shape)

    def _without_effect(self, shape: DataShape) -> Iterator[Problem]:
        goss = self.data_sample_strategy == "goss"
        drawn = shape.task == "binary" and self.bagging_freq > 0
        regression = shape.task == "regression"
        monotone = bool(self.monotone_constraints)
        auto = self.rounds == "auto"
        needed = {
            "max_rounds": (auto, "rounds: auto"),
            "early_stopping_round": (auto, "rounds: auto"),
            "inner_folds": (auto, "rounds: auto"),
            "objective": (regression, "a regression: the task decides the loss of classes"),
            "alpha": (self.objective in {"huber", "quantile"}, "objective huber or quantile"),
            "poisson_max_delta_step": (self.objective == "poisson", "objective poisson"),
            "tweedie_variance_power": (self.objective == "tweedie", "objective tweedie"),
            "class_weight": (not regression, "classes; dataset.weight weights rows"),
            "top_rate": (goss, "data_sample_strategy: goss"),
            "other_rate": (goss, "data_sample_strategy: goss"),
            "pos_bagging_fraction": (drawn, "a binary task and bagging_freq above 0"),
            "neg_bagging_fraction": (drawn, "a binary task and bagging_freq above 0"),
            "monotone_constraints_method": (monotone, "monotone_constraints"),
            "monotone_penalty": (monotone, "monotone_constraints"),
        }
        for name, (has_effect, condition) in needed.items():
            if self._is_set(name) and not has_effect:
                yield Problem(name, f"has no effect without {condition}", "Remove it.")

    def _goss(self) -> Iterator[Problem]:
        if self.data_sample_strategy != "goss":
            return
        if self.bagging_freq:
            yield Problem("bagging_freq", "goss draws the rows itself", "Remove it.")
        share = self.top_rate + self.other_rate
        if share > 1:
            message = f"top_rate and other_rate add up to {share:g}, more than all rows"
            yield Problem("other_rate", message, "Lower one of them.")

    def _is_set(self, name: str) -> bool:
        return bool(getattr(self, name) != type(self).model_fields[name].default)

    def _constraints(self, shape: DataShape) -> Iterator[Problem]:
        monotone = self.monotone_constraints or {}
        yield from _unknown("monotone_constraints", monotone, shape.features, "feature")
        for name in monotone:
            if name in shape.categorical:
                where = f"monotone_constraints.{name}"
                message = f"{name!r} is categorical: its levels have no order"
                yield Problem(where, message, "Remove it, or remove it from dataset.categorical.")
        if monotone and shape.task == "multiclass":
            message = "with three or more classes, a monotone score is not a monotone probability"
            yield Problem("monotone_constraints", message, "Remove it.")
        if monotone and shape.task == "regression" and self.objective in {"l1", "quantile"}:
            message = f"LightGBM cannot keep them with objective {self.objective}"
            yield Problem("monotone_constraints", message, "Use another objective, such as huber.")
        for number, names in enumerate(self.interaction_constraints or []):
            where = f"interaction_constraints.{number}"
            yield from _unknown(where, names, shape.features, "feature", indexed=True)


def _unknown(
    where: str, names: Iterable[str], known: tuple[str, ...], kind: str, *, indexed: bool = False
) -> Iterator[Problem]:
    """Yield a problem for each name that is not known."""
    for number, name in enumerate(names):
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(known[:12])}."
            message = f"there is no {kind} {name!r}"
            yield Problem(f"{where}.{number if indexed else name}", message, hint)
