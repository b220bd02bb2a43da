"""Schema of the result tables: columns, types and meaning. The docs are generated from it.

Each table is long and tidy. A table about partitions starts with ``partition_id, partition``. An
undefined value is an empty cell, and a ``reason`` column says why where the table has one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

SCHEMA_VERSION = 1
"""Raised when a column is renamed, removed or changes its meaning; new columns do not raise it."""

KEY_PREFIX = "key_"
"""Prefix of the columns that hold the parts of a key, if several columns make up the partition."""

ColumnType = Literal["text", "integer", "number", "boolean"]


@dataclass(frozen=True)
class ResultColumn:
    """A column of a result table."""

    name: str
    type: ColumnType
    meaning: str


@dataclass(frozen=True)
class ResultTable:
    """A result table: one row is ``grain``."""

    name: str
    grain: str
    columns: tuple[ResultColumn, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The column names, in order."""
        return tuple(column.name for column in self.columns)


def _table(name: str, grain: str, *columns: tuple[str, ColumnType, str]) -> ResultTable:
    return ResultTable(name, grain, tuple(ResultColumn(*column) for column in columns))


_PARTITION: tuple[tuple[str, ColumnType, str], ...] = (
    ("partition_id", "text", "Identifier of the partition; safe in paths, the same in all runs."),
    ("partition", "text", "Value of the partition column, as it stands in the data."),
)
_FEATURE: tuple[str, ColumnType, str] = ("feature", "text", "Name of the feature.")
_CLASS: tuple[str, ColumnType, str] = (
    "class",
    "text",
    "Class that the value is about; empty for a regression.",
)
_GRID: tuple[tuple[str, ColumnType, str], ...] = (
    (
        "grid_index",
        "integer",
        "Position in the feature's grid, from 0; the same in all partitions.",
    ),
    ("grid_value", "text", "Value at that position: a number, a date, or a category's level."),
    ("grid_number", "number", "The same as a number; empty for a category."),
    (
        "grid_missing",
        "boolean",
        "Whether the cell is for rows in which the feature is missing; grid_value is empty then. A "
        "feature has it if any row of the table lacks the feature.",
    ),
)
_FOLD_SD = (
    "Standard deviation between the folds. A spread, not a standard error: folds share "
    "training rows, so it is never divided by the square root of their number."
)

_RAW = (
    "target, log_target (its logarithm), log_target_per_exposure, or log_odds (one per class if "
    "there are many)."
)

