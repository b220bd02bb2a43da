"""``refeed project``: project folders among a cluster's manifests."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from steps.errors import MissingInputError, SpecError
from workflows.cli.app import app

ROOT = Path(__file__).parents[2]
MANIFESTS = ROOT / "manifests"
OWN = "kustomization.yaml"


@pytest.fixture
def overlay(tmp_path: Path) -> Path:
    """An empty overlay, and next to it the installation file of all calls."""
    folder = tmp_path / "overlays" / "overlay"
    folder.mkdir(parents=True)
    (folder / OWN).write_text("resources:\n  - ../../base\n")
    shutil.copy(MANIFESTS / "installation.example.yaml", folder.parent / "installation.yaml")
    return folder


def refeed(overlay: Path, *words: str) -> Result:
    options = (
        "--overlay",
        str(overlay),
        "--installation",
        str(overlay.parent / "installation.yaml"),
    )
    return CliRunner().invoke(app, ["project", *words, *options])


def files(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def put_spec(overlay: Path, name: str = "flights.yaml", project: str = "demo") -> Path:
    source = MANIFESTS / "overlays" / "gke" / "projects" / "demo" / "experiments" / "flights.yaml"
    path = overlay / "projects" / "demo" / "experiments" / name
    path.write_text(source.read_text().replace("project: demo", f"project: {project}"))
    return path


def test_a_project_is_a_small_folder(overlay: Path) -> None:
    assert refeed(overlay, "add", "demo").exit_code == 0
    made = files(overlay / "projects" / "demo")
    assert set(made) == {OWN, "project.yaml", f"generated/{OWN}", f"workflows/{OWN}"}
    assert yaml.safe_load(made["project.yaml"]) == {"name": "demo", "namespace": "refeed-demo"}
    component = yaml.safe_load(made[f"generated/{OWN}"])
    assert "root=gs://my-project-refeed-demo" in component["configMapGenerator"][0]["literals"]
    patches = [yaml.safe_load(each["patch"]) for each in component["patches"]]
    accounts = {
        each["metadata"]["name"]: each["metadata"]["annotations"]["iam.gke.io/gcp-service-account"]
        for each in patches
        if each["kind"] == "ServiceAccount"
    }
    assert accounts == {
        f"refeed-{step}": f"refeed-demo-{step}@my-project.iam.gserviceaccount.com"
        for step in ("split", "train", "collect")
    }
    (binding,) = (each for each in patches if each["kind"] == "RoleBinding")
    assert [each["name"] for each in binding["subjects"]] == [
        "refeed-analyst",
        "refeed-demo@example.com",
    ]
    assert (overlay / OWN).read_text().endswith("  - ../../base\n  - projects/demo\n")


def test_adding_again_keeps_owner_files(overlay: Path) -> None:
    refeed(overlay, "add", "demo")
    own = overlay / "projects" / "demo" / OWN
    own.write_text(own.read_text() + "patches: []\n")
    before = files(overlay)
    again = refeed(overlay, "add", "demo")
    assert again.exit_code == 0
    assert "Wrote" not in again.output
    assert files(overlay) == before


def test_render_compiles_specs_and_removes_stale_files(overlay: Path) -> None:
    refeed(overlay, "add", "demo")
    spec = put_spec(overlay)
    assert refeed(overlay, "render").exit_code == 0
    workflows = overlay / "projects" / "demo" / "workflows"
    template = yaml.safe_load((workflows / "flights.workflow-template.yaml").read_text())
    assert template["metadata"]["namespace"] == "refeed-demo"
    cron = yaml.safe_load((workflows / "flights.cron-workflow.yaml").read_text())
    assert (
        cron["spec"]["workflowSpec"]["workflowTemplateRef"]["name"] == template["metadata"]["name"]
    )
    assert yaml.safe_load((workflows / OWN).read_text())["resources"] == [
        "flights.workflow-template.yaml",
        "flights.cron-workflow.yaml",
    ]
    for manifest in (template, cron):
        annotations = manifest["metadata"]["annotations"]
        assert annotations["refeed/spec-file"] == "experiments/flights.yaml"
    spec.unlink()
    assert refeed(overlay, "render").exit_code == 0
    assert sorted(path.name for path in workflows.iterdir()) == [OWN]


def test_render_warns_of_runs_that_clocks_skip(overlay: Path) -> None:
    refeed(overlay, "add", "demo")
    spec = put_spec(overlay)
    spec.write_text(spec.read_text().replace("0 6 * * 1", "30 2 * * *"))
    result = refeed(overlay, "render")
    assert result.exit_code == 0
    assert f"warning: {spec}: The clocks of Europe/Paris change" in result.stderr
    assert "warning" not in refeed(overlay, "render", "--check").output


@pytest.mark.parametrize(
    ("path", "change"),
    [
        ("generated/kustomization.yaml", "edited"),
        ("workflows/flights.workflow-template.yaml", "edited"),
        ("workflows/flights.cron-workflow.yaml", "missing"),
        ("workflows/stray.yaml", "stray"),
    ],
)
def test_check_names_stale_files_and_writes_nothing(path: str, change: str, overlay: Path) -> None:
    refeed(overlay, "add", "demo")
    put_spec(overlay)
    refeed(overlay, "render")
    assert refeed(overlay, "render", "--check").exit_code == 0
    file = overlay / "projects" / "demo" / path
    if change == "missing":
        file.unlink()
    else:
        file.write_text("a: b\n")
    before = files(overlay)
    refused = refeed(overlay, "render", "--check")
    assert isinstance(refused.exception, SpecError)
    assert refused.exception.exit_code == 65
    assert [problem.where for problem in refused.exception.problems] == [f"projects/demo/{path}"]
    assert "make compile-all" in refused.exception.problems[0].hint
    assert files(overlay) == before


def test_argo_component_follows_installation_file(overlay: Path) -> None:
    """Check images, the server's account and the executor's version if an overlay installs Argo."""
    manifests = overlay.parents[1] / "argo-workflows"
    (overlay / "argo-workflows").mkdir()
    manifests.mkdir()
    shutil.copy(MANIFESTS / "argo-workflows" / OWN, manifests)
    assert refeed(overlay, "render").exit_code == 0
    made = yaml.safe_load((overlay / "argo-workflows" / "generated" / OWN).read_text())
    mirror = "europe-west1-docker.pkg.dev/my-project/refeed-quay/argoproj"
    assert [each["newName"] for each in made["images"]] == [
        f"{mirror}/workflow-controller",
        f"{mirror}/argocli",
    ]
    (tag,) = {each["newTag"] for each in yaml.safe_load((manifests / OWN).read_text())["images"]}
    assert f"--executor-image={mirror}/argoexec:{tag}" in made["patches"][0]["patch"]
    assert "refeed-platform@my-project" in made["patches"][1]["patch"]
    installation = overlay.parent / "installation.yaml"
    installation.write_text(installation.read_text().replace("refeed-quay", "other"))
    refused = refeed(overlay, "render", "--check")
    assert isinstance(refused.exception, SpecError)
    assert refused.exception.problems[0].where == f"argo-workflows/generated/{OWN}"


def test_a_project_that_the_installation_does_not_have(overlay: Path) -> None:
    refused = refeed(overlay, "add", "sales")
    assert isinstance(refused.exception, SpecError)
    assert "no project 'sales'" in str(refused.exception)
    assert "It has demo" in str(refused.exception)
    assert not (overlay / "projects").exists()


def test_spec_of_another_project_is_rejected_with_position(overlay: Path) -> None:
    refeed(overlay, "add", "demo")
    spec = put_spec(overlay, project="lab")
    refused = refeed(overlay, "render")
    assert isinstance(refused.exception, SpecError)
    line = spec.read_text().splitlines().index("project: lab") + 1
    assert f"{spec.name}:{line}:" in str(refused.exception)
    assert "'lab' is not the project of this folder" in str(refused.exception)


def test_folder_without_kustomization_is_rejected(tmp_path: Path) -> None:
    refused = refeed(tmp_path / "nowhere", "render")
    assert isinstance(refused.exception, MissingInputError)


@pytest.mark.parametrize(("name", "installation"), [("local", "local"), ("gke", "example")])
def test_committed_manifests_are_up_to_date(name: str, installation: str) -> None:
    words = ["project", "render", "--check", "--overlay", str(MANIFESTS / "overlays" / name)]
    path = MANIFESTS / f"installation.{installation}.yaml"
    assert CliRunner().invoke(app, [*words, "--installation", str(path)]).exit_code == 0
