"""Golden files: the manifests that a spec compiles to. REFEED_GOLDEN=write writes them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest
import yaml

from steps.errors import SpecError
from tests.argo.cases import CASES, GOLDEN, LAB, Case, example_names, installation, small_spec
from workflows.argo.compile import KINDS, compile_spec

WRITE = os.environ.get("REFEED_GOLDEN") == "write"

every_case = pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))


@every_case
def test_a_case_compiles_to_its_golden_file(case: Case) -> None:
    if WRITE:
        assert os.environ.get("CI") != "true", "CI compares golden files; it never writes them"
        case.path.write_text(case.text(), encoding="utf-8")
    assert case.path.is_file(), "make it: REFEED_GOLDEN=write pytest tests/argo"
    assert case.compiled() == case.golden()


@every_case
def test_yaml_parses_to_the_compiled_manifest(case: Case) -> None:
    assert yaml.safe_load(case.text()) == case.compiled()


def test_every_golden_file_belongs_to_a_case_and_every_example_has_one() -> None:
    assert {path.name for path in GOLDEN.iterdir()} == {case.path.name for case in CASES.values()}
    assert {f"example-{name}" for name in example_names()} <= set(CASES)
    assert {case.kind for case in CASES.values()} == set(KINDS)


def test_ci_cannot_write_golden_files() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", __file__, "-k", "golden_file and plain"],
        env=os.environ | {"CI": "true", "REFEED_GOLDEN": "write"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 1, done.stdout
    assert "CI compares golden files" in done.stdout


COMPILE = """
import sys
from tests.argo.cases import CASES
sys.stdout.write("".join(CASES[name].text() for name in CASES))
"""


def test_two_processes_compile_the_same_bytes() -> None:
    def compiled(seed: str) -> bytes:
        environment = os.environ | {"PYTHONHASHSEED": seed}
        return subprocess.run(
            [sys.executable, "-c", COMPILE],
            env=environment,
            capture_output=True,
            check=True,
            timeout=120,
        ).stdout

    first, second = compiled("1"), compiled("2")
    assert first == second
    assert len(first) > 100_000


def test_projects_differ_in_namespace_and_root_only() -> None:
    demo = json.dumps(CASES["plain"].compiled())
    lab = json.dumps(CASES["project-lab"].compiled())
    assert "demo" in demo
    assert "demo" not in lab
    assert not re.search(r"\blab\b", demo)
    moved = lab.replace("gs://refeed-lab/artifacts", "gs://refeed-demo")
    moved = moved.replace('"artifacts/lab/runs/', '"lab/runs/').replace("refeed-lab", "refeed-demo")
    moved = re.sub(r"\blab\b", "demo", moved)
    assert moved.replace(small_spec(**LAB).digest(), small_spec().digest()) == demo


def test_forbid_applies_to_scheduled_and_manual_runs() -> None:
    template = CASES["schedule-forbid"].golden()
    assert template["spec"]["synchronization"] == {"mutexes": [{"name": "small"}]}
    cron = CASES["schedule-forbid-cron-workflow"].golden()
    assert cron["spec"]["concurrencyPolicy"] == "Forbid"
    assert cron["spec"]["suspend"] is True
    assert CASES["kind-cron-workflow"].golden()["spec"]["concurrencyPolicy"] == "Allow"
    assert "synchronization" not in CASES["plain"].golden()["spec"]


def test_cron_workflow_has_what_every_argo_accepts() -> None:
    """Argo's custom resource definition allows no names of days and months; some images have only
    the time zones of places; and a CronWorkflow must come after its template."""
    schedule = {"cron": "0 6 1 JAN-mar MON,sun", "timezone": "US/Pacific"}
    cron = compile_spec(small_spec(schedule=schedule), installation(), "cron-workflow")
    assert cron["spec"]["schedules"] == ["0 6 1 1-3 1,0"]
    assert cron["spec"]["timezone"] == "America/Los_Angeles"
    assert cron["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"] == "1"
    for kind in ("workflow-template", "workflow"):
        other = compile_spec(small_spec(schedule=schedule), installation(), kind)
        assert "argocd.argoproj.io/sync-wave" not in other["metadata"]["annotations"]


def test_spec_without_schedule_has_no_cron_workflow() -> None:
    with pytest.raises(SpecError, match=r"has no schedule\n    For example --set"):
        compile_spec(small_spec(), installation(), "cron-workflow")


def test_installed_trainer_parameters_are_checked_before_compiling() -> None:
    wrong = small_spec(trainer={"name": "lightgbm", "params": {"num_leafs": 3}})
    with pytest.raises(SpecError, match="Did you mean 'num_leaves'"):
        compile_spec(wrong, installation(), "workflow")


HEAVY = {
    "apache_beam",
    "google.api_core",  # google.cloud itself is an empty namespace that some packages make at start
    "google.auth",
    "google.cloud.storage",
    "google.cloud.bigquery",
    "google.cloud.firestore",
    "kubernetes",
    "lightgbm",
    "numpy",
    "pandas",
    "pyarrow",
    "sklearn",
}


@pytest.mark.parametrize(
    "script",
    [
        "import workflows.argo.compile",
        "import workflows.cli.app",
        "from tests.argo.cases import CASES; CASES['trainer-custom'].text()",
    ],
)
def test_compiling_loads_nothing_heavy(script: str) -> None:
    report = "; import sys; print('\\n'.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script + report],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    loaded = done.stdout.split()
    assert "workflows.argo.compile" in loaded or "workflows.cli.app" in loaded
    assert not HEAVY & set(loaded)
    if script == "import workflows.cli.app":
        assert "hera" not in loaded
