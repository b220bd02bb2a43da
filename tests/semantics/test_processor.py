"""Digits do not follow from the processor, as far as one machine can show that."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pytest

from steps.train.arithmetic import same_everywhere
from tests.lab import Lab, small_table
from tests.tables import Tables, differences

NARROW = {"OPENBLAS_CORETYPE": "Sandybridge", "NPY_DISABLE_CPU_FEATURES": ""}
"""What OpenBLAS would choose by itself on a processor of 2011, and numpy on a new one."""
V3 = "fpu sse4_2 avx fma bmi1 bmi2 avx2"
V4 = f"{V3} avx512f avx512dq avx512cd avx512bw avx512vl avx512_vnni"


def computed(lab: Lab, environment: dict[str, str], **changes: Any) -> Tables:
    """The tables of a run in a shell of its own."""
    command = [sys.executable, "-c", "from workflows.cli.app import main; main()"]
    output = "-".join(environment) or "plain"
    spec = lab.write_spec(output=output, explain__rows=200, **changes)
    done = subprocess.run(
        [*command, "run", str(spec), "--json"],
        env={"PATH": "/usr/bin:/bin", "HOME": str(lab.folder), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return lab.tables(json.loads(done.stdout)["folder"])


@pytest.mark.skipif(not same_everywhere(), reason="this processor has no AVX2, so nothing to pin")
@pytest.mark.parametrize("trainer", ["lightgbm", "linear"])
def test_what_the_libraries_would_choose_changes_no_byte(trainer: str, lab: Lab) -> None:
    """Of classes, since probabilities take ``exp``; fails if training takes the shell's choice."""
    table = small_table(3, 300)
    answer = pc.if_else(pc.greater(table["target"], 1.0), "late", "not late")
    lab.write_table(table.set_column(table.column_names.index("target"), "target", answer))
    changes = {"trainer": {"name": trainer}}
    assert computed(lab, {}, **changes) == computed(lab, NARROW, **changes)


@pytest.mark.parametrize(
    ("flags", "chosen"),
    [
        (V4, {"OPENBLAS_CORETYPE": "Haswell", "NPY_DISABLE_CPU_FEATURES": "X86_V4"}),
        (V3, {"OPENBLAS_CORETYPE": "Haswell"}),
        ("fpu sse4_2 avx", {}),
    ],
)
def test_only_what_the_processor_has_is_chosen(
    flags: str, chosen: dict[str, str], tmp_path: Path
) -> None:
    """OpenBLAS told of a processor that is not there would end by an illegal instruction."""
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor\t: 0\nflags\t\t: {flags}\nbugs\t\t: none\n\nprocessor\t: 1\n")
    assert same_everywhere(cpuinfo) == chosen


def test_another_architecture_keeps_its_choice(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    assert same_everywhere(cpuinfo) == {}
    cpuinfo.write_text("processor\t: 0\nFeatures\t: fp asimd evtstrm aes\n")
    assert same_everywhere(cpuinfo) == {}


def test_differences_are_told_by_table_and_line() -> None:
    ours = Tables({"a.csv": b"x\n1\n2", "b.csv": b"same", "c.csv": b""})
    theirs = Tables({"a.csv": b"x\n1\n3", "b.csv": b"same", "d.csv": b""})
    told = differences(ours, theirs)
    assert told == ["a.csv: line 3: b'2' != b'3'", "c.csv: only left", "d.csv: only right"]
    assert ours != theirs
    assert ours == Tables(dict(ours))
