"""Typed warnings about data quality, which can invalidate a model.

They are computed from the statistics tables, which are exact for any size, and for leakage from the
dataset's sample, so they depend only on the rows and the column roles. Every threshold is a
constant here; docs/analysts/science.md explains its value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from steps.records import Roles
from steps.table.drift import PartitionVariance
from steps.table.leakage import FEWEST, LEAKAGE, Target
from steps.table.recognize import MOSTLY, key_warnings, text_warning
from steps.table.sample import Sample

Kind = Literal[
    "leakage",
    "repeated",
    "numbers_as_text",
    "dates_as_text",
    "similar_keys",
    "total_key",
    "few_events",
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
"""All kinds, in the order of the warnings."""

NEARLY_ALL = 0.95
"""Share of rows in which a column is missing, or of partitions in which it is constant."""
ID_LIKE = 0.5
"""Distinct values per row above which a text is probably an identifier."""
COUNTER_LIKE = 0.95
"""The same for an integer, higher because measured integers can have many values."""
DRIFT = 0.5
"""Share of a column's variance that is between partitions. (Cohen calls 0.14 large, but partitions
are expected to differ, which is why each has a model.)"""
REPEATED = 0.01
"""Share of rows that are equal to an earlier row. A few do no harm; many are a sign of a join that
multiplied rows, or of features with few levels, and only the user knows which."""
FEWEST_EVENTS = 10
"""Rows outside the most frequent class that a metric needs for a standard error. With 5 to 9 of
them a 90 % interval covered in 76 to 88 % of simulations, with 2 to 4 in 57 to 85 %, with one in 7
to 50 %; see docs/analysts/science.md."""
_SHOWN = 5
ROWS_PER_FEATURE = 10
"""Rows per feature that the median partition should have: Peduzzi et al., *J. Clin. Epidemiol.* 49,
1996, found that with fewer events per variable coefficients are biased and unstable."""

LEAKAGE_ROWS = 20_000
"""Number of distinct rows of the sample that are used to detect leakage."""


@dataclass(frozen=True)
class DataWarning:
    """A warning about the data.

    Attributes:
        kind: kind of the warning.
        column: the feature; empty for the table.
        number: measured value.
        threshold: value above or below which the warning is raised.
        message: the warning in words.
    """

    kind: Kind
    column: str
    number: float
    threshold: float
    message: str


@dataclass(frozen=True)
class WarningInputs:
    """The input of data warnings.

    Attributes:
        columns: by column, the row of ``column_statistics`` for the whole table.
        largest: by column, the rows of the most frequent value.
        spread: variance between the partitions, with columns in the order of ``columns``.
        partition_rows: number of rows of each partition.
        sample: sample of the table.
        keys: values of the partition column.
        others: by partition, the rows whose target is not the partition's most frequent one.
    """

    columns: Mapping[str, Mapping[str, Any]]
    largest: Mapping[str, float]
    spread: PartitionVariance
    partition_rows: Sequence[int]
    sample: Sample
    others: Mapping[str, int]
    keys: Sequence[str]


def find_data_warnings(inputs: WarningInputs, roles: Roles, task: str) -> list[DataWarning]:
    """Return all warnings, the gravest kinds first, then in the order of the features."""
    warnings = [
        *_leaks(inputs, roles, task),
        *_repeats(inputs.sample),
        *_texts(inputs, roles),
        *(warning for name in roles.features for warning in _feature_warnings(inputs, name)),
    ]
    each = float(np.median(inputs.partition_rows)) / len(roles.features)
    if each < ROWS_PER_FEATURE:
        text = (
            f"Half of the partitions have fewer than {each:.1f} rows per feature: expect models "
            "that fit noise, and wide intervals."
        )
        warnings.append(DataWarning("few_rows", "", each, ROWS_PER_FEATURE, text))
    if task != "regression":
        warnings += _few_events(inputs.others)
    as_text = {
        each.column for each in warnings if each.kind in {"numbers_as_text", "dates_as_text"}
    }
    # A number in another notation looks like an identifier, and leaving it out would be wrong.
    kept = [each for each in warnings if each.kind != "id_like" or each.column not in as_text]
    return sorted(kept, key=lambda warning: KINDS.index(warning.kind))


def leakage_text(name: str, share: float, target: str) -> str:
    """Return the message for a feature that explains nearly all of the target."""
    return (
        f"{name!r} alone explains {share:.0%} of the variance of {target!r}: is it "
        "known before the target is? If not, it is leakage; leave it out of features."
    )


def repeated_share(sample: Sample) -> float:
    """Return the share of a table's rows that are equal to an earlier row, from its sample."""
    rows = int(sample.counts.sum())
    return 1 - sample.rows.num_rows / rows if rows else 0.0


def repeated_text(share: float) -> str:
    """Return the message for rows that repeat."""
    return (
        f"{_most(share)} of the rows are equal to an earlier row in all columns that the spec "
        "uses. Each counts as an observation of its own. If they are copies of one observation, "
        "remove them or set evaluate.group: otherwise models are tested on rows they were trained "
        "on."
    )


def _repeats(sample: Sample) -> Iterator[DataWarning]:
    share = repeated_share(sample)
    if share >= REPEATED:
        yield DataWarning("repeated", "", share, REPEATED, repeated_text(share))


