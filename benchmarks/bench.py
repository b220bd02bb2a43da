"""Answers four questions with numbers: `python benchmarks/bench.py [NAME ...] [--quick]`.

NAME is train, dependence, split or memory; default: all. The table goes to stdout; a full run of
all four also writes it to benchmarks/results.md. Numbers of two machines cannot be compared, ratios
of one run can.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import os
import platform
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.common import HEADER, MIB, Row, say

NAMES = ("train", "dependence", "split", "memory")
RESULTS = Path(__file__).with_name("results.md")
_LIBRARIES = (
    "numpy",
    "pyarrow",
    "lightgbm",
    "scikit-learn",
    "duckdb",
    "pandas",
    "loky",
)


def markdown(rows: list[Row]) -> str:
    """The rows as a table."""
    lines = [HEADER, ["---"] * len(HEADER), *(row.cells() for row in rows)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def machine() -> str:
    """Processor, memory and versions; nothing that names this very machine."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / MIB / 1024
    versions = [f"Python {platform.python_version()}"]
    versions += [f"{name} {importlib.metadata.version(name)}" for name in _LIBRARIES]
    return (
        f"{_processor()}, {os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()} "
        f"{platform.release().split('-')[0]}. {', '.join(versions)}."
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def document(found: dict[str, list[Row]], minutes: float) -> str:
    """results.md."""
    parts = [
        "# Benchmarks",
        "Made by `make bench`; do not edit. What is measured, against what, and why that is fair "
        "stands at the top of each module in this folder. Medians, where there are several rounds.",
        f"{datetime.now(UTC):%Y-%m-%d}, {minutes:.0f} minutes in all, load {os.getloadavg()[2]:.1f}"
        f" on average over the last quarter of an hour. {machine()}",
    ]
    for name, rows in found.items():
        parts += [f"## {name}", markdown(rows)]
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--quick", action="store_true", help="small sizes, to try it out")
    asked = parser.parse_args()
    strange = sorted(set(asked.names) - set(NAMES))
    if strange:
        parser.error(f"no benchmark is called {', '.join(strange)}; there are {', '.join(NAMES)}")
    began, found = time.monotonic(), {}
    for name in asked.names or NAMES:
        say(f"{name} begins")
        found[name] = importlib.import_module(f"benchmarks.{name}").run(quick=asked.quick)
        print(markdown(found[name]), flush=True)
    minutes = (time.monotonic() - began) / 60
    say(f"done in {minutes:.1f} minutes")
    if not asked.quick and set(found) == set(NAMES):
        RESULTS.write_text(document(found, minutes), encoding="utf-8")


if __name__ == "__main__":
    main()
