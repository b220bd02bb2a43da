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

import yaml

from benchmarks.common import ROOT, Row, median, seconds

_WITH_BYTECODE = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
_BARE = [sys.executable, "-c", "import hera.workflows"]
_INSTALLATION = "manifests/installation.example.yaml"


def _compile() -> list[str]:
    """Return the command, with the artifact root that the installation file names."""
    text = (ROOT / _INSTALLATION).read_text(encoding="utf-8")
    output = yaml.safe_load(text)["projects"]["demo"]["root"]
    return [
        *(sys.executable, "-c", "from workflows.cli.app import main; main()", "compile"),
        *("examples/flights/spec.yaml", "--installation", _INSTALLATION),
        *("--set", f"dataset.source={output}/flights.parquet", "--set", f"output={output}"),
        *("-o", "/dev/null"),
    ]


def run(*, quick: bool = False) -> list[Row]:
    """Return the rows of the table."""
    command = _compile()
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
