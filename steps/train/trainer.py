"""The interface of a trainer plug-in: a class with two abstract methods, ``fit`` and ``predict``.

A plug-in registers its class under the entry-point group ``refeed.trainers`` and imports it from
the public API: ``from refeed import Trainer``. Refeed does the rest: folds, metrics, explanations
and storage.
"""

from __future__ import annotations

import pickle
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict

from steps.errors import Problem
from steps.train.cost import FitCost, FitSize
from steps.train.loss import LOSSES, ClassWeight, Floats, Integers, Loss, Task, class_factors

__all__ = [
    "DataShape",
    "Features",
    "Floats",
    "RowSubset",
    "ShapValues",
    "Task",
    "Trainer",
    "TrainerParams",
    "TrainingData",
]


class TrainerParams(BaseModel):
    """Base of a trainer's parameters: unknown keys are errors, and values are not coerced.

    Class attributes:
        aliases: the parameter that each other name means, such as the library's own names.
        refused: why a parameter of the library cannot be set, by its name.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True
    )
    aliases: ClassVar[Mapping[str, str]] = {}
    refused: ClassVar[Mapping[str, str]] = {}


ParamsT = TypeVar("ParamsT", bound=BaseModel)
ModelT = TypeVar("ModelT")


@dataclass(frozen=True)
class Features:
    """The feature matrix of some rows of one partition.

    Attributes:
        names: one per column.
        values: shape (rows, columns). NaN is missing. A categorical column holds codes 0, 1, ...
            into ``levels``; the code ``len(levels)`` is a level that the partition does not have
            (it occurs in grids and predictions, never in training).
        levels: per column, the levels in order of their value, or None where it is numeric.
    """

    names: tuple[str, ...]
    values: Floats
    levels: tuple[tuple[str, ...] | None, ...]

    @property
    def rows(self) -> int:
        """Number of rows."""
        return int(self.values.shape[0])

    @property
    def categorical(self) -> tuple[int, ...]:
        """Positions of the categorical columns."""
        return tuple(i for i, levels in enumerate(self.levels) if levels is not None)

    def take(self, rows: Any) -> Features:  # noqa: ANN401 - whatever numpy accepts as an index
        """Return the rows of a numpy index."""
        return replace(self, values=self.values[rows])

    def with_column(self, column: int, values: Any) -> Features:  # noqa: ANN401 - scalar or array
        """Return a copy with other values in one column."""
        changed = self.values.copy()
        changed[:, column] = values
        return replace(self, values=changed)


@dataclass(frozen=True)
class DataShape:
    """What is known about the data of a run before any partition is trained.

    Attributes:
        task: kind of target.
        features: names of the features.
        categorical: those of them whose values are levels without order.
        classes: classes of the whole table in order of their value; empty for a regression.
        offset: the setting that gives rows an offset; None if they have none.
    """

    task: Task
    features: tuple[str, ...]
    categorical: tuple[str, ...]
    classes: tuple[str, ...]
    offset: Literal["offset", "exposure"] | None = None


@dataclass(frozen=True)
class RowSubset:
    """Some of the rows of a ``TrainingData``, to fit one model on.

    Attributes:
        rows: positions of the rows, ascending.
        inner_folds: as in ``TrainingData``; positions in ``rows``.

    Raises:
        ValueError: the positions do not ascend.
    """

    rows: Integers
    inner_folds: tuple[tuple[Integers, Integers], ...] = ()

    def __post_init__(self) -> None:
        if not (self.rows[1:] > self.rows[:-1]).all():
            raise ValueError("positions of rows must ascend: rows stay in canonical order")


@dataclass(frozen=True)
class TrainingData:
    """The input of ``fit``: rows in canonical order, so that equal data gives equal models.

    Attributes:
        features: of the rows to train on.
        target: shape (rows,). The value, or for classes the position in ``classes``.
        weight: shape (rows,), or None if all rows count the same.
        task: kind of target.
        classes: the partition's classes in order of their value; empty for a regression. For a
            binary task the second one is the positive class.
        seed: for all randomness in the trainer.
        inner_folds: positions of the training and of the held-out rows of each inner fold, at most
            as many as ``Trainer.inner_folds`` asks for. They are made of these rows only, and hold
            out as the evaluation does: groups stay together, and with method time no row is
            predicted from later ones.
        offset: shape (rows,), or None. It is added to the raw score of each row, and the fit takes
            it as given: ``predict`` returns the score without it.
    """

    features: Features
    target: Floats
    weight: Floats | None
    task: Task
    classes: tuple[str, ...]
    seed: int
    offset: Floats | None = None
    inner_folds: tuple[tuple[Integers, Integers], ...] = ()

    @property
    def outputs(self) -> int:
        """Number of columns of ``predict``: one, or one per class if there are more than two."""
        return len(self.classes) if self.task == "multiclass" else 1

    def take(self, rows: Integers) -> TrainingData:
        """Return some of the rows, without inner folds."""
        return replace(
            self,
            features=self.features.take(rows),
            target=self.target[rows],
            weight=None if self.weight is None else self.weight[rows],
            offset=None if self.offset is None else self.offset[rows],
            inner_folds=(),
        )

    def subset(self, subset: RowSubset) -> TrainingData:
        """Return the rows of a subset, with its inner folds."""
        return replace(self.take(subset.rows), inner_folds=subset.inner_folds)

    def best_constant(self, loss: Loss) -> float:
        """Return the raw score that, with each row's offset added, has the smallest loss."""
        from steps.train.evaluation.constants import best_score  # noqa: PLC0415 - loads numpy

        return best_score(loss, self.target, self.weight, self.offset)

    def with_class_weight(self, class_weight: ClassWeight) -> TrainingData:
        """Return the same rows, each with its weight times the factor of its class."""
        if class_weight is None:
            return self
        factors = class_factors(class_weight, self.target, self.weight, self.classes)
        factor = factors[self.target.astype(int)]
        return replace(self, weight=factor if self.weight is None else self.weight * factor)


