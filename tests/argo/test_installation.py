"""Bad installation files and specs that do not fit: a place, a sentence, and what to do."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from steps.errors import MissingInputError, SpecError
from tests.argo.cases import INSTALLATION, SMALL, installation, small_spec
from workflows.installation.model import VARIABLE, find_installation, load_installation
from workflows.installation.projects import project_for
from workflows.installation.trainer_rules import with_defaults

EXAMPLE = Path(__file__).parents[2] / "manifests" / "installation.example.yaml"

BAD_FILES: dict[str, tuple[str, str, str, str]] = {
    "unknown key": (
        "environment: ",
        "enviroment: ",
        "enviroment",
        "unknown key\n    Did you mean 'environment'?",
    ),
    "unknown key of a part": (
        "late_after: 6h",
        "late: 6h",
        "late",
        "notify.late: unknown key\n    Did you mean 'late_after'?",
    ),
    "classes that do not grow": (
        "memory: 16Gi",
        "memory: 4096Mi",
        "images",
        "classes have [4096, 4096, 65536] MiB of memory. They must be in increasing order",
    ),
    "a step that names no class": (
        "split: medium",
        "split: huge",
        "images",
        "steps.split is 'huge', which is not a class: small, medium, large",
    ),
    "an image without a tag": (
        "docker.io/refeed/split:0.1.0",
        "docker.io/refeed/split",
        "docker.io/refeed/split",
        "images.split: 'docker.io/refeed/split' is not valid: string should match pattern",
    ),
    "an image with a quote": (
        "docker.io/refeed/linear:0.1.0",
        "docker.io/refeed/linear:'0",
        '"docker.io/refeed/linear',
        'trainers.linear.image: "docker.io/refeed/linear:\'0" is not valid',
    ),
    "a root on a disk": (
        "gs://refeed-demo",
        "/mnt/refeed",
        '"/mnt/refeed',
        "projects.demo.root: '/mnt/refeed' is not valid",
    ),
    "a root with braces": (
        "gs://refeed-lab/artifacts",
        "gs://refeed-lab/{{=1}}",
        '"gs://refeed-lab',
        "projects.lab.root: 'gs://refeed-lab/{{=1}}' is not valid",
    ),
    "a store of another kind": (
        'root: "gs://refeed-demo"',
        'root: "gs://refeed-demo", store: "mongo://x"',
        '"mongo://x"',
        "projects.demo.store: 'mongo://x' is not valid",
    ),
    "a namespace with capitals": (
        "namespace: refeed-lab",
        "namespace: Refeed",
        "Refeed",
        "projects.lab.namespace: 'Refeed' is not valid",
    ),
    "an amount that is no amount": (
        "memory: 64Gi",
        "memory: lots",
        "lots",
        "classes.large.memory: 'lots' is not valid",
    ),
    "processors as a number": (
        'cpu: "8"',
        "cpu: 8",
        "8\n    memory: 64Gi",
        "classes.large.cpu: 8 is not valid: input should be a valid string",
    ),
    "a negative price": (
        "cpu_hour: 0.031",
        "cpu_hour: -1",
        "-1",
        "prices.cpu_hour: -1 is not valid: input should be greater than or equal to 0",
    ),
    "a currency in words": ("USD", "dollars", "dollars", "prices.currency: 'dollars' is not valid"),
    "a duration without a unit": (
        "late_after: 6h",
        'late_after: "6"',
        '"6"',
        "notify.late_after: '6' is not valid",
    ),
    "no YAML": ("images:", "images: [", "images", "not valid YAML"),
}


def place(text: str, part: str) -> tuple[int, int]:
    """Line and column, from 1, of where a part of a text begins."""
    before = text[: text.index(part)]
    return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1


@pytest.mark.parametrize("name", BAD_FILES)
def test_installation_errors_have_a_position(name: str, tmp_path: Path) -> None:
    old, new, at, sentence = BAD_FILES[name]
    text = INSTALLATION.read_text()
    assert old in text
    text = text.replace(old, new, 1)
    path = tmp_path / "installation.yaml"
    path.write_text(text)
    with pytest.raises(SpecError) as caught:
        load_installation(path)
    message = str(caught.value)
    assert sentence in message
    assert message.startswith(f"{path}:")
    if name != "no YAML":
        line, column = place(text, at)
        assert message.startswith(f"{path}:{line}:{column}: ")
    assert caught.value.exit_code == 65


@pytest.mark.parametrize("part", ["trainers", "classes", "projects"])
def test_empty_installation_parts_are_rejected(part: str, tmp_path: Path) -> None:
    text = re.sub(
        rf"^{part}:\n(  .*\n)+", f"{part}: {{}}\n", INSTALLATION.read_text(), flags=re.MULTILINE
    )
    path = tmp_path / "installation.yaml"
    path.write_text(text)
    line, column = place(text, f"{part}: {{}}")
    pattern = rf"installation.yaml:{line}:{column + len(part) + 2}: {part}: .*at least 1 item"
    with pytest.raises(SpecError, match=pattern):
        load_installation(path)


def test_all_installation_errors_are_reported_together(tmp_path: Path) -> None:
    path = tmp_path / "installation.yaml"
    text = INSTALLATION.read_text().replace("split:0.1.0", "split").replace("USD", "dollars")
    path.write_text(text)
    with pytest.raises(SpecError) as caught:
        load_installation(path)
    assert [problem.where for problem in caught.value.problems] == [
        "images.split",
        "prices.currency",
    ]


def test_example_installation_is_valid() -> None:
    assert load_installation(EXAMPLE).projects.keys() == {"demo"}


def test_given_file_takes_precedence_over_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(VARIABLE, "of/the/environment.yaml")
    assert find_installation(None) == Path("of/the/environment.yaml")
    assert find_installation("given.yaml") == Path("given.yaml")
    monkeypatch.delenv(VARIABLE)
    with pytest.raises(MissingInputError, match=r"No installation file.*\nSet it with --instal"):
        find_installation(None)


def test_missing_file_hints_at_the_example(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match=r"There is no file .*\n.*installation\.example"):
        load_installation(tmp_path / "none.yaml")


def test_pod_has_one_worker_per_whole_cpu() -> None:
    classes = installation().classes
    assert {name: size.workers for name, size in classes.items()} == {
        "small": 2,
        "medium": 3,
        "large": 8,
        "gpu": 4,
        "gpu-large": 12,
    }


# --- trainers -------------------------------------------------------------------------------


def test_a_trainer_runs_in_its_classes_and_others_in_those_without_resources() -> None:
    platform = installation()
    assert [each.name for each in platform.classes_of("deep")] == ["gpu", "gpu-large"]
    assert [each.name for each in platform.classes_of("linear")] == ["small", "medium", "large"]
    assert list(platform.interchangeable("deep")) == ["deep"]
    assert list(platform.interchangeable("linear")) == ["forest", "lightgbm", "linear"]
    spec = small_spec(trainer={"name": "deep"}, execution__classes=["gpu-large"])
    assert [each.name for each in platform.training_classes(spec)] == ["gpu-large"]


def test_classes_with_and_without_resources_may_overlap_in_memory() -> None:
    sizes = [each.memory_mib for each in installation().classes.values()]
    assert sizes != sorted(sizes)
    with pytest.raises(ValueError, match=r"trainers.deep.classes have \[16384, 49152, 1024\] MiB"):
        installation(
            classes__odd={"cpu": "1", "memory": "1Gi", "resources": {"nvidia.com/gpu": 1}},
            trainers__deep__classes=["gpu", "gpu-large", "odd"],
        )


def test_errors_of_a_trainers_classes() -> None:
    with pytest.raises(ValueError, match=r"trainers.deep.classes has 'huge', which is not a class"):
        installation(trainers__deep__classes=["huge"])
    with pytest.raises(ValueError, match=r"steps.check is 'gpu', a class with resources"):
        installation(steps__check="gpu")
    spec = small_spec(trainer={"name": "deep"}, execution__classes=["small"])
    with pytest.raises(SpecError) as caught:
        project_for(installation(), spec)
    assert "the trainer 'deep' does not run in the class 'small'" in str(caught.value)
    assert "It runs in gpu, gpu-large." in str(caught.value)


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"epochs": 201}, "epochs: 201 is more than the platform's maximum of 200"),
        ({"epochs": 0}, "epochs: 0 is less than the platform's minimum of 1"),
        ({"batch": 5000}, "batch: 5000 is more than the platform's maximum of 4096"),
        ({"epochs": 200, "batch": "auto"}, ""),
        ({}, ""),
    ],
)
def test_limits_of_parameters(params: dict[str, Any], expected: str) -> None:
    spec = small_spec(trainer={"name": "deep", "params": params})
    if not expected:
        project_for(installation(), spec)
        return
    with pytest.raises(SpecError) as caught:
        project_for(installation(), spec)
    assert f"trainer.params.{expected}" in str(caught.value)


def test_a_spec_overrides_defaults_under_any_name() -> None:
    defaults, aliases = {"rounds": 50, "num_leaves": 15}, {"num_iterations": "rounds"}
    found = with_defaults({"num_iterations": 7}, defaults, aliases)
    assert found == {"num_iterations": 7, "num_leaves": 15}


ROOT = "gs://refeed-demo"
OTHER_ROOT = "gs://refeed-lab/artifacts"

MISFITS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "unknown project": (
        {"project": "nowhere"},
        [
            "project: the installation file defines no project 'nowhere'",
            "Available: demo, lab",
            "--set project=",
        ],
    ),
    "unknown trainer": (
        {"trainer": {"name": "oracle"}},
        [
            "trainer.name: the installation file defines no trainer 'oracle'",
            "Available: lightgbm, linear, forest, deep",
            "--set trainer.name=",
        ],
    ),
    "unknown class": (
        {"execution__classes": ["small", "huge"]},
        [
            "execution.classes.1: the installation file defines no class 'huge'",
            "Available: small, medium, large",
            "--set 'execution.classes=[",
        ],
    ),
    "a store that the project does not have": (
        {"store": "firestore://acme-refeed"},
        [
            "store: 'firestore://acme-refeed' is not the store of the project 'demo', which is "
            "in its artifact root. A run uses only its own project's store",
            "--set store=null",
        ],
    ),
    "output in another bucket": (
        {"output": "gs://elsewhere"},
        [
            "output: 'gs://elsewhere' is not under 'gs://refeed-demo'",
            "A run writes only to its own project",
            "--set output=gs://refeed-demo",
        ],
    ),
    "output in a bucket with a longer name": (
        {"output": "gs://refeed-demo-evil"},
        ["'gs://refeed-demo-evil' is not under", "--set output=gs://refeed-demo"],
    ),
    "output that climbs out": (
        {"output": "gs://refeed-demo/../refeed-lab"},
        ["'gs://refeed-demo/../refeed-lab' is not under", "--set output=gs://refeed-demo"],
    ),
    "output next to a prefix": (
        {"project": "lab", "output": "gs://refeed-lab/artifacts-evil"},
        ["is not under 'gs://refeed-lab/artifacts'", "--set output=gs://refeed-lab/artifacts"],
    ),
    "output above a prefix": (
        {"project": "lab", "output": "gs://refeed-lab"},
        ["is not under 'gs://refeed-lab/artifacts'", "--set output=gs://refeed-lab/artifacts"],
    ),
    "another project's output": (
        {"output": OTHER_ROOT},
        ["is not under 'gs://refeed-demo'", "--set output=gs://refeed-demo"],
    ),
    "local output": (
        {"output": "runs"},
        [
            "'runs' is not under 'gs://refeed-demo'",
            "A pod cannot write a local folder",
            "--set output=gs://refeed-demo",
        ],
    ),
    "local source": (
        {"dataset__source": "data/my table.parquet"},
        [
            "dataset.source: 'data/my table.parquet' is a local path, which a pod cannot read",
            "--set dataset.source=gs://refeed-demo/sources/my_table.parquet",
            "--upload",
        ],
    ),
}


@pytest.mark.parametrize("name", MISFITS)
def test_misfit_hint_has_the_setting(name: str) -> None:
    changes, sentences = MISFITS[name]
    with pytest.raises(SpecError) as caught:
        project_for(installation(), small_spec(**changes))
    message = str(caught.value)
    for sentence in sentences:
        assert sentence in message
    assert len(caught.value.problems) == 1


@pytest.mark.parametrize(
    "output", [ROOT, f"{ROOT}/", f"{ROOT}/deeper/still", f"{ROOT}/a..b/.hidden"]
)
def test_an_output_at_or_below_the_root_fits(output: str) -> None:
    assert project_for(installation(), small_spec(output=output)).namespace == "refeed-demo"


def test_a_project_has_one_store() -> None:
    own = "firestore://acme-refeed/demo"
    platform = installation(projects__demo__store=own)
    for store in (None, own):
        assert project_for(platform, small_spec(store=store)).store == own
    for store in ("firestore://acme-refeed", "firestore://acme-refeed/other"):
        with pytest.raises(SpecError, match=rf"{store}' is not the store .* which is '{own}'"):
            project_for(platform, small_spec(store=store))


def test_all_misfits_are_reported_together() -> None:
    spec = small_spec(
        output="runs",
        dataset__source="table.csv",
        trainer={"name": "oracle"},
        execution__classes=["huge"],
    )
    with pytest.raises(SpecError) as caught:
        project_for(installation(), spec)
    assert [problem.where for problem in caught.value.problems] == [
        "dataset.source",
        "execution.classes.0",
        "output",
        "trainer.name",
    ]


def test_the_small_spec_itself_fits() -> None:
    assert SMALL["output"] == project_for(installation(), small_spec()).root
