"""Digits do not follow from the processor, as far as one machine can show that."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pytest

from steps.train.workers.host import cpu_model_name, portable_cpu_env
from tests.tables import Tables, differences
from tests.workspace import Workspace, small_table

WIDE = {"OPENBLAS_CORETYPE": "Haswell", "NPY_DISABLE_CPU_FEATURES": ""}
"""Here numpy takes all that the processor has, AVX-512 too where it has that."""
NO_AVX512 = "X86_V4 AVX512_ICL AVX512_SPR"
"""All of numpy 2.4's features that are beyond x86-64-v3."""
NARROW = {"OPENBLAS_CORETYPE": "Sandybridge", "NPY_DISABLE_CPU_FEATURES": NO_AVX512}
"""OpenBLAS is set to a CPU of 2011, and numpy uses no AVX-512."""
DIGITS = """
import hashlib
import numpy as np
x = np.random.default_rng(0).lognormal(size=100_003)
found = [f(a) for f in (np.exp, np.log, np.log1p, np.tanh, np.sum, np.std, np.argsort)
         for a in (x, x.astype("f4"))]
found += [np.power(x, 1.7), x[:90_000].reshape(300, 300) @ x[:300]]
print(hashlib.sha256(b"".join(np.asarray(each).tobytes() for each in found)).hexdigest())
"""
V3 = "fpu sse4_2 avx fma bmi1 bmi2 avx2"
V4 = f"{V3} avx512f avx512dq avx512cd avx512bw avx512vl avx512_vnni"


def in_shell(arguments: list[str], environment: dict[str, str]) -> str:
    """What Python prints in a shell of its own, with nothing of ours but this."""
    done = subprocess.run(
        [sys.executable, *arguments],
        env={"PATH": "/usr/bin:/bin", **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def computed(lab: Workspace, name: str, environment: dict[str, str], **changes: Any) -> Tables:
    """The tables of a run."""
    spec = lab.write_spec(output=name, explain__rows=200, **changes)
    main = "from workflows.cli.app import main; main()"
    found = in_shell(["-c", main, "run", str(spec), "--json"], environment)
    return lab.tables(json.loads(found)["folder"])


@pytest.mark.skipif(not portable_cpu_env(), reason="this processor has no AVX2, so nothing to pin")
@pytest.mark.parametrize("trainer", ["lightgbm", "linear", "ebm"])
def test_what_the_libraries_would_choose_changes_no_byte(trainer: str, lab: Workspace) -> None:
    """Of classes, since probabilities take ``exp``; fails if training takes the shell's choice."""
    table = small_table(3, 300)
    answer = pc.if_else(pc.greater(table["target"], 1.0), "late", "not late")
    lab.write_table(table.set_column(table.column_names.index("target"), "target", answer))
    changes = {"trainer": {"name": trainer}}
    wide = computed(lab, "wide", WIDE, **changes)
    assert wide == computed(lab, "narrow", NARROW, **changes)


def test_numpy_computes_as_without_avx512() -> None:
    """One feature is withheld, and that is as good as all: of the rest no digit follows."""
    ours = portable_cpu_env()
    narrow = ours | {"NPY_DISABLE_CPU_FEATURES": NO_AVX512}
    assert in_shell(["-c", DIGITS], ours) == in_shell(["-W", "ignore", "-c", DIGITS], narrow)


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
    """OpenBLAS set to a CPU that is not there would end with an illegal instruction."""
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(
        f"processor\t: 0\nmodel name\t: Some 1 GHz\nflags\t\t: {flags}\nbugs\t\t: none\n\n"
        "processor\t: 1\nmodel name\t: Other\nflags\t\t: fpu\n"
    )
    assert portable_cpu_env(cpuinfo) == chosen
    assert cpu_model_name(cpuinfo) == "Some 1 GHz"


def test_another_architecture_keeps_its_choice(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    assert (portable_cpu_env(cpuinfo), cpu_model_name(cpuinfo)) == ({}, "")
    cpuinfo.write_text("processor\t: 0\nFeatures\t: fp asimd evtstrm aes\n")
    assert portable_cpu_env(cpuinfo) == {}


def test_differences_are_told_by_table_and_line() -> None:
    ours = Tables({"a.csv": b"x\n1\n2", "b.csv": b"same", "c.csv": b""})
    theirs = Tables({"a.csv": b"x\n1\n3", "b.csv": b"same", "d.csv": b""})
    found = differences(ours, theirs)
    assert found == ["a.csv: line 3: b'2' != b'3'", "c.csv: only left", "d.csv: only right"]
    assert ours != theirs
    assert ours == Tables(dict(ours))