@dataclass(frozen=True)
class ShapValues:
    """SHAP values on the raw scale; ``values.sum(axis=1) + base`` is what ``predict`` returns.

    Attributes:
        values: shape (rows, columns, outputs).
        base: shape (outputs,).
    """

    values: Floats
    base: Floats


class Trainer(ABC, Generic[ParamsT, ModelT]):
    """Fits one partition. Must be deterministic: same data and parameters, same model.

    Class attributes:
        Params: a pydantic model of the trainer's parameters (``trainer.params`` of the spec).
        tasks: the tasks that it can do.
        offset_tasks: those of them in which it can take ``TrainingData.offset`` into account.
        libraries: distributions whose versions shape the model; a new version is fitted again.
        preload: heavy modules that the workers' server imports once, before it forks them.
        suffix: file suffix of a saved model.
        version: raise it when the plug-in's own code would give another model.
        threads_per_fit: CPUs that a fit needs; a pod fits its CPUs divided by this number at once.
        uses_threads: True if fits take less time with more ``threads``.

    Attributes:
        params: the parameters.
        threads: number of threads that a fit may use. The process that fits sets it; it is in no
            cache key, so the same data must give the same saved bytes whatever it is.
    """

    Params: ClassVar[type[BaseModel]]
    tasks: ClassVar[frozenset[Task]] = frozenset({"regression", "binary", "multiclass"})
    offset_tasks: ClassVar[frozenset[Task]] = frozenset()
    libraries: ClassVar[tuple[str, ...]] = ()
    preload: ClassVar[tuple[str, ...]] = ()
    suffix: ClassVar[str] = ".pickle"
    version: ClassVar[int] = 1
    uses_threads: ClassVar[bool] = False

    threads: int = 1
    threads_per_fit: ClassVar[int] = 1

    def __init__(self, params: ParamsT) -> None:
        self.params = params

    def conflicts(self, shape: DataShape) -> Iterable[Problem]:
        """Return a problem for each parameter that does not fit the data.

        ``Problem.where`` is the path of the parameter, such as ``monotone_constraints.price``.
        """
        del shape
        return ()

    def loss(self, task: Task) -> Loss:
        """Return the loss that the trainer minimises, with its parameters.

        It decides the headline metric, what permutation importance is a share of, and how raw
        scores become predictions. The default is the squared error, or the log loss of classes.
        """
        return LOSSES[task]

    @property
    def inner_folds(self) -> int:
        """Number of inner folds that ``fit`` needs, such as for early stopping; 0 for none."""
        return 0

    def fit_cost(self, size: FitSize) -> FitCost | None:
        """Return the predicted cost of one fit with these parameters, or None if it is unknown.

        The number of pods and their resource class follow from it. An error of a factor of two is
        fine, and earlier runs correct it. Without it, a probe on generated rows measures the cost.
        It is called with many sizes, up to millions of rows, before any data exists.
        """
        del size
        return None

    @abstractmethod
    def fit(self, data: TrainingData) -> ModelT:
        """Fit a model.

        Raises:
            Exception: any; the partition is then recorded as failed, the others go on.
        """

    def fit_subsets(self, data: TrainingData, subsets: Sequence[RowSubset]) -> list[ModelT]:
        """Fit one model per subset of the rows, such as the training rows of each fold.

        The default calls ``fit`` for each. A trainer can override it to do work on the features
        once for all subsets. A model may then depend on the features of all rows, but on target,
        weights and offset of its own rows only. The subsets' order must not matter.

        Args:
            data: all rows of the partition, without inner folds.
            subsets: the rows of each model.
        """
        return [self.fit(data.subset(subset)) for subset in subsets]

    @abstractmethod
    def predict(self, model: ModelT, features: Features) -> Floats:
        """Return raw scores, shape (rows, outputs).

        A regression predicts the target itself, or its logarithm if the link of ``loss`` is log. A
        binary task predicts the log-odds of the positive class, one output. With more classes there
        is one margin per class, whose softmax are the probabilities (so the logarithm of a
        probability is a margin).
        """

    def response_curves(
        self, model: ModelT, features: Features, column: int, points: Floats
    ) -> Floats:
        """Return the raw scores of every row with one column set to each point in turn.

        Args:
            model: as fitted.
            features: the rows.
            column: position of the column that is varied.
            points: shape (points,); codes where the column is categorical, NaN for missing.

        Returns:
            Shape (rows, points, outputs). The default predicts once per point.
        """
        import numpy as np  # noqa: PLC0415 - this module is on the light path

        curves = [self.predict(model, features.with_column(column, point)) for point in points]
        return np.stack(curves, axis=1)

    def shap_values(self, model: ModelT, features: Features) -> ShapValues | None:
        """Return SHAP values on the raw scale, or None if the trainer cannot compute them."""
        del model, features
        return None

    def gain(self, model: ModelT) -> Floats | None:
        """Return the total gain of each column, shape (columns,), or None if there is none."""
        del model
        return None

    def describe(self, model: ModelT) -> str:
        """Return what ``fit`` has chosen, in a few words for the model card; by default nothing."""
        del model
        return ""

    def save(self, model: ModelT) -> bytes:
        """Return the model in its library's own format; the default pickles it."""
        return pickle.dumps(model)

    def load(self, content: bytes) -> ModelT:
        """Read what ``save`` wrote; it comes from the project's own artifact root only."""
        model: ModelT = pickle.loads(content)  # noqa: S301 - see above
        return model
