"""The predicted cost of a run, as its files record it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workflows.planning.packing import RESIDENT_MIB, Work

if TYPE_CHECKING:
    from workflows.planning.cost import Basis


@dataclass(frozen=True)
class Predicted:
    """The predicted cost of a run.

    Attributes:
        works: predicted cost of each partition.
        basis: basis of the prediction.
    """

    works: Sequence[Work]
    basis: Basis

    def to_csv(self) -> str:
        """Return the text of ``operations/predictions.csv``: one line per partition."""
        lines = [
            f"{work.partition_id},{work.seconds:.3f},{RESIDENT_MIB + work.memory_mib:.1f}\n"
            for work in self.works
        ]
        return "partition_id,seconds,memory_mib\n" + "".join(lines)

    def to_raw(self) -> dict[str, Any]:
        """Return the totals for ``operations/plan.json``."""
        return {
            "seconds": round(sum(work.seconds for work in self.works), 3),
            "memory_mib": round(RESIDENT_MIB + max(work.memory_mib for work in self.works), 1),
            "basis": self.basis.description,
        }
