"""From raw scores to predictions."""

from __future__ import annotations

import numpy as np

from steps.train.trainer import Floats


def respond(task: str, raw: Floats) -> Floats:
    """Predictions of raw scores; the last axis is the outputs.

    Identity for a regression, the logistic function for a binary task (the probability of the
    positive class), the softmax over the outputs for more classes.
    """
    if task == "regression":
        return raw
    if task == "binary":
        # Each branch overflows nowhere: exp of a number that is not positive.
        small = np.exp(-np.abs(raw))
        return np.where(raw >= 0, 1 / (1 + small), small / (1 + small))
    grown = np.exp(raw - raw.max(axis=-1, keepdims=True))
    probabilities: Floats = grown / grown.sum(axis=-1, keepdims=True)
    return probabilities
