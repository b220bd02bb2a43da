"""What one should know of the data before believing a model of them: typed warnings.

They follow from the tables of statistics, exact whatever the size, and for leakage from the data
set's sample; so they are a function of the rows and of the columns' roles. Every threshold has its
name here, and its reason in docs/analysts/science.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from steps.records import Roles
from steps.table.drift import PartitionVariance
from steps.table.leakage import FEWEST, LEAKAGE, Target
from steps.table.sample import Sample

Kind = Literal[
    "leakage",
    "missing",
    "constant",
    "constant_within",
    "id_like",
    "drift",
    "drift_missing",
    "drift_levels",
    "few_rows",
]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""In the order in which they are told."""

NEARLY_ALL = 0.95
"""Of a column's rows missing, or of the partitions in which it is constant."""
ID_LIKE = 0.5
"""A text with so many different values per row is probably an identifier."""
COUNTER_LIKE = 0.95
"""So is a whole number; a measured one may well have many values."""
DRIFT = 0.5
"""Share of a column's variance that lies between partitions. (Cohen calls 0.14 large; but that
partitions differ somewhat is why there is a model for each.)"""
ROWS_PER_FEATURE = 10
"""Rows per feature that the median partition should have: Peduzzi et al., *J. Clin. Epidemiol.* 49,
1996, found that with fewer events per variable coefficients are biased and unstable."""

LEAKAGE_ROWS = 20_000
"""Distinct rows of the sample that leakage is judged by."""


@dataclass(frozen=True)
class DataWarning:
    """One warning.

    Attributes:
        kind: what it is about.
        column: the feature; empty for the table.
        number: what was found.
        threshold: where the warning begins.
        message: the same in words.
    """

    kind: Kind
    column: str
    number: float
    threshold: float
    message: str


@dataclass(frozen=True)
class WarningInputs:
    """What findings are made from.

    Attributes:
        columns: the row of ``column_statistics`` about the whole table, by column.
        largest: rows of the most frequent value, by column.
        spread: between the partitions; its columns are in the order of ``columns``.
        partition_rows: rows of each partition.
        sample: of the table.
    """

    columns: Mapping[str, Mapping[str, Any]]
    largest: Mapping[str, float]
    spread: PartitionVariance
    partition_rows: Sequence[int]
    sample: Sample


def findings(facts: WarningInputs, roles: Roles, task: str) -> list[DataWarning]:
    """All warnings, by kind, then in the order of the features."""
    found = [
        *_leaks(facts, roles, task),
        *(finding for name in roles.features for finding in _of_feature(facts, name)),
        *_few_rows(facts, roles),
    ]
    return sorted(found, key=lambda finding: KINDS.index(finding.kind))


def leakage_text(name: str, share: float, target: str) -> str:
    """What is said of a feature that tells nearly all of the target."""
    return (
        f"{name!r} alone explains {share:.0%} of the variance of {target!r}: is it "
        "known before the target is? If not, it is leakage; leave it out of features."
    )


def _leaks(facts: WarningInputs, roles: Roles, task: str) -> Iterator[DataWarning]:
    """The rows are in the order of their hash, so every other one is half of them at random."""
    rows, counts = facts.sample.rows[:LEAKAGE_ROWS], facts.sample.counts[:LEAKAGE_ROWS]
    known = rows.column(roles.target).is_valid().combine_chunks()
    rows, counts = rows.filter(known), counts[known.to_numpy(zero_copy_only=False)]
    if rows.num_rows < FEWEST:
        return
    half = np.arange(rows.num_rows) % 2 == 0
    column = _flat(rows.column(roles.target))
    target = Target(column, task, counts.astype(np.float64), half)
    for name in roles.features:
        categorical = name in roles.categorical
        share = target.explained_by(_flat(rows.column(name)), categorical=categorical)
        if share > LEAKAGE:
            text = leakage_text(name, share, roles.target)
            yield DataWarning("leakage", name, share, LEAKAGE, text)


def _flat(column: pa.ChunkedArray) -> pa.Array:
    flat = column.combine_chunks()
    return flat.combine_chunks() if isinstance(flat, pa.ChunkedArray) else flat


