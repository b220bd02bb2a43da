"""The spec's ``dataset`` and ``split`` sections."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from steps.config import SpecPart
from steps.errors import Problem
from steps.table.column_type import ColumnType

ColumnName = Annotated[str, Field(min_length=0)]
_BIGQUERY = re.compile(
    r"bigquery://[a-z][a-z0-9.:-]{3,98}\.\w{1,1024}\.[^.`$@*{}\\/\x00-\x1f\x7f]{1,1024}", re.ASCII
)
_WILDCARD = re.compile(r"bigquery://[^*]*\*")
DATASET = r"^[a-z][a-z0-9.:-]{3,98}\.[A-Za-z0-9_]{1,1024}$"
"""A BigQuery dataset: ``project.dataset``."""
GCP_PROJECT = r"^[a-z][a-z0-9.:-]{3,98}$"
_SIZE = r"^[0-9]+(\.[0-9]+)?(k|M|G|T|Ki|Mi|Gi|Ti)?B?$"
_NO_FEATURE = {
    "target": "the model would see the value it predicts",
    "partition_by": "it is constant within a partition",
    "weight": "a weight is the importance of a row, not a property of it",
    "offset": "it is added to the score, so its effect is known",
    "exposure": "predictions are proportional to it, so its effect is known",
}
"""Roles that exclude a column from the features, with the reason."""


def _column_type(text: str) -> str:
    ColumnType.parse(text)
    return text


ColumnTypeText = Annotated[str, AfterValidator(_column_type)]


def _is_none(value: object) -> bool:
    """Return whether a field that was added later is left out, so that no digest changes."""
    return value is None


class ExcludedFeatures(SpecPart):
    """All columns except these, and except those with another role such as target or weight."""

    exclude: list[ColumnName]
    """Columns that are not features, such as outcomes that are unknown at prediction time."""


class DatasetConfig(SpecPart):
    """The source table, its partition column, the target and the features."""

    source: str = ""
    """A CSV, Parquet, Arrow or Excel file, a folder of such files, or a pattern such as
    `sales/*.csv`; a path is relative to the spec file. Folders named `region=eu` give a column. A
    `gs://` URI, which pods on a cluster can read too. Or a BigQuery table or view,
    `bigquery://project.dataset.table`."""
    query: str | None = Field(default=None, min_length=1)
    """One SELECT statement in BigQuery SQL, whose result is the table. Replaces `source`."""
    filter: str | None = Field(default=None, min_length=1)
    """BigQuery only: a SQL condition on a table or view, such as `day >= '2026-01-01'`. Only
    matching rows are read and billed."""
    max_bytes: str | None = Field(default=None, pattern=_SIZE)
    """BigQuery only: the most bytes that may be read, such as `2TiB`. A dry run checks the limit
    before any cost is incurred."""
    staging: str | None = Field(default=None, pattern=DATASET)
    """BigQuery only: the BigQuery dataset, `project.dataset`, that stores results of queries and
    views for a day. On a cluster it defaults to the project's own."""
    billing: str | None = Field(default=None, pattern=GCP_PROJECT)
    """BigQuery only: the Google Cloud project that is billed for reading; default: the project of
    the credentials. On a cluster it defaults to the project's own."""
    partition_by: ColumnName | Annotated[list[ColumnName], Field(min_length=1, max_length=5)]
    """The column that determines the partition of each row, or a list such as `[store, brand]`.
    Each distinct value, or combination of values, gets one model. With a list, result tables have a
    column per key, such as `key_store`."""
    target: ColumnName
    """The column to predict. Rows without a target are counted, but not used for training."""
    positive: str | int | float | bool | None = None
    """Of a target with two classes, the one whose probability is predicted, such as `churned`;
    default: true, the larger number, `yes`, or else the rarer class."""
    features: list[ColumnName] | ExcludedFeatures | None = None
    """The columns to predict from, or `{exclude: [...]}`; default: every other column. Use only
    columns that are known at prediction time."""
    categorical: list[ColumnName] | None = None
    """Features whose values are unordered levels; default: all features of type string."""
    weight: ColumnName | None = None
    """A column of row weights, positive numbers; default: all rows have equal weight."""
    offset: ColumnName | None = Field(default=None, exclude_if=_is_none)
    """A numeric column that is added to the raw score of each row, in fits and predictions: to the
    target itself, to its logarithm for a loss with a log link such as poisson, to the log-odds of
    the positive class of a binary task. It is not a feature."""
    exposure: ColumnName | None = Field(default=None, exclude_if=_is_none)
    """A column with the size of each row, such as its days at risk; positive numbers. The models
    predict target per unit of exposure. It is `offset` for the logarithm of the column, for a loss
    with a log link only. It is not a feature."""
    identity: list[ColumnName] | None = Field(default=None, min_length=1)
    """Columns that identify a row, such as `[order_id]`; default: all columns that the spec uses.
    They decide its fold. Keep the list in a variant of a spec that adds or drops a feature, and
    every row stays in its fold, so the two runs can be compared row by row."""
    min_rows: int = Field(default=200, ge=2)
    """A partition with fewer rows that have a target is skipped, with the reason too_few_rows."""
    max_levels: int = Field(default=100, ge=2, le=10_000)
    """The most levels of a category in one partition. The rarest levels beyond it are merged."""
    format: Literal["parquet", "csv"] = "parquet"
    """The format of the partition files. Parquet is smaller and several times faster."""
    types: dict[ColumnName, ColumnTypeText] = Field(default_factory=dict)
    """Types of columns, such as `zip: string`: int64, float64, string, bool, timestamp or date. And
    how text is written: `number(1.234,5)`, `date(%d/%m/%Y)`, `timestamp(%d/%m/%Y %H:%M)`. Currency
    and percent signs around a number are removed, so `4.5%` is 4.5."""
    null_values: list[str] | None = None
    """Texts that mean missing, e.g. `['', NA]`, in CSV also in quotes; default: in CSV, an empty
    cell without quotes."""
    delimiter: str | None = Field(default=None, min_length=1, max_length=1)
    """CSV only: the separator of the cells; default: found among comma, semicolon, tab and `|`."""
    decimal: Literal[".", ","] | None = None
    """CSV only: the decimal separator; default: a comma if cells are separated by semicolons and
    all numbers with a comma can be read that way, else a point."""
    encoding: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_-]+$")
    """CSV only: the encoding, such as `cp1252`; default: UTF-8, or UTF-16 with its mark."""
    skip_lines: int = Field(default=0, ge=0)
    """CSV and Excel only: lines above the column names, such as a title."""
    sheet: str | None = None
    """Excel only: the sheet; default: the first one."""

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns that make up the key of a partition."""
        by = self.partition_by
        return (by,) if isinstance(by, str) else tuple(by)

    @property
    def partition_column(self) -> str:
        """The name of the key: that of its column, or all names."""
        return ", ".join(self.keys)

    @property
    def title(self) -> str:
        """The source's name in a report, without its directory, which differs between machines."""
        if self.query is not None:
            return "query"
        return PurePosixPath(self.source.removeprefix("bigquery://")).name

    @property
    def is_remote(self) -> bool:
        """True if any machine can read the source."""
        return self.query is not None or "://" in self.source

    @model_validator(mode="after")
    def _check_source(self) -> DatasetConfig:
        if bool(self.source) == (self.query is not None):
            raise ValueError("set exactly one of source and query")
        if not self.source.startswith("bigquery://"):
            return self
        if _WILDCARD.match(self.source):
            tables = self.source.removeprefix("bigquery://")
            query = f"SELECT * FROM `{tables}` WHERE _TABLE_SUFFIX >= '20260101'"  # noqa: S608 - shown
            raise ValueError(
                f"{self.source!r} matches several tables; use a query with a staging dataset "
                f"instead, such as dataset.query: {query}"
            )
        if not _BIGQUERY.fullmatch(self.source):
            raise ValueError(
                f"{self.source!r} does not have the form bigquery://project.dataset.table"
            )
        return self

    @model_validator(mode="after")
    def _check_bigquery_settings(self) -> DatasetConfig:
        if self.query is not None and self.filter is not None:
            raise ValueError("filter applies to a table or view; use WHERE in the query instead")
        if self.query is not None or self.source.startswith("bigquery://"):
            return self
        for name in ("filter", "max_bytes", "staging", "billing"):
            if getattr(self, name) is not None:
                raise ValueError(
                    f"{name} is only for bigquery:// sources and queries; the source is "
                    f"{self.source!r}"
                )
        return self

    @model_validator(mode="after")
    def _check_features(self) -> DatasetConfig:
        features = self.features
        if not isinstance(features, list):
            return self
        if not features:
            raise ValueError("features is empty: a model needs at least one feature")
        duplicates = sorted({name for name in features if features.count(name) > 1})
        if duplicates:
            raise ValueError(f"features contains {', '.join(map(repr, duplicates))} more than once")
        for role, reason in _NO_FEATURE.items():
            value = getattr(self, role)
            for name in value if isinstance(value, list) else [value]:
                if name in features:
                    raise ValueError(f"features contains {name!r}, which is the {role}: {reason}")
        unknown = [name for name in self.categorical or [] if name not in features]
        if unknown:
            raise ValueError(
                f"categorical contains {', '.join(map(repr, unknown))}, missing from features"
            )
        return self

    @model_validator(mode="after")
    def _check_offset(self) -> DatasetConfig:
        if self.offset is not None and self.exposure is not None:
            raise ValueError("set one of offset and exposure; their sum can be one offset column")
        for role in ("offset", "exposure"):
            if getattr(self, role) in {self.target, *self.keys, self.weight} - {None}:
                raise ValueError(f"{role} is {getattr(self, role)!r}, which has another role")
        return self

    @model_validator(mode="after")
    def _check_target(self) -> DatasetConfig:
        if self.target in self.keys:
            raise ValueError(
                f"target and partition_by are both {self.target!r}: the target would be constant "
                "in every partition"
            )
        if len(set(self.keys)) < len(self.keys):
            raise ValueError("partition_by contains a column more than once")
        return self


