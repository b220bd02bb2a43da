"""Whether the kernel killed processes of this container because its memory was used up."""

from __future__ import annotations

import contextlib
from pathlib import Path

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
