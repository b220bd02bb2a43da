"""Digests of the result tables of all examples, and their reports: what a refactoring preserves.

    .venv/bin/python -m tests.compat.digests --write

The command runs all examples and replaces ``digests.json`` and ``reports.tar.xz``. Use it only when
numbers or pages change on purpose: with the lock file, with a raised version, with a new chart.
CI compares only.
"""

from __future__ import annotations

import difflib
import hashlib
import io
import json
import os
import re
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import pytest

from steps.train.workers.host import portable_cpu_env

HERE = Path(__file__).parent
DIGESTS = HERE / "digests.json"
REPORTS = HERE / "reports.tar.xz"
_OF_THE_RUN = re.compile(r"(<dt>(?:run|began|ended|took|result tables)</dt><dd>)[^<]*(</dd>)")
"""Facts in the report that follow from run id, clock or paths. All else is the same in each run."""

same_digits = pytest.mark.skipif(
    not portable_cpu_env(), reason="this processor has no AVX2: its last digits may differ"
)


def digests_of(run: Path) -> dict[str, str]:
    """Return the digest of each result table of a run by file name."""
    tables = sorted((run / "tables").iterdir())
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in tables}


def report_of(run: Path) -> str:
    """Return the report of a run without what differs between two runs."""
    return _OF_THE_RUN.sub(r"\1...\2", (run / "report.html").read_text(encoding="utf-8"))


def differences(example: str, run: Path) -> list[str]:
    """Describe what differs between a run of an example and the committed one."""
    known, found = _known_digests().get(example, {}), digests_of(run)
    tables = [
        f"{example}: tables/{name}: {_word(name in known, name in found)}"
        for name in sorted({*known, *found})
        if known.get(name) != found.get(name)
    ]
    return [*tables, *_report_differences(example, report_of(run))]


def _word(was: bool, is_now: bool) -> str:
    if was and is_now:
        return "its bytes differ"
    return "it is missing" if was else "it is new"


def _report_differences(example: str, found: str) -> list[str]:
    known = _known_reports().get(example, "")
    if found == known:
        return []
    lines = difflib.unified_diff(known.splitlines(), found.splitlines(), "known", "found", n=0)
    return [f"{example}: report.html differs", *(line[:200] for line in list(lines)[:20])]


@cache
def _known_digests() -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = json.loads(DIGESTS.read_text(encoding="utf-8"))
    return found


@cache
def _known_reports() -> dict[str, str]:
    with tarfile.open(REPORTS) as tar:
        pages = {Path(member.name).stem: tar.extractfile(member) for member in tar}
        return {name: page.read().decode() for name, page in pages.items() if page}


def write(runs: Mapping[str, Path]) -> None:
    """Commit to the results of these runs, by example."""
    found = {name: digests_of(run) for name, run in sorted(runs.items())}
    DIGESTS.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    with tarfile.open(REPORTS, "w:xz", preset=9) as tar:
        for name, run in sorted(runs.items()):
            content = report_of(run).encode()
            info = tarfile.TarInfo(f"{name}.html")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


def main() -> None:
    """Run all examples as the tests do, and write their digests and reports."""
    if sys.argv[1:] != ["--write"]:
        sys.exit(str(__doc__))
    if os.environ.get("CI") == "true":
        sys.exit("CI compares digests; it never writes them.")
    os.environ.update(portable_cpu_env())  # as conftest.py does, before numpy is loaded
    # Both modules import this one, and numpy.
    from tests.test_custom_trainer import run_custom_trainer  # noqa: PLC0415
    from tests.test_examples import SPECS, run_example  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        examples = {spec.parent.name: run_example(spec, folder) for spec in SPECS}
        runs = {name: Path(result.layout.base) for name, result in examples.items()}
        custom = run_custom_trainer(folder)
        runs |= {name: Path(str(result["folder"])) for name, result in custom.items()}
        write(runs)
    sys.stdout.write(f"Wrote the digests of {', '.join(sorted(runs))}.\n")


if __name__ == "__main__":
    main()
