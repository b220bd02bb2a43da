"""Guess the partition column and the target of a table, ranked, from names and values."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

ALTERNATIVES = 3
"""Ranked candidates that a draft names."""
_UNNAMED = re.compile(r"|__index_level_[0-9]+__|Unnamed: [0-9]+|rownames|X")
_FEWEST_ROWS = 20
_MOST_PARTITIONS = 5000


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_KEY_WORDS = _words(
    "airline airport area branch brand carrier category channel city class client company "
    "continent country county customer department dept dest destination district division "
    "employer group industry job location machine market model office origin part plan plant "
    "product region route school sector segment sensor site species state station status store "
    "supplier team type unit vendor zone"
)
"""Words in the names of columns that divide a table."""
_TARGET_WORDS = _words(
    "amount churn churned class cost count default death died delay demand fare income label "
    "outcome price profit qty quantity rate rating response result revenue salary sales score "
    "spend survived target temp temperature total units value volume wage wages weight y yield "
    "speed power cases visits vote votes purchase purchased bought converted fatal fatalities "
    "deaths"
)
"""Words in the names of columns that people predict."""
_TIME_WORDS = _words(
    "date day hour minute month quarter second time timestamp week weekday year yr dt dob"
)
_ID_WORDS = _words("id code key index number no nr num uuid rownames row url lat long")
_PLACE_WORDS = _words("latitude longitude lat lon long lng")


@dataclass(frozen=True)
class ColumnFacts:
    """What the first rows of a table say about a column.

    Attributes:
        name: name of the column.
        kind: canonical type.
        position: position in the table, from 0.
        rows: number of rows.
        missing: rows without a value.
        distinct: number of different values.
        largest: rows of the most frequent value.
        served: share of the rows whose value occurs often enough for a model.
        counts: the values are whole numbers that rise by one.
    """

    name: str
    kind: str
    position: int
    rows: int
    missing: int
    distinct: int
    largest: int
    served: float
    counts: bool

    @property
    def words(self) -> frozenset[str]:
        """The words of the name, in lower case; ``schoolid`` and ``school2`` hold ``school``."""
        spaced = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", self.name)
        words = re.split(r"[^a-z0-9]+", spaced.lower())
        stems = [re.sub(r"(?<=...)(id|[0-9]+)$", "", word) for word in words]
        return frozenset([*words, *stems]) - {""}

    @property
    def known(self) -> int:
        """Rows that have a value."""
        return self.rows - self.missing

    @property
    def is_index(self) -> bool:
        """True if the column counts the rows."""
        return bool(_UNNAMED.fullmatch(self.name)) or self.counts

    @property
    def is_identifier(self) -> bool:
        """True if nearly every row has a value of its own, unless that is usual for its type."""
        unusual = self.kind in {"string", "int64"}
        return unusual and self.known > _FEWEST_ROWS and self.distinct > 0.9 * self.known


def rank_partitions(columns: Iterable[ColumnFacts], taken: str | None = None) -> list[str]:
    """Return columns that could divide the table into partitions, the best first.

    Args:
        columns: all columns.
        taken: the target, if it is known.
    """
    scores = {each.name: _partition_score(each) for each in columns if each.name != taken}
    return _ranked(scores)


def _partition_score(column: ColumnFacts) -> float:
    if column.is_index or not 2 <= column.distinct <= _MOST_PARTITIONS:  # noqa: PLR2004
        return -math.inf
    kinds = {"string": 3.0, "int64": 0.5, "bool": -0.5, "date": -1.0}
    if column.kind not in kinds:
        return -math.inf
    score = kinds[column.kind] + 3.0 * column.served
    # Of a few up to some hundred partitions are usual; two tell little.
    score += min(math.log10(column.distinct), 2.0) * 0.8
    score -= 1.0 if column.distinct == 2 else 0.0  # noqa: PLR2004
    score += 2.0 if column.words & _KEY_WORDS else 0.0
    score -= 3.0 if column.words & _TIME_WORDS else 0.0
    score -= 2.0 * column.missing / max(column.rows, 1)
    score -= 2.0 * max(column.largest / max(column.rows, 1) - 0.8, 0) * 5
    if column.kind == "int64" and not column.words & (_KEY_WORDS | _ID_WORDS):
        score -= 0.5 if column.distinct <= 50 else 3.0  # noqa: PLR2004 - measured numbers
    return score


def rank_targets(columns: Sequence[ColumnFacts], taken: str | None = None) -> list[str]:
    """Return columns that could be predicted, the best first.

    Args:
        columns: all columns.
        taken: the partition column.
    """
    last = max((each.position for each in columns), default=0)
    scores = {each.name: _target_score(each, last) for each in columns if each.name != taken}
    return _ranked(scores)


def _target_score(column: ColumnFacts, last: int) -> float:
    if column.is_index or column.distinct < 2 or column.kind in {"timestamp", "date", "?"}:  # noqa: PLR2004
        return -math.inf
    binary = column.distinct == 2  # noqa: PLR2004
    if column.kind == "string" and not binary:
        return -5.0 - column.distinct / 100
    score = {"float64": 2.0, "int64": 1.0, "bool": 1.5, "string": 1.5}[column.kind]
    score += 1.0 if column.kind in {"float64", "int64"} and column.distinct > 20 else 0.0  # noqa: PLR2004
    score += 3.0 if column.words & _TARGET_WORDS else 0.0
    score += 2.0 if column.position == last else 0.0
    score += 1.0 if column.position <= 1 else 0.0
    score -= 4.0 if column.words & (_TIME_WORDS | _PLACE_WORDS) else 0.0
    score -= 4.0 if column.words & _ID_WORDS else 0.0
    score -= 3.0 if column.kind == "int64" and column.is_identifier else 0.0
    score -= 3.0 * column.missing / max(column.rows, 1)
    return score


def _ranked(scores: dict[str, float]) -> list[str]:
    possible = [name for name, score in scores.items() if score > -math.inf]
    return sorted(possible, key=lambda name: -scores[name])
