"""The part of the spec that names the data."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import Field, model_validator

from steps.config import SpecPart
from steps.errors import Problem

ColumnName = Annotated[str, Field(min_length=0)]
_BIGQUERY = re.compile(
    r"bigquery://[a-z][a-z0-9.:-]{3,98}\.\w{1,1024}\.[^.`$@*{}\\/\x00-\x1f\x7f]{1,1024}", re.ASCII
)
_WILDCARD = re.compile(r"bigquery://[^*]*\*")
DATASET = r"^[a-z][a-z0-9.:-]{3,98}\.[A-Za-z0-9_]{1,1024}$"
"""A dataset of BigQuery: ``project.dataset``."""
GCP_PROJECT = r"^[a-z][a-z0-9.:-]{3,98}$"
_SIZE = r"^[0-9]+(\.[0-9]+)?(k|M|G|T|Ki|Mi|Gi|Ti)?B?$"
CanonicalTypeName = Literal["int64", "float64", "string", "bool", "timestamp", "date"]


class ExcludedFeatures(SpecPart):
    """All columns but these (and but target, partition_by, weight, group and time)."""

    exclude: list[ColumnName]
    """Columns that are no features, such as outcomes, which are not known at prediction time."""


class DatasetConfig(SpecPart):
    """The table, what names a row's partition, and what is predicted from what."""

    source: str = ""
    """A Parquet or CSV file, or a directory of them; a path is relative to the spec file. Or a
    `gs://` URI of such a file or folder, which a cluster's pods reach too. Or a table or view of
    BigQuery, `bigquery://project.dataset.table`."""
    query: str | None = Field(default=None, min_length=1)
    """Instead of a source: one SELECT in BigQuery's SQL, whose result is the table."""
    filter: str | None = Field(default=None, min_length=1)
    """Of a table or view of BigQuery: a condition in SQL, such as `day >= '2026-01-01'`; only rows
    that fulfil it are read, and paid for."""
    max_bytes: str | None = Field(default=None, pattern=_SIZE)
    """Of BigQuery: what may be read at the most, such as `2TiB`; a dry run tells beforehand."""
    staging: str | None = Field(default=None, pattern=DATASET)
    """Of BigQuery: the dataset, `project.dataset`, where results of queries and views lie for a
    day. On a cluster it is the project's own, and need not be named."""
    billing: str | None = Field(default=None, pattern=GCP_PROJECT)
    """Of BigQuery: the Google Cloud project that pays for reading; default: the credentials' own.
    On a cluster it is the project's own, and need not be named."""
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

    @property
    def title(self) -> str:
        """What the source is called in a report: no path, which differs from place to place."""
        if self.query is not None:
            return "query"
        return PurePosixPath(self.source.removeprefix("bigquery://")).name

    @property
    def is_remote(self) -> bool:
        """Whether it can be reached from any machine."""
        return self.query is not None or "://" in self.source

    @model_validator(mode="after")
    def _there_is_one_source(self) -> DatasetConfig:
        if bool(self.source) == (self.query is not None):
            raise ValueError("name either a source or a query, which gives the table instead")
        if self.source.startswith("bigquery://"):
            _check_table(self.source)
        elif self.query is None:
            self._refuse_for_files()
        elif self.filter is not None:
            raise ValueError("a filter is of a table or view; put it into the query, as WHERE")
        return self

    def _refuse_for_files(self) -> None:
        for name in ("filter", "max_bytes", "staging", "billing"):
            if getattr(self, name) is not None:
                raise ValueError(
                    f"{name} is for bigquery:// sources and queries; {self.source!r} is read whole"
                )

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


def _check_table(source: str) -> None:
    if _WILDCARD.match(source):
        raise ValueError(
            f"{source!r} is several tables: read them by a query, which may name such a wildcard"
        )
    if not _BIGQUERY.fullmatch(source):
        raise ValueError(f"{source!r} is not of the form bigquery://project.dataset.table")


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


Region = Annotated[str, Field(pattern=r"^[a-z]+-[a-z]+[0-9]+$")]
CloudProject = Annotated[str, Field(pattern=r"^[a-z][a-z0-9.:-]{3,98}$")]
Account = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*@[a-z0-9.-]+$")]
Subnetwork = Annotated[str, Field(pattern=r"^(https://[a-z./]+|regions|projects)/[a-z0-9/._-]+$")]
WorkerImage = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9./:_@-]*[:@][A-Za-z0-9._:-]+$")]


class DataflowConfig(SpecPart):
    """Where jobs of Google Cloud Dataflow run, and as whom."""

    gcp_project: CloudProject | None = None
    """The Google Cloud project that pays for the job."""
    region: Region | None = None
    """Where the workers are, such as `europe-west1`."""
    service_account: Account | None = None
    """Whom the workers act as; default: Compute Engine's own service account."""
    subnetwork: Subnetwork | None = None
    """Where the workers are on the network, `regions/<region>/subnetworks/<name>`. They have no
    public addresses."""
    worker_image: WorkerImage | None = None
    """The image of the workers, with Refeed and Beam in it: see containers/worker."""


class SplitConfig(DataflowConfig):
    """Where the split is done; nothing here changes a result."""

    engine: Literal["embedded", "beam", "dataflow"] = "embedded"
    """embedded: in the split step itself, in bounded memory. dataflow: in a job of Google Cloud
    Dataflow, for tables that one machine would read for hours. beam: the pipeline of that job in
    the split step itself, to try it; all rows must fit into memory."""
    machine_type: str | None = Field(default=None, pattern=r"^[a-z][a-z0-9-]*$")
    """Of Dataflow's workers, such as `n2-standard-4`; default: Dataflow's choice."""
    workers: int = Field(default=20, ge=1, le=1000)
    """Dataflow's workers at the most."""

    def strange(self, place: DataflowConfig, project: str) -> list[Problem]:
        """What the spec names that its project has another one of."""
        return [
            Problem(
                f"split.{name}",
                f"{mine!r} is not that of the project {project!r}, which has {own!r}: a project is "
                "the unit of isolation",
                f"Use --set split.{name}=null",
            )
            for name, own in place.model_dump().items()
            for mine in [getattr(self, name)]
            if own is not None and mine not in {None, own}
        ]

    def at(self, place: DataflowConfig) -> SplitConfig:
        """The same with what the project has, where the spec names nothing."""
        if self.engine == "embedded":
            return self
        given = {n: v for n, v in place.model_dump().items() if getattr(self, n) is None}
        return self.model_copy(update=given)
