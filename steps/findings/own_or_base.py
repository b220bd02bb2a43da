r"""Do a partition's own models predict better than one model of all partitions?

The gain d_p of a partition and its standard error come from training (``steps.train.comparison``).
Two corrections make them honest:

- The standard error is multiplied by ``WIDENING``. The rows of a fold are held out from models that
  share training rows, so their errors are not independent: without it, 90 % intervals of a gain
  cover 82 %, with it 90 to 92 % (simulations in docs/analysts/science.md). With groups that
  partitions share, the same holds for the overall gain (77 %); without groups rows of different
  partitions are independent, and it covers 88 % without the factor.
- Partitions are declared by Benjamini-Hochberg at ``LEVEL``, since among hundreds a few look better
  by chance.

The overall gain is D = sum_p A_p / sum_p B_p, with A the gained loss and B the constant's loss of a
partition. Its variance is clustered by group over all partitions: with the sums A_g and B_g of all
rows of group g, it is G / (G - 1) sum_g (A_g - D B_g)^2 / B^2 (Liang and Zeger, Biometrika 73,
1986). It is about these partitions, not about others like them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from scipy import special

from steps.findings.multiplicity import q_values
from steps.findings.tails import Floats, two_sided, z_of_t

LEVEL = 0.1
"""False discovery rate of the partitions that are declared."""
WIDENING = 1.3
"""Factor of standard errors, as an A/A run measures it (1.21 to 1.29 in simulations)."""
CONFIDENCE = 0.90
"""Coverage of the intervals."""

Better = Literal["own", "base", "unsure", ""]

_SLOTS = 1 << 16
"""Sums by group are kept in so many slots; groups that share one count as one group."""


@dataclass(frozen=True)
class Overall:
    """The gain of own models over the base model, over all rows that both have predicted.

    Attributes:
        partitions: number of partitions that were compared.
        gain: share of the constant prediction's loss that own models remove beyond the base model;
            negative if the base model predicts better.
        low: lower bound of the 90 % interval.
        high: upper bound.
    """

    partitions: int
    gain: float
    low: float
    high: float


@dataclass
class _Sums:
    """Sums over groups of all partitions."""

    gained: Floats = field(default_factory=lambda: np.zeros(_SLOTS))
    constant: Floats = field(default_factory=lambda: np.zeros(_SLOTS))

    def add(self, slots: Sequence[int], gained: Sequence[float], constant: Sequence[float]) -> None:
        np.add.at(self.gained, slots, gained)
        np.add.at(self.constant, slots, constant)

    def variance(self, gain: float) -> tuple[float, int]:
        """Return the sum of squares of the groups' residuals, and the number of groups."""
        used = self.constant > 0
        residuals = self.gained[used] - gain * self.constant[used]
        return float((residuals**2).sum()), int(used.sum())


class OwnOrBase:
    """Collects the comparisons of all partitions, and judges them together.

    Memory does not grow with rows or groups: a few numbers are kept per partition.
    """

    def __init__(self) -> None:
        self._rows: list[dict[str, Any]] = []
        self._gained = self._constant = 0.0
        self._squares = np.zeros(3)
        self._independent = 0
        self._groups, self._buckets = _Sums(), _Sums()
        self._bucketed = False

    def add(self, partition_id: str, partition: str, comparison: Mapping[str, Any]) -> None:
        """Add one partition.

        Args:
            partition_id: its identifier.
            partition: its name.
            comparison: what ``steps.train.comparison.compare`` returned.
        """
        row: dict[str, Any] = dict.fromkeys(COLUMNS)
        row |= {"partition_id": partition_id, "partition": partition, "better": ""}
        row["reason"] = comparison.get("reason", "")
        self._rows.append(row)
        if row["reason"]:
            return
        row |= {
            "rows": comparison["rows"],
            "groups": comparison["groups"],
            "own_loss": comparison["own"],
            "base_loss": comparison["base"],
            "constant_loss": comparison["constant"],
            "gain": comparison["gain"],
        }
        if comparison["standard_error"]:
            row["standard_error"] = WIDENING * comparison["standard_error"]
        else:
            row["reason"] = "one_group"
        self._add_sums(comparison["sums"], comparison["groups"])

    def _add_sums(self, sums: Mapping[str, Any], groups: int) -> None:
        if "squares" in sums:
            self._squares += sums["squares"]
            self._independent += groups
            self._gained += sums["gained"]
            self._constant += sums["constant"]
            return
        gained, constant = sums["gained"], sums["constant"]
        self._gained += sum(gained)
        self._constant += sum(constant)
        if sums["buckets"] is None:
            self._bucketed = True
            self._buckets.add(sums["labels"], gained, constant)
        else:
            slots = [int(label, 16) % _SLOTS for label in sums["labels"]]
            self._groups.add(slots, gained, constant)
            self._buckets.add(sums["buckets"], gained, constant)

    def judge(self) -> tuple[list[dict[str, Any]], Overall | None]:
        """Return a row per partition, and the overall gain; None if nothing was compared."""
        judged = [row for row in self._rows if row["standard_error"]]
        gain = np.array([row["gain"] for row in judged])
        error = np.array([row["standard_error"] for row in judged])
        df = np.array([row["groups"] - 1 for row in judged], np.float64)
        p = two_sided(z_of_t(gain / error, df))
        reach = special.stdtrit(df, 0.5 + CONFIDENCE / 2) * error
        for row, each_p, each_q, half in zip(judged, p, q_values(p), reach, strict=True):
            row["low"], row["high"] = row["gain"] - float(half), row["gain"] + float(half)
            row["p_value"], row["q_value"] = float(each_p), float(each_q)
            sure: Better = "own" if row["gain"] > 0 else "base"
            row["better"] = sure if each_q <= LEVEL else "unsure"
        return self._rows, self._overall(sum(row["gain"] is not None for row in self._rows))

    def _overall(self, partitions: int) -> Overall | None:
        if not self._constant:
            return None
        gain = self._gained / self._constant
        squares, product, constants = self._squares
        variance = squares - 2 * gain * product + gain**2 * constants
        grouped, count = (self._buckets if self._bucketed else self._groups).variance(gain)
        clusters = count + self._independent
        if clusters < 2:  # noqa: PLR2004 - one group has no spread
            return None
        error = float(np.sqrt(clusters / (clusters - 1) * (variance + grouped))) / self._constant
        error *= WIDENING if count else 1.0
        reach = float(special.stdtrit(clusters - 1, 0.5 + CONFIDENCE / 2)) * error
        return Overall(partitions, gain, gain - reach, gain + reach)


COLUMNS = (
    *("partition_id", "partition", "rows", "groups", "own_loss", "base_loss", "constant_loss"),
    *("gain", "standard_error", "low", "high", "p_value", "q_value", "better", "reason"),
)
"""Columns of a row, as in the result table ``own_or_base``."""
