"""Amounts as Kubernetes and specs write them: memory, processors, durations."""

from __future__ import annotations

_MEMORY = {
    "": 1,
    "k": 10**3,
    "M": 10**6,
    "G": 10**9,
    "T": 10**12,
    "Ki": 1 << 10,
    "Mi": 1 << 20,
    "Gi": 1 << 30,
    "Ti": 1 << 40,
}
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def mebibytes(quantity: str) -> int:
    """MiB of ``4Gi`` (4096) or ``500M`` (476), rounded down."""
    number = quantity.rstrip("KkMGTi")
    return int(float(number) * _MEMORY[quantity[len(number) :]]) >> 20


def cores(quantity: str) -> float:
    """Processors of ``2`` (2.0) or ``500m`` (0.5)."""
    return float(quantity[:-1]) / 1000 if quantity.endswith("m") else float(quantity)


def seconds(duration: str) -> int:
    """Seconds of ``90s``, ``15m``, ``6h`` or ``7d``."""
    return int(duration[:-1]) * _SECONDS[duration[-1]]
