"""Cost of ``refeed compile`` beyond its one heavy import.

The limit is a fresh Python that imports Hera and does nothing: pydantic makes some 300 classes of
Argo's and Kubernetes' models there, which no caller can leave out. Both are whole processes with
bytecode in place, in turns; the median of the rounds counts.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time

from benchmarks.common import ROOT, Row, median, seconds

_WITH_BYTECODE = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
_BARE = [sys.executable, "-c", "import hera.workflows"]
_SPEC = [
    *(sys.executable, "-c", "from workflows.cli.app import main; main()", "compile"),
    *("examples/flights/spec.yaml", "--installation", "manifests/installation.example.yaml"),
    *("--set", "dataset.source=gs://refeed-demo/flights.parquet"),
    *("--set", "output=gs://refeed-demo", "-o"),
]


def run(*, quick: bool = False) -> list[Row]:
    """Return the rows of the table."""
    command = [*_SPEC, "/dev/null"]
    for warm_up in (command, _BARE):
        _took(warm_up)
    rounds = [(_took(command), _took(_BARE)) for _ in range(3 if quick else 15)]
    ours, bare = (median(list(each)) for each in zip(*rounds, strict=True))
    return [
        Row(
            "compile examples/flights, a whole process",
            seconds(ours),
            f"importing Hera alone {seconds(bare)}",
            f"{ours / bare:.2f} times the time",
            "below 1 s",
            ours < 1,
        )
    ]


def _took(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, cwd=ROOT, env=_WITH_BYTECODE, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began
