"""``refeed init``: draft a commented spec for a table."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path

import yaml

from steps.errors import DataError, Problem, SpecError, UsageError
from workflows.spec.guess import ALTERNATIVES, ColumnFacts, rank_partitions, rank_targets
from workflows.spec.model import NAME
from workflows.spec.reading import Table, read_table

_DRAFT = """\
# {rows}{columns} columns. Check the lines marked <-, then: refeed validate THIS_FILE
name: {name}
project: default
dataset:
  source: {source}{reading}
  partition_by: {partition_by} # {partition_note}
  target: {target} # {target_note}
  features: # <- keep only columns that are known before the target
{features}
  categorical: [{categorical}] # unordered levels; all other features are numeric
  min_rows: 200 # a partition needs at least this many rows with a target
task: auto # regression, binary, multiclass
trainer: {{name: lightgbm}} # refeed trainers lists the others and their params
evaluate: {{method: kfold, folds: 5, seed: 0}} # <- {groups}
explain:
  partial_dependence: {{features: all, grid: 20}}
  shap: true
  permutation_importance: 1
output: runs
"""


class _Dumper(yaml.SafeDumper):
    """PyYAML's safe dumper without the change that the import of hera makes: to quote y and n."""


_Dumper.add_representer(
    str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text)
)


def draft(
    table: str, partition_by: str | None, target: str | None, name: str | None, folder: Path
) -> str:
    """Return the text of a spec for a table.

    Settings without which the table cannot be read are filled in and marked.

    Args:
        table: a file, a folder or a pattern.
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
    found = read_table(table)
    columns = {each.name: each for each in found.columns}
    for role, column in (("--partition-by", partition_by), ("--target", target)):
        if column is not None and column not in columns:
            message = f"the table has no column {column!r}; its columns are {', '.join(columns)}"
            raise SpecError(role, [Problem("", message)])
    partitions, targets = _ranked(found, partition_by, target)
    partition, outcome = columns[partitions[0]], columns[targets[0]]
    features = [each for each in found.columns if each not in {partition, outcome}]
    useful = [each for each in features if not _left_out(each)] or features
    rows = found.source.rows()
    return _DRAFT.format(
        rows="" if rows is None else f"{rows:,} rows, ",
        columns=len(columns),
        name=name or _name(table),
        source=_scalar(_relative(table, folder)),
        reading=_reading(found),
        partition_by=_scalar(partition.name),
        partition_note=f"{partition.distinct:,} values in the first rows"
        + ("" if partition_by else _others(partitions)),
        target=_scalar(outcome.name),
        target_note=outcome.kind + ("" if target else _others(targets)),
        features="\n".join(_feature(each, listed=each in useful) for each in features),
        categorical=", ".join(
            _scalar(each.name) for each in features if each.kind == "string" and each in useful
        ),
        groups=f"group: a column whose rows belong together{_times(features)}",
    )


def _ranked(
    found: Table, partition_by: str | None, target: str | None
) -> tuple[Sequence[str], Sequence[str]]:
    """Return the candidates for partition column and target, the best first.

    If no column seems to fit, they are all columns: a draft always has a line to correct.

    Raises:
        DataError: the table has fewer than two columns.
    """
    names = [each.name for each in found.columns]
    if len(names) < 2:  # noqa: PLR2004
        raise DataError(
            "The table has fewer than two columns that a model can use: a key and a target.",
            hint=f"Its columns are {', '.join(map(repr, [*names, *found.unusable]))}.",
        )
    partitions = [partition_by] if partition_by else rank_partitions(found.columns, target)
    fewest = sorted(found.columns, key=lambda each: each.distinct)
    partitions = partitions or [each.name for each in fewest if each.name != target]
    targets = [target] if target else rank_targets(found.columns, partitions[0])
    return partitions, targets or [name for name in names if name != partitions[0]]


def _others(ranked: Sequence[str]) -> str:
    """Return the mark of a guess, with the next candidates."""
    others = ", ".join(_comment(name) for name in ranked[1:ALTERNATIVES])
    return f"  <- guessed{f'; or {others}' if others else ''}"


def _reading(found: Table) -> str:
    """Return the lines of the settings that the table needs to be read, and of offered types."""
    settings = dict(found.settings)
    types = dict(settings.pop("types", {}))
    nulls = settings.pop("null_values", [])
    lines = [f"{name}: {json.dumps(value)} # <- found" for name, value in settings.items()]
    if nulls:
        lines.append(f"null_values: [{', '.join(map(_scalar, nulls))}] # <- missing?")
    if types or found.recognized:
        lines.append("types:")
    for name, kind in types.items():
        cells = ", ".join(_comment(cell) for cell in found.examples.get(name, []))
        lines.append(f"  {_scalar(name)}: {_scalar(kind)} # <- {cells}: text?")
    for name, each in found.recognized.items():
        others = "".join(f" or {kind}" for kind in each.types[1:])
        written = f"<- written as {_comment(each.example)}{others and f';{others}?'}"
        lines.append(f"  {_scalar(name)}: {_scalar(str(each.types[0]))} # {written}")
    return "".join(f"\n  {line}" for line in lines)


def _feature(column: ColumnFacts, *, listed: bool) -> str:
    """Return the line of a feature; a comment for a column that has no predictive value."""
    reason = _left_out(column)
    if not listed:
        return f"    # - {_scalar(column.name)} # {column.kind}: {reason}"
    return f"    - {_scalar(column.name)} # {column.kind}"


def _left_out(column: ColumnFacts) -> str:
    """Return why a column is no feature; empty if it is one."""
    if column.is_index:
        return "counts the rows"
    if not column.known:
        return "missing in the first rows"
    if column.kind == "string" and column.is_identifier:
        return "a different text in nearly every row"
    return ""


def _times(features: Sequence[ColumnFacts]) -> str:
    """Return the mark of columns that could order the rows in time."""
    times = [each.name for each in features if each.kind in {"date", "timestamp"}]
    if not times:
        return ""
    return f"; or method: time, time: {_comment(times[0])}"


def _relative(table: str, folder: Path) -> str:
    return table if table.startswith("~") or "://" in table else os.path.relpath(table, folder)


def _name(table: str) -> str:
    name = re.sub(r"[^a-z0-9]+", "-", Path(table).stem.lower()).strip("-")[:45].strip("-")
    return name if name[:1].isalpha() else f"experiment-{name}".strip("-")[:45].strip("-")


def _comment(text: str) -> str:
    """Return text for a comment: on one line, and short."""
    shown = "".join(c if c.isprintable() else " " for c in text)
    return shown if len(shown) <= 40 else f"{shown[:39]}…"  # noqa: PLR2004


def _scalar(text: str) -> str:
    """Return text as a one-line YAML scalar, quoted if necessary."""
    dumped: str = yaml.dump(
        [text], Dumper=_Dumper, width=10**9, allow_unicode=False, default_flow_style=True
    )
    return dumped.strip()[1:-1]
