"""The command line, run as real processes."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from tests.workspace import Workspace, small_table
from workflows.cli.app import app

COMMAND = [sys.executable, "-c", "from workflows.cli.app import main; main()"]
ANSI = re.compile(r"\x1b\[")


def refeed(
    *arguments: str | Path, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, **(environment or {})},
    )


def on_terminal(*arguments: str | Path, environment: dict[str, str] | None = None) -> str:
    """Run a command on a pseudo-terminal and return its output."""
    ours, theirs = pty.openpty()
    variables = {**os.environ, "TERM": "xterm-256color", **(environment or {})}
    process = subprocess.Popen(
        [*COMMAND, *map(str, arguments)], stdin=theirs, stdout=theirs, stderr=theirs, env=variables
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # the other end is closed: Linux says EIO
            break
        if not piece:
            break
        shown += piece
    process.wait(timeout=60)
    os.close(ours)
    return shown.decode()


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, dict[str, object]]:
    lab = Workspace(tmp_path_factory.mktemp("ran"))
    lab.write_table(small_table())
    done = refeed("run", lab.write_spec(), "--json")
    assert done.returncode == 0, done.stderr
    return lab, json.loads(done.stdout)


def test_run_prints_json_and_plain_progress(
    ran: tuple[Workspace, dict[str, object]],
) -> None:
    lab, result = ran
    assert result["counts"] == {"trained": 5, "skipped": 0, "failed": 0}
    assert Path(str(result["report"])).read_text().startswith("<!DOCTYPE html>")
    again = refeed("run", lab.folder / "spec.yaml")
    assert not ANSI.search(again.stdout + again.stderr)
    assert "5 of 5 partitions trained (5 found in the cache)" in again.stdout
    assert "train: 5 of 5 partitions, done in" in again.stderr
    assert "Report  " in again.stdout


def test_terminal_colours_respect_no_color(
    ran: tuple[Workspace, dict[str, object]],
) -> None:
    spec = ran[0].folder / "spec.yaml"
    shown = on_terminal("run", spec)
    assert ANSI.search(shown)
    assert "5/5" in shown
    plain = on_terminal("validate", spec, "--spec-only", environment={"NO_COLOR": "1"})
    assert "\x1b[3" not in plain
    failed = on_terminal("validate", spec, "--set", "task=regresion")
    assert "\x1b[1;31merror:" in failed


def test_report_finds_past_runs(ran: tuple[Workspace, dict[str, object]]) -> None:
    lab, result = ran
    spec = lab.folder / "spec.yaml"
    report = Path(str(result["report"]))
    before = report.read_bytes()
    report.unlink()
    made = refeed("report", spec, "--run", str(result["run"]))
    assert made.stdout.strip() == str(report)
    assert report.read_bytes() == before
    listed = json.loads(refeed("report", spec, "--list", "--json").stdout)["runs"]
    assert str(result["run"]) in {run["run"] for run in listed}
    assert str(result["run"]) in refeed("report", spec, "--list").stdout
    missing = refeed("report", spec, "--run", "nope")
    assert missing.returncode == 66
    assert str(result["run"]) in missing.stderr


def test_run_reuses_dataset_of_split(lab: Workspace) -> None:
    lab.write_table(small_table())
    spec = lab.write_spec()
    made = json.loads(refeed("split", spec, "--json").stdout)
    assert (made["reused"], made["partitions"], made["rows"]) == (False, 5, 450)
    assert Path(made["folder"], "index.json").is_file()
    assert json.loads(refeed("split", spec, "--json").stdout)["reused"]
    assert json.loads(refeed("run", spec, "--json").stdout)["dataset_reused"]


def test_init_writes_a_spec_that_validates_and_runs(lab: Workspace) -> None:
    table = lab.write_table(small_table())
    spec = lab.folder / "drafts" / "spec.yaml"
    spec.parent.mkdir()
    made = refeed("init", table, "--partition-by", "key", "--target", "target", "-o", spec)
    assert made.returncode == 0, made.stderr
    assert "# float64" in spec.read_text()
    assert refeed("validate", spec).returncode == 0
    result = json.loads(refeed("run", spec, "--set", "dataset.min_rows=20", "--json").stdout)
    assert result["counts"]["trained"] == 5
    assert refeed("init", table, "-o", spec).returncode == 73  # it would be overwritten
    guessed = refeed("init", table)
    assert "partition_by: key" in guessed.stdout
    assert refeed("init", table, "--target", "nope").returncode == 65


def test_validate_warns_about_leakage_identifiers_and_constants(lab: Workspace) -> None:
    table = small_table()
    rows = table.num_rows
    table = table.append_column("copy", table["target"].fill_null(0))
    table = table.append_column("ident", [[f"id {i}" for i in range(rows)]])
    table = table.append_column("same", [[1] * rows])
    lab.write_table(table)
    spec = lab.write_spec(dataset__features=["number", "copy", "ident", "same"])
    shown = json.loads(refeed("validate", spec, "--json").stdout)["warnings"]
    assert len(shown) == 3
    assert any("'copy' alone explains" in warning for warning in shown)
    assert any("'ident' has" in warning and "identifier" in warning for warning in shown)
    assert any("'same' has the same value in every row" in warning for warning in shown)
    assert json.loads(refeed("validate", lab.write_spec(), "--json").stdout)["warnings"] == []


def test_trainers_are_listed_with_their_parameters() -> None:
    assert {"lightgbm", "linear"} <= set(
        json.loads(refeed("trainers", "--json").stdout)["trainers"]
    )
    assert "num_leaves" in refeed("trainers", "lightgbm").stdout
    assert "alpha" in refeed("trainers", "linear").stdout


def test_gc_keeps_artifacts_of_kept_runs(lab: Workspace) -> None:
    lab.write_table(small_table())
    spec = lab.write_spec()
    first = json.loads(refeed("run", spec, "--json").stdout)
    time.sleep(1.1)  # ids of runs sort by the second
    second = json.loads(refeed("run", spec, "--set", "evaluate.seed=5", "--json").stdout)
    nothing = json.loads(refeed("gc", spec, "--dry-run", "--json").stdout)
    assert nothing["folders"] == []
    planned = json.loads(refeed("gc", spec, "--dry-run", "--keep", "1", "--json").stdout)
    assert str(first["folder"]) in planned["folders"]
    assert sum("/cache/segments/" in folder for folder in planned["folders"]) == 1
    assert Path(first["folder"]).is_dir()
    assert json.loads(refeed("gc", spec, "--keep", "1", "--json").stdout)["removed"]
    assert not Path(first["folder"]).exists()
    again = json.loads(refeed("run", spec, "--set", "evaluate.seed=5", "--json").stdout)
    assert again["cached"] == {"full": 5}
    assert lab.tables(again["folder"]) == lab.tables(second["folder"])


def test_run_resumes_after_ctrl_c(lab: Workspace) -> None:
    lab.write_table(small_table(12, rows=400))
    spec = lab.write_spec(trainer__params={"num_leaves": 31, "rounds": 300})
    process = subprocess.Popen(
        [*COMMAND, "run", str(spec)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip
    runs = lab.folder / "runs" / "lab" / "runs" / "trial"
    # Batches of 2, 8 and 2: a mark that names all says that nine are done.
    while not any(
        path.read_text().count("partition_id") == 12 for path in runs.glob("*/marks/*/*")
    ):
        assert process.poll() is None
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert b"Run the same command again to resume" in errors
    assert b"Traceback" not in errors
    done = refeed("run", spec, "--json")
    result = json.loads(done.stdout)
    assert result["resumed"]
    assert result["finished_before"] >= 2
    assert result["counts"]["trained"] == 12
    assert len(list(runs.iterdir())) == 1
    assert not list(runs.glob("*/marks/*/*"))


LIGHT = """
import sys
from workflows.cli.app import main
sys.argv = ["refeed", *sys.argv[1:]]
try:
    main()
