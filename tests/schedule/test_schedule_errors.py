"""An invalid schedule is refused by every command, at its line and column."""

from __future__ import annotations

from pathlib import Path

import pytest

from steps.errors import SpecError
from tests.argo.cases import INSTALLATION, installation, small_spec
from tests.cli.test_project import MANIFESTS
from tests.command import refeed
from tests.workspace import Workspace
from workflows.argo.compile import compile_spec
from workflows.spec.load import load_spec
from workflows.spec.model import ExperimentSpec

SPEC = """\
name: nightly
project: demo
dataset: {source: "gs://refeed-demo/x.parquet", partition_by: key, target: y}
output: gs://refeed-demo
schedule: {cron: "0 6 * * 7", timezone: Europe/Pariss}
"""
CRON = "spec.yaml:5:18: schedule.cron: '0 6 * * 7' is not valid: the day of the week '7' is not in"
ZONE = "spec.yaml:5:41: schedule.timezone: 'Europe/Pariss' is not a time zone of the IANA database"


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "spec.yaml"
    path.write_text(SPEC)
    return path


@pytest.mark.parametrize(
    "command",
    [
        ["validate", "--spec-only"],
        ["validate"],
        ["compile", "--kind", "cron-workflow", "--installation", INSTALLATION],
        ["compile", "--installation", INSTALLATION],
        ["submit", "--installation", INSTALLATION],
        ["run"],
        ["split"],
        ["gc"],
        ["report"],
    ],
    ids=lambda command: " ".join(map(str, command[:2])),
)
def test_invalid_schedule_is_refused_with_its_position(command: list[str], spec: Path) -> None:
    code, _, errors = refeed(*command, spec)
    assert code == 65
    assert CRON in errors
    assert ZONE in errors
    assert "0 is Sunday." in errors
    assert "Did you mean 'Europe/Paris'?" in errors


def test_project_render_refuses_it_and_writes_nothing(tmp_path: Path, spec: Path) -> None:
    overlay = tmp_path / "overlays" / "small"
    experiments = overlay / "projects" / "demo" / "experiments"
    experiments.mkdir(parents=True)
    for folder in (overlay, overlay / "projects" / "demo"):
        (folder / "kustomization.yaml").write_text("resources: []\n")
    spec.rename(experiments / "spec.yaml")
    options = ("--overlay", overlay, "--installation", MANIFESTS / "installation.example.yaml")
    code, _, errors = refeed("project", "render", *options)
    assert code == 65
    assert CRON in errors
    assert not (overlay / "projects" / "demo" / "workflows").exists()


def test_override_is_checked_too(lab: Workspace) -> None:
    path = lab.write_spec()
    change = 'schedule={cron: "0 6 31 2 *", timezone: PST}'
    code, _, errors = refeed("validate", "--spec-only", path, "--set", change)
    assert code == 65
    assert "--set schedule.cron: '0 6 31 2 *' is not valid: that date never comes" in errors
    assert "--set schedule.timezone: 'PST' is not a time zone" in errors


def test_all_problems_of_a_spec_are_reported_at_once(spec: Path) -> None:
    spec.write_text(SPEC.replace("target: y", "targt: y"))
    with pytest.raises(SpecError) as caught:
        load_spec(spec)
    where = {problem.where for problem in caught.value.problems}
    expected = {"dataset.targt", "dataset.target", "schedule.cron", "schedule.timezone"}
    assert where == expected


def test_wrong_types_are_reported_once(spec: Path) -> None:
    spec.write_text(SPEC.partition("schedule")[0] + "schedule: {cron: 5, timezone: [UTC]}\n")
    with pytest.raises(SpecError) as caught:
        load_spec(spec)
    assert [each.where for each in caught.value.problems] == ["schedule.cron", "schedule.timezone"]


def test_edited_spec_is_checked(spec: Path) -> None:
    spec.write_text(SPEC.replace("* 7", "* 0").replace("Pariss", "Paris"))
    loaded = load_spec(spec)
    with pytest.raises(SpecError, match=r"schedule\.cron"):
        loaded.edit({"schedule.cron": "0 6 * * 7"})


def test_stored_spec_of_an_earlier_version_can_be_read() -> None:
    """`retry` and `report` read it, and a run that is not scheduled is as good as any."""
    stored = small_spec(schedule={"cron": "0 6 * * 7", "timezone": "Europe/Pariss"})
    assert ExperimentSpec.model_validate_json(stored.model_dump_json()) == stored
    assert compile_spec(stored, installation(), "workflow")


def test_cron_workflow_of_an_invalid_schedule_is_not_compiled() -> None:
    stored = small_spec(schedule={"cron": "0 6 * * 7"})
    with pytest.raises(SpecError, match="the day of the week '7'"):
        compile_spec(stored, installation(), "cron-workflow")


def test_validate_shows_the_next_runs_and_warns_of_clock_changes(spec: Path) -> None:
    spec.write_text(SPEC.replace("0 6 * * 7", "30 2 * * *").replace("Pariss", "Paris"))
    code, output, _ = refeed("validate", "--spec-only", spec)
    assert code == 0
    assert "schedule: next runs " in output
    assert "warning: The clocks of Europe/Paris change, and Argo starts no run at 02:30" in output


def test_compile_warns_of_clock_changes_on_standard_error(spec: Path) -> None:
    spec.write_text(SPEC.replace("0 6 * * 7", "30 2 * * *").replace("Pariss", "Paris"))
    options = ("--installation", INSTALLATION)
    code, output, errors = refeed("compile", "--kind", "cron-workflow", *options, spec)
    assert code == 0
    assert "warning: The clocks of Europe/Paris change" in errors
    assert "warning" not in output
    code, _, errors = refeed("compile", *options, spec)
    assert (code, errors) == (0, "")
