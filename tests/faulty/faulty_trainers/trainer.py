"""A trainer that misbehaves as its data says: the first feature's mean selects the fault."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import ClassVar

import numpy as np

from refeed import Features, Trainer, TrainerParams, TrainingData, TransientError

RAISES, OUT_OF_MEMORY, KILLED, EXITS = 101.0, 102.0, 103.0, 104.0
BAD_SHAPE, NOT_FINITE, TRANSIENT = 105.0, 106.0, 107.0
EATS_SOME, EATS_ALL, TRANSIENT_TWICE, FILLS_DISK = 108.0, 109.0, 110.0, 111.0

EATEN_MIB = {EATS_SOME: 600, EATS_ALL: 6000}
"""More than the small class of the end-to-end tests has, and more than any."""

LEDGER = "FAULTY_LEDGER"
"""The environment variable with a bucket's URL at the emulator, where a fault keeps its state."""

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
    if code in EATEN_MIB:
        _eat(EATEN_MIB[code])
    if code == TRANSIENT_TWICE and _times("transient-twice") <= 2:
        raise TransientError("busy, but not for ever")
    if code == FILLS_DISK:
        _fill_disk(1200)
    if code == KILLED:
        os.kill(os.getpid(), signal.SIGKILL)
    if code == EXITS:
        with contextlib.suppress(KeyboardInterrupt):
            os._exit(7)


def _eat(mebibytes: int) -> None:
    """Take memory page by page, so that the kernel has to give it, and give it back."""
    held = [bytearray(os.urandom(1024) * 1024) for _ in range(mebibytes)]
    del held


def _fill_disk(mebibytes: int) -> None:
    """Write more than the small class may, and wait until the kubelet measures it."""
    with tempfile.NamedTemporaryFile() as file:
        for _ in range(mebibytes):
            file.write(bytes(1 << 20))
        file.flush()
        time.sleep(600)


def _times(name: str) -> int:
    """How often this was asked, in all pods of the run together."""
    base = os.environ[LEDGER]
    listed = json.loads(_get(f"{base}/o?prefix=faulty/{name}/"))
    count = len(listed.get("items", [])) + 1
    where = base.replace("/storage/v1/", "/upload/storage/v1/")
    url = f"{where}/o?uploadType=media&name=faulty/{name}/{count}-{time.time_ns()}"
    _get(url, b"x")
    return count


def _get(url: str, body: bytes | None = None) -> bytes:
    with urllib.request.urlopen(url, body, timeout=20) as answer:
        content: bytes = answer.read()
        return content
