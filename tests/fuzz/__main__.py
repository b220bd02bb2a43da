"""Check many random tables and specs.

    .venv/bin/python -m tests.fuzz all --seeds 0:10000 --seconds 480
    .venv/bin/python -m tests.fuzz tables --seeds 0:10000
    .venv/bin/python -m tests.fuzz specs --seeds 0:10000
    .venv/bin/python -m tests.fuzz shrink TABLE --name NAME --title "What was wrong."

The first three stop after ``--seconds`` with exit code 75, and the same command resumes. The
first tables that fail are shrunk and written to ``tests/fuzz/cases``; ``shrink`` does it for one.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from tests.fuzz.cases import CASES, write_case
from tests.fuzz.checks import problems, table_problems
from tests.fuzz.generator import generate
from tests.fuzz.shrinking import shrink
from tests.fuzz.soak import CHUNK, Check, Progress, run_slice
from tests.fuzz.specs import spec_problems
from tests.fuzz.table import Table

UNFINISHED = 75
_FAILED = 1
_SHRUNK = 3
"""Failures that are shrunk per slice: each takes a minute."""
_CHECKS: dict[str, Check] = {"tables": table_problems, "specs": spec_problems}


def shrunk(seed: int) -> Table:
    """Return the smallest table that fails as the table of a seed does."""
    table = generate(seed)
    kinds = _kinds(problems(table))
    assert kinds, f"the table {seed} does not fail"
    return shrink(table, lambda smaller: bool(kinds & _kinds(problems(smaller))))


def _kinds(found: list[str]) -> set[str]:
    """Return what the problems are about: the words before the first name."""
    texts = (text.partition(": ")[2] if text.startswith("variant") else text for text in found)
    return {text.split(":")[0].split("'")[0].split("(")[0] for text in texts}


def keep_case(seed: int, name: str = "", title: str = "") -> None:
    """Shrink a table that fails, and write it as a case."""
    table = shrunk(seed)
    found = problems(table)
    write_case(table, CASES / (name or f"table-{seed}"), title or found[0])
    print("\n".join(found))  # noqa: T201


def soak(names: list[str], seeds: range, seconds: float, processes: int) -> int:
    """Check a slice, and return the exit code."""
    file = f"fuzz-{'-'.join(names)}-{seeds.start}-{seeds.stop}.json"
    progress = Progress.read(Path("build", file))
    checks = {name: _CHECKS[name] for name in names}
    finished = run_slice(checks, seeds, seconds, processes, progress)
    for found in [*progress.failed.values()][:_SHRUNK]:
        number = re.match(r"table (\d+):", found[0])
        if number and not (CASES / f"table-{number[1]}").exists():
            keep_case(int(number[1]))
    total = len(names) * len(range(seeds.start, seeds.stop, CHUNK))
    failed = f"{len(progress.failed)} failed: {[*progress.failed][:20]}"
    print(f"{len(progress.done)} of {total} chunks of {CHUNK}, {failed}")  # noqa: T201
    if not finished:
        return UNFINISHED
    progress.path.unlink(missing_ok=True)
    return _FAILED if progress.failed else 0


def main(arguments: list[str] | None = None) -> int:
    """Run the command line, and return the exit code."""
    parser = argparse.ArgumentParser(prog="tests.fuzz")
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("all", *_CHECKS):
        command = commands.add_parser(name)
        command.add_argument("--seeds", default="0:10000")
        command.add_argument("--seconds", type=float, default=480)
        command.add_argument("--processes", type=int, default=2)
    command = commands.add_parser("shrink")
    command.add_argument("table", type=int)
    command.add_argument("--title", default="")
    command.add_argument("--name", default="")
    options = parser.parse_args(arguments)
    if options.command == "shrink":
        keep_case(options.table, options.name, options.title)
        return 0
    names = [*_CHECKS] if options.command == "all" else [options.command]
    start, stop = map(int, options.seeds.split(":"))
    return soak(names, range(start, stop), options.seconds, options.processes)


if __name__ == "__main__":
    sys.exit(main())
