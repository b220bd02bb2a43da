"""Which instructions training computes with: the same ones on a laptop and on every node.

The last digit of a sum follows from the order of adding, and libraries choose that by the
processor: OpenBLAS by its kernels, numpy by the width of its ``exp`` and ``log``. Nodes of one pool
differ, as spot nodes do, and a laptop differs from them. So training takes what every processor of
x86-64-v3 has (AVX2; Intel since 2013, AMD since 2015), wider ones too: tables are the same bytes
wherever they are made. Another architecture, or an older processor, keeps its own choice.
"""

from __future__ import annotations

from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
"""Where Linux says what a processor can do."""

_V3 = frozenset({"avx2", "bmi2", "fma"})
_V4 = frozenset({"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"})


def same_everywhere(cpuinfo: Path = CPUINFO) -> dict[str, str]:
    """Environment of a process that is to compute the same digits on every machine.

    It is read when the libraries are loaded. OpenBLAS believes what it is told, and would run into
    instructions that are not there; numpy warns of a feature that is not there.

    Args:
        cpuinfo: as Linux has it; without it nothing is chosen.
    """
    flags = _flags(cpuinfo)
    blas = {"OPENBLAS_CORETYPE": "Haswell"} if flags >= _V3 else {}
    numpy = {"NPY_DISABLE_CPU_FEATURES": "X86_V4"} if flags >= _V3 | _V4 else {}
    return blas | numpy


def _flags(cpuinfo: Path) -> frozenset[str]:
    """What the first processor can do; nothing where nobody says so."""
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        return frozenset()
    found = next((line for line in lines if line.startswith("flags")), "")
    return frozenset(found.partition(":")[2].split())
