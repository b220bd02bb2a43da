"""The check step: it applies the form's values to the spec and rejects invalid ones."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from importlib import import_module
from types import ModuleType
from typing import Any

import pytest

from steps.errors import MissingInputError, RefeedError, SpecError, UsageError
from steps.records import RunRequest
from steps.segments.writer import write_segment
from steps.storage.base import read_parsed
from tests.pods.fake_project import COMMAND, FakeProject, process_environment
from tests.segment_surgery import delete_member, results_of
from tests.workspace import small_table
from workflows.installation.model import Installation
from workflows.planning.trainer_info import TrainerInfo
from workflows.pods.check import FORM, run_id
from workflows.pods.environment import parameters, run_id_of
from workflows.spec.model import ExperimentSpec

GIVEN = "20260505T050505-beef"


def saved(world: FakeProject, run: str) -> ExperimentSpec:
    """Return the spec that the check step wrote."""
    uri = f"{world.root}/lab/runs/trial/{run}/operations/spec.json"
    return read_parsed(world.storage, uri, ExperimentSpec.model_validate_json)


def test_unchanged_form_runs_the_compiled_spec(world: FakeProject) -> None:
    left = world.workflow().run_check()
    assert saved(world, left["run"]) == world.spec()
    assert left["trainer-image"] == "docker.io/refeed/lightgbm:1"
    assert left["run"] == run_id_of("trial-1", "2026-01-02T03:04:05Z")
    assert left["run"].startswith("20260102T030405-")


FORMS: dict[str, tuple[str, Any]] = {
    "source": ("{root}/other.csv", "{root}/other.csv"),
    "trainer": ("linear", "linear"),
    "min-rows": ("33", 33),
    "folds": ("7", 7),
    "max-pods": ("3", 3),
    "label": ("why? because; $(x) 'ü'", "why? because; $(x) 'ü'"),
    "force": ("true", True),
}


@pytest.mark.parametrize("name", FORMS)
def test_form_value_changes_one_field_only(name: str, world: FakeProject) -> None:
    text, value = (
        each.format(root=world.root) if isinstance(each, str) else each for each in FORMS[name]
    )
    left = world.workflow(form={name: text}).run_check()
    part, field = FORM[name]
    expected = world.spec().model_dump()
    expected[part][field] = value
    if name == "trainer":
        expected["trainer"]["params"] = {}
    assert saved(world, left["run"]).model_dump() == expected


def test_every_form_field_is_tested() -> None:
    assert FORMS.keys() == FORM.keys()


def test_other_trainer_uses_its_own_image_and_defaults(
    world: FakeProject,
) -> None:
    workflow = world.workflow(form={"trainer": "linear"})
    left = workflow.run_check()
    assert left["trainer-image"] == "docker.io/refeed/linear:1"
    uri = workflow.address.run_layout.trainer
    trainer = read_parsed(world.storage, uri, TrainerInfo.from_json)
    assert trainer.config["name"] == "linear"
    assert "num_leaves" not in trainer.config["params"]
    assert "scikit-learn" in trainer.versions


def test_the_spec_s_own_trainer_keeps_its_parameters(world: FakeProject) -> None:
    workflow = world.workflow(form={"trainer": "lightgbm"})
    workflow.run_check()
    trainer = read_parsed(world.storage, workflow.address.run_layout.trainer, TrainerInfo.from_json)
    assert trainer.config["params"]["num_leaves"] == 4


BAD_FORMS: dict[str, tuple[dict[str, str], str]] = {
    "local source": ({"source": "/data/table.parquet"}, "source: '/data/table.parquet' is a local"),
    "empty source": ({"source": ""}, "dataset: set exactly one of source and query"),
    "source of another cloud": ({"source": "s3://b/x.csv"}, "source: s3:// is not supported"),
    "source with two stars": (
        {"source": "gs://bucket/**/x"},
        "source: 'gs://bucket/**/x' contains",
    ),
    "unknown trainer": (
        {"trainer": "oracle"},
        "trainer: the installation has no image for the trainer 'oracle'",
    ),
    "rows in words": ({"min-rows": "many"}, "min-rows: 'many' is not valid"),
    "too few rows": ({"min-rows": "1"}, "min-rows: 1 is not valid"),
    "rows with a point": ({"min-rows": "20.5"}, "min-rows: '20.5' is not valid"),
    "huge rows": ({"min-rows": "9" * 5000}, "min-rows: '999"),
    "one fold": ({"folds": "1"}, "folds: 1 is not valid"),
    "folds with a space": ({"folds": " 5"}, "folds: ' 5' is not valid"),
    "no folds": ({"folds": ""}, "folds: '' is not valid"),
    "too many pods": ({"max-pods": "501"}, "max-pods: 501 is not valid"),
    "no pods": ({"max-pods": "0"}, "max-pods: 0 is not valid"),
    "negative pods": ({"max-pods": "-3"}, "max-pods: -3 is not valid"),
    "label with braces": ({"label": "{{=1}}"}, "label: '{{=1}}' is not valid"),
    "label with lines": ({"label": "a\nb"}, "label: 'a\\nb' is not valid"),
    "long label": ({"label": "x" * 201}, "label: 'xxx"),
    "force in words": ({"force": "perhaps"}, "force: 'perhaps' is not valid"),
    "force as a number": ({"force": "1"}, "force: '1' is not valid"),
}


@pytest.mark.parametrize("name", BAD_FORMS)
def test_invalid_form_value_is_named_and_changes_no_failed_run(
    name: str, world: FakeProject
) -> None:
    form, sentence = BAD_FORMS[name]
    workflow = world.workflow(form=form)
    with pytest.raises(SpecError) as caught:
        workflow.run_check()
    assert sentence in str(caught.value)
    assert str(caught.value).startswith("the form: ")
    assert len(caught.value.problems) == 1
    assert len(str(caught.value)) < 500
    assert caught.value.exit_code == 65
    workflow.outputs["run"] = run_id_of("trial-1", "2026-01-02T03:04:05Z")
    assert workflow.stored().status == "failed"
    assert sentence in workflow.stored().message
    assert workflow.pods() == [("check", 1, "failed")]
    assert kinds_of_files(world) == ["logs", "pods", "status.json"]
    assert not (world.folder / "outputs").exists()


def kinds_of_files(world: FakeProject) -> list[str]:
    """Return the files in the only run's folder."""
    return sorted({name.split("/")[4] for name in world.files()})