PARTITIONS = _table(
    "partitions",
    "a partition, trained or not",
    *_PARTITION,
    ("status", "text", "trained, skipped or failed."),
    ("reason", "text", "Why it was skipped or failed; empty if trained."),
    ("message", "text", "The reason in words."),
    ("rows", "integer", "Rows of the partition."),
    ("rows_without_target", "integer", "Rows that could not be used, since they have no target."),
    ("folds", "integer", "Folds with held-out rows; with a group fewer than the spec's, if rare."),
    (
        "largest_fold",
        "number",
        "The largest fold's share of the held-out rows. Without a group, folds are balanced.",
    ),
    (
        "own_folds",
        "boolean",
        "Whether its few groups were dealt to folds of its own, see science.md.",
    ),
    (
        "metric",
        "text",
        "The headline metric: that of the trainer's loss, such as rmse or log_loss.",
    ),
    ("value", "number", "Its pooled out-of-fold value."),
    (
        "constant_value",
        "number",
        "The same of the constant prediction, fitted on the training folds.",
    ),
    ("skill", "number", "1 - value / constant_value."),
    ("skill_low", "number", "Lower bound of the 90 % interval of skill."),
    ("skill_high", "number", "Upper bound of the 90 % interval of skill."),
    ("rank", "integer", "Rank by skill_low, 1 is best; empty unless trained."),
)
OWN_OR_BASE = _table(
    "own_or_base",
    "a partition whose own model was compared with the base model",
    *_PARTITION,
    ("rows", "integer", "Rows that both have predicted without having seen them."),
    ("groups", "integer", "Groups of these rows; rows if there is no group."),
    ("own_loss", "number", "Mean loss of the partition's own models on these rows."),
    ("base_loss", "number", "Mean loss of the base models on the same rows."),
    ("constant_loss", "number", "Mean loss of the constant prediction on the same rows."),
    (
        "gain",
        "number",
        "(base_loss - own_loss) / constant_loss: above 0 if the own model predicts better.",
    ),
    ("standard_error", "number", "Of gain, clustered by group and widened, see science.md."),
    ("low", "number", "Lower bound of the 90 % interval of gain."),
    ("high", "number", "Upper bound of the 90 % interval of gain."),
    ("p_value", "number", "Of the hypothesis that the gain is 0; two-sided."),
    ("q_value", "number", "The same, for the false discovery rate over all partitions."),
    ("better", "text", "own or base, at a false discovery rate of 10 %; else unsure."),
    ("reason", "text", "Why a value is empty."),
)
METRICS = _table(
    "metrics",
    "a metric of a partition, in one fold or pooled over all",
    *_PARTITION,
    (
        "metric",
        "text",
        "Name of the metric; scikit-learn's definition. The first is the headline metric.",
    ),
    ("scope", "text", "fold, or pooled over the held-out rows of all folds."),
    (
        "fold",
        "integer",
        "Number of the fold, from 0; empty where pooled. With a group, the same fold in all "
        "partitions.",
    ),
    ("rows", "integer", "Held-out rows that it was computed on."),
    ("value", "number", "The metric."),
    (
        "constant_value",
        "number",
        "The metric of the constant prediction for it, fitted on training folds.",
    ),
    ("skill", "number", "Share of the constant's loss that the model removes; 0 is no better."),
    ("standard_error", "number", "Of the metric, from row losses, clustered by group."),
    ("skill_standard_error", "number", "Standard error of skill."),
    ("skill_low", "number", "Lower bound of the 90 % interval of skill."),
    ("skill_high", "number", "Upper bound of the 90 % interval of skill."),
    ("reason", "text", "Why a value is empty."),
)
IMPORTANCE = _table(
    "importance",
    "a feature of a partition, by one method",
    *_PARTITION,
    _FEATURE,
    (
        "method",
        "text",
        "permutation (compares across partitions), gain or mean_abs_shap (both are inflated by "
        "noise in small partitions: compare within a partition only).",
    ),
    ("value", "number", "Mean over the folds."),
    ("fold_sd", "number", _FOLD_SD),
    ("folds", "integer", "Folds that the mean is over."),
    ("rank", "integer", "Rank within partition and method, 1 is the largest."),
    (
        "scale",
        "text",
        "Unit of value: share_of_constant_loss, share_of_gain, or a unit of shap_summary.",
    ),
    ("reason", "text", "Why the value is empty."),
)
PARTIAL_DEPENDENCE = _table(
    "partial_dependence",
    "a grid value of a feature of a partition (and class)",
    *_PARTITION,
    _FEATURE,
    _CLASS,
    *_GRID,
    ("value", "number", "Mean prediction with the feature set to the grid value; mean over folds."),
    ("fold_sd", "number", _FOLD_SD),
    (
        "centred",
        "number",
        "value minus the curve's mean, which is weighted by support and computed per fold.",
    ),
    ("centred_fold_sd", "number", "Of centred. " + _FOLD_SD),
    ("support", "integer", "Rows of the partition in the grid value's cell."),
    ("extrapolated", "boolean", "No support, or outside the partition's range: do not read it."),
    (
        "scale",
        "text",
        "Unit of value: target, target_per_exposure, probability, weighted_probability (with class "
        "weights); or, where raw was asked for, a unit of shap_summary.",
    ),
)
SHAP_SUMMARY = _table(
    "shap_summary",
    "a feature of a partition (and class)",
    *_PARTITION,
    _FEATURE,
    _CLASS,
    ("mean", "number", "Mean signed SHAP value of held-out rows; mean over folds."),
    ("mean_fold_sd", "number", _FOLD_SD),
    ("mean_abs", "number", "Mean absolute SHAP value; mean over folds."),
    ("mean_abs_fold_sd", "number", _FOLD_SD),
    ("rows", "integer", "Held-out rows explained, in all folds together."),
    ("scale", "text", "Unit: " + _RAW),
)
SHAP_BY_VALUE = _table(
    "shap_by_value",
    "a cell of a feature's grid in a partition (and class) that has explained rows",
    *_PARTITION,
    _FEATURE,
    _CLASS,
    *_GRID,
    ("mean", "number", "Mean SHAP value of the explained rows in the cell; mean over folds."),
    ("fold_sd", "number", _FOLD_SD),
    ("rows", "integer", "Explained rows in the cell."),
    ("scale", "text", "Unit: " + _RAW),
)
FEATURES = _table(
    "features",
    "a feature",
    _FEATURE,
    ("type", "text", "Canonical type: int64, float64, string, bool, timestamp or date."),
    ("categorical", "boolean", "Whether its values are levels without order."),
    ("rows", "integer", "Rows of the dataset."),
    ("missing", "integer", "Rows in which it is missing."),
    ("min", "number", "Smallest value (dates as days, timestamps as seconds since 1970)."),
    ("max", "number", "Largest value."),
    ("mean", "number", "Mean of the values that are not missing."),
    ("sampled_distinct", "integer", "Distinct values in the sample that the grid is made from."),
    ("grid_size", "integer", "Values in its grid."),
)
EXPERIMENT = _table(
    "experiment",
    "the experiment",
    ("schema_version", "integer", "Version of these tables."),
    ("project", "text", "Project that the experiment belongs to."),
    ("experiment", "text", "Name of the experiment."),
    ("spec_hash", "text", "Digest of the resolved spec, without URIs, labels and execution."),
    ("dataset", "text", "Digest of the dataset's content."),
    ("partition_by", "text", "Column that names the partition of a row."),
    ("target", "text", "Column that is predicted."),
    ("task", "text", "regression, binary or multiclass."),
    ("positive_class", "text", "Class whose probability is predicted; binary only."),
    ("trainer", "text", "Name of the trainer."),
    ("trainer_params", "text", "Its parameters, as JSON."),
    ("evaluate", "text", "How the models are evaluated, as JSON."),
    ("explain", "text", "What is explained, as JSON."),
    ("base", "text", "Settings of the base model, as JSON; empty if there is none."),
    ("base_partitions", "integer", "Partitions compared with the base model."),
    (
        "base_gain",
        "number",
        "Share of the constant prediction's loss, over all rows, that own models remove beyond the "
        "base model; negative if the base model predicts better.",
    ),
    ("base_gain_low", "number", "Lower bound of its 90 % interval, for these partitions."),
    ("base_gain_high", "number", "Upper bound of its 90 % interval."),
    ("versions", "text", "Versions of Refeed and of the libraries that shape a number, as JSON."),
    ("rows", "integer", "Rows of the dataset."),
    ("rows_without_target", "integer", "Rows that have no target."),
    ("partitions", "integer", "Partitions."),
    ("trained", "integer", "Partitions that have a model."),
    ("skipped", "integer", "Partitions without a model for a reason that is no error."),
    ("failed", "integer", "Partitions whose training failed."),
)

