"""What a trainer plug-in is: a class with two abstract members, ``fit`` and ``predict``.

A plug-in registers its class under the entry-point group ``refeed.trainers`` and imports it from
the public API: ``from refeed import Trainer``. All else (folds, metrics, explanations, storage)
is Refeed's.
"""

from __future__ import annotations

import pickle
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Floats: TypeAlias = "NDArray[np.float64]"
"""An array of float64; the alias is a text, so that numpy is not imported for it."""

Task = Literal["regression", "binary", "multiclass"]


class TrainerParams(BaseModel):
    """Base of a trainer's parameters: unknown keys are errors, values are never guessed at."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True
    )


ParamsT = TypeVar("ParamsT", bound=BaseModel)
ModelT = TypeVar("ModelT")


@dataclass(frozen=True)
class Features:
    """The feature matrix of some rows of one partition.

    Attributes:
        names: one per column.
        values: shape (rows, columns). NaN is missing. A categorical column holds codes 0, 1, ...
            into ``levels``; the code ``len(levels)`` stands for a level that the partition does
            not have (it occurs in grids only, never in training).
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
        """The rows that a numpy index names."""
        return replace(self, values=self.values[rows])

    def with_column(self, column: int, values: Any) -> Features:  # noqa: ANN401 - scalar or array
        """A copy in which one column holds ``values``."""
        changed = self.values.copy()
        changed[:, column] = values
        return replace(self, values=changed)


@dataclass(frozen=True)
class TrainingData:
    """What ``fit`` gets: rows in canonical order, so that equal data gives equal models.

    Attributes:
        features: of the rows to train on.
        target: shape (rows,). The value, or for classes the position in ``classes``.
        weight: shape (rows,), or None where all rows count alike.
        task: what is predicted.
        classes: the partition's classes in order of their value; empty for a regression. For a
            binary task the second one is the positive class.
        seed: for whatever is random in the trainer.
    """

    features: Features
    target: Floats
    weight: Floats | None
    task: Task
    classes: tuple[str, ...]
    seed: int

    @property
    def outputs(self) -> int:
        """Columns of ``predict``: one, or one per class where there are more than two."""
        return len(self.classes) if self.task == "multiclass" else 1


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
        libraries: distributions whose versions shape the model; a new version is fitted anew.
        preload: heavy modules that the workers' server imports once, before it forks them.
        suffix: file suffix of a saved model.
        version: raise it when the plug-in's own code would give another model.
    """

    Params: ClassVar[type[BaseModel]]
    tasks: ClassVar[frozenset[Task]] = frozenset({"regression", "binary", "multiclass"})
    libraries: ClassVar[tuple[str, ...]] = ()
    preload: ClassVar[tuple[str, ...]] = ()
    suffix: ClassVar[str] = ".pickle"
    version: ClassVar[int] = 1

    def __init__(self, params: ParamsT) -> None:
        self.params = params

    @abstractmethod
    def fit(self, data: TrainingData) -> ModelT:
        """Fit a model.

        Raises:
            Exception: any; the partition is then recorded as failed, the others go on.
        """

    @abstractmethod
    def predict(self, model: ModelT, features: Features) -> Floats:
        """Raw scores, shape (rows, outputs).

        A regression predicts the target itself. A binary task predicts the log-odds of the
        positive class, one output. With more classes there is one margin per class, whose softmax
        are the probabilities (so the logarithm of a probability is a margin).
        """

    def response_curves(
        self, model: ModelT, features: Features, column: int, points: Floats
    ) -> Floats:
        """Raw scores of every row with one column set to each point in turn.

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
        """SHAP values on the raw scale, or None where the trainer has no way to tell them."""
        del model, features
        return None

    def gain(self, model: ModelT) -> Floats | None:
        """Total gain of each column, shape (columns,), or None where there is no such thing."""
        del model
        return None

    def save(self, model: ModelT) -> bytes:
        """The model in its library's own format; the default pickles it."""
        return pickle.dumps(model)

    def load(self, content: bytes) -> ModelT:
        """Read what ``save`` wrote; it comes from the project's own artifact root only."""
        model: ModelT = pickle.loads(content)  # noqa: S301 - see above
        return model