def _of_feature(facts: WarningInputs, name: str) -> Iterator[DataWarning]:
    """One that tells nothing is told of once."""
    about, spread = facts.columns[name], facts.spread
    at = list(facts.columns).index(name)
    missing = about["missing"] / max(about["rows"], 1)
    if about["distinct"] <= 1 and about["missing"] < about["rows"]:
        text = f"{name!r} is the same in every row that has it: it tells nothing."
        yield DataWarning("constant", name, 1, 1, text)
    if missing >= NEARLY_ALL:
        without = int(spread.partitions[at] - spread.groups[at])
        text = (
            f"{name!r} is missing in {_most(missing)} of the rows, and in {without:,} of "
            f"{int(spread.partitions[at]):,} partitions in all of them."
        )
        yield DataWarning("missing", name, missing, NEARLY_ALL, text)
    if about["distinct"] > 1:
        yield from _constant_within(name, at, spread)
        yield from _id_like(name, about)
        yield from _drift(facts, name, at)


def _most(share: float) -> str:
    """A share as per cent, and all only if it is all."""
    return "100%" if share >= 1 else f"{min(share, 0.999):.1%}"


def _constant_within(name: str, at: int, spread: PartitionVariance) -> Iterator[DataWarning]:
    compared, constant = int(spread.compared[at]), int(spread.constant[at])
    if compared > 1 and constant >= NEARLY_ALL * compared:
        where = (
            "each partition" if constant == compared else f"{constant:,} of {compared:,} partitions"
        )
        text = (
            f"{name!r} has one value only within {where}: it tells these apart, but it tells "
            "a model of one of them nothing."
        )
        yield DataWarning("constant_within", name, constant / compared, NEARLY_ALL, text)


def _id_like(name: str, about: Mapping[str, Any]) -> Iterator[DataWarning]:
    known = about["rows"] - about["missing"]
    threshold = {"string": ID_LIKE, "int64": COUNTER_LIKE}.get(about["type"])
    if threshold is None or known < FEWEST or about["distinct"] < threshold * known:
        return
    about_so = "" if about["distinct_exact"] else "about "
    text = (
        f"{name!r} has {about_so}{about['distinct']:,} different values in {known:,} rows, like an "
        "identifier: a model can only learn it by heart."
    )
    yield DataWarning("id_like", name, about["distinct"] / known, threshold, text)


def _drift(facts: WarningInputs, name: str, at: int) -> Iterator[DataWarning]:
    about, spread = facts.columns[name], facts.spread
    share = spread.missing_between(at)
    if share >= DRIFT:
        text = (
            f"Whether {name!r} is missing goes by partition: in {spread.least_missing[at]:.0%} to "
            f"{spread.most_missing[at]:.0%} of a partition's rows."
        )
        yield DataWarning("drift_missing", name, share, DRIFT, text)
    if _is_constant_within(at, spread):
        return
    if about["type"] in {"string", "bool"}:
        share = spread.levels_between(at, facts.largest.get(name, 0.0))
        text = (
            f"The levels of {name!r} go by partition: whoever knows the partition guesses wrong "
            f"{_most(share)} less often."
        )
        kind: Kind = "drift_levels"
    else:
        share = spread.between(at, _number(about["sd"]))
        text = (
            f"{_most(share)} of the variance of {name!r} lies between partitions, not within them."
        )
        kind = "drift"
    if share >= DRIFT:
        yield DataWarning(kind, name, min(share, 1.0), DRIFT, text)


def _is_constant_within(at: int, spread: PartitionVariance) -> bool:
    """Then it is no news that it differs between them."""
    return bool(spread.constant[at] >= NEARLY_ALL * spread.compared[at])


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def _few_rows(facts: WarningInputs, roles: Roles) -> Iterator[DataWarning]:
    each = float(np.median(facts.partition_rows)) / len(roles.features)
    if each < ROWS_PER_FEATURE:
        text = (
            f"Half of the partitions have fewer than {each:.1f} rows per feature: expect models "
            "that fit noise, and wide intervals."
        )
        yield DataWarning("few_rows", "", each, ROWS_PER_FEATURE, text)


def rows_by_column(statistics: pa.Table) -> dict[str, dict[str, Any]]:
    """The rows of ``column_statistics`` about the whole table."""
    whole = statistics.filter(pc.equal(statistics["scope"], "table"))
    return {row["column"]: row for row in whole.to_pylist()}