_SCOPE: tuple[tuple[str, ColumnType, str], ...] = (
    ("scope", "text", "table: of all rows; partition: of those of one partition."),
    ("partition_id", "text", "Identifier of the partition; empty for the table."),
    ("partition", "text", "Value of the partition column; empty for the table."),
    ("column", "text", "Name of the column: a feature, the target, and so on."),
)
_SAMPLED = "Beyond a million rows estimated from a uniform sample of them; see science.md."
_ESTIMATED = "Rows; not whole where it was estimated, see science.md."
COLUMN_STATISTICS = _table(
    "column_statistics",
    "a column of a partition, and one more of the whole table",
    *_SCOPE,
    ("type", "text", "Canonical type: int64, float64, string, bool, timestamp or date."),
    ("rows", "integer", "Rows."),
    ("missing", "integer", "Rows in which it is missing."),
    ("zeros", "integer", "Rows in which it is 0 or false."),
    ("min", "number", "Smallest value (dates as days, timestamps as seconds since 1970)."),
    ("max", "number", "Largest value."),
    ("mean", "number", "Mean of the values that are not missing."),
    ("sd", "number", "Their standard deviation, with n - 1 in the denominator."),
    ("mean_length", "number", "Mean length of a text, in bytes of UTF-8."),
    ("distinct", "integer", "Different values."),
    ("distinct_exact", "boolean", "Whether that is exact; else its standard error is 2.2 %."),
    ("q01", "number", f"1 % quantile, a value that occurs. {_SAMPLED}"),
    ("q05", "number", "5 % quantile."),
    ("q10", "number", "10 % quantile."),
    ("q25", "number", "25 % quantile."),
    ("q50", "number", "Median, the lower one of two."),
    ("q75", "number", "75 % quantile."),
    ("q90", "number", "90 % quantile."),
    ("q95", "number", "95 % quantile."),
    ("q99", "number", "99 % quantile."),
)
TOP_VALUES_TABLE = _table(
    "column_top_values",
    "one of the five most frequent values of a column, of a partition or of the whole table",
    *_SCOPE,
    ("rank", "integer", "1 for the most frequent; equally frequent ones by value."),
    ("value", "text", "The value, canonical."),
    ("count", "number", _ESTIMATED),
    ("share", "number", "count of the rows in which the column is not missing."),
)
BUCKETS_TABLE = _table(
    "column_histograms",
    "one of ten buckets of equal width of a column, of a partition or of the whole table",
    *_SCOPE,
    ("bucket", "integer", "Position of the bucket, from 0."),
    ("low", "number", "Its lower bound, which is in it."),
    ("high", "number", "Its upper bound, which is in the next one; the last bucket holds both."),
    ("count", "number", _ESTIMATED),
)

DATA_WARNINGS = _table(
    "data_warnings",
    "a warning about a column, or about the table",
    (
        "kind",
        "text",
        "leakage, repeated, missing, constant, constant_within, id_like, drift, drift_missing, "
        "drift_levels, few_rows, few_events, numbers_as_text, dates_as_text, similar_keys or "
        "total_key; see science.md.",
    ),
    ("column", "text", "Name of the feature; empty for the table."),
    ("number", "number", "What was found, on the scale of the threshold."),
    ("threshold", "number", "Where the warning begins."),
    ("message", "text", "The same in words."),
)

DATASET_TABLES: dict[str, ResultTable] = {
    table.name: table for table in (COLUMN_STATISTICS, TOP_VALUES_TABLE, BUCKETS_TABLE)
}
"""Tables of a dataset, stored with it; the first is copied into each run."""

TABLES: dict[str, ResultTable] = {
    table.name: table
    for table in (
        PARTITIONS,
        METRICS,
        OWN_OR_BASE,
        IMPORTANCE,
        PARTIAL_DEPENDENCE,
        SHAP_SUMMARY,
        SHAP_BY_VALUE,
        FEATURES,
        EXPERIMENT,
        COLUMN_STATISTICS,
        DATA_WARNINGS,
    )
}
"""All result tables by name, in the order in which they are documented."""
