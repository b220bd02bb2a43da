"""Targets that LightGBM's float32 labels would distort, moved to where they keep their digits.

LightGBM stores labels as float32, which has 24 bits. Seconds since 1970 then come in steps of 128,
and a target of 1e39 is infinite. A loss of differences (l2, l1, huber, quantile) does not change if
a constant is subtracted from target and prediction, and only in its unit if both are scaled.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from containers.lightgbm.params import LightGBMParams
    from refeed import TrainingData

_OF_DIFFERENCES = frozenset({"l2", "l1", "huber", "quantile"})
_FLOAT32_STEP = 2.0**-24
_MOST_STEP = 1e-4
"""The largest step of the labels, in standard deviations of the target, that changes nothing."""
_SMALLEST, _LARGEST = 1e-30, 1e30
"""Deviations that float32 holds with room for gradients and their sums. LightGBM's leaves hold none
below 1e-35."""


@dataclass(frozen=True)
class LabelRange:
    """The label of a row is (target - center) / scale."""

    center: float = 0.0
    scale: float = 1.0

    def rows(self, data: TrainingData) -> TrainingData:
        """Return the rows with labels instead of targets."""
        if self == LabelRange():
            return data
        target = (data.target - self.center) / self.scale
        offset = None if data.offset is None else data.offset / self.scale
        return replace(data, target=target, offset=offset)

    def params(self, params: LightGBMParams) -> LightGBMParams:
        """Return the parameters that have the unit of the target in the unit of the labels."""
        if self.scale == 1:
            return params
        units = {"lambda_l1": 1, "max_delta_step": 1, "min_gain_to_split": 2}
        units |= {"alpha": 1} if params.objective == "huber" else {}
        fields = type(params).model_fields
        return params.model_copy(
            update={
                name: getattr(params, name) / self.scale**power
                for name, power in units.items()
                if name in fields and getattr(params, name)
            }
        )

    def restore(self, booster: Any) -> None:  # noqa: ANN401 - lightgbm has no usable types
        """Change the leaves of a fitted booster, so that it predicts targets."""
        trees = booster.dump_model()["tree_info"]
        for number, tree in enumerate(trees if self.scale != 1 else trees[:1]):
            for leaf in range(tree["num_leaves"]):
                value = booster.get_leaf_output(number, leaf) * self.scale
                booster.set_leaf_output(number, leaf, value + (0 if number else self.center))


def label_range(data: TrainingData, objective: str) -> LabelRange:
    """Return center and scale of the labels; 0 and 1 unless float32 would distort the target.

    Args:
        data: the training rows.
        objective: name of the objective; only losses of differences can be moved.

    Raises:
        ValueError: the target is so small that LightGBM's leaves cannot hold it.
    """
    if data.task != "regression" or objective not in _OF_DIFFERENCES:
        return LabelRange()
    target = data.target
    largest = float(np.abs(target).max())
    middle = float(target.min() / 2 + target.max() / 2)
    with np.errstate(over="ignore"):
        spread = float(np.std(target - middle))
    center = middle if largest * _FLOAT32_STEP > _MOST_STEP * spread else 0.0
    deviation = float(np.abs(target - center).max())
    if 0 < deviation < _SMALLEST:
        raise ValueError(
            f"the target differs by at most {deviation:.3g} from {center:.6g}, and LightGBM rounds "
            "values below 1e-35 to 0: multiply the target by a large number"
        )
    if deviation <= _LARGEST:
        return LabelRange(center)
    return LabelRange(center, 2.0 ** np.floor(np.log2(deviation)))
