"""A trainer whose data tells it how to misbehave: the first feature's mean picks the fault."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path
from typing import ClassVar

import numpy as np

from refeed import Features, Trainer, TrainerParams, TrainingData, TransientError

RAISES, OUT_OF_MEMORY, KILLED, EXITS = 101.0, 102.0, 103.0, 104.0
BAD_SHAPE, NOT_FINITE, TRANSIENT = 105.0, 106.0, 107.0


FIT_LOG = "FAULTY_FIT_LOG"
"""Names a file to which every fit appends a line, so that a test can count them from outside."""


class FaultyParams(TrainerParams):
    """Parameters of the faulty trainer."""

    seconds: float = 0.0
    """How long a fit takes at the least."""


class FaultyTrainer(Trainer[FaultyParams, float]):
    """Predicts the training mean, unless the data says otherwise."""

    Params = FaultyParams
    suffix: ClassVar[str] = ".txt"

    def fit(self, data: TrainingData) -> float:
        """The mean of the target."""
        code = float(np.nan_to_num(data.features.values[:, 0]).max())
        if FIT_LOG in os.environ:  # not a parameter: it must not be part of the result
            with Path(os.environ[FIT_LOG]).open("a") as log:
                log.write(f"{code} {data.target.sum():.6f} {len(data.target)}\n")
        time.sleep(self.params.seconds)
        _misbehave(code)
        return code if code in {BAD_SHAPE, NOT_FINITE} else float(data.target.mean())

    def predict(self, model: float, features: Features) -> np.ndarray:
        """The same for every row."""
        if model == BAD_SHAPE:
            return np.zeros(features.rows)
        return np.full((features.rows, 1), np.nan if model == NOT_FINITE else model)

    def save(self, model: float) -> bytes:
        """Its text."""
        return repr(model).encode()

    def load(self, content: bytes) -> float:
        """Its number."""
        return float(content)


def _misbehave(code: float) -> None:
    if code == RAISES:
        raise RuntimeError(f"no luck at {Path('/tmp/some/where')} with {object()}")
    if code == TRANSIENT:
        raise TransientError("busy")
    if code == OUT_OF_MEMORY:
        raise MemoryError
    if code == KILLED:
        os.kill(os.getpid(), signal.SIGKILL)
    if code == EXITS:
        with contextlib.suppress(KeyboardInterrupt):
            os._exit(7)
