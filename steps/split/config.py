"""The part of the spec that names the data."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from steps.config import SpecPart

ColumnName = Annotated[str, Field(min_length=0)]
CanonicalTypeName = Literal["int64", "float64", "string", "bool", "timestamp", "date"]


class ExcludedFeatures(SpecPart):
    """All columns but these (and but target, partition_by, weight, group and time)."""

    exclude: list[ColumnName]
    """Columns that are no features, such as outcomes, which are not known at prediction time."""


class DatasetConfig(SpecPart):
    """The table, what names a row's partition, and what is predicted from what."""

    source: str = Field(min_length=1)
    """A Parquet or CSV file, or a directory of them; a path is relative to the spec file. Or a
    `gs://` URI of such a file or folder, which a cluster's pods reach too."""
    partition_by: ColumnName
    """The column that names the partition of each row; one model per value."""
    target: ColumnName
    """The column to predict. Rows without it are counted, and left out of training."""
    features: list[ColumnName] | ExcludedFeatures | None = None
    """The columns to predict from, or `{exclude: [...]}`; default: every other column. Name only
    what is known at prediction time."""
    categorical: list[ColumnName] | None = None
    """Features whose values are levels without order; default: those of type string."""
    weight: ColumnName | None = None
    """A column of row weights, positive numbers; default: all rows count alike."""
    min_rows: int = Field(default=200, ge=2)
    """A partition with fewer rows that have a target is skipped, with the reason too_few_rows."""
    max_levels: int = Field(default=100, ge=2, le=10_000)
    """A category's levels beyond this number in a partition, rarest first, become one level."""
    format: Literal["parquet", "csv"] = "parquet"
    """Of the partition files. Parquet is smaller and several times faster."""
    types: dict[ColumnName, CanonicalTypeName] = Field(default_factory=dict)
    """Types of columns of a CSV source, where guessing would be wrong, such as `zip: string`."""
    null_values: list[str] = Field(default_factory=lambda: [""])
    """Unquoted CSV cells that mean missing, e.g. `NA`. A quoted empty cell is an empty string."""

    @model_validator(mode="after")
    def _roles_are_distinct(self) -> DatasetConfig:
        if isinstance(self.features, list):
            if not self.features:
                raise ValueError("features is empty: a model needs at least one feature")
            _refuse_repeats("features", self.features)
            for role in ("target", "partition_by", "weight"):
                _refuse_role(role, getattr(self, role), self.features)
            _refuse_strangers(self.categorical or [], self.features)
        if self.target == self.partition_by:
            raise ValueError(
                f"target and partition_by are both {self.target!r}: the target would be constant "
                "in every partition"
            )
        return self


def _refuse_repeats(where: str, names: list[str]) -> None:
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(f"{where} names {', '.join(map(repr, repeated))} more than once")


def _refuse_role(role: str, name: str | None, features: list[str]) -> None:
    if name in features:
        why = {
            "target": "the model would be given the answer",
            "partition_by": "it is constant within a partition",
            "weight": "a weight says how much a row counts, not what it is like",
        }[role]
        raise ValueError(f"features holds {name!r}, which is the {role}: {why}")


def _refuse_strangers(categorical: list[str], features: list[str]) -> None:
    strangers = [name for name in categorical if name not in features]
    if strangers:
        raise ValueError(f"categorical names {', '.join(map(repr, strangers))}, not among features")
