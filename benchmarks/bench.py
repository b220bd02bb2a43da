"""Answers nine questions with numbers: `python benchmarks/bench.py [NAME ...] [--quick]`.

NAME is train, dependence, split, beam, warehouse, collect, memory, compile or engine; default: all
but the last, which needs a cluster. The tables go to stdout, and unless --quick also to
benchmarks/results.md. Numbers of two machines cannot be compared, ratios of one run can.
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
from steps.train.workers.host import cpu_model_name

HERE = ("train", "dependence", "split", "beam", "warehouse", "collect", "memory", "compile")
NAMES = (*HERE, "engine")
"""Benchmarks by name; the last one needs a cluster and runs only if named."""
RESULTS = Path(__file__).with_name("results.md")
_PREFACE = """# Benchmarks

Made by `make bench`; do not edit. What is measured, against what, and why that is fair stands at
the top of each module in this folder. Medians, where there are several rounds. Ratios are of one
run; seconds of two runs cannot be compared."""
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
    """Return the rows as a table."""
    lines = [HEADER, ["---"] * len(HEADER), *(row.cells() for row in rows)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def machine() -> str:
    """Processor, memory and versions; nothing that names this very machine."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / MIB / 1024
    versions = [f"Python {platform.python_version()}"]
    versions += [f"{name} {importlib.metadata.version(name)}" for name in _LIBRARIES]
    return (
        f"{cpu_model_name() or platform.machine()}, {os.cpu_count()} cores, {memory:.0f} GiB, "
        f"{platform.system()} "
        f"{platform.release().split('-')[0]}. {', '.join(versions)}."
    )


def section(rows: list[Row], minutes: float) -> str:
    """One question's part of results.md."""
    when = f"{datetime.now(UTC):%Y-%m-%d}, {minutes:.1f} minutes"
    busy = f"{os.getloadavg()[1]:.1f} processes ran at once on average (ours included)"
    return f"{when}; {busy}. {machine()}\n\n{markdown(rows)}"


def keep(name: str, text: str) -> None:
    """Put a question's part into results.md, in place of its former one."""
    parts = {}
    if RESULTS.is_file():
        for old in RESULTS.read_text(encoding="utf-8").split("\n## ")[1:]:
            title, _, body = old.partition("\n")
            parts[title] = body.strip()
    parts[name] = text
    sections = [f"## {title}\n\n{parts[title]}" for title in NAMES if title in parts]
    RESULTS.write_text("\n\n".join([_PREFACE, *sections]) + "\n", encoding="utf-8")


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--quick", action="store_true", help="small sizes, to try it out")
    asked = parser.parse_args()
    strange = sorted(set(asked.names) - set(NAMES))
    if strange:
        parser.error(f"no benchmark is called {', '.join(strange)}; there are {', '.join(NAMES)}")
    for name in asked.names or HERE:
        say(f"{name} begins")
        began = time.monotonic()
        rows = importlib.import_module(f"benchmarks.{name}").run(quick=asked.quick)
        minutes = (time.monotonic() - began) / 60
        say(f"{name} took {minutes:.1f} minutes")
        print(markdown(rows), flush=True)
        if not asked.quick:
            keep(name, section(rows, minutes))


if __name__ == "__main__":
    main()