def _texts(inputs: WarningInputs, roles: Roles) -> Iterator[DataWarning]:
    for name in roles.features:
        found = text_warning(name, _flat(inputs.sample.rows.column(name)))
        if found is not None:
            kind, share, text = found
            yield DataWarning(cast(Kind, kind), name, share, MOSTLY, text)
    for kind, number, text in key_warnings(roles.partition_by, inputs.keys):
        yield DataWarning(cast(Kind, kind), roles.partition_by, number, 1, text)


def _leaks(inputs: WarningInputs, roles: Roles, task: str) -> Iterator[DataWarning]:
    """Yield leakage warnings. Rows are ordered by hash, so every other row is a random half."""
    rows, counts = inputs.sample.rows[:LEAKAGE_ROWS], inputs.sample.counts[:LEAKAGE_ROWS]
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


def _feature_warnings(inputs: WarningInputs, name: str) -> Iterator[DataWarning]:
    """Yield the warnings of a feature. A constant feature has no other warnings."""
    statistics, spread = inputs.columns[name], inputs.spread
    position = list(inputs.columns).index(name)
    missing = statistics["missing"] / max(statistics["rows"], 1)
    if statistics["distinct"] == 1 and not statistics["missing"]:
        text = f"{name!r} is the same in every row: it tells nothing."
        yield DataWarning("constant", name, 1, 1, text)
    if missing >= NEARLY_ALL:
        without = int(spread.partitions[position] - spread.groups[position])
        text = (
            f"{name!r} is missing in {_most(missing)} of the rows, and in {without:,} of "
            f"{int(spread.partitions[position]):,} partitions in all of them."
        )
        yield DataWarning("missing", name, missing, NEARLY_ALL, text)
    if statistics["distinct"] > 1:
        compared, constant = int(spread.compared[position]), int(spread.constant[position])
        if compared > 1 and constant >= NEARLY_ALL * compared:
            where = (
                "each partition"
                if constant == compared
                else f"{constant:,} of {compared:,} partitions"
            )
            text = (
                f"{name!r} has one value only within {where}: it tells these apart, but it tells "
                "a model of one of them nothing."
            )
            yield DataWarning("constant_within", name, constant / compared, NEARLY_ALL, text)
        yield from _id_like(name, statistics)
        yield from _drift(inputs, name, position)


def few_events(others: Mapping[str, int]) -> tuple[float, str] | None:
    """Return the share of partitions with few rows outside their most frequent class, in words too.

    Args:
        others: these rows by partition.
    """
    several = {name: count for name, count in others.items() if count}
    few = {name: count for name, count in several.items() if count < FEWEST_EVENTS}
    if not few:
        return None
    shown = ", ".join(f"{name}: {count}" for name, count in sorted(few.items())[:_SHOWN])
    more = ", ..." if len(few) > _SHOWN else ""
    return len(few) / len(several), (
        f"{len(few):,} of {len(several):,} partitions with more than one class have fewer than "
        f"{FEWEST_EVENTS} rows outside the most frequent class ({shown}{more}): their metrics have "
        "no interval, and models learn little about these rows."
    )


def _few_events(others: Mapping[str, int]) -> Iterator[DataWarning]:
    found = few_events(others)
    if found is not None:
        yield DataWarning("few_events", "", found[0], 0, found[1])


def _most(share: float) -> str:
    """Format a share as a percentage, with 100% only for an exact 1."""
    return "100%" if share >= 1 else f"{min(share, 0.999):.1%}"


def _id_like(name: str, statistics: Mapping[str, Any]) -> Iterator[DataWarning]:
    known = statistics["rows"] - statistics["missing"]
    threshold = {"string": ID_LIKE, "int64": COUNTER_LIKE}.get(statistics["type"])
    if threshold is None or known < FEWEST or statistics["distinct"] < threshold * known:
        return
    approximately = "" if statistics["distinct_exact"] else "about "
    text = (
        f"{name!r} has {approximately}{statistics['distinct']:,} different values in {known:,} "
        "rows, like an identifier: a model can only learn it by heart."
    )
    yield DataWarning("id_like", name, statistics["distinct"] / known, threshold, text)


def _drift(inputs: WarningInputs, name: str, position: int) -> Iterator[DataWarning]:
    statistics, spread = inputs.columns[name], inputs.spread
    share = spread.missing_between(position)
    if share >= DRIFT:
        text = (
            f"Whether {name!r} is missing goes by partition: in "
            f"{spread.least_missing[position]:.0%} to {spread.most_missing[position]:.0%} of a "
            "partition's rows."
        )
        yield DataWarning("drift_missing", name, share, DRIFT, text)
    if spread.constant[position] >= NEARLY_ALL * spread.compared[position]:
        return  # the column is constant within partitions, which is reported already
    if statistics["type"] in {"string", "bool"}:
        share = spread.levels_between(position, inputs.largest.get(name, 0.0))
        text = (
            f"The levels of {name!r} go by partition: whoever knows the partition guesses wrong "
            f"{_most(share)} less often."
        )
        kind: Kind = "drift_levels"
    else:
        sd = statistics["sd"]
        share = spread.between(position, float("nan") if sd is None else sd)
        text = (
            f"{_most(share)} of the variance of {name!r} lies between partitions, not within them."
        )
        kind = "drift"
    if share >= DRIFT:
        yield DataWarning(kind, name, min(share, 1.0), DRIFT, text)


def rows_by_column(statistics: pa.Table) -> dict[str, dict[str, Any]]:
    """Return the rows of ``column_statistics`` for the whole table, by column."""
    whole = statistics.filter(pc.equal(statistics["scope"], "table"))
    return {row["column"]: row for row in whole.to_pylist()}
