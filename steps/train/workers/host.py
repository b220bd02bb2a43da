"""The host: the CPU, the instructions that training uses, and processes killed for memory.

The last digit of a sum depends on the order of its terms, which libraries choose by CPU: OpenBLAS
by its kernels, numpy by the width of its ``exp`` and ``log``. The nodes of a pool differ, and a
laptop differs from them. So training uses what every CPU of x86-64-v3 has (AVX2; Intel since 2013,
AMD since 2015), on newer ones too. On another architecture or an older CPU the libraries choose.
"""

from __future__ import annotations

import contextlib
import functools
import resource
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from steps.runtime.attempts import busy_seconds

CPUINFO = Path("/proc/cpuinfo")
"""Linux' description of the CPU."""

_V3 = frozenset({"avx2", "bmi2", "fma"})
_V4 = frozenset({"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"})


@functools.cache
def cpu_model_name(cpuinfo: Path = CPUINFO) -> str:
    """Return the CPU's model name; empty if it is unknown."""
    return _field(cpuinfo, "model name")


def portable_cpu_env(cpuinfo: Path = CPUINFO) -> dict[str, str]:
    """Return the environment in which a process computes the same digits on every machine.

    The libraries read it when they are loaded. OpenBLAS does not check that the CPU has the
    instructions; numpy warns about a feature that the CPU lacks.

    Args:
        cpuinfo: Linux' description of the CPU; if it is missing, the libraries choose.
    """
    flags = set(_field(cpuinfo, "flags").split())
    blas = {"OPENBLAS_CORETYPE": "Haswell"} if flags >= _V3 else {}
    numpy = {"NPY_DISABLE_CPU_FEATURES": "X86_V4"} if flags >= _V3 | _V4 else {}
    return blas | numpy


def _field(cpuinfo: Path, what: str) -> str:
    """Return a field of the first CPU; empty if there is none."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    found = (line.partition(":") for line in lines)
    return next((value.strip() for name, _, value in found if name.strip() == what), "")


_COUNTERS = (
    "/sys/fs/cgroup/memory.events",  # version 2
    "/sys/fs/cgroup/memory/memory.oom_control",  # version 1
)


def memory_kills() -> int:
    """Return how many processes the control group has killed for memory; 0 if it is unknown."""
    for name in _COUNTERS:
        with contextlib.suppress(OSError, ValueError):
            fields = dict(line.split()[:2] for line in Path(name).read_text().splitlines())
            if "oom_kill" in fields:
                return int(fields["oom_kill"])
    return 0


def peak_memory_mib() -> float:
    """Return the largest resident set of this process so far, in MiB."""
    unit = 1 if sys.platform == "darwin" else 1024  # bytes; getrusage(2) of macOS and of Linux
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


@dataclass(frozen=True)
class Spent:
    """Time that this process has spent.

    Attributes:
        seconds: wall time.
        cpu_seconds: CPU time of all threads.
        queued_seconds: time for which its main thread was ready to run but had no CPU, since others
            used them; 0 if the system does not say.
    """

    seconds: float
    cpu_seconds: float
    queued_seconds: float

    @classmethod
    def now(cls) -> Spent:
        """Return the time spent so far."""
        return cls(time.monotonic(), time.process_time(), _queued_seconds())

    def since(self, before: Spent) -> Spent:
        """Return the time spent after an earlier moment."""
        return Spent(
            self.seconds - before.seconds,
            self.cpu_seconds - before.cpu_seconds,
            self.queued_seconds - before.queued_seconds,
        )

    @property
    def busy_seconds(self) -> float:
        """Time that the work would take on a CPU of its own."""
        return busy_seconds(self.seconds, self.cpu_seconds, self.queued_seconds)


def _queued_seconds() -> float:
    try:
        return int(Path("/proc/self/schedstat").read_text().split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0
