"""Check many random tables or specs, and keep the progress.

    .venv/bin/python -m tests.fuzz tables --seeds 0:10000 [--seconds 500] [--progress FILE]
    .venv/bin/python -m tests.fuzz specs --seeds 0:10000
    .venv/bin/python -m tests.fuzz shrink SEED [--title "What was wrong."]

The first two stop after ``--seconds`` with exit code 75; the same command resumes. ``shrink``
writes a case to ``tests/fuzz/cases``.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.fuzz.cases import CASES, write_case
from tests.fuzz.checks import problems
from tests.fuzz.generator import generate
from tests.fuzz.known import is_known
from tests.fuzz.shrinking import shrink
from tests.fuzz.specs import spec_problems
from tests.fuzz.table import Table

UNFINISHED = 75
_FAILED = 1
_NEXT = 1_000_000
"""Distance to the next seed: more than the number of seeds in a soak."""


def table_problems(seed: int) -> list[str]:
    """Return what is wrong with the table of a seed, or of the next that meets no known defect."""
    table = generate(seed)
    while is_known(table):
        table = generate(table.seed + _NEXT)
    return [f"table {table.seed}: {each}" for each in problems(table)]


def check_range(
    check: Callable[[int], list[str]], seeds: range, seconds: float, progress: Path
) -> int:
    """Check the seeds that ``progress`` does not have yet, and return the exit code."""
    done, failed = _read(progress, seeds)
    began = time.monotonic()
    for seed in range(done, seeds.stop):
        if time.monotonic() - began > seconds:
            print(f"{seed - seeds.start} of {len(seeds)} seeds, {len(failed)} failed", flush=True)  # noqa: T201
            return UNFINISHED
        if found := check(seed):
            failed.append(seed)
            print(f"seed {seed}: {found[0]}", flush=True)  # noqa: T201
        progress.write_text(json.dumps({"next": seed + 1, "failed": failed}), encoding="utf-8")
    print(f"all {len(seeds)} seeds, {len(failed)} failed: {failed[:20]}")  # noqa: T201
    return _FAILED if failed else 0


def _read(progress: Path, seeds: range) -> tuple[int, list[int]]:
    if not progress.is_file():
        return seeds.start, []
    stored = json.loads(progress.read_text(encoding="utf-8"))
    return max(stored["next"], seeds.start), stored["failed"]


def shrunk(seed: int) -> Table:
    """Return the smallest table that fails as the table of a seed does."""
    table = generate(seed)
    kinds = _kinds(problems(table))
    assert kinds, f"the table of seed {seed} does not fail"
    return shrink(table, lambda smaller: bool(kinds & _kinds(problems(smaller))))


def _kinds(found: list[str]) -> set[str]:
    """Return what the problems are about: the words before the first name."""
    texts = (text.partition(": ")[2] if text.startswith("variant") else text for text in found)
    return {text.split(":")[0].split("'")[0].split("(")[0] for text in texts}


def main(arguments: list[str] | None = None) -> int:
    """Run the command line, and return the exit code."""
    parser = argparse.ArgumentParser(prog="tests.fuzz")
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("tables", "specs"):
        command = commands.add_parser(name)
        command.add_argument("--seeds", default="0:10000")
        command.add_argument("--seconds", type=float, default=500)
        command.add_argument("--progress", type=Path)
    command = commands.add_parser("shrink")
    command.add_argument("seed", type=int)
    command.add_argument("--title", default="")
    command.add_argument("--name", default="")
    options = parser.parse_args(arguments)
    if options.command == "shrink":
        table = shrunk(options.seed)
        found = problems(table)
        print("\n".join(found))  # noqa: T201
        folder = CASES / (options.name or f"seed-{options.seed}")
        write_case(table, folder, options.title or found[0])
        return 0
    start, stop = map(int, options.seeds.split(":"))
    progress = options.progress or Path("build", f"fuzz-{options.command}-{start}-{stop}.json")
    progress.parent.mkdir(parents=True, exist_ok=True)
    check = spec_problems if options.command == "specs" else table_problems
    return check_range(check, range(start, stop), options.seconds, progress)


if __name__ == "__main__":
    sys.exit(main())
