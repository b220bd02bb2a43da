"""The final model of a partition, which predicts for new rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from steps.errors import DataError, MissingInputError
from steps.run_context import RunContext
from steps.table.grid import numbers_of
from steps.table.types import canonical_batch
from steps.train.context import TrainContext
from steps.train.evaluation.metrics import inverse_link
from steps.train.frame import Frame
from steps.train.reading import frame_of, read_rows
from steps.train.trainer import Floats
from steps.train.workers.worker import open_context


class Model:
    """The model that was fitted on all rows of a partition.

    Args:
        context: context of the run.
        partition_id: id of the partition.

    Raises:
        MissingInputError: the model or the partition's rows were deleted.
        SpecError: the trainer is not installed.
        TrainerError: the installed libraries have other versions than the run.

    Attributes:
        features: names of the features. ``predict`` needs them, and the column of
            ``dataset.offset`` or ``dataset.exposure`` if there is one.
        classes: classes of the target; ``predict`` returns its columns in this order.
        native: the model object of the trainer's own library.
    """

    def __init__(self, context: RunContext, partition_id: str) -> None:
        self._train: TrainContext = open_context(context.address)
        entries = {entry.key.partition_id: entry for entry in self._train.index.entries}
        if partition_id not in entries:
            raise MissingInputError(f"The dataset has no partition {partition_id!r}.")
        entry = entries[partition_id]
        self._frame: Frame = frame_of(self._train, read_rows(self._train, entry))
        results = context.results(self._train.request)
        key = results.record(partition_id).fit
        content = results.final_model(key, self._train.trainer.suffix)
        self.native: Any = self._train.trainer.load(content)
        self.features: tuple[str, ...] = self._train.request.roles.features
        self.classes: tuple[str, ...] = self._frame.classes

    def predict(self, rows: pa.Table | Mapping[str, Sequence[Any]] | Any) -> Floats:  # noqa: ANN401 - a DataFrame too
        """Predict the target of new rows.

        Args:
            rows: a pyarrow table, a pandas DataFrame, or a mapping of column names to values, with
                at least the columns that the model needs. None and NaN are missing values. A level
                that the partition does not have counts as one that it has not seen.

        Returns:
            Shape (rows,): values of the target for a regression, probabilities of the positive
            class for a binary task. Shape (rows, classes): probabilities for a multiclass task.

        Raises:
            DataError: a column is missing, or has another type than in the dataset; or a row has
                no offset or exposure.
        """
        batch = self._read(rows)
        raw = self._train.trainer.predict(self.native, self._frame.encode(batch))
        predictions = inverse_link(self._train.loss.link, raw + self._offset(batch))
        return predictions if self._train.task == "multiclass" else predictions[:, 0]

    def _offset(self, batch: pa.RecordBatch) -> Floats:
        """Return the offset of each row, shape (rows, 1)."""
        roles = self._train.request.roles
        name = roles.offset or roles.exposure
        if name is None:
            return np.zeros((batch.num_rows, 1))
        values = numbers_of(batch.column(name))[:, None]
        if not np.isfinite(values).all() or (roles.exposure and values.min(initial=1) <= 0):
            kind = "finite" if roles.offset else "positive"
            raise DataError(
                f"The column {name!r} must be a {kind} number in every row.",
                hint="Correct it: the prediction depends on it.",
            )
        return values if roles.offset else np.asarray(np.log(values))

    def _read(self, rows: Any) -> pa.RecordBatch:  # noqa: ANN401 - see predict
        if isinstance(rows, pa.Table):
            table = rows
        elif isinstance(rows, Mapping):
            table = pa.table({name: np.asarray(cells, object) for name, cells in rows.items()})
        else:
            table = pa.Table.from_pandas(rows, preserve_index=False)
        roles = self._train.request.roles
        needed = [*self.features, *filter(None, [roles.offset, roles.exposure])]
        missing = [name for name in needed if name not in table.column_names]
        if missing:
            raise DataError(
                f"The rows have no column {missing[0]!r}. The model needs {needed}.",
                hint="Add the column; its values may be missing (None).",
            )
        known = {column.name: column.type for column in self._train.index.columns}
        types = {name: known[name] for name in needed}
        try:
            (batch,) = table.select(list(types)).combine_chunks().to_batches()
            return canonical_batch(batch, types)
        except (pa.ArrowException, ValueError) as error:
            expected = ", ".join(f"{name}: {kind}" for name, kind in types.items())
            raise DataError(
                f"The rows do not have the types of the training data: {error}.",
                hint=f"The types are {expected}.",
            ) from error
