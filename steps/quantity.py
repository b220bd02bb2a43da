"""Quantities in the notation of Kubernetes and of specs: memory, CPUs, durations."""

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
_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def parse_mib(quantity: str) -> int:
    """Return MiB of ``4Gi`` (4096) or ``500M`` (476), rounded down."""
    number = quantity.rstrip("KkMGTi")
    return int(float(number) * _MEMORY[quantity[len(number) :]]) >> 20


def parse_bytes(quantity: str) -> int:
    """Return bytes of ``2TiB``, ``2Ti`` or ``500MB``; the B is optional."""
    plain = quantity.removesuffix("B")
    number = plain.rstrip("KkMGTi")
    return int(float(number) * _MEMORY[plain[len(number) :]])


def format_bytes(size: int) -> str:
    """Return bytes for people: ``1.5 GiB``."""
    amount, unit = float(size), 0
    while amount >= 1024 and unit < len(_UNITS) - 1:  # noqa: PLR2004 - of one unit in the next
        amount, unit = amount / 1024, unit + 1
    return f"{amount:.1f} {_UNITS[unit]}" if unit else f"{size} bytes"


def parse_cpus(quantity: str) -> float:
    """Return CPUs of ``2`` (2.0) or ``500m`` (0.5)."""
    return float(quantity[:-1]) / 1000 if quantity.endswith("m") else float(quantity)


def parse_duration(duration: str) -> int:
    """Return seconds of ``90s``, ``15m``, ``6h`` or ``7d``."""
    return int(duration[:-1]) * _SECONDS[duration[-1]]
