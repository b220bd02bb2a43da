"""``refeed init``: draft a commented spec for a table."""

from __future__ import annotations

import os
import re
from pathlib import Path

import yaml

from steps.errors import DataError, Problem, SpecError, UsageError
from steps.split.config import DatasetConfig
from steps.split.sources.base import Source, open_source
from steps.split.sources.files import MisfitError
from steps.split.step import source_types
from workflows.spec.model import NAME

_HEAD_ROWS = 20_000
_COMMON_NULLS = {"NA", "N/A", "n/a", "#N/A", "NaN", "nan", "null", "NULL", "None", "-", "?"}
_DRAFT = """\
# {rows}{columns} columns. Check the lines marked <-, then: refeed validate THIS_FILE
name: {name}
project: default
dataset:
  source: {source}{nulls}
  partition_by: {partition_by} # {partition_note}
  target: {target} # {target_note}
  features: # <- keep only columns that are known before the target
{features}
  categorical: [{categorical}] # unordered levels; all other features are numeric
  min_rows: 200 # a partition needs at least this many rows with a target
task: auto # regression, binary, multiclass
trainer: {{name: lightgbm}} # refeed trainers lists the others and their params
evaluate: {{method: kfold, folds: 5, seed: 0}} # <- group: a column whose rows belong together
explain:
  partial_dependence: {{features: all, grid: 20}}
  shap: true
  permutation_importance: 1
output: runs
"""


def draft(
    table: str, partition_by: str | None, target: str | None, name: str | None, folder: Path
) -> str:
    """Return the text of a spec for a table.

    Args:
        table: a Parquet or CSV file, or a directory of them.
        partition_by: column that identifies the partition; guessed if None.
        target: column to predict; guessed if None.
        name: name of the experiment; derived from the table's name if None.
        folder: folder of the spec, which the source's path is relative to.

    Raises:
        SpecError: a column does not exist.
        DataError: the table cannot be used, or has no rows or columns to guess from.
    """
    if name is not None and not re.match(NAME, name):
        raise UsageError(
            f"--name {name!r} is not valid. A name can contain only lower-case letters, digits "
            "and hyphens."
        )
    source, nulls = _open(table)
    types = {key: kind for key, kind in source_types(source).items() if kind != "?"}
    for role, column in (("--partition-by", partition_by), ("--target", target)):
        if column is not None and column not in types:
            columns = ", ".join(types)
            message = f"the table has no column {column!r}; its columns are {columns}"
            raise SpecError(role, [Problem("", message)])
    distinct = _distinct(source, list(types))
    partition_column = partition_by or _guess_partition(types, distinct, target)
    target_column = target or _guess_target(types, partition_column)
    features = [key for key in types if key not in {partition_column, target_column}]
    values = f"{distinct[partition_column]:,} values in the first rows"
    return _DRAFT.format(
        rows=f"{rows:,} rows, " if (rows := source.rows()) is not None else "",
        columns=len(types),
        name=name or _name(table),
        source=_scalar(os.path.relpath(table, folder)),
        nulls=f"\n  null_values: [{', '.join(map(_scalar, nulls))}]" if len(nulls) > 1 else "",
        partition_by=_scalar(partition_column),
        partition_note=values + ("" if partition_by else "  <- guessed"),
        target=_scalar(target_column),
        target_note=types[target_column] + ("" if target else "  <- guessed"),
        features="\n".join(f"    - {_scalar(key)} # {types[key]}" for key in features),
        categorical=", ".join(_scalar(key) for key in features if types[key] == "string"),
    )


def _open(table: str) -> tuple[Source, list[str]]:
    """Return the source and its null values: the common ones that occur in it."""
    nulls = [""]
    while True:
        config = DatasetConfig(source=table, partition_by="?", target="!", null_values=nulls)
        source = open_source(config)
        try:
            source.schema()
        except MisfitError as error:
            if error.value not in _COMMON_NULLS or error.value in nulls:
                raise
            nulls = [*nulls, error.value]
        else:
            return source, nulls


def _distinct(source: Source, names: list[str]) -> dict[str, int]:
    """Count the distinct values of each column among the first rows."""
    batch = next(iter(source.batches(names)), None)
    if batch is None:
        raise DataError("The table has no rows, so its columns cannot be guessed.")
    head = batch.slice(0, _HEAD_ROWS)
    return {key: len(head.column(key).unique()) for key in names}


def _guess_partition(types: dict[str, str], distinct: dict[str, int], target: str | None) -> str:
    """Return the text (else integer) column with the most values, up to 2,000."""
    for kind in ("string", "int64"):
        candidates = [
            key for key in types
            if types[key] == kind and key != target and 2 <= distinct[key] <= 2000  # noqa: PLR2004
        ]  # fmt: skip
        if candidates:
            return max(candidates, key=distinct.__getitem__)
    raise DataError(
        "Cannot choose a partition column: no column has 2 to 2,000 distinct values.",
        hint="Name the column with --partition-by COLUMN.",
    )


def _guess_target(types: dict[str, str], partition_by: str) -> str:
    """Return the last numeric column, since the target usually comes last."""
    numbers = [key for key in types if types[key] in {"float64", "int64"} and key != partition_by]
    others = [key for key in types if key != partition_by]
    if not others:
        raise DataError("The table has a single column, so there is no other column to predict.")
    return (numbers or others)[-1]


def _name(table: str) -> str:
    name = re.sub(r"[^a-z0-9]+", "-", Path(table).stem.lower()).strip("-")[:45].strip("-")
    return name if name[:1].isalpha() else f"experiment-{name}".strip("-")[:45].strip("-")


def _scalar(text: str) -> str:
    """Return text as a one-line YAML scalar, quoted if necessary."""
    dumped: str = yaml.safe_dump([text], width=10**9, allow_unicode=False, default_flow_style=True)
    return dumped.strip()[1:-1]