Region = Annotated[str, Field(pattern=r"^[a-z]+-[a-z]+[0-9]+$")]
CloudProject = Annotated[str, Field(pattern=r"^[a-z][a-z0-9.:-]{3,98}$")]
Account = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*@[a-z0-9.-]+$")]
Subnetwork = Annotated[str, Field(pattern=r"^(https://[a-z./]+|regions|projects)/[a-z0-9/._-]+$")]
WorkerImage = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9./:_@-]*[:@][A-Za-z0-9._:-]+$")]


class DataflowConfig(SpecPart):
    """Project, region, network and identity of Google Cloud Dataflow jobs."""

    gcp_project: CloudProject | None = None
    """The Google Cloud project that is billed for the job."""
    region: Region | None = None
    """The region of the workers, such as `europe-west1`."""
    service_account: Account | None = None
    """The service account of the workers; default: Compute Engine's default service account."""
    subnetwork: Subnetwork | None = None
    """The subnetwork of the workers, `regions/<region>/subnetworks/<name>`. Workers have no public
    IP addresses."""
    worker_image: WorkerImage | None = None
    """The image of the workers, which contains Refeed and Beam; on a cluster `images.worker`."""


class SplitConfig(DataflowConfig):
    """The engine that splits the table. No setting here changes a result."""

    engine: Literal["embedded", "beam", "dataflow"] = "embedded"
    """embedded: in the split step's own process, in bounded memory. dataflow: in a Google Cloud
    Dataflow job, for tables that take one machine hours to read. beam: the same pipeline in the
    split step's own process, for testing; all rows must fit into memory."""
    machine_type: str | None = Field(default=None, pattern=r"^[a-z][a-z0-9-]*$")
    """The machine type of Dataflow workers, such as `n2-standard-4`; default: chosen by
    Dataflow."""
    workers: int = Field(default=20, ge=1, le=1000)
    """The most workers of a Dataflow job."""

    def conflicts(self, allowed: DataflowConfig, project: str) -> list[Problem]:
        """Return a problem for each setting that differs from the project's own value."""
        return [
            Problem(
                f"split.{name}",
                f"{value!r} is not allowed: the project {project!r} sets {required!r} for all its "
                "runs",
                f"Leave it out, or use --set split.{name}=null",
            )
            for name, required in allowed.model_dump().items()
            for value in [getattr(self, name)]
            if required is not None and value not in {None, required}
        ]

    def missing(self) -> list[Problem]:
        """Return a problem for each setting that the engine requires and that is not set."""
        if self.engine != "dataflow":
            return []
        return [
            Problem(
                f"split.{name}",
                "Dataflow requires this setting, and neither the spec nor the installation file "
                "has it",
                f"Set it with --set split.{name}=...",
            )
            for name in ("gcp_project", "region", "worker_image")
            if getattr(self, name) is None
        ]

    def with_defaults(self, defaults: DataflowConfig) -> SplitConfig:
        """Return a copy whose unset fields come from the project's settings."""
        if self.engine == "embedded":
            return self
        unset = {n: v for n, v in defaults.model_dump().items() if getattr(self, n) is None}
        return self.model_copy(update=unset)
