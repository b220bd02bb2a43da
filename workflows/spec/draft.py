"""``refeed init``: a commented spec for a table, guessed from a look at it."""

from __future__ import annotations

import os
import re
from pathlib import Path

import yaml

from steps.errors import DataError, Problem, SpecError, UsageError
from steps.split.config import DatasetConfig
from steps.split.sources.base import Source, open_source
from steps.split.sources.csv import MisfitError
from steps.split.step import source_types
from workflows.spec.model import NAME

_HEAD_ROWS = 20_000
_USUAL_NULLS = {"NA", "N/A", "n/a", "#N/A", "NaN", "nan", "null", "NULL", "None", "-", "?"}
_DRAFT = """\
# {rows}{columns} columns. Check what is marked with <-, then: refeed validate THIS_FILE
name: {name}
project: default
dataset:
  source: {source}{nulls}
  partition_by: {partition_by} # {partition_note}
  target: {target} # {target_note}
  features: # <- keep only what is known before the target is
{features}
  categorical: [{categorical}] # levels without order; the rest is numbers
  min_rows: 200 # a partition needs so many rows with a target
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
    """The text of a spec.

    Args:
        table: a Parquet or CSV file, or a directory of them.
        partition_by: column that names the partition; guessed if None.
        target: column to predict; guessed if None.
        name: of the experiment; made from the table's name if None.
        folder: where the spec will lie; the source is named relative to it.

    Raises:
        SpecError: a column that is not there.
        DataError: the table cannot be used, or leaves nothing to guess from.
    """
    if name is not None and not re.match(NAME, name):
        raise UsageError(f"--name {name!r} is not valid: lower case letters, digits and hyphens.")
    source, nulls = _open(table)
    types = {key: kind for key, kind in source_types(source).items() if kind != "?"}
    for role, column in (("--partition-by", partition_by), ("--target", target)):
        if column is not None and column not in types:
            known = ", ".join(types)
            raise SpecError(role, [Problem("", f"there is no column {column!r} in: {known}")])
    distinct = _distinct(source, list(types))
    by = partition_by or _guess_partition(types, distinct, target)
    aim = target or _guess_target(types, by)
    features = [key for key in types if key not in {by, aim}]
    rows = source.rows()
    return _DRAFT.format(
        rows=f"{rows:,} rows, " if rows is not None else "",
        columns=len(types),
        name=name or _name(table),
        source=_scalar(os.path.relpath(table, folder)),
        nulls=f"\n  null_values: [{', '.join(map(_scalar, nulls))}]" if len(nulls) > 1 else "",
        partition_by=_scalar(by),
        partition_note=_note(by, distinct, partition_by),
        target=_scalar(aim),
        target_note=types[aim] + ("" if target else "  <- guessed"),
        features="\n".join(f"    - {_scalar(key)} # {types[key]}" for key in features),
        categorical=", ".join(_scalar(key) for key in features if types[key] == "string"),
    )


def _open(table: str) -> tuple[Source, list[str]]:
    """The source, and the cells that mean missing in it: those of the usual ones that occur."""
    nulls = [""]
    while True:
        config = DatasetConfig(source=table, partition_by="?", target="!", null_values=nulls)
        source = open_source(config)
        try:
            source.schema()
        except MisfitError as error:
            if error.value not in _USUAL_NULLS or error.value in nulls:
                raise
            nulls = [*nulls, error.value]
        else:
            return source, nulls


def _distinct(source: Source, names: list[str]) -> dict[str, int]:
    """Distinct values of each column among the first rows."""
    batch = next(iter(source.batches(names)), None)
    if batch is None:
        raise DataError("The table has no rows, so there is nothing to guess from.")
    head = batch.slice(0, _HEAD_ROWS)
    return {key: len(head.column(key).unique()) for key in names}


def _guess_partition(types: dict[str, str], distinct: dict[str, int], target: str | None) -> str:
    """The text (else whole-number) column with the most values, but not an identifier's number."""
    for kind in ("string", "int64"):
        candidates = [
            key for key in types
            if types[key] == kind and key != target and 2 <= distinct[key] <= 2000  # noqa: PLR2004
        ]  # fmt: skip
        if candidates:
            return max(candidates, key=distinct.__getitem__)
    raise DataError(
        "No column looks like the name of a partition.", hint="Name one with --partition-by."
    )


def _guess_target(types: dict[str, str], partition_by: str) -> str:
    """The last column of numbers: by custom the target comes last."""
    numbers = [key for key in types if types[key] in {"float64", "int64"} and key != partition_by]
    others = [key for key in types if key != partition_by]
    if not others:
        raise DataError("The table has one column only: there is nothing to predict.")
    return (numbers or others)[-1]


def _note(by: str, distinct: dict[str, int], given: str | None) -> str:
    return f"{distinct[by]:,} values in the first rows" + ("" if given else "  <- guessed")


def _name(table: str) -> str:
    name = re.sub(r"[^a-z0-9]+", "-", Path(table).stem.lower()).strip("-")[:45].strip("-")
    return name if name[:1].isalpha() else f"experiment-{name}".strip("-")[:45].strip("-")


def _scalar(text: str) -> str:
    """Text as one YAML scalar on one line, quoted where it must be."""
    dumped: str = yaml.safe_dump([text], width=10**9, allow_unicode=False, default_flow_style=True)
    return dumped.strip()[1:-1]