def test_the_command_ends_with_65_and_one_message(world: FakeProject) -> None:
    workflow = world.workflow(form={"folds": "many", "label": "{}"})
    done = subprocess.run(
        [*COMMAND, *workflow.command("check", {})[1:]],
        env=process_environment(workflow.environment("check", {})),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 65
    assert "Traceback" not in done.stderr
    assert done.stderr.count("is not valid") == 2
    assert kinds_of_files(world) == ["logs", "pods", "status.json"]


def test_unknown_trainer_parameter_fails_before_split(
    world: FakeProject,
) -> None:
    workflow = world.workflow(trainer={"name": "faulty", "params": {"x": 1}})
    with pytest.raises(RefeedError, match="faulty"):  # which is not installed here
        workflow.run_check()
    assert kinds_of_files(world) == ["logs", "pods", "status.json"]


def test_a_rule_that_deletes_segments_is_named_in_log_and_output(
    world: FakeProject, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("steps.storage.gcs.GcsStorage.deletion_age", lambda *_: 180)
    workflow = world.workflow()
    workflow.run_check()
    assert "deletes models and results of runs 180 days after" in capsys.readouterr().err
    folder = f"{workflow.address.run_layout.base}/logs"
    logs = b"".join(world.storage.read(f"{folder}/{name}") for name in world.storage.names(folder))
    assert b'"event":"warning"' in logs


def test_platform_sets_defaults_and_limits_of_a_trainer(world: FakeProject) -> None:
    world.platform = installation_with(world, defaults={"rounds": 9, "num_leaves": 5})
    workflow = world.workflow(trainer={"name": "lightgbm", "params": {"num_leaves": 4}})
    workflow.run_check()
    info = TrainerInfo.from_json(world.storage.read(workflow.address.run_layout.trainer))
    assert (info.config["params"]["rounds"], info.config["params"]["num_leaves"]) == (9, 4)
    world.platform = installation_with(world, limits={"rounds": {"max": 40}})
    workflow = world.workflow("trial-2", trainer={"name": "lightgbm", "params": {}})
    with pytest.raises(SpecError, match="rounds: 50 is more than the platform's maximum of 40"):
        workflow.run_check()  # the default of the trainer


def installation_with(world: FakeProject, **rules: Any) -> Installation:
    raw = world.platform.model_dump(mode="json")
    raw["trainers"]["lightgbm"].update({"defaults": {}, "limits": {}} | rules)
    return Installation.model_validate(raw)


# --- run ids --------------------------------------------------------------------------------------


def test_given_run_is_resumed_and_its_failures_are_retried(
    world: FakeProject,
) -> None:
    world.upload(small_table(3))
    first = world.workflow("trial-1", execution__classes=["small"])
    first.run_all()
    layout = first.address.run_layout
    key, record = next(iter(first.records().items()))
    failed = replace(record, status="failed").to_json().encode()
    final = f"record/*/{record.key.partition_id}.json"
    delete_member(world.root, final)
    results = results_of(first.address)
    name = results.members.record(record.key.partition_id, final=False)
    write_segment(world.storage, results.segments.folder, {name: failed})
    whole = first.tables()
    first.run("collect", first.outputs)
    assert first.tables() != whole
    second = world.workflow("trial-2", form={"run": first.outputs["run"]})
    left = second.run_check()
    assert left["run"] == first.outputs["run"]
    assert not world.storage.exists(layout.done)
    assert key not in second.records()
    assert len(second.records()) == 2
    assert second.stored().status == "running"
    second.train(second.run_split())
    second.run("collect", second.outputs)
    assert second.tables() == whole
    assert second.stored().status == "finished"
    assert world.storage.names(layout.workflows) == ["trial-1.json", "trial-2.json"]


@pytest.mark.parametrize(
    "given", ["latest", "../x", GIVEN.upper(), f"{GIVEN}/x", f"{GIVEN}\n", " "]
)
def test_invalid_run_id_is_rejected_and_writes_nothing(given: str, world: FakeProject) -> None:
    with pytest.raises(
        SpecError, match=r"run: .* is not a run id such as .*\n.*to start a new run"
    ):
        world.workflow(form={"run": given}).run_check()
    assert world.files() == []


def test_missing_run_cannot_be_resumed(world: FakeProject) -> None:
    with pytest.raises(MissingInputError, match=f"There is no run '{GIVEN}' to resume"):
        world.workflow(form={"run": GIVEN}).run_check()
    assert kinds_of_files(world) == ["logs", "pods", "status.json"]


@pytest.mark.parametrize("form", [{"folds": "4"}, {"trainer": "linear"}, {"folds": "no number"}])
def test_run_of_another_spec_is_rejected_and_unchanged(
    form: dict[str, str], world: FakeProject
) -> None:
    world.upload(small_table(2))
    first = world.workflow("trial-1")
    first.run_all()
    before = first.stored()
    run = first.outputs["run"]
    second = world.workflow("trial-2", form={"run": run, **form})
    with pytest.raises(SpecError, match=r"was started with another spec|is not valid"):
        second.run_check()
    assert world.storage.exists(first.address.run_layout.done)
    assert len(first.records()) == 2
    assert first.stored() == before


def test_run_may_resume_with_other_label_and_execution(world: FakeProject) -> None:
    first = world.workflow("trial-1")
    run = first.run_check()["run"]
    second = world.workflow("trial-2", form={"run": run, "max-pods": "2"})
    assert second.run_check()["run"] == run


def test_repeated_check_resumes(world: FakeProject) -> None:
    workflow = world.workflow()
    first = workflow.run_check()
    assert workflow.run("check", number=1) == first
    assert workflow.pods() == [("check", 1, "done"), ("check", 2, "done")]


def test_all_pods_derive_the_same_run_id(world: FakeProject) -> None:
    workflow = world.workflow(form={"label": "ü"})
    environments = [workflow.environment(name, {}) for name in ("check", "finish")]
    assert len({run_id(each) for each in environments}) == 1
    assert parameters(environments[0])["label"] == "ü"


# --- places ---------------------------------------------------------------------------------------


def test_namespace_of_another_project_rejects_the_run(world: FakeProject) -> None:
    workflow = world.workflow()
    workflow.project = "demo"
    with pytest.raises(SpecError, match="'lab' is not the project of this namespace, which is 'de"):
        workflow.run_check()
    assert world.files() == []


@pytest.mark.parametrize("root", ["{root}-evil", "{root}/below", "gs://elsewhere"])
def test_root_outside_the_namespace_is_rejected(root: str, world: FakeProject) -> None:
    workflow = world.workflow()
    workflow.root = root.format(root=world.root)
    with pytest.raises(SpecError, match=r"is not under .*, the artifact root of the project 'lab'"):
        workflow.run_check()
    assert world.files() == []


@pytest.mark.parametrize("step", ["split", "train-small", "collect", "finish"])
def test_every_step_checks_isolation(step: str, world: FakeProject) -> None:
    workflow = world.workflow()
    inputs = workflow.run_check() | {"shard": "00000"}
    before = world.files()
    workflow.project, workflow.status = "demo", "Failed"
    with pytest.raises(SpecError, match="is not the project of this namespace"):
        workflow.run(step, inputs)
    assert world.files() == before


def test_request_contains_form_values(world: FakeProject) -> None:
    world.upload(small_table(2))
    workflow = world.workflow(form={"folds": "4", "label": "four folds"})
    workflow.run_check()
    workflow.run_split()
    request = read_parsed(world.storage, workflow.address.run_layout.request, RunRequest.from_json)
    assert request.evaluate["folds"] == 4
    assert request.label == workflow.stored().label == "four folds"


@pytest.mark.parametrize(
    "error", [ImportError("libgomp.so.1: cannot open shared object file"), OSError("no such file")]
)
def test_an_image_that_cannot_train_fails_before_split(
    error: Exception, world: FakeProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without it, each partition would fail in a pod of its own."""

    def broken(name: str) -> ModuleType:
        if name == "containers.lightgbm.booster":
            raise error
        return import_module(name)

    monkeypatch.setattr("workflows.pods.check.importlib.import_module", broken)
    workflow = world.workflow()
    with pytest.raises(UsageError, match="cannot import 'containers") as caught:
        workflow.run_check()
    assert "docker.io/refeed/lightgbm:1" in str(caught.value)
    assert not [name for name in world.files() if name.endswith("trainer.json")]
