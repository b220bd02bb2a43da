"""The processor: its name, and which of its instructions training computes with.

The last digit of a sum follows from the order of adding, and libraries choose that by the
processor: OpenBLAS by its kernels, numpy by the width of its ``exp`` and ``log``. Nodes of one pool
differ, as spot nodes do, and a laptop differs from them. So training takes what every processor of
x86-64-v3 has (AVX2; Intel since 2013, AMD since 2015), on wider ones too. Another architecture, or
an older processor, keeps its own choice.
"""

from __future__ import annotations

import contextlib
import functools
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
"""Where Linux tells what a processor is."""

_V3 = frozenset({"avx2", "bmi2", "fma"})
_V4 = frozenset({"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"})


@functools.cache
def cpu_model_name(cpuinfo: Path = CPUINFO) -> str:
    """What its maker calls it; empty where nobody says so."""
    return _told(cpuinfo, "model name")


def portable_cpu_env(cpuinfo: Path = CPUINFO) -> dict[str, str]:
    """Environment of a process that is to compute the same digits on every machine.

    It is read when the libraries are loaded. OpenBLAS believes what it is told, and would run into
    instructions that are not there; numpy warns of a feature that is not there.

    Args:
        cpuinfo: as Linux has it; without it nothing is chosen.
    """
    flags = set(_told(cpuinfo, "flags").split())
    blas = {"OPENBLAS_CORETYPE": "Haswell"} if flags >= _V3 else {}
    numpy = {"NPY_DISABLE_CPU_FEATURES": "X86_V4"} if flags >= _V3 | _V4 else {}
    return blas | numpy


def _told(cpuinfo: Path, what: str) -> str:
    """A line about the first processor; empty if there is none."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    found = (line.partition(":") for line in lines)
    return next((told.strip() for name, _, told in found if name.strip() == what), "")


_COUNTERS = (
    "/sys/fs/cgroup/memory.events",  # version 2
    "/sys/fs/cgroup/memory/memory.oom_control",  # version 1
)


def memory_kills() -> int:
    """Processes killed so far for memory, as the control group counts them; 0 where none tells."""
    for name in _COUNTERS:
        with contextlib.suppress(OSError, ValueError):
            fields = dict(line.split()[:2] for line in Path(name).read_text().splitlines())
            if "oom_kill" in fields:
                return int(fields["oom_kill"])
    return 0