except SystemExit:
    pass
heavy = {"pandas", "pyarrow", "numpy", "lightgbm", "shap", "sklearn", "scipy"}
heavy |= {"apache_beam", "hera", "kubernetes", "requests"}
# google itself is an empty namespace, which some packages make at the start.
heavy |= {"tensorflow_metadata", "google.auth", "google.api_core", "google.protobuf"}
print("HEAVY", sorted(heavy & set(sys.modules)))
"""


@pytest.mark.parametrize("verb", ["help", "validate"])
def test_the_light_path_stays_light(verb: str, lab: Workspace) -> None:
    spec = lab.write_spec(trainer={"name": "lightgbm", "params": {"num_leaves": 7}})
    arguments = ["--help"] if verb == "help" else ["validate", str(spec), "--spec-only"]
    done = subprocess.run(
        [sys.executable, "-c", LIGHT, *arguments], capture_output=True, text=True, check=True
    )
    assert "HEAVY []" in done.stdout


@pytest.mark.parametrize("module", ["hera.workflows", "numpy"])
def test_a_leak_into_the_light_path_is_noticed(module: str) -> None:
    script = f"import {module}\n{LIGHT}"
    done = subprocess.run(
        [sys.executable, "-c", script, "--help"], capture_output=True, text=True, check=True
    )
    assert f"HEAVY ['{module.partition('.')[0]}'" in done.stdout.replace("'PIL', ", "")


def _commands(group: Any, name: str = "refeed") -> Iterator[tuple[str, Any]]:
    """Yield the name of a command and of all its subcommands, and the command."""
    yield name, group
    for key, command in getattr(group, "commands", {}).items():
        if not command.hidden:
            yield from _commands(command, f"{name} {key}")


def test_every_command_has_an_example() -> None:
    commands = dict(_commands(typer.main.get_command(app)))
    assert {"refeed run", "refeed status", "refeed project add"} <= commands.keys()
    for name, command in commands.items():
        assert f"{name} " in (command.epilog or "").partition("Example")[2], name


def test_tab_completion() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("refeed"))],
        capture_output=True,
        text=True,
        check=False,
        env={
            **os.environ,
            "_REFEED_COMPLETE": "complete_bash",
            "COMP_WORDS": "refeed va",
            "COMP_CWORD": "1",
        },
    )
    assert done.stdout.split() == ["validate"]


def test_a_wrong_command_line_is_exit_code_2() -> None:
    assert refeed("run").returncode == 2
    assert refeed("nonsense").returncode == 2
    assert refeed("--version").stdout.startswith("refeed ")
