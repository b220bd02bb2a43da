"""One partition of a run: its result, model, importance and curves."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from steps.charts.dependence import shown_consensus
from steps.charts.panel import Panel, level_panel, line_panel
from steps.charts.standalone import bar_chart, standalone_svg
from steps.charts.tables import Curves, read_curves, read_partitions
from steps.collect.data_tables import reader_of
from steps.errors import MissingInputError, UsageError
from steps.run_context import RunContext
from workflows.api.charts import Chart
from workflows.api.tables import Tables

if TYPE_CHECKING:
    from workflows.api.model import Model


@dataclass(frozen=True)
class PartitionResult:
    """One partition of a run.

    Attributes:
        key: value of the partition column, as text.
        status: ``trained``, ``skipped`` or ``failed``.
        reason: code of the reason why it has no model; empty if it is trained.
        message: the reason as a sentence.
        rows: number of rows of the partition.
        metric: name of the headline metric.
        value: value of the metric, pooled over the folds.
        skill: share of the constant prediction's loss that the model avoids.
        skill_low: lower bound of the 90 % interval.
        skill_high: upper bound of the 90 % interval.
        rank: 1 for the best partition; None without a model.
    """

    key: str
    status: str
    reason: str
    message: str
    rows: int
    metric: str | None
    value: float | None
    skill: float | None
    skill_low: float | None
    skill_high: float | None
    rank: int | None
    _partition_id: str = field(repr=False)
    _context: RunContext = field(repr=False, compare=False)
    _tables: Tables = field(repr=False, compare=False)

    @cached_property
    def model(self) -> Model:
        """The model that was fitted on all rows of the partition.

        Raises:
            UsageError: the partition has no model.
            MissingInputError: the model was deleted.
        """
        from workflows.api.model import Model  # noqa: PLC0415 - loads the trainer's library

        self._check_trained()
        return Model(self._context, self._partition_id)

    @property
    def card(self) -> str:
        """The model card, as Markdown."""
        self._check_trained()
        results = self._context.results(self._context.request())
        return results.model_card(results.record(self._partition_id).fit).decode()

    @property
    def importance(self) -> Chart:
        """Importance of the features, the most important first; all methods are in the table."""
        self._check_trained()
        table = self._rows("importance")
        method = table["method"][0].as_py()
        shown = table.filter(pc.field("method") == method).sort_by([("value", "descending")])
        title = f"Importance of the features in {self.key} ({method})"
        bars = bar_chart(shown["feature"].to_pylist(), shown["value"].to_pylist(), title)
        return Chart(title, table, standalone_svg(bars))

    def curve(self, feature: str, class_: str | None = None) -> Chart:
        """Return the partial dependence on a feature, next to that of all other partitions.

        Args:
            feature: name of the feature.
            class_: class of a classification; default: the positive class, or the first one.

        Raises:
            MissingInputError: the run has no curve of the feature.
        """
        self._check_trained()
        curves, index = self._curves(feature, class_)
        rows = self._rows("partial_dependence").filter(
            (pc.field("feature") == feature) & (pc.field("class") == curves.class_)
        )
        usable = curves.usable
        of_class = f", class {curves.class_}" if curves.class_ else ""
        title = f"Partial dependence on {feature}{of_class}"
        panel = Panel(
            ident="curve",
            title=title,
            labels=curves.labels,
            numbers=curves.numbers,
            lines=np.where(usable, curves.centred, np.nan),
            middle=shown_consensus(curves.centred, usable),
            named=((index, self.key),) if usable[index].any() else (),
        )
        drawn = level_panel(panel) if curves.categorical else line_panel(panel)
        return Chart(title, rows, standalone_svg(drawn))

    def _curves(self, feature: str, class_: str | None) -> tuple[Curves, int]:
        dataset = self._context.dataset(self._context.request())
        read = reader_of(dataset, self._context.run, self._context.storage)
        trained = [each for each in read_partitions(read) if each.trained]
        found = read_curves(read, trained, [feature])
        if class_ is not None:
            found = [each for each in found if each.class_ == class_]
        if not found:
            known = sorted(set(self._tables["partial_dependence"]["feature"].to_pylist()))
            raise MissingInputError(
                f"The run has no partial dependence on {feature!r}. It has {', '.join(known)}.",
                hint="The spec's explain.partial_dependence.features selects the features.",
            )
        position = [each.identifier for each in trained].index(self._partition_id)
        return found[-1], position

    def _rows(self, table: str) -> pa.Table:
        return self._tables[table].filter(pc.field("partition_id") == self._partition_id)

    def _check_trained(self) -> None:
        if self.status != "trained":
            raise UsageError(
                f"The partition {self.key!r} has no model: {self.reason}. {self.message}".rstrip()
            )


def partitions_of(context: RunContext, tables: Tables) -> list[PartitionResult]:
    """Return all partitions of a run, the best first, those without a model last."""
    rows: list[dict[str, Any]] = tables["partitions"].to_pylist()
    ordered = sorted(
        rows, key=lambda row: (row["rank"] is None, row["rank"] or 0, row["partition"])
    )
    names = ("status", "reason", "message", "rows", "metric", "value")
    more = ("skill", "skill_low", "skill_high", "rank")
    return [
        PartitionResult(
            key=row["partition"],
            **{name: row[name] for name in (*names, *more)},
            _partition_id=row["partition_id"],
            _context=context,
            _tables=tables,
        )
        for row in ordered
    ]


def find_partition(partitions: list[PartitionResult], key: str) -> PartitionResult:
    """Return the partition with a key.

    Raises:
        MissingInputError: there is none.
    """
    for partition in partitions:
        if partition.key == key:
            return partition
    keys = [partition.key for partition in partitions]
    near = difflib.get_close_matches(key, keys, n=3, cutoff=0.4) or keys[:5]
    raise MissingInputError(
        f"The run has no partition {key!r}.", hint=f"Did you mean one of these? {', '.join(near)}"
    )
